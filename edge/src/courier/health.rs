//! How a route is, for whoever supervises it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How a route is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteHealth {
    /// The route's name.
    pub name: String,
    /// What it does.
    pub state: RouteState,
    /// How often its loop ended in an error or a panic and was taken up again.
    pub restarts: u64,
}

/// What a route does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteState {
    /// It follows the alerts and delivers.
    Delivering,
    /// The receiver does not take a notification; it is sent again.
    Waiting {
        /// Why it was not taken.
        why: String,
        /// Since when the receiver has taken nothing.
        since: Duration,
    },
    /// The loop itself failed, by an error of log or store or by a panic; it is taken up again after a pause.
    Failing {
        /// The last error or panic.
        why: String,
        /// Since when.
        since: Duration,
    },
    /// Its thread is gone, and nobody takes it up again.
    Gone,
}

impl RouteHealth {
    /// Whether the host does its part: a receiver that is down is not the host's failure.
    pub fn is_well(&self) -> bool {
        matches!(self.state, RouteState::Delivering | RouteState::Waiting { .. })
    }
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Delivering,
    Waiting(String, Instant),
    Failing(String, Instant),
}

/// Where a route's thread says how it is.
#[derive(Debug, Default)]
pub(super) struct HealthCell(Mutex<(State, u64)>);

impl HealthCell {
    /// All is well.
    pub(super) fn delivering(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = State::Delivering;
    }

    /// The receiver takes nothing.
    pub(super) fn waiting(&self, why: &str) {
        let mut cell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = if let State::Waiting(_, since) = &cell.0 { *since } else { Instant::now() };
        cell.0 = State::Waiting(why.to_owned(), since);
    }

    /// The loop failed and is taken up again.
    pub(super) fn failing(&self, why: &str) {
        let mut cell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = if let State::Failing(_, since) = &cell.0 { *since } else { Instant::now() };
        cell.0 = State::Failing(why.to_owned(), since);
        cell.1 = cell.1.saturating_add(1);
    }

    pub(super) fn get(&self, name: &str, is_gone: bool) -> RouteHealth {
        let cell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match &cell.0 {
            _ if is_gone => RouteState::Gone,
            State::Delivering => RouteState::Delivering,
            State::Waiting(why, since) => RouteState::Waiting { why: why.clone(), since: since.elapsed() },
            State::Failing(why, since) => RouteState::Failing { why: why.clone(), since: since.elapsed() },
        };
        RouteHealth { name: name.to_owned(), state, restarts: cell.1 }
    }
}
