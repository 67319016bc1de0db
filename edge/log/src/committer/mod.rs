//! Group commit: many senders, one `fdatasync` for all that arrived meanwhile.

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

use self::health::Health;
use crate::{LogError, Partition, Retention};

/// Why an append is not durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// The disk refused; the records may or may not be there after a restart.
    #[error("the readings could not be made durable: {0}")]
    Failed(Arc<LogError>),
    /// The host is stopping.
    #[error("the log is closed because the host is stopping; send again later")]
    Closed,
}

/// What a sender can do about a [`CommitError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitErrorKind {
    /// Send again once the disk has room (HTTP 507).
    DiskFull,
    /// Send again later (HTTP 503).
    TryLater,
    /// The host is stopping; send again once it is back (HTTP 503).
    Closed,
    /// Never: what was sent is no record (HTTP 500; a defect of this program).
    Invalid,
}

impl CommitError {
    /// What the sender can do.
    pub fn kind(&self) -> CommitErrorKind {
        match self {
            Self::Closed => CommitErrorKind::Closed,
            Self::Failed(error) if error.is_disk_full() => CommitErrorKind::DiskFull,
            Self::Failed(error) if matches!(**error, LogError::NotFramed { .. }) => CommitErrorKind::Invalid,
            Self::Failed(_) => CommitErrorKind::TryLater,
        }
    }
}

type Done = Box<dyn FnOnce(Result<(), CommitError>) + Send>;

/// Records for some of the committer's partitions, and whom to tell.
pub struct Append {
    /// Index of the partition, and records that [`crate::frame`] made.
    pub parts: Vec<(usize, Vec<u8>)>,
    /// Called once, from the committer's thread, when all the records are durable or are known not to be.
    pub done: Done,
}

impl std::fmt::Debug for Append {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Append").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

/// The sender who waits. Told also when nobody gets to it any more, because of a panic or because the host stops.
struct Reply(Option<Done>);

impl Reply {
    fn tell(mut self, result: Result<(), CommitError>) {
        self.call(result);
    }

    fn call(&mut self, result: Result<(), CommitError>) {
        if let Some(done) = self.0.take() {
            // What a sender does with its answer must not keep others from theirs.
            let _ = catch_unwind(AssertUnwindSafe(|| done(result)));
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let result =
            if thread::panicking() { CommitError::Failed(Arc::new(panicked("it"))) } else { CommitError::Closed };
        self.call(Err(result));
    }
}

/// Work for a [`CommitterCore`].
pub struct Job(Work);

enum Work {
    Append { parts: Vec<(usize, Vec<u8>)>, reply: Reply },
    Expire { retention: Retention, needed: Vec<u64> },
}

impl Job {
    /// Drops old segments, but none that holds a record at or after `needed` (one offset a partition).
    pub fn expire(retention: Retention, needed: Vec<u64>) -> Self {
        Self(Work::Expire { retention, needed })
    }
}

impl From<Append> for Job {
    fn from(append: Append) -> Self {
        Self(Work::Append { parts: append.parts, reply: Reply(Some(append.done)) })
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self.0 {
            Work::Append { .. } => "Append",
            Work::Expire { .. } => "Expire",
        })
    }
}

/// The thread that owns the partitions which many append to.
#[derive(Debug)]
pub struct Committer {
    jobs: Option<Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    health: Health,
}

impl Committer {
    /// Starts the thread. At most `queue` appends wait; with `linger` above zero a commit waits that long for company.
    ///
    /// # Errors
    /// [`LogError::Io`] when no thread can be started.
    pub fn start(partitions: Vec<Partition>, queue: usize, linger: Duration) -> Result<Self, LogError> {
        let (jobs, waiting) = bounded(queue);
        let core = CommitterCore::new(partitions);
        let health = core.shared_health();
        let thread = thread::Builder::new()
            .name("log-commit".into())
            .spawn(move || run(core, &waiting, linger))
            .map_err(LogError::io("starting the thread of", "the log"))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), health })
    }

    /// Hands over records; waits while the queue is full. `done` is called whatever happens.
    pub fn append(&self, append: Append) {
        // What cannot be sent is dropped, and tells its sender then.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(append.into()));
    }

    /// Drops old segments, but none that holds a record at or after `needed` (one offset a partition). Skipped when
    /// the committer is busy: the next call will do. [`Self::health`] tells when it fails.
    pub fn expire(&self, retention: Retention, needed: Vec<u64>) {
        if let Some(jobs) = &self.jobs {
            match jobs.try_send(Job::expire(retention, needed)) {
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
    }

    /// How each partition is, in the order in which they were given.
    pub fn health(&self) -> Vec<PartitionHealth> {
        let mut health = self.health.all();
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
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut core: CommitterCore, jobs: &Receiver<Job>, linger: Duration) {
    loop {
        let heal = catch_unwind(AssertUnwindSafe(|| core.heal()));
        let next_attempt = heal.unwrap_or_else(|panic| Some(core.distrust(&*panic)));
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
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| core.round(round))) {
            core.distrust(&*panic);
        }
    }
}

fn panicked(message: &str) -> LogError {
    let source = io::Error::other(format!("the committer stopped in the middle ({message}), which is a defect"));
    LogError::Io { what: "writing to", path: "the log".into(), source }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into())
}
