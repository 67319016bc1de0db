//! The state of a task, and what its body does with it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use wheeltapper_log::WakeSignal;

use super::panics::CaughtPanic;
use crate::metrics::Metrics;

/// The delay before the first retry.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(200);
/// The longest delay between two attempts: recovery from a fault is noticed within this time.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);
/// Interval at which a repeated failure with the same message is logged.
const REPEAT_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// State of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    /// The body is running.
    Running,
    /// The body failed; the task waits for the next attempt.
    Waiting,
    /// The task was stopped, or its body returned.
    Stopped,
}

/// A task that failed and has not made progress since.
#[derive(Clone, Debug)]
pub struct TaskFailure {
    /// The task's name, such as `line-0`.
    pub task: String,
    /// The error, or the panic's message.
    pub message: String,
    /// Time since the first of the consecutive failures.
    pub down_for: Duration,
    /// Number of failures since the host started.
    pub restarts: u64,
}

/// The tasks by name and number. While a task takes over from another one of the same name, both are listed; the number
/// distinguishes them.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    pub(super) by_name: BTreeMap<(String, u64), Arc<Task>>,
    pub(super) next_number: u64,
}

#[derive(Debug)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) number: u64,
    pub(super) stop: AtomicBool,
    pub(super) state: Mutex<TaskState>,
    /// What the body waits for, if it waits for a signal: a stop gives it too.
    awaited: Mutex<Option<WakeSignal>>,
    /// Signals a change of `stop` or of the phase.
    pub(super) changed: Condvar,
    pub(super) metrics: Arc<Metrics>,
}

#[derive(Debug)]
pub(super) struct TaskState {
    pub(super) phase: TaskPhase,
    pub(super) failure: Option<(Instant, String)>,
    /// Number of consecutive failures.
    pub(super) consecutive_failures: u32,
    pub(super) restarts: u64,
    pub(super) last_logged: Option<Instant>,
}

/// The body's handle to its supervisor.
#[derive(Clone, Debug)]
pub struct TaskContext {
    pub(super) task: Arc<Task>,
}

impl TaskContext {
    /// Whether the body should return.
    pub fn is_stopping(&self) -> bool {
        self.task.stop.load(Ordering::Acquire)
    }

    /// Reports progress: clears an earlier failure.
    pub fn mark_healthy(&self) {
        let mut state = lock(&self.task.state);
        if let Some((since, _)) = state.failure.take() {
            state.consecutive_failures = 0;
            state.last_logged = None;
            drop(state);
            self.task.metrics.task_up(&self.task.name).set(1);
            tracing::info!(task = %self.task.name, down = ?since.elapsed(), "the task has recovered");
        }
    }

    /// Reports a fault that a restart does not fix: `/ready` names it until [`Self::mark_healthy`] is called.
    pub fn report_fault(&self, message: String) {
        tracing::error!(task = %self.task.name, error = %message, "a fault was reported");
        let mut state = lock(&self.task.state);
        let since = state.failure.as_ref().map_or_else(Instant::now, |&(since, _)| since);
        state.failure = Some((since, message));
        drop(state);
        self.task.metrics.task_up(&self.task.name).set(0);
    }

    /// Waits for `pause`; returns false as soon as the task is asked to stop.
    pub fn sleep(&self, pause: Duration) -> bool {
        let state = lock(&self.task.state);
        let (_state, _) = self
            .task
            .changed
            .wait_timeout_while(state, pause, |_| !self.is_stopping())
            .unwrap_or_else(PoisonError::into_inner);
        !self.is_stopping()
    }

    /// Waits until the count of `signal` differs from `seen`, the task is asked to stop, or `limit` has passed.
    pub fn wait(&self, signal: &WakeSignal, seen: u64, limit: Duration) {
        // A stop that does not find the signal here is visible below.
        *lock(&self.task.awaited) = Some(signal.clone());
        signal.wait_until(limit, || signal.count() != seen || self.is_stopping());
    }

    /// The task's name.
    pub fn name(&self) -> &str {
        &self.task.name
    }
}

impl Task {
    /// A task that runs, with a number that distinguishes it from others of its name.
    pub(super) fn new(name: String, number: u64, metrics: Arc<Metrics>) -> Self {
        Self {
            name,
            number,
            stop: AtomicBool::new(false),
            state: Mutex::new(TaskState {
                phase: TaskPhase::Running,
                failure: None,
                consecutive_failures: 0,
                restarts: 0,
                last_logged: None,
            }),
            awaited: Mutex::default(),
            changed: Condvar::new(),
            metrics,
        }
    }

    pub(super) fn request_stop(&self) {
        {
            let _state = lock(&self.state);
            self.stop.store(true, Ordering::Release);
            self.changed.notify_all();
        }
        if let Some(awaited) = &*lock(&self.awaited) {
            awaited.wake_all();
        }
    }

    pub(super) fn set_phase(&self, phase: TaskPhase) {
        let mut state = lock(&self.state);
        state.phase = phase;
        self.changed.notify_all();
    }

    pub(super) fn failure(&self) -> Option<TaskFailure> {
        let state = lock(&self.state);
        let (since, message) = state.failure.as_ref()?;
        Some(TaskFailure {
            task: self.name.clone(),
            message: message.clone(),
            down_for: since.elapsed(),
            restarts: state.restarts,
        })
    }

    /// Records how a body ended; returns the delay before the next attempt, or `None` when there is none.
    pub(super) fn record_end(&self, outcome: Result<anyhow::Result<()>, CaughtPanic>) -> Option<Duration> {
        let (message, backtrace) = match outcome {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => (format!("{error:#}"), None),
            Err(panic) => (format!("it panicked: {}", panic.message), Some(panic.backtrace)),
        };
        let mut state = lock(&self.state);
        state.phase = TaskPhase::Waiting;
        state.restarts += 1;
        let pause = FIRST_RETRY_DELAY.saturating_mul(1 << state.consecutive_failures.min(16)).min(MAX_RETRY_DELAY);
        state.consecutive_failures = state.consecutive_failures.saturating_add(1);
        let first = state.failure.as_ref().map_or_else(Instant::now, |&(since, _)| since);
        let repeated = state.failure.as_ref().is_some_and(|(_, known)| *known == message);
        if !repeated || state.last_logged.is_none_or(|at| at.elapsed() >= REPEAT_LOG_INTERVAL) {
            state.last_logged = Some(Instant::now());
            match backtrace {
                None => tracing::error!(task = %self.name, error = %message, "the task failed; it will be retried"),
                Some(backtrace) => {
                    tracing::error!(task = %self.name, error = %message, "the task failed; it will be retried\n{backtrace}");
                }
            }
        }
        state.failure = Some((first, message));
        drop(state);
        self.metrics.task_up(&self.name).set(0);
        self.metrics.task_restarts(&self.name).inc();
        Some(pause)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
