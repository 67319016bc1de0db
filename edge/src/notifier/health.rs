//! Whether a route's receiver accepts notifications. Failures of the route's own task are reported by the supervisor.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The state of a route's receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteHealth {
    /// The route's name.
    pub name: String,
    /// The state of the route.
    pub state: RouteState,
}

/// The state of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteState {
    /// It follows the alerts and delivers notifications.
    Delivering,
    /// The receiver does not accept a notification, which is sent again. This is not a failure of the host.
    Waiting {
        /// Why it was not accepted.
        why: String,
        /// For how long the receiver has accepted nothing.
        since: Duration,
    },
}

/// Where a route's task reports the state of its receiver: `None`, or the reason of the failure and its beginning.
#[derive(Debug, Default)]
pub(super) struct HealthCell(Mutex<Option<(String, Instant)>>);

impl HealthCell {
    /// Reports that the receiver accepts notifications.
    pub(super) fn set_delivering(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Reports that the receiver accepts nothing.
    pub(super) fn set_waiting(&self, why: &str) {
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
