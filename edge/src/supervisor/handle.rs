//! The owner's handle of a task.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::task::{Task, TaskPhase, Tasks, lock};

/// A running task. Dropping the handle stops the task.
#[derive(Debug)]
pub struct TaskHandle {
    pub(super) task: Arc<Task>,
    pub(super) tasks: Arc<Mutex<Tasks>>,
    pub(super) thread: Option<thread::JoinHandle<()>>,
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
