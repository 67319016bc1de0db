//! What others see of a worker and may ask of it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use wheeltapper_log::Reader;

use super::questions::Question;

/// What others see of a worker and may ask of it.
#[derive(Debug)]
pub struct WorkerHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) findings: Reader,
    /// What the worker waits on.
    pub(super) raw: Reader,
    pub(super) thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    pub(super) failed: AtomicBool,
    /// Offset up to which records have gone through the stages.
    pub(super) position: AtomicU64,
    /// Offset that the last checkpoint needs.
    pub(super) needed: AtomicU64,
    /// Offset up to which the results are in the store.
    pub(super) checkpointed: AtomicU64,
    /// Committed end of this partition's anomaly-events.
    pub(super) findings_end: Arc<AtomicU64>,
    /// The first offset of anomaly-events that its followers still need.
    pub(super) findings_needed: AtomicU64,
    pub(super) checkpoint_wanted: AtomicBool,
    pub(super) configs: Mutex<Option<[String; 3]>>,
    pub(super) questions: Mutex<Vec<Question>>,
}

impl WorkerHandle {
    /// Offset up to which records have gone through the stages.
    pub fn position(&self) -> u64 {
        self.shared.position.load(Ordering::Acquire)
    }

    /// The first offset that a restart would read; retention keeps what follows it.
    pub fn needed(&self) -> u64 {
        self.shared.needed.load(Ordering::Acquire)
    }

    /// Offset up to which everything, readings included, is in the store.
    pub fn checkpointed(&self) -> u64 {
        self.shared.checkpointed.load(Ordering::Acquire)
    }

    /// The committed end of the partition's anomaly-events, as it moves on.
    pub fn findings_end(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.findings_end)
    }

    /// A reader of the partition's anomaly-events.
    pub fn findings_reader(&self) -> Reader {
        self.findings.clone()
    }

    /// Its followers (planner, courier) no longer need what lies before `offset` of its anomaly-events.
    pub fn release_findings(&self, offset: u64) {
        self.shared.findings_needed.store(offset, Ordering::Release);
    }

    /// Whether the worker gave up; the log tells why.
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }

    /// Asks for a checkpoint as soon as all that is in the log has been worked through.
    pub fn request_checkpoint(&self) {
        self.shared.checkpoint_wanted.store(true, Ordering::Release);
    }

    /// The stages take these configurations before their next step.
    pub fn configure(&self, stages: [String; 3]) {
        *self.shared.configs.lock().unwrap_or_else(PoisonError::into_inner) = Some(stages);
    }

    /// Asks; the answer comes between two steps. From a worker that stopped none comes, and the sender is dropped.
    pub fn ask(&self, question: Question) {
        if self.failed() {
            return;
        }
        self.shared.questions.lock().unwrap_or_else(PoisonError::into_inner).push(question);
        self.raw.wake();
    }

    /// Ends the worker after a last checkpoint.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.stop();
    }
}
