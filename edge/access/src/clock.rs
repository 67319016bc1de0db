//! The monotonic clock of rate limits and lockouts, which is not affected by steps of the wall clock. Lifetimes of
//! tokens and keys use the wall clock, which the callers pass in.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// A clock that never goes backwards.
pub trait MonotonicClock: fmt::Debug + Send + Sync {
    /// Time since a fixed but arbitrary moment.
    fn now(&self) -> Duration;
}

/// The system's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl MonotonicClock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
