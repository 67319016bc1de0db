//! Owns every thread and async task of the host.
//!
//! A supervised task is a function (its body) that runs until it is asked to stop. A body that returns an error or
//! panics is run again after a delay, which doubles with each consecutive failure up to 5 s. A body
//! starts from durable state each time, so a restart of a task is equivalent to a restart of the host, for this task
//! alone. While a task is down, `/ready` names it with the reason, and `/metrics` counts its restarts.
//!
//! A body reports progress with [`TaskContext::mark_healthy`]; only then is an earlier failure cleared. So a task that
//! fails again right after each restart stays visible between its attempts.

mod handle;
mod panics;
mod task;
#[cfg(test)]
mod tests;

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::metrics::Metrics;
pub use handle::TaskHandle;
use panics::CatchPanic;
pub(crate) use panics::{catch_panic, install_panic_hook, panic_message};
use task::{Task, Tasks, lock};
pub use task::{TaskContext, TaskFailure, TaskPhase};

/// An async task that has run for this long counts as started.
const STARTUP_TIME: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 10_000 });

/// Starts tasks and tracks their state. Clones share the same tasks.
#[derive(Clone, Debug)]
pub struct Supervisor {
    tasks: Arc<Mutex<Tasks>>,
    metrics: Arc<Metrics>,
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
                let mut attempt = CatchPanic::new(body(context.clone()));
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
        let task = Arc::new(Task::new(name.clone(), number, Arc::clone(&self.metrics)));
        self.metrics.task_up(&name).set(1);
        tasks.by_name.insert((name, number), Arc::clone(&task));
        task
    }
}
