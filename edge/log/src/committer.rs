//! Group commit: many senders, one `fdatasync` for all that arrived meanwhile.

use std::{
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

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

enum Job {
    Append(Append),
    Expire { retention: Retention, needed: Vec<u64> },
}

/// The thread that owns the partitions which many append to.
#[derive(Debug)]
pub struct Committer {
    jobs: Option<Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread. At most `queue` appends wait; with `linger` above zero a commit waits that long for company.
    ///
    /// # Errors
    /// [`LogError::Io`] when no thread can be started.
    pub fn start(partitions: Vec<Partition>, queue: usize, linger: Duration) -> Result<Self, LogError> {
        let (jobs, waiting) = bounded(queue);
        let thread = thread::Builder::new()
            .name("log-commit".into())
            .spawn(move || run(partitions, &waiting, linger))
            .map_err(LogError::io("starting the thread of", "the log"))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands over records; waits while the queue is full.
    pub fn append(&self, append: Append) {
        let Some(jobs) = &self.jobs else { return (append.done)(Err(CommitError::Closed)) };
        if let Err(refused) = jobs.send(Job::Append(append))
            && let Job::Append(append) = refused.into_inner()
        {
            (append.done)(Err(CommitError::Closed));
        }
    }

    /// Drops old segments, but none that holds a record at or after `needed` (one offset a partition). Skipped when
    /// the committer is busy: the next call will do.
    pub fn expire(&self, retention: Retention, needed: Vec<u64>) {
        if let Some(jobs) = &self.jobs {
            match jobs.try_send(Job::Expire { retention, needed }) {
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
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

fn run(mut partitions: Vec<Partition>, jobs: &Receiver<Job>, linger: Duration) {
    while let Ok(first) = jobs.recv() {
        if !linger.is_zero() && jobs.is_empty() {
            thread::sleep(linger);
        }
        let mut senders: Vec<(Done, Option<CommitError>)> = Vec::new();
        for job in std::iter::once(first).chain(jobs.try_iter().take(jobs.len())) {
            match job {
                Job::Append(append) => {
                    let failed = write(&mut partitions, &append.parts).err();
                    senders.push((append.done, failed));
                }
                Job::Expire { retention, needed } => {
                    for (partition, needed) in partitions.iter_mut().zip(needed) {
                        // What cannot be deleted now is deleted next time; nothing is lost by keeping it.
                        let _ = partition.expire(retention, needed, SystemTime::now());
                    }
                }
            }
        }
        let synced = partitions.iter_mut().try_for_each(Partition::sync);
        let synced = synced.map_err(|error| CommitError::Failed(Arc::new(error)));
        for (done, failed) in senders {
            done(match failed {
                Some(error) => Err(error),
                None => synced.clone(),
            });
        }
    }
}

fn write(partitions: &mut [Partition], parts: &[(usize, Vec<u8>)]) -> Result<(), CommitError> {
    for (index, framed) in parts {
        if let Some(partition) = partitions.get_mut(*index) {
            partition.append_framed(framed).map_err(|error| CommitError::Failed(Arc::new(error)))?;
        }
    }
    Ok(())
}
