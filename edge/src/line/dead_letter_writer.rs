//! Copies events and readings that ingest rejected from the topic of dead letters into the store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use wheeltapper_log::Reader;
use wheeltapper_store::{AppliedOffset, Commit, Store};

use crate::{
    supervisor::{Supervisor, TaskContext, TaskHandle},
    topics::{DeadLetterEvent, NextStep, ReadOutcome, follow, read_or_skip},
};

/// The writer's row in the store's table of checkpoints.
pub(crate) const DEAD_LETTER_OWNER: u16 = u16::MAX - 1;
const READ_BYTES: usize = 1 << 20;

/// The thread that writes dead letters to the store.
#[derive(Debug)]
pub struct DeadLetterWriter {
    position: Arc<AtomicU64>,
    task: TaskHandle,
}

impl DeadLetterWriter {
    /// Starts the writer at the offset in the store.
    ///
    /// # Errors
    /// When the store cannot be read or no thread can be started.
    pub fn start(supervisor: &Supervisor, reader: Reader, store: Store) -> anyhow::Result<Self> {
        let state = store.checkpoints()?.into_iter().find(|state| state.partition == DEAD_LETTER_OWNER);
        let position = Arc::new(AtomicU64::new(state.map_or_else(|| reader.start(), |state| state.applied_offset)));
        let at = Arc::clone(&position);
        let mut reader = reader;
        let task = supervisor.spawn("dead-letters", move |context| run_writer(context, &mut reader, &store, &at))?;
        Ok(Self { position, task })
    }

    /// Offset up to which dead letters are in the store.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Stores the remaining dead letters and stops the thread; returns false when it does not stop within `limit`.
    pub fn stop_within(&mut self, limit: Duration) -> bool {
        self.task.stop_within(limit)
    }
}

fn run_writer(context: &TaskContext, reader: &mut Reader, store: &Store, position: &AtomicU64) -> anyhow::Result<()> {
    let signal = reader.signal().clone();
    follow(context, &signal, || {
        let at = position.load(Ordering::Acquire);
        let next = write_batch(reader, store, at)?;
        position.store(next, Ordering::Release);
        Ok(if next > at { NextStep::Now } else { NextStep::WhenSignalled })
    })
}

/// Stores the dead letters from `at` on; returns the offset after them.
fn write_batch(reader: &mut Reader, store: &Store, at: u64) -> anyhow::Result<u64> {
    let records = match read_or_skip(reader, at, u64::MAX, READ_BYTES)? {
        ReadOutcome::Records(records) => records,
        ReadOutcome::Lost(resume) => {
            tracing::error!(from = at, to = resume, "dead letters in the log are damaged or missing and are skipped");
            return Ok(resume);
        }
    };
    let Some(last) = records.last() else { return Ok(at) };
    let mut rows = Vec::with_capacity(records.len());
    for record in &records {
        match serde_json::from_slice::<DeadLetterEvent>(&record.payload) {
            Ok(event) => rows.push(event.to_row(&format!("ingest|{}", record.offset))),
            // It will not become readable; the ones after it must not wait forever.
            Err(error) => {
                tracing::error!(%error, offset = record.offset, "a dead letter cannot be read and is skipped");
            }
        }
    }
    store.commit(&Commit {
        partition: DEAD_LETTER_OWNER,
        applied: Some(AppliedOffset { offset: last.next_offset, topic_ends: "{}" }),
        dead_letters: &rows,
        ..Commit::default()
    })?;
    Ok(last.next_offset)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use wheeltapper_log::Partition;

    use super::*;

    #[test]
    fn an_unreadable_record_does_not_block_later_records() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Partition::open(&folder.path().join("log"), 1 << 20).unwrap();
        let event = DeadLetterEvent {
            time: 1,
            source: "test".into(),
            reason: "malformed".into(),
            message: "expected a number".into(),
            payload: b"x".to_vec(),
            readings: 1,
            sensor: None,
            format: None,
        };
        log.append(b"no JSON").unwrap();
        log.append(&serde_json::to_vec(&event).unwrap()).unwrap();
        log.sync().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let next = write_batch(&mut log.reader(), &store, 0).unwrap();
        assert_eq!(next, log.end());
        assert_eq!(store.dead_letters(&wheeltapper_store::Filter::default()).unwrap().len(), 1);
    }
}
