//! Time that no step of the wall clock moves: for rate limits and lock-outs. How long tokens and keys are good is told by
//! the wall clock, which the callers bring.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// A clock that only goes forward, at the pace of time.
pub trait Monotonic: fmt::Debug + Send + Sync {
    /// The time since some moment that stays the same.
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
