//! What the planner's task shares with its handle. It outlives the task's restarts.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

#[derive(Debug, Default)]
pub(crate) struct PlannerShared {
    /// The newest tick that was not planned for yet; 0 when there is none.
    pub(super) pending_tick: AtomicI64,
    /// The newest tick that was planned for.
    pub(super) planned_tick: AtomicI64,
    /// The active configuration (JSON).
    pub(super) config: Mutex<String>,
    /// A changed configuration that the stage has not applied yet.
    pub(super) pending_config: Mutex<Option<String>>,
    /// Sum of the offsets, so that others can see whether the planner has caught up.
    pub(super) position: AtomicU64,
    /// The offsets from which a restart would read.
    pub(super) durable_offsets: Mutex<Vec<u64>>,
    /// Number of the newest plan.
    pub(super) plan: AtomicU64,
    /// Number of the last command that was processed.
    pub(super) last_command: AtomicU64,
    /// Commands that were rejected, with the reason.
    pub(super) rejections: Mutex<BTreeMap<u64, String>>,
    /// Number of the current command, and how often it ended in a panic.
    pub(super) attempts: Mutex<(u64, u32)>,
}

impl PlannerShared {
    /// Creates the state with the stage's configuration.
    pub(crate) fn new(config: String) -> Self {
        Self { config: Mutex::new(config), ..Self::default() }
    }

    /// Sum of the offsets up to which alerts have been planned for.
    pub(crate) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Sets a configuration for the stage to apply.
    pub(crate) fn set_pending_config(&self, config: String) {
        *lock(&self.pending_config) = Some(config);
    }

    /// Requests a new plan from `now`.
    pub(crate) fn request_tick(&self, now: i64) {
        self.pending_tick.store(now, Ordering::Release);
    }
}

/// Locks a field of [`PlannerShared`].
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
