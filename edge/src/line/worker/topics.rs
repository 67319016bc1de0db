//! The topics that a worker writes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use wheeltapper_log::{LogError, Partition, Reader};

use crate::topics::{Topic, Topics};

/// Ends of the other topics at the last commit of the store. Records after these ends were not committed; the replay
/// writes them again.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct TopicEnds {
    pub(super) anomalies: u64,
    pub(super) dead_letters: u64,
}

/// The topics that a worker writes. They outlive the worker, as others read them meanwhile.
#[derive(Debug)]
pub(crate) struct WorkerTopics(Mutex<TopicFiles>);

#[derive(Debug)]
pub(super) struct TopicFiles {
    pub(super) processed: Partition,
    pub(super) anomalies: Partition,
    pub(super) dead_letters: Partition,
}

impl WorkerTopics {
    /// Opens the topics of a partition.
    pub(crate) fn open(topics: &Topics, partition: u16) -> Result<Self, LogError> {
        Ok(Self(Mutex::new(TopicFiles {
            processed: topics.open(Topic::Processed, partition)?,
            anomalies: topics.open(Topic::Anomalies, partition)?,
            dead_letters: topics.open(Topic::DeadLetters, partition)?,
        })))
    }

    /// A reader of the findings.
    pub(crate) fn findings_reader(&self) -> Reader {
        self.lock().anomalies.reader()
    }

    /// Only the worker locks it, so it never waits.
    pub(super) fn lock(&self) -> MutexGuard<'_, TopicFiles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TopicFiles {
    /// Truncates the topics to their ends at the last commit of the store; reopens topics that failed.
    pub(super) fn rewind_to_commit(&mut self, processed: u64, ends: TopicEnds) -> Result<(), LogError> {
        for (topic, end) in [
            (&mut self.processed, processed),
            (&mut self.anomalies, ends.anomalies),
            (&mut self.dead_letters, ends.dead_letters),
        ] {
            if topic.failure().is_some() {
                topic.heal()?;
            }
            if topic.written_end() < end {
                // The log was lost but the store was not. New records must not reuse offsets that readers have passed.
                topic.advance_to(end)?;
            } else {
                topic.truncate(end)?;
            }
        }
        Ok(())
    }
}
