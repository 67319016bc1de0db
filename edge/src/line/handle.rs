//! What others see of a worker and may ask of it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use wheeltapper_log::Reader;

use super::{questions::Question, stages::StageConfigs};
use crate::supervisor::TaskHandle;

/// Questions that may wait for one worker.
const MAX_QUESTIONS: usize = 1_024;

/// What others see of a worker and may ask of it. It stays the same while the worker is begun anew after a fault.
#[derive(Debug)]
pub struct WorkerHandle {
    pub(super) shared: Arc<WorkerShared>,
    pub(super) findings: Reader,
    /// What the worker waits on.
    pub(super) raw: Reader,
    pub(super) task: TaskHandle,
}

#[derive(Debug)]
pub(super) struct WorkerShared {
    pub(super) stop: AtomicBool,
    /// Whether the worker takes questions.
    pub(super) running: AtomicBool,
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
    configs: Mutex<Configs>,
    questions: Mutex<Vec<Question>>,
}

#[derive(Debug)]
struct Configs {
    /// What the stages run with, also after a restart of the worker.
    in_force: StageConfigs,
    wanted: Option<StageConfigs>,
}

impl WorkerShared {
    pub(super) fn new(configs: StageConfigs) -> Self {
        Self {
            stop: AtomicBool::default(),
            running: AtomicBool::default(),
            position: AtomicU64::default(),
            needed: AtomicU64::default(),
            checkpointed: AtomicU64::default(),
            findings_end: Arc::default(),
            findings_needed: AtomicU64::default(),
            checkpoint_wanted: AtomicBool::default(),
            configs: Mutex::new(Configs { in_force: configs, wanted: None }),
            questions: Mutex::default(),
        }
    }

    fn configs(&self) -> MutexGuard<'_, Configs> {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn configs_in_force(&self) -> StageConfigs {
        self.configs().in_force.clone()
    }

    /// A configuration that the stages have not taken yet.
    pub(super) fn take_wanted_configs(&self) -> Option<StageConfigs> {
        self.configs().wanted.take()
    }

    /// The stages are to take these configurations before their next step.
    pub(super) fn want_configs(&self, configs: StageConfigs) {
        self.configs().wanted = Some(configs);
    }

    /// Puts a configuration back that could not be taken now, unless a newer one has come.
    pub(super) fn want_configs_again(&self, configs: StageConfigs) {
        self.configs().wanted.get_or_insert(configs);
    }

    pub(super) fn set_configs_in_force(&self, configs: StageConfigs) {
        self.configs().in_force = configs;
    }

    /// Takes questions from now on, or refuses them: those that wait are dropped, which their senders notice at once.
    pub(super) fn set_running(&self, running: bool) {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        self.running.store(running, Ordering::Release);
        if !running {
            questions.clear();
        }
    }

    pub(super) fn take_questions(&self) -> Vec<Question> {
        std::mem::take(&mut *self.questions.lock().unwrap_or_else(PoisonError::into_inner))
    }
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

    /// Its followers (planner, notifier) no longer need what lies before `offset` of its anomaly-events.
    pub fn release_findings(&self, offset: u64) {
        self.shared.findings_needed.store(offset, Ordering::Release);
    }

    /// Whether the worker is down or has not made progress since it was begun anew.
    pub fn failed(&self) -> bool {
        !self.task.is_healthy()
    }

    /// Asks for a checkpoint as soon as all that is in the log has been worked through.
    pub fn request_checkpoint(&self) {
        self.shared.checkpoint_wanted.store(true, Ordering::Release);
    }

    /// The stages take these configurations (JSON of featurize, detect, alert) before their next step.
    pub fn configure(&self, stages: [String; 3]) {
        self.shared.want_configs(StageConfigs::from(stages));
        self.raw.wake();
    }

    /// Asks; the answer comes between two steps. While the worker is down, or too many questions wait, the question is dropped,
    /// and with it the sender of the answer.
    pub fn ask(&self, question: Question) {
        let mut questions = self.shared.questions.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that a worker that ends meanwhile drops the question or has refused it.
        if self.shared.running.load(Ordering::Acquire) && questions.len() < MAX_QUESTIONS {
            questions.push(question);
            drop(questions);
            self.raw.wake();
        }
    }

    /// Asks the worker to end after a last checkpoint, without waiting.
    pub fn request_stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.raw.wake();
    }

    /// Ends the worker after a last checkpoint; false when it does not end within `limit`.
    pub fn stop_within(&mut self, limit: Duration) -> bool {
        self.request_stop();
        self.task.stop_within(limit)
    }
}
