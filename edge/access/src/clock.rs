//! The monotonic clock of rate limits and lockouts, which is not affected by steps of the wall clock. Lifetimes of
//! tokens and keys use the wall clock, which the callers pass in.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// A clock that never goes backwards.
pub trait Monotonic: fmt::Debug + Send + Sync {
    /// Time since a fixed but arbitrary moment.
    fn now(&self) -> Duration;
}

/// The system's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Uptime(Instant);

impl Default for Uptime {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Monotonic for Uptime {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
