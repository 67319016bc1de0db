//! The committer's work for one batch, without its thread.

use std::{any::Any, io, sync::Arc, time::Duration};

use super::{CommitError, Job, PartitionHealth, Reply, Work, health::Health, panic_message, panicked};
use crate::{LogError, Partition};

/// Interval between attempts to heal a partition. It doubles from the minimum to the maximum.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The interval is reset after this time without a failure. It is not reset by the first success: each attempt may
/// leave a segment, and a disk that fails every other time must not leave fifty segments per second.
const CALM: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Trouble {
    error: Arc<LogError>,
    /// Time of the next attempt to heal, on the storage's monotonic clock.
    retry_at: Duration,
}

#[derive(Debug)]
struct Slot {
    partition: Partition,
    trouble: Option<Trouble>,
    pause: Duration,
    last_failure: Duration,
}

/// An append of this batch: its acknowledgement, the partitions it wrote to, and its failure, if any.
struct Pending {
    reply: Reply,
    partitions: Vec<usize>,
    failed: Option<CommitError>,
}

/// The partitions of a [`super::Committer`] and the work on them, without a thread. The committer's thread or a
/// simulation calls it.
#[derive(Debug)]
pub struct CommitterCore {
    slots: Vec<Slot>,
    health: Health,
}

impl CommitterCore {
    /// Takes ownership of the partitions.
    pub fn new(partitions: Vec<Partition>) -> Self {
        let health = Health::new(&partitions);
        let slot = |partition| Slot { partition, trouble: None, pause: PAUSE, last_failure: Duration::ZERO };
        Self { slots: partitions.into_iter().map(slot).collect(), health }
    }

    /// The partitions, in the order passed to [`Self::new`].
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.slots.iter().map(|slot| &slot.partition)
    }

    /// The health of each partition.
    pub fn health(&self) -> Vec<PartitionHealth> {
        self.health.all()
    }

    pub(super) fn shared_health(&self) -> Health {
        self.health.clone()
    }

    /// Writes all appends of `jobs`, syncs each partition once, and acknowledges the appends. The result of an append
    /// depends only on the partitions it wrote to. A failed partition rejects appends until [`Self::try_heal`]
    /// succeeds.
    pub fn round(&mut self, jobs: Vec<Job>) {
        let mut pending = Vec::with_capacity(jobs.len());
        // Failed partitions are not written to, and what was written to them before must not become durable after its
        // sender was told that it failed.
        let healthy: Vec<bool> = self.slots.iter().map(|slot| slot.trouble.is_none()).collect();
        for job in jobs {
            match job.0 {
                Work::Append { mut parts, reply } => {
                    let failed = self.write(&mut parts).err().map(CommitError::Failed);
                    let partitions = parts.iter().map(|(index, _)| *index).collect();
                    pending.push(Pending { reply, partitions, failed });
                }
                Work::Expire { retention, needed } => {
                    // Also for a failed partition: this frees space on a full disk.
                    for (index, (slot, needed)) in self.slots.iter_mut().zip(needed).enumerate() {
                        let now = slot.partition.storage().now();
                        let expired = slot.partition.expire(retention, needed, now);
                        self.health.expired(index, expired.err().as_ref());
                    }
                }
            }
        }
        let unsynced: Vec<_> =
            healthy.iter().enumerate().map(|(index, healthy)| if *healthy { self.sync(index) } else { None }).collect();
        for append in pending {
            let unsynced = append.partitions.iter().find_map(|&index| unsynced.get(index)?.clone());
            let failed = append.failed.or(unsynced.map(CommitError::Failed));
            append.reply.tell(failed.map_or(Ok(()), Err));
        }
    }

    /// Tries to heal the partitions whose next attempt is due. Returns the delay until the next call, if any partition
    /// is still failed.
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
        let delays = self.slots.iter().filter_map(|slot| {
            Some(slot.trouble.as_ref()?.retry_at.saturating_sub(slot.partition.storage().monotonic()))
        });
        delays.min()
    }

    /// Marks all partitions as failed after a panic, because the point it interrupted is unknown. Healing then
    /// truncates each partition to its durable end. Returns the delay until the first attempt.
    pub(super) fn distrust(&mut self, panic: &(dyn Any + Send)) -> Duration {
        for index in 0..self.slots.len() {
            self.fail(index, panicked(&panic_message(panic)));
        }
        PAUSE
    }

    /// Writes an append's records to all its partitions, or to none of them.
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
                        // The sender's error; the partition is healthy.
                        LogError::NotFramed { .. } => Arc::new(error),
                        error => self.fail(*index, error),
                    };
                    for (index, mark) in marks.into_iter().rev() {
                        let rolled_back = self.slots.get_mut(index).map(|slot| slot.partition.undo(mark));
                        if let Some(Err(error)) = rolled_back {
                            self.fail(index, error);
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Syncs a partition. Returns the error if the records written in this batch are not durable.
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

    /// Records a failure. The partition rejects appends until it is healed.
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
    let source = io::Error::new(io::ErrorKind::InvalidInput, format!("partition {index} does not exist"));
    LogError::Io { what: "appending to", path: "the log".into(), source }
}
