//! Owns every thread and async task of the host.
//!
//! A supervised task is a function (its body) that runs until it is asked to stop. A body that returns an error or
//! panics is run again after a delay, which doubles with each consecutive failure up to [`MAX_RETRY_DELAY`]. A body
//! starts from durable state each time, so a restart of a task is equivalent to a restart of the host, for this task
//! alone. While a task is down, `/ready` names it with the reason, and `/metrics` counts its restarts.
//!
//! A body reports progress with [`TaskContext::mark_healthy`]; only then is an earlier failure cleared. So a task that
//! fails again right after each restart stays visible between its attempts.

use std::{
    any::Any,
    backtrace::Backtrace,
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
    io,
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use crate::metrics::Metrics;

/// The delay before the first retry.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(200);
/// The longest delay between two attempts: recovery from a fault is noticed within this time.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);
/// An async task that has run for this long counts as started.
const STARTUP_TIME: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 10_000 });
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

/// Starts tasks and tracks their state. Clones share the same tasks.
#[derive(Clone, Debug)]
pub struct Supervisor {
    tasks: Arc<Mutex<Tasks>>,
    metrics: Arc<Metrics>,
}

/// The tasks by name and number. While a task takes over from another one of the same name, both are listed; the number
/// distinguishes them.
#[derive(Debug, Default)]
struct Tasks {
    by_name: BTreeMap<(String, u64), Arc<Task>>,
    next_number: u64,
}

#[derive(Debug)]
struct Task {
    name: String,
    number: u64,
    stop: AtomicBool,
    state: Mutex<TaskState>,
    /// Signals a change of `stop` or of the phase.
    changed: Condvar,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct TaskState {
    phase: TaskPhase,
    failure: Option<(Instant, String)>,
    /// Number of consecutive failures.
    consecutive_failures: u32,
    restarts: u64,
    last_logged: Option<Instant>,
}

/// The body's handle to its supervisor.
#[derive(Clone, Debug)]
pub struct TaskContext {
    task: Arc<Task>,
}

/// A running task. Dropping the handle stops the task.
#[derive(Debug)]
pub struct TaskHandle {
    task: Arc<Task>,
    tasks: Arc<Mutex<Tasks>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Supervisor {
    /// Creates a supervisor without tasks that reports to `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        install_panic_hook();
        Self { tasks: Arc::default(), metrics }
    }

    /// Runs `body` on a thread named `name` until it returns `Ok` or is stopped. After an error or a panic the body is
    /// run again.
    ///
    /// # Errors
    /// When the operating system cannot start a thread.
    pub fn spawn(
        &self,
        name: impl Into<String>,
        mut body: impl FnMut(&TaskContext) -> anyhow::Result<()> + Send + 'static,
    ) -> io::Result<TaskHandle> {
        let task = self.register(name.into());
        let context = TaskContext { task: Arc::clone(&task) };
        let thread = thread::Builder::new().name(task.name.clone()).spawn(move || {
            loop {
                let outcome = catch_panic(|| body(&context));
                match context.task.record_end(outcome) {
                    Some(pause) if context.sleep(pause) => context.task.set_phase(TaskPhase::Running),
                    _ => break,
                }
            }
            context.task.set_phase(TaskPhase::Stopped);
        })?;
        Ok(TaskHandle { task, tasks: Arc::clone(&self.tasks), thread: Some(thread) })
    }

    /// Supervises an async task: the returned future runs the future that `body` creates until that ends in `Ok`, and
    /// creates another one after an error or a panic. Dropping the returned future ends the task. A future that runs
    /// for [`STARTUP_TIME`] without failing counts as healthy, because a listener may wait days for its first
    /// connection.
    pub fn supervise<F>(
        &self,
        name: impl Into<String>,
        mut body: impl FnMut(TaskContext) -> F + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let task = self.register(name.into());
        let handle = TaskHandle { task: Arc::clone(&task), tasks: Arc::clone(&self.tasks), thread: None };
        let context = TaskContext { task };
        async move {
            // Dropped with the future, which removes the task from the list.
            let _handle = handle;
            loop {
                let mut attempt = CatchPanic(Box::pin(body(context.clone())));
                let outcome = match tokio::time::timeout(STARTUP_TIME, &mut attempt).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        context.mark_healthy();
                        attempt.await
                    }
                };
                let Some(pause) = context.task.record_end(outcome) else { break };
                tokio::time::sleep(pause).await;
                context.task.set_phase(TaskPhase::Running);
            }
            context.task.set_phase(TaskPhase::Stopped);
        }
    }

    /// The tasks that failed and have not made progress since, by name.
    pub fn failures(&self) -> Vec<TaskFailure> {
        let tasks = lock(&self.tasks);
        tasks.by_name.values().filter_map(|task| task.failure()).collect()
    }

    /// Names and phases of all tasks.
    pub fn tasks(&self) -> Vec<(String, TaskPhase)> {
        lock(&self.tasks).by_name.values().map(|task| (task.name.clone(), lock(&task.state).phase)).collect()
    }

    fn register(&self, name: String) -> Arc<Task> {
        let mut tasks = lock(&self.tasks);
        let number = tasks.next_number;
        tasks.next_number += 1;
        let task = Arc::new(Task {
            name: name.clone(),
            number,
            stop: AtomicBool::new(false),
            state: Mutex::new(TaskState {
                phase: TaskPhase::Running,
                failure: None,
                consecutive_failures: 0,
                restarts: 0,
                last_logged: None,
            }),
            changed: Condvar::new(),
            metrics: Arc::clone(&self.metrics),
        });
        self.metrics.task_up(&name).set(1);
        tasks.by_name.insert((name, number), Arc::clone(&task));
        task
    }
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

    /// The task's name.
    pub fn name(&self) -> &str {
        &self.task.name
    }
}

impl TaskHandle {
    /// Whether the body runs and has not failed since its last progress.
    pub fn is_healthy(&self) -> bool {
        let state = lock(&self.task.state);
        state.phase == TaskPhase::Running && state.failure.is_none()
    }

    /// Whether the body has returned and will not be run again.
    pub fn has_stopped(&self) -> bool {
        lock(&self.task.state).phase == TaskPhase::Stopped
    }

    /// Asks the body to return, without waiting.
    pub fn request_stop(&self) {
        self.task.request_stop();
    }

    /// Asks the body to return and waits for it for at most `limit`. Returns false when it still runs; it is then
    /// abandoned, so that a task that hangs does not prevent an orderly stop of the others.
    pub fn stop_within(&mut self, limit: Duration) -> bool {
        self.task.request_stop();
        let Some(thread) = self.thread.take() else {
            self.unregister();
            return true;
        };
        if thread.thread().id() == thread::current().id() {
            // The task itself drops its last handle: it cannot wait for its own end.
            return true;
        }
        let state = lock(&self.task.state);
        let (state, _) = self
            .task
            .changed
            .wait_timeout_while(state, limit, |state| state.phase != TaskPhase::Stopped)
            .unwrap_or_else(PoisonError::into_inner);
        let stopped = state.phase == TaskPhase::Stopped;
        drop(state);
        if stopped {
            // The thread is past its body and ends at once.
            let _ = thread.join();
            self.unregister();
        } else {
            tracing::error!(task = %self.task.name, ?limit, "the task did not stop in time and is left behind");
        }
        stopped
    }
}

impl TaskHandle {
    /// Removes an ended task from the list. Its gauge is removed too, unless another task of the same name exists.
    fn unregister(&self) {
        let mut tasks = lock(&self.tasks);
        let name = &self.task.name;
        tasks.by_name.remove(&(name.clone(), self.task.number));
        if tasks.by_name.range((name.clone(), 0)..=(name.clone(), u64::MAX)).next().is_none() {
            self.task.metrics.remove_task(name);
        }
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        self.stop_within(DROP_TIMEOUT);
    }
}

/// How long a task may take to stop when its handle is dropped.
const DROP_TIMEOUT: Duration = Duration::from_secs(60);

impl Task {
    fn request_stop(&self) {
        let _state = lock(&self.state);
        self.stop.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    fn set_phase(&self, phase: TaskPhase) {
        let mut state = lock(&self.state);
        state.phase = phase;
        self.changed.notify_all();
    }

    fn failure(&self) -> Option<TaskFailure> {
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
    fn record_end(&self, outcome: Result<anyhow::Result<()>, CaughtPanic>) -> Option<Duration> {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A panic that was caught.
#[derive(Debug)]
pub(crate) struct CaughtPanic {
    pub(crate) message: String,
    backtrace: String,
}

thread_local! {
    /// Whether a supervisor catches panics on this thread and logs them.
    static SUPERVISED: Cell<bool> = const { Cell::new(false) };
    /// Backtrace of the last panic on this thread.
    static LAST_BACKTRACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Installs a panic hook that records the backtrace of a panic in a supervised body, as it is not available after the
/// panic is caught.
pub(crate) fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if SUPERVISED.get() {
                let location = info.location().map(ToString::to_string).unwrap_or_default();
                let backtrace = format!("at {location}\n{}", Backtrace::force_capture());
                LAST_BACKTRACE.with_borrow_mut(|last| *last = Some(backtrace));
            } else {
                default(info);
            }
        }));
    });
}

/// Runs a closure and converts a panic in it into an error.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, CaughtPanic> {
    let outer = SUPERVISED.replace(true);
    // A body that panicked restarts from durable state, so the state that it left inconsistent is never used.
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    SUPERVISED.set(outer);
    outcome.map_err(|payload| CaughtPanic {
        message: panic_message(payload.as_ref()),
        backtrace: LAST_BACKTRACE.take().unwrap_or_default(),
    })
}

/// The message of a panic.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|&text| text.to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Converts a panic while the future is polled into an error.
struct CatchPanic<F>(Pin<Box<F>>);

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, CaughtPanic>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match catch_panic(|| self.0.as_mut().poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::mpsc;

    use super::*;

    fn supervisor() -> Supervisor {
        Supervisor::new(Arc::new(Metrics::default()))
    }

    #[test]
    fn a_body_that_fails_or_panics_runs_again_and_is_named_until_it_makes_progress() {
        let supervisor = supervisor();
        let (began, runs) = mpsc::channel();
        let (release, gate) = mpsc::channel::<()>();
        let mut attempt = 0;
        let mut handle = supervisor
            .spawn("line-0", move |context| {
                attempt += 1;
                began.send(attempt).unwrap();
                match attempt {
                    1 => panic!("index out of bounds"),
                    2 => anyhow::bail!("the disk is full"),
                    _ => {
                        gate.recv().unwrap();
                        context.mark_healthy();
                        began.send(0).unwrap();
                        while context.sleep(Duration::from_secs(60)) {}
                        Ok(())
                    }
                }
            })
            .unwrap();
        assert_eq!(runs.recv().unwrap(), 1);
        assert_eq!(runs.recv().unwrap(), 2);
        assert_eq!(runs.recv().unwrap(), 3);
        let failures = supervisor.failures();
        assert_eq!(failures.len(), 1);
        assert_eq!((failures[0].task.as_str(), failures[0].restarts), ("line-0", 2));
        assert_eq!(failures[0].message, "the disk is full");
        assert!(!handle.is_healthy());
        release.send(()).unwrap();
        assert_eq!(runs.recv().unwrap(), 0);
        assert!(supervisor.failures().is_empty() && handle.is_healthy());
        assert!(handle.stop_within(Duration::from_secs(10)));
        assert!(supervisor.tasks().is_empty());
    }

    #[test]
    fn a_body_that_hangs_does_not_block_the_stop() {
        let supervisor = supervisor();
        let (_never, gate) = mpsc::channel::<()>();
        let mut handle = supervisor
            .spawn("stuck", move |_| {
                let _ = gate.recv();
                Ok(())
            })
            .unwrap();
        assert!(!handle.stop_within(Duration::from_millis(20)));
    }

    #[test]
    fn a_task_that_drops_its_own_handle_does_not_wait_for_itself() {
        let supervisor = supervisor();
        let (handle_sender, handle_receiver) = mpsc::channel::<TaskHandle>();
        let (report, ended) = mpsc::channel();
        let handle = supervisor
            .spawn("feed", move |_| {
                drop(handle_receiver.recv().unwrap());
                report.send(()).unwrap();
                Ok(())
            })
            .unwrap();
        handle_sender.send(handle).unwrap();
        ended.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[tokio::test]
    async fn a_future_that_panics_runs_again() {
        let supervisor = supervisor();
        let (began, mut runs) = tokio::sync::mpsc::unbounded_channel();
        let mut attempt = 0;
        let task = tokio::spawn(supervisor.supervise("http", move |_| {
            attempt += 1;
            let (began, attempt) = (began.clone(), attempt);
            async move {
                began.send(attempt)?;
                assert!(attempt > 1, "the first attempt panics");
                std::future::pending().await
            }
        }));
        assert_eq!(runs.recv().await, Some(1));
        assert_eq!(runs.recv().await, Some(2));
        assert!(supervisor.metrics.text().contains("task_restarts_total{task=\"http\"} 1"));
        while !supervisor.failures().is_empty() {
            tokio::time::sleep(STARTUP_TIME).await;
        }
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        // The future and its sender are dropped; the task is no longer listed.
        assert_eq!(runs.recv().await, None);
        assert!(supervisor.tasks().is_empty());
    }

    #[test]
    fn a_task_that_takes_over_from_one_of_its_name_stays_listed() {
        let supervisor = supervisor();
        let wait = |task: &TaskContext| {
            while task.sleep(Duration::from_secs(60)) {}
            Ok(())
        };
        let mut before = supervisor.spawn("route-ops", wait).unwrap();
        let mut after = supervisor.spawn("route-ops", wait).unwrap();
        assert!(before.stop_within(Duration::from_secs(10)));
        assert_eq!(supervisor.tasks(), [("route-ops".to_owned(), TaskPhase::Running)]);
        assert!(supervisor.metrics.text().contains("task_up{task=\"route-ops\"} 1"));
        assert!(after.stop_within(Duration::from_secs(10)));
        assert!(supervisor.tasks().is_empty());
        assert!(!supervisor.metrics.text().contains("route-ops"));
    }
}
