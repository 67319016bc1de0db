//! Last use of each API key. Uses are collected in memory, and a background thread writes them in batches, because each
//! write waits for the disk.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rusqlite::params;

use crate::{AccessError, database::Database};

/// Interval between two writes; each write is one transaction.
const WRITE_INTERVAL: Duration = Duration::from_secs(10);

/// Uses that are not written yet: key id to time.
type PendingUses = Arc<Mutex<HashMap<String, i64>>>;

#[derive(Debug)]
struct UsageWriter {
    /// Dropping it ends the thread.
    wake: mpsc::SyncSender<()>,
    thread: thread::JoinHandle<()>,
}

/// Last use of API keys, with the background thread that writes it.
#[derive(Debug, Default)]
pub(crate) struct KeyUsage {
    pending: PendingUses,
    writer: Mutex<Option<UsageWriter>>,
}

impl KeyUsage {
    /// Records a use of a key without waiting for the disk. Only called for keys that exist, which bounds the memory.
    pub(crate) fn record_use(&self, id: &str, now: i64, database: &Arc<Database>) {
        {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let first = pending.is_empty();
            match pending.get_mut(id) {
                Some(last) => *last = now.max(*last),
                None => {
                    pending.insert(id.to_owned(), now);
                }
            }
            // The writer thread is running and continues until nothing is pending.
            if !first {
                return;
            }
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_none() {
            *writer = UsageWriter::start(Arc::clone(&self.pending), Arc::clone(database)).ok();
        }
        if let Some(writer) = &*writer {
            // A full channel means that the thread wakes up anyway.
            let _ = writer.wake.try_send(());
        }
    }

    /// Returns the last use of a key that is not written yet.
    pub(crate) fn last_use(&self, id: &str) -> Option<i64> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }
}

impl Drop for KeyUsage {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(UsageWriter { wake, thread }) = writer {
            drop(wake);
            let _ = thread.join();
        }
    }
}

impl UsageWriter {
    fn start(pending: PendingUses, database: Arc<Database>) -> std::io::Result<Self> {
        let (wake, woken) = mpsc::sync_channel(1);
        let run = move || {
            while woken.recv().is_ok() {
                let mut is_pending = true;
                while is_pending {
                    // Collect more uses for the interval; shutdown interrupts the wait.
                    let ended = woken.recv_timeout(WRITE_INTERVAL) == Err(mpsc::RecvTimeoutError::Disconnected);
                    // After an error the uses stay pending and are written with the next batch.
                    let _ = flush(&pending, &database);
                    if ended {
                        return;
                    }
                    is_pending = !pending.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
                }
            }
        };
        Ok(Self { wake, thread: thread::Builder::new().name("access-usage".into()).spawn(run)? })
    }
}

fn flush(pending: &PendingUses, database: &Database) -> Result<(), AccessError> {
    let uses: Vec<(String, i64)> = {
        let pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.iter().map(|(id, at)| (id.clone(), *at)).collect()
    };
    if uses.is_empty() {
        return Ok(());
    }
    database.write::<_, AccessError>(|write| {
        let mut update = write.prepare_cached("UPDATE api_keys SET last_used = ?2 WHERE id = ?1")?;
        for (id, at) in &uses {
            update.execute(params![id, at])?;
        }
        Ok(())
    })?;
    let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
    for (id, at) in uses {
        if pending.get(&id) == Some(&at) {
            pending.remove(&id);
        }
    }
    Ok(())
}
