//! Alerts whose opening did not reach the people of this channel: what follows is told where the opening was told, and
//! not at all if it was told nowhere.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{AlertMessage, Event};

/// Maximum number of alerts that are remembered in each list; the oldest are forgotten first.
const MAX_ALERTS: usize = 200;

/// Where a message about an alert goes.
#[derive(Debug, PartialEq)]
pub(super) enum Destination {
    /// This channel.
    Own(AlertMessage),
    /// The fallback, which has told that the alert opened.
    Fallback(AlertMessage),
    /// Nowhere: nobody knows that it opened.
    Nowhere,
}

/// Ids of alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Threads {
    /// The message that it opened was abandoned.
    abandoned: VecDeque<String>,
    /// The fallback got the message that it opened.
    handed_over: VecDeque<String>,
}

impl Threads {
    /// Notes that a message was abandoned.
    pub(super) fn abandon(&mut self, message: &AlertMessage) {
        if message.event == Event::Opened {
            remember(&mut self.abandoned, &message.alert);
        }
    }

    /// Notes that the fallback gets a message.
    pub(super) fn hand_over(&mut self, message: &AlertMessage) {
        if message.event == Event::Resolved {
            forget(&mut self.handed_over, &message.alert);
        } else {
            remember(&mut self.handed_over, &message.alert);
        }
    }

    /// Returns where a new message goes. Of an alert that nobody knows, a raise is told as its opening.
    pub(super) fn destination(&mut self, message: AlertMessage) -> Destination {
        if forget(&mut self.abandoned, &message.alert) {
            return match message.event {
                Event::Resolved => Destination::Nowhere,
                _ => Destination::Own(AlertMessage { event: Event::Opened, ..message }),
            };
        }
        if self.handed_over.contains(&message.alert) {
            return Destination::Fallback(message);
        }
        Destination::Own(message)
    }
}

fn remember(list: &mut VecDeque<String>, alert: &str) {
    if list.iter().any(|known| known == alert) {
        return;
    }
    list.push_back(alert.to_owned());
    if list.len() > MAX_ALERTS {
        list.pop_front();
    }
}

/// Removes an alert. Returns whether it was in the list.
fn forget(list: &mut VecDeque<String>, alert: &str) -> bool {
    let before = list.len();
    list.retain(|known| known != alert);
    list.len() < before
}
