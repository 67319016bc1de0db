//! A monotonic clock that the test sets.
#![allow(dead_code, reason = "each test file uses only some of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use wheeltapper_access::{Access, MonotonicClock, Settings};

/// A monotonic clock that the test sets, in milliseconds.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    pub fn set(&self, at: Duration) {
        self.0.store(u64::try_from(at.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Opens the access database in `folder` with this clock.
    pub fn open(self: &Arc<Self>, folder: &TempDir) -> Access {
        Access::open_with_clock(folder.path(), Settings::default(), 1_767_225_600_000_000_000, Arc::<Self>::clone(self))
            .unwrap()
    }
}

impl MonotonicClock for ManualClock {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}
