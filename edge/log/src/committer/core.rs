//! What the committer does in one round, without its thread.

use std::{any::Any, io, sync::Arc, time::Duration};

use super::{CommitError, Job, PartitionHealth, Reply, Work, health::Health, panic_message, panicked};
use crate::{LogError, Partition};

/// Between attempts to heal a partition; doubled from the first to the longest.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Without a failure for so long the pauses begin anew. Not with the first success: each attempt may leave a segment, and a
/// disk that fails every other time must not leave fifty a second.
const CALM: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Trouble {
    error: Arc<LogError>,
    /// When healing is tried next, on the storage's monotonic clock.
    retry_at: Duration,
}

#[derive(Debug)]
struct Slot {
    partition: Partition,
    trouble: Option<Trouble>,
    pause: Duration,
    last_failure: Duration,
}

/// An append of this round: who waits, which partitions it wrote to, and what is known to have failed.
struct Pending {
    reply: Reply,
    partitions: Vec<usize>,
    failed: Option<CommitError>,
}

/// The partitions of a [`super::Committer`] and what it does with them, for whoever wants to step it: the committer's
/// thread, or a simulation.
#[derive(Debug)]
pub struct CommitterCore {
    slots: Vec<Slot>,
    health: Health,
}

impl CommitterCore {
    /// Takes over the partitions.
    pub fn new(partitions: Vec<Partition>) -> Self {
        let health = Health::new(&partitions);
        let slot = |partition| Slot { partition, trouble: None, pause: PAUSE, last_failure: Duration::ZERO };
        Self { slots: partitions.into_iter().map(slot).collect(), health }
    }

    /// The partitions, in the order in which they were given.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.slots.iter().map(|slot| &slot.partition)
    }

    /// How each partition is.
    pub fn health(&self) -> Vec<PartitionHealth> {
        self.health.all()
    }

    pub(super) fn shared_health(&self) -> Health {
        self.health.clone()
    }

    /// Writes all the appends of `jobs`, syncs each partition once, and tells the senders. The answer to an append
    /// depends on the partitions it wrote to and on no other. A partition that fails takes nothing until [`Self::heal`]
    /// has healed it.
    pub fn round(&mut self, jobs: Vec<Job>) {
        let mut pending = Vec::with_capacity(jobs.len());
        // Of the others nothing is written, and what was must not become durable behind a sender's back.
        let sound: Vec<bool> = self.slots.iter().map(|slot| slot.trouble.is_none()).collect();
        for job in jobs {
            match job.0 {
                Work::Append { mut parts, reply } => {
                    let failed = self.write(&mut parts).err().map(CommitError::Failed);
                    let partitions = parts.iter().map(|(index, _)| *index).collect();
                    pending.push(Pending { reply, partitions, failed });
                }
                Work::Expire { retention, needed } => {
                    // Also of a broken partition: a full disk has room again afterwards.
                    for (index, (slot, needed)) in self.slots.iter_mut().zip(needed).enumerate() {
                        let now = slot.partition.storage().now();
                        let expired = slot.partition.expire(retention, needed, now);
                        self.health.expired(index, expired.err().as_ref());
                    }
                }
            }
        }
        let unsynced: Vec<_> =
            sound.iter().enumerate().map(|(index, sound)| if *sound { self.sync(index) } else { None }).collect();
        for append in pending {
            let unsynced = append.partitions.iter().find_map(|&index| unsynced.get(index)?.clone());
            let failed = append.failed.or(unsynced.map(CommitError::Failed));
            append.reply.tell(failed.map_or(Ok(()), Err));
        }
    }

    /// Tries to heal the partitions whose time has come; tells in how long to call this again, if any is still broken.
    pub fn heal(&mut self) -> Option<Duration> {
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            let now = slot.partition.storage().monotonic();
            if slot.trouble.as_ref().is_none_or(|trouble| trouble.retry_at > now) {
                continue;
            }
            match slot.partition.reopen() {
                Ok(()) => {
                    slot.trouble = None;
                    self.health.healed(index, slot.partition.storage().now());
                }
                Err(error) => {
                    self.fail(index, error);
                }
            }
        }
        let waits = self.slots.iter().filter_map(|slot| {
            Some(slot.trouble.as_ref()?.retry_at.saturating_sub(slot.partition.storage().monotonic()))
        });
        waits.min()
    }

    /// After a panic: nobody knows how far it came, so that each partition goes back to what is durable. Tells when.
    pub(super) fn distrust(&mut self, panic: &(dyn Any + Send)) -> Duration {
        for index in 0..self.slots.len() {
            self.fail(index, panicked(&panic_message(panic)));
        }
        PAUSE
    }

    /// Writes an append's records to all its partitions, or to none.
    fn write(&mut self, parts: &mut [(usize, Vec<u8>)]) -> Result<(), Arc<LogError>> {
        for (index, _) in &*parts {
            let Some(slot) = self.slots.get(*index) else { return Err(Arc::new(no_partition(*index))) };
            if let Some(trouble) = &slot.trouble {
                return Err(Arc::clone(&trouble.error));
            }
        }
        let mut marks = Vec::with_capacity(parts.len());
        for (index, framed) in parts {
            let Some(slot) = self.slots.get_mut(*index) else { continue };
            let mark = slot.partition.written();
            match slot.partition.append_framed(framed) {
                Ok(_) => marks.push((*index, mark)),
                Err(error) => {
                    let error = match error {
                        // The sender's fault, not the partition's.
                        LogError::NotFramed { .. } => Arc::new(error),
                        error => self.fail(*index, error),
                    };
                    for (index, mark) in marks.into_iter().rev() {
                        let undone = self.slots.get_mut(index).map(|slot| slot.partition.undo(mark));
                        if let Some(Err(error)) = undone {
                            self.fail(index, error);
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Syncs a partition; `Some` when what this round wrote to it is not durable.
    fn sync(&mut self, index: usize) -> Option<Arc<LogError>> {
        let slot = self.slots.get_mut(index)?;
        if slot.partition.broken().is_some() {
            return slot.trouble.as_ref().map(|trouble| Arc::clone(&trouble.error));
        }
        if slot.partition.written() == slot.partition.end() {
            return None;
        }
        match slot.partition.sync() {
            Ok(()) => None,
            Err(error) => Some(self.fail(index, error)),
        }
    }

    /// Takes note of a failure: the partition takes nothing until it is healed.
    fn fail(&mut self, index: usize, error: LogError) -> Arc<LogError> {
        let error = Arc::new(error);
        if let Some(slot) = self.slots.get_mut(index) {
            let storage = slot.partition.storage();
            self.health.failed(index, &error, storage.now());
            let now = storage.monotonic();
            if now.saturating_sub(slot.last_failure) > CALM {
                slot.pause = PAUSE;
            }
            slot.last_failure = now;
            let retry_at = now.saturating_add(slot.pause);
            slot.pause = (slot.pause * 2).min(LONGEST_PAUSE);
            slot.trouble = Some(Trouble { error: Arc::clone(&error), retry_at });
        }
        error
    }
}

fn no_partition(index: usize) -> LogError {
    let source = io::Error::new(io::ErrorKind::InvalidInput, format!("there is no partition {index}"));
    LogError::Io { what: "appending to", path: "the log".into(), source }
}
