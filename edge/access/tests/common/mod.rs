//! A clock that the test sets.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use wheeltapper_access::{Access, Monotonic, Settings};

/// Milliseconds.
#[derive(Debug, Default)]
pub struct Hand(AtomicU64);

impl Hand {
    pub fn set(&self, at: Duration) {
        self.0.store(u64::try_from(at.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub fn forward(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Opens the folder's with this clock.
    pub fn open(self: &Arc<Self>, folder: &TempDir) -> Access {
        Access::open_with_clock(folder.path(), Settings::default(), 1_767_225_600_000_000_000, Arc::<Self>::clone(self))
            .unwrap()
    }
}

impl Monotonic for Hand {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}
