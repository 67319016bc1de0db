//! Group commit: one `fdatasync` for the appends of many senders.

mod core;
mod health;

pub use self::{core::CommitterCore, health::PartitionHealth};

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use self::health::SharedHealth;
use crate::{LogError, LogRetention, Partition};

/// Why an append is not durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// Writing or syncing failed. After a restart the records may or may not exist.
    #[error("the readings could not be made durable: {0}")]
    Failed(Arc<LogError>),
    /// The host is shutting down.
    #[error("the log is closed because the host is stopping; send again later")]
    Closed,
}

/// What the sender can do after a [`CommitError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitErrorKind {
    /// Retry when the disk has free space (HTTP 507).
    DiskFull,
    /// Retry later (HTTP 503).
    RetryLater,
    /// The host is shutting down; retry when it is running again (HTTP 503).
    Closed,
    /// Do not retry: the bytes are not valid records, which is a defect of this program (HTTP 500).
    Invalid,
}

impl CommitError {
    /// Returns what the sender can do.
    pub fn kind(&self) -> CommitErrorKind {
        match self {
            Self::Closed => CommitErrorKind::Closed,
            Self::Failed(error) if error.is_disk_full() => CommitErrorKind::DiskFull,
            Self::Failed(error) if matches!(**error, LogError::NotFramed { .. }) => CommitErrorKind::Invalid,
            Self::Failed(_) => CommitErrorKind::RetryLater,
        }
    }
}

type AppendCallback = Box<dyn FnOnce(Result<(), CommitError>) + Send>;

/// Records for one or more of the committer's partitions, and the callback for the result.
pub struct Append {
    /// Index of each partition, and records made by [`crate::encode_frame`].
    pub batches: Vec<(usize, Vec<u8>)>,
    /// Called exactly once, from the committer's thread, when all records are durable or the append has failed.
    pub on_complete: AppendCallback,
}

impl std::fmt::Debug for Append {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Append").field("parts", &self.batches.len()).finish_non_exhaustive()
    }
}

/// The pending acknowledgement of an append. Dropping it, after a panic or at shutdown, reports a failure to the
/// sender.
struct AppendAck(Option<AppendCallback>);

impl AppendAck {
    fn send(mut self, result: Result<(), CommitError>) {
        self.invoke(result);
    }

    fn invoke(&mut self, result: Result<(), CommitError>) {
        if let Some(done) = self.0.take() {
            // A panic in a sender's callback must not prevent other acknowledgements.
            let _ = catch_unwind(AssertUnwindSafe(|| done(result)));
        }
    }
}

impl Drop for AppendAck {
    fn drop(&mut self) {
        let result = if thread::panicking() {
            CommitError::Failed(Arc::new(panic_error("no message")))
        } else {
            CommitError::Closed
        };
        self.invoke(Err(result));
    }
}

/// A job for a [`CommitterCore`].
pub struct Job(JobKind);

enum JobKind {
    Append { parts: Vec<(usize, Vec<u8>)>, reply: AppendAck },
    Expire { retention: LogRetention, needed: Vec<u64> },
}

impl Job {
    /// Removes old segments, except those with a record at or after the partition's offset in `needed` (one offset per
    /// partition).
    pub fn expire(retention: LogRetention, needed: Vec<u64>) -> Self {
        Self(JobKind::Expire { retention, needed })
    }
}

impl From<Append> for Job {
    fn from(append: Append) -> Self {
        Self(JobKind::Append { parts: append.batches, reply: AppendAck(Some(append.on_complete)) })
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self.0 {
            JobKind::Append { .. } => "Append",
            JobKind::Expire { .. } => "Expire",
        })
    }
}

/// The thread that owns the partitions and commits appends to them.
#[derive(Debug)]
pub struct Committer {
    queue: Option<Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    health: SharedHealth,
}

impl Committer {
    /// Starts the thread. At most `queue` jobs are queued. If `linger` is not zero, a commit waits that long for more
    /// appends.
    ///
    /// # Errors
    /// [`LogError::Io`] when the thread cannot be started.
    pub fn start(partitions: Vec<Partition>, queue: usize, linger: Duration) -> Result<Self, LogError> {
        let (jobs, waiting) = bounded(queue);
        let core = CommitterCore::new(partitions);
        let health = core.shared_health();
        let thread = thread::Builder::new()
            .name("log-commit".into())
            .spawn(move || commit_loop(core, &waiting, linger))
            .map_err(LogError::io("starting the thread of", "the log"))?;
        Ok(Self { queue: Some(jobs), thread: Some(thread), health })
    }

    /// Queues an append; blocks while the queue is full. Its callback is always called.
    pub fn append(&self, append: Append) {
        // If the job cannot be queued, it is dropped, which reports the failure to the sender.
        let _ = self.queue.as_ref().map(|jobs| jobs.send(append.into()));
    }

    /// Removes old segments, except those with a record at or after the partition's offset in `needed` (one offset per
    /// partition). Skipped if the queue is full; the next call removes them. [`Self::health`] reports a failure.
    pub fn expire(&self, retention: LogRetention, needed: Vec<u64>) {
        if let Some(jobs) = &self.queue {
            match jobs.try_send(Job::expire(retention, needed)) {
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
    }

    /// The health of each partition, in the order passed to [`Self::start`].
    pub fn health(&self) -> Vec<PartitionHealth> {
        let mut health = self.health.snapshot();
        if self.thread.as_ref().is_none_or(thread::JoinHandle::is_finished) {
            for partition in &mut health {
                partition.error.get_or_insert_with(|| "the committer's thread has ended".into());
            }
        }
        health
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn commit_loop(mut core: CommitterCore, jobs: &Receiver<Job>, linger: Duration) {
    loop {
        let heal = catch_unwind(AssertUnwindSafe(|| core.try_heal()));
        let next_attempt = heal.unwrap_or_else(|panic| Some(core.fail_all(&*panic)));
        let first = match next_attempt {
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(pause) => jobs.recv_timeout(pause),
        };
        let first = match first {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if !linger.is_zero() && jobs.is_empty() {
            thread::sleep(linger);
        }
        let round: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(jobs.len())).collect();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| core.commit_batch(round))) {
            core.fail_all(&*panic);
        }
    }
}

fn panic_error(message: &str) -> LogError {
    let source = io::Error::other(format!("the committer panicked ({message}), which is a defect of this program"));
    LogError::Io { what: "writing to", path: "the log".into(), source }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
