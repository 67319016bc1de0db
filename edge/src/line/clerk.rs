//! The clerk: puts what ingest refused from the dead-letter topic into the store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use wheeltapper_log::Reader;
use wheeltapper_store::{Applied, Commit, Store};

use super::{effects::letter, record::DeadLetterEvent};

/// The clerk's row among the partitions' in the store.
const OWNER: u16 = u16::MAX - 1;
const READ_BYTES: usize = 1 << 20;

/// Runs the clerk's thread.
#[derive(Debug)]
pub struct Clerk {
    stop: Arc<AtomicBool>,
    position: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Clerk {
    /// Starts the clerk where the store says that it left off.
    ///
    /// # Errors
    /// When the store cannot be read or no thread can be started.
    pub fn start(reader: Reader, store: Store) -> anyhow::Result<Self> {
        let state = store.checkpoints()?.into_iter().find(|state| state.partition == OWNER);
        let position = Arc::new(AtomicU64::new(state.map_or_else(|| reader.start(), |state| state.applied_offset)));
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, at) = (Arc::clone(&stop), Arc::clone(&position));
        let thread =
            thread::Builder::new().name("dead-letters".into()).spawn(move || run(reader, &store, &stopped, &at))?;
        Ok(Self { stop, position, thread: Some(thread) })
    }

    /// Offset up to which dead letters are in the store.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Stores what is there and ends the thread.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(mut reader: Reader, store: &Store, stop: &AtomicBool, position: &AtomicU64) {
    loop {
        let stopping = stop.load(Ordering::Acquire);
        let at = position.load(Ordering::Acquire);
        match file(&mut reader, store, at) {
            Ok(next) if next > at => position.store(next, Ordering::Release),
            Ok(_) if stopping => return,
            Ok(_) => {
                reader.wait(at, Duration::from_millis(50));
            }
            Err(error) => {
                tracing::error!(%error, "dead letters could not be stored; they are safe in the log and tried again");
                if stopping {
                    return;
                }
                thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

fn file(reader: &mut Reader, store: &Store, at: u64) -> anyhow::Result<u64> {
    let records = reader.read(at, u64::MAX, READ_BYTES)?;
    let Some(last) = records.last() else { return Ok(at) };
    let mut rows = Vec::with_capacity(records.len());
    for record in &records {
        let event: DeadLetterEvent = serde_json::from_slice(&record.payload)?;
        rows.push(letter(format!("ingest|{}", record.offset), &event));
    }
    store.commit(&Commit {
        partition: OWNER,
        applied: Some(Applied { offset: last.next, topic_ends: "{}" }),
        dead_letters: &rows,
        ..Commit::default()
    })?;
    Ok(last.next)
}
