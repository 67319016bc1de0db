//! Whether a route's receiver takes what is sent. A route that fails itself is the supervisor's concern.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How a route's receiver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteHealth {
    /// The route's name.
    pub name: String,
    /// What it does.
    pub state: RouteState,
}

/// What a route does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteState {
    /// It follows the alerts and delivers.
    Delivering,
    /// The receiver does not take a notification; it is sent again. That is not the host's failure.
    Waiting {
        /// Why it was not taken.
        why: String,
        /// Since when the receiver has taken nothing.
        since: Duration,
    },
}

/// Where a route's task reports on its receiver: why it takes nothing, and since when.
#[derive(Debug, Default)]
pub(super) struct HealthCell(Mutex<Option<(String, Instant)>>);

impl HealthCell {
    /// All is well.
    pub(super) fn delivering(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The receiver takes nothing.
    pub(super) fn waiting(&self, why: &str) {
        let mut cell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = cell.as_ref().map_or_else(Instant::now, |&(_, since)| since);
        *cell = Some((why.to_owned(), since));
    }

    pub(super) fn get(&self, name: &str) -> RouteHealth {
        let state = match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => RouteState::Delivering,
            Some((why, since)) => RouteState::Waiting { why: why.clone(), since: since.elapsed() },
        };
        RouteHealth { name: name.to_owned(), state }
    }
}
