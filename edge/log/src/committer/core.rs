//! The committer's work for one batch, without its thread.

use std::{any::Any, io, sync::Arc, time::Duration};

use super::{AppendAck, CommitError, Job, JobKind, PartitionHealth, health::SharedHealth, panic_error, panic_message};
use crate::{LogError, Partition};

/// Interval between attempts to heal a partition. It doubles from the minimum to the maximum.
const MIN_HEAL_INTERVAL: Duration = Duration::from_millis(20);
const MAX_HEAL_INTERVAL: Duration = Duration::from_secs(1);
/// The interval is reset after this time without a failure. It is not reset by the first success: each attempt may
/// leave a segment, and a disk that fails every other time must not leave fifty segments per second.
const HEAL_INTERVAL_RESET: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct PartitionFailure {
    error: Arc<LogError>,
    /// Time of the next attempt to heal, on the storage's monotonic clock.
    retry_at: Duration,
}

#[derive(Debug)]
struct PartitionSlot {
    partition: Partition,
    failure: Option<PartitionFailure>,
    heal_interval: Duration,
    last_failure: Duration,
}

/// An append of this batch: its acknowledgement, the partitions it wrote to, and its failure, if any.
struct PendingAppend {
    ack: AppendAck,
    partitions: Vec<usize>,
    error: Option<CommitError>,
}

/// The partitions of a [`super::Committer`] and the work on them, without a thread. The committer's thread or a
/// simulation calls it.
#[derive(Debug)]
pub struct CommitterCore {
    slots: Vec<PartitionSlot>,
    health: SharedHealth,
}

impl CommitterCore {
    /// Takes ownership of the partitions.
    pub fn new(partitions: Vec<Partition>) -> Self {
        let health = SharedHealth::new(&partitions);
        let slot = |partition| PartitionSlot {
            partition,
            failure: None,
            heal_interval: MIN_HEAL_INTERVAL,
            last_failure: Duration::ZERO,
        };
        Self { slots: partitions.into_iter().map(slot).collect(), health }
    }

    /// The partitions, in the order passed to [`Self::new`].
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.slots.iter().map(|slot| &slot.partition)
    }

    /// The health of each partition.
    pub fn health(&self) -> Vec<PartitionHealth> {
        self.health.snapshot()
    }

    pub(super) fn shared_health(&self) -> SharedHealth {
        self.health.clone()
    }

    /// Writes all appends of `jobs`, syncs each partition once, and acknowledges the appends. The result of an append
    /// depends only on the partitions it wrote to. A failed partition rejects appends until [`Self::try_heal`]
    /// succeeds.
    pub fn commit_batch(&mut self, jobs: Vec<Job>) {
        let mut pending = Vec::with_capacity(jobs.len());
        // Failed partitions are not written to, and what was written to them before must not become durable after its
        // sender was told that it failed.
        let healthy: Vec<bool> = self.slots.iter().map(|slot| slot.failure.is_none()).collect();
        for job in jobs {
            match job.0 {
                JobKind::Append { mut parts, reply } => {
                    let failed = self.append_to_all(&mut parts).err().map(CommitError::Failed);
                    let partitions = parts.iter().map(|(index, _)| *index).collect();
                    pending.push(PendingAppend { ack: reply, partitions, error: failed });
                }
                JobKind::Expire { retention, needed } => {
                    // Also for a failed partition: this frees space on a full disk.
                    for (index, (slot, needed)) in self.slots.iter_mut().zip(needed).enumerate() {
                        let now = slot.partition.storage().now();
                        let expired = slot.partition.expire(retention, needed, now);
                        self.health.record_expire_result(index, expired.err().as_ref());
                    }
                }
            }
        }
        let unsynced: Vec<_> = healthy
            .iter()
            .enumerate()
            .map(|(index, healthy)| if *healthy { self.sync_partition(index) } else { None })
            .collect();
        for append in pending {
            let unsynced = append.partitions.iter().find_map(|&index| unsynced.get(index)?.clone());
            let failed = append.error.or(unsynced.map(CommitError::Failed));
            append.ack.send(failed.map_or(Ok(()), Err));
        }
    }

    /// Tries to heal the partitions whose next attempt is due. Returns the delay until the next call, if any partition
    /// is still failed.
    pub fn try_heal(&mut self) -> Option<Duration> {
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            let now = slot.partition.storage().monotonic();
            if slot.failure.as_ref().is_none_or(|trouble| trouble.retry_at > now) {
                continue;
            }
            match slot.partition.heal() {
                Ok(()) => {
                    slot.failure = None;
                    self.health.record_healed(index, slot.partition.storage().now());
                }
                Err(error) => {
                    self.record_failure(index, error);
                }
            }
        }
        let delays = self.slots.iter().filter_map(|slot| {
            Some(slot.failure.as_ref()?.retry_at.saturating_sub(slot.partition.storage().monotonic()))
        });
        delays.min()
    }

    /// Marks all partitions as failed after a panic, because the point it interrupted is unknown. Healing then
    /// truncates each partition to its durable end. Returns the delay until the first attempt.
    pub(super) fn fail_all(&mut self, panic: &(dyn Any + Send)) -> Duration {
        for index in 0..self.slots.len() {
            self.record_failure(index, panic_error(&panic_message(panic)));
        }
        MIN_HEAL_INTERVAL
    }

    /// Writes an append's records to all its partitions, or to none of them.
    fn append_to_all(&mut self, parts: &mut [(usize, Vec<u8>)]) -> Result<(), Arc<LogError>> {
        for (index, _) in &*parts {
            let Some(slot) = self.slots.get(*index) else { return Err(Arc::new(unknown_partition(*index))) };
            if let Some(trouble) = &slot.failure {
                return Err(Arc::clone(&trouble.error));
            }
        }
        let mut marks = Vec::with_capacity(parts.len());
        for (index, framed) in parts {
            let Some(slot) = self.slots.get_mut(*index) else { continue };
            let mark = slot.partition.written_end();
            match slot.partition.append_framed(framed) {
                Ok(_) => marks.push((*index, mark)),
                Err(error) => {
                    let error = match error {
                        // The sender's error; the partition is healthy.
                        LogError::NotFramed { .. } => Arc::new(error),
                        error => self.record_failure(*index, error),
                    };
                    for (index, mark) in marks.into_iter().rev() {
                        let rolled_back = self.slots.get_mut(index).map(|slot| slot.partition.rollback_to(mark));
                        if let Some(Err(error)) = rolled_back {
                            self.record_failure(index, error);
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Syncs a partition. Returns the error if the records written in this batch are not durable.
    fn sync_partition(&mut self, index: usize) -> Option<Arc<LogError>> {
        let slot = self.slots.get_mut(index)?;
        if slot.partition.failure().is_some() {
            return slot.failure.as_ref().map(|trouble| Arc::clone(&trouble.error));
        }
        if slot.partition.written_end() == slot.partition.end() {
            return None;
        }
        match slot.partition.sync() {
            Ok(()) => None,
            Err(error) => Some(self.record_failure(index, error)),
        }
    }

    /// Records a failure. The partition rejects appends until it is healed.
    fn record_failure(&mut self, index: usize, error: LogError) -> Arc<LogError> {
        let error = Arc::new(error);
        if let Some(slot) = self.slots.get_mut(index) {
            let storage = slot.partition.storage();
            self.health.record_failure(index, &error, storage.now());
            let now = storage.monotonic();
            if now.saturating_sub(slot.last_failure) > HEAL_INTERVAL_RESET {
                slot.heal_interval = MIN_HEAL_INTERVAL;
            }
            slot.last_failure = now;
            let retry_at = now.saturating_add(slot.heal_interval);
            slot.heal_interval = (slot.heal_interval * 2).min(MAX_HEAL_INTERVAL);
            slot.failure = Some(PartitionFailure { error: Arc::clone(&error), retry_at });
        }
        error
    }
}

fn unknown_partition(index: usize) -> LogError {
    let source = io::Error::new(io::ErrorKind::InvalidInput, format!("partition {index} does not exist"));
    LogError::Io { what: "appending to", path: "the log".into(), source }
}
