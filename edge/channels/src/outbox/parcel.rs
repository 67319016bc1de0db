//! What is sent as one notification.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::summary::Summary;
use crate::{AlertMessage, Notification, Wording};

/// What is sent as one notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    pub(super) content: Content,
    pub(super) attempts: u32,
    pub(super) retry_at: i64,
    /// Recipients that are finished.
    pub(super) finished: BTreeSet<String>,
    /// Whether the fallback gets it.
    #[serde(default)]
    pub(super) is_handed_over: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Content {
    Message(Box<AlertMessage>),
    Summary { key: String, summary: Summary },
}

impl Parcel {
    /// The idempotency key: the same for each attempt.
    pub fn key(&self) -> &str {
        match &self.content {
            Content::Message(message) => &message.key,
            Content::Summary { key, .. } => key,
        }
    }

    /// The recipients that are finished.
    pub fn finished(&self) -> &BTreeSet<String> {
        &self.finished
    }

    /// Writes the parcel in words.
    pub fn notification(&self, wording: &Wording) -> Notification {
        match &self.content {
            Content::Message(message) => wording.notification(message),
            Content::Summary { key, summary } => summary.notification(key, wording),
        }
    }
}

/// Messages on their way from one outbox to another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutboxState {
    pub(super) messages: Vec<AlertMessage>,
    pub(super) summary: Summary,
}

impl OutboxState {
    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.summary.is_empty()
    }
}

impl Parcel {
    pub(super) fn count(&self) -> usize {
        match &self.content {
            Content::Message(_) => 1,
            Content::Summary { summary, .. } => summary.count(),
        }
    }
}

impl OutboxState {
    pub(super) fn add(&mut self, parcel: Parcel) {
        match parcel.content {
            Content::Message(message) => self.messages.push(*message),
            Content::Summary { summary, .. } => self.summary.merge(summary),
        }
    }
}
