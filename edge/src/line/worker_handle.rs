//! The handle of a worker for the rest of the host.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use wheeltapper_log::Reader;

use super::{signals::LineSignals, stages::StageConfigs, worker_queries::WorkerQuery};
use crate::{
    supervisor::TaskHandle,
    topics::{PublishedEnd, PublishedPartition},
};

/// Maximum number of pending queries per worker.
const MAX_PENDING_QUERIES: usize = 1_024;

/// Handle of a worker: its offsets, queries and control. It stays valid when the worker is reopened after a fault.
#[derive(Debug)]
pub struct WorkerHandle {
    pub(super) shared: Arc<WorkerShared>,
    pub(super) findings: Reader,
    /// The reader that the worker waits on.
    pub(super) raw: Reader,
    pub(super) task: TaskHandle,
}

#[derive(Debug)]
pub(super) struct WorkerShared {
    pub(super) stop: AtomicBool,
    /// Whether the worker accepts queries.
    pub(super) running: AtomicBool,
    /// Offset up to which the stages have processed records.
    pub(super) position: PublishedEnd,
    /// Offset of the last checkpoint, from which a restart would read.
    pub(super) replay_offset: AtomicU64,
    /// Offset up to which everything, readings included, is in the store.
    pub(super) checkpointed_offset: AtomicU64,
    /// Committed end of this partition's anomaly-events.
    pub(super) findings_end: PublishedEnd,
    /// The first offset of anomaly-events that its followers still need.
    pub(super) findings_retained_from: AtomicU64,
    pub(super) checkpoint_requested: AtomicBool,
    configs: Mutex<StageConfigState>,
    queries: Mutex<Vec<WorkerQuery>>,
}

#[derive(Debug)]
struct StageConfigState {
    /// The configurations of the stages, also after a restart of the worker.
    active: StageConfigs,
    pending: Option<StageConfigs>,
}

impl WorkerShared {
    pub(super) fn new(configs: StageConfigs, signals: &LineSignals) -> Self {
        Self {
            stop: AtomicBool::default(),
            running: AtomicBool::default(),
            position: PublishedEnd::new(&signals.progress),
            replay_offset: AtomicU64::default(),
            checkpointed_offset: AtomicU64::default(),
            findings_end: PublishedEnd::new(&signals.findings),
            findings_retained_from: AtomicU64::default(),
            checkpoint_requested: AtomicBool::default(),
            configs: Mutex::new(StageConfigState { active: configs, pending: None }),
            queries: Mutex::default(),
        }
    }

    fn configs(&self) -> MutexGuard<'_, StageConfigState> {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn active_configs(&self) -> StageConfigs {
        self.configs().active.clone()
    }

    /// Takes a configuration that the stages have not applied yet.
    pub(super) fn take_pending_configs(&self) -> Option<StageConfigs> {
        self.configs().pending.take()
    }

    /// Sets configurations that the stages apply before their next step.
    pub(super) fn set_pending_configs(&self, configs: StageConfigs) {
        self.configs().pending = Some(configs);
    }

    /// Puts back a configuration that could not be applied now, unless there is a newer one.
    pub(super) fn restore_pending_configs(&self, configs: StageConfigs) {
        self.configs().pending.get_or_insert(configs);
    }

    pub(super) fn set_active_configs(&self, configs: StageConfigs) {
        self.configs().active = configs;
    }

    /// Starts or stops accepting queries. When it stops, pending queries are dropped, which their senders notice at
    /// once.
    pub(super) fn set_running(&self, running: bool) {
        let mut queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
        self.running.store(running, Ordering::Release);
        if !running {
            queries.clear();
        }
    }

    pub(super) fn take_queries(&self) -> Vec<WorkerQuery> {
        std::mem::take(&mut *self.queries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Dropping the handle stops the worker, as its task alone cannot: the worker ends with a last checkpoint.
impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.request_stop();
    }
}

impl WorkerHandle {
    /// Offset up to which the stages have processed records.
    pub fn position(&self) -> u64 {
        self.shared.position.get()
    }

    /// The first offset that a restart would read; retention keeps everything from there.
    pub fn replay_offset(&self) -> u64 {
        self.shared.replay_offset.load(Ordering::Acquire)
    }

    /// Offset up to which everything, readings included, is in the store.
    pub fn checkpointed_offset(&self) -> u64 {
        self.shared.checkpointed_offset.load(Ordering::Acquire)
    }

    /// The partition's anomaly-events up to their committed end.
    pub fn findings(&self) -> PublishedPartition {
        PublishedPartition { reader: self.findings.clone(), end: self.shared.findings_end.clone() }
    }

    /// Sets the offset of anomaly-events before which its followers (planner, notifier) need nothing.
    pub fn release_findings(&self, offset: u64) {
        self.shared.findings_retained_from.store(offset, Ordering::Release);
    }

    /// Whether the worker is down or has not made progress since it was reopened.
    pub fn has_failed(&self) -> bool {
        !self.task.is_healthy()
    }

    /// Requests a checkpoint as soon as the log has been processed.
    pub fn request_checkpoint(&self) {
        self.shared.checkpoint_requested.store(true, Ordering::Release);
    }

    /// Sets configurations (JSON of featurize, detect, alert) that the stages apply before their next step.
    pub fn configure(&self, stages: [String; 3]) {
        self.shared.set_pending_configs(StageConfigs::from(stages));
        self.raw.signal().wake_all();
    }

    /// Sends a query; the reply comes between two steps. While the worker is down, or too many queries are pending, the
    /// query is dropped, and with it the sender of the reply.
    pub fn query(&self, query: WorkerQuery) {
        let mut queries = self.shared.queries.lock().unwrap_or_else(PoisonError::into_inner);
        // Checked under the lock, so that a worker that stops meanwhile drops the query or is already marked as
        // stopped.
        if self.shared.running.load(Ordering::Acquire) && queries.len() < MAX_PENDING_QUERIES {
            queries.push(query);
            drop(queries);
            self.raw.signal().wake_all();
        }
    }

    /// Asks the worker to stop after a last checkpoint, without waiting.
    pub fn request_stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.raw.signal().wake_all();
    }

    /// Stops the worker after a last checkpoint; returns false when it does not stop within `limit`.
    pub fn stop_within(&mut self, limit: Duration) -> bool {
        self.request_stop();
        self.task.stop_within(limit)
    }
}
