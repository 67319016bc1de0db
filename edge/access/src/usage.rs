//! When API keys were last used: kept in memory, and written down by a thread of its own now and then, as each write waits
//! for the disk.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rusqlite::params;

use crate::{AccessError, database::Database};

/// How long uses gather before they are written down, all in one transaction.
const BETWEEN: Duration = Duration::from_secs(10);

/// Uses by the key's id that are not written down yet.
type Pending = Arc<Mutex<HashMap<String, i64>>>;

#[derive(Debug)]
struct Writer {
    /// Dropping it ends the thread.
    wake: mpsc::SyncSender<()>,
    thread: thread::JoinHandle<()>,
}

/// When keys were used.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pending: Pending,
    writer: Mutex<Option<Writer>>,
}

impl Usage {
    /// A key was used. Does not wait for the disk. Only ids of keys that exist come here, so that these bound the memory.
    pub(crate) fn used(&self, id: &str, now: i64, database: &Arc<Database>) {
        {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let first = pending.is_empty();
            match pending.get_mut(id) {
                Some(last) => *last = now.max(*last),
                None => {
                    pending.insert(id.to_owned(), now);
                }
            }
            // The writer goes on until nothing is left.
            if !first {
                return;
            }
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_none() {
            *writer = Writer::start(Arc::clone(&self.pending), Arc::clone(database)).ok();
        }
        if let Some(writer) = &*writer {
            // Full: it wakes up anyway.
            let _ = writer.wake.try_send(());
        }
    }

    /// The last use that is not written down yet.
    pub(crate) fn last(&self, id: &str) -> Option<i64> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Writer { wake, thread }) = writer {
            drop(wake);
            let _ = thread.join();
        }
    }
}

impl Writer {
    fn start(pending: Pending, database: Arc<Database>) -> std::io::Result<Self> {
        let (wake, woken) = mpsc::sync_channel(1);
        let run = move || {
            while woken.recv().is_ok() {
                let mut left = true;
                while left {
                    // More gathers meanwhile; the end of the process does not wait so long.
                    let ended = woken.recv_timeout(BETWEEN) == Err(mpsc::RecvTimeoutError::Disconnected);
                    // What cannot be written now is tried again.
                    let _ = write(&pending, &database);
                    if ended {
                        return;
                    }
                    left = !pending.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
                }
            }
        };
        Ok(Self { wake, thread: thread::Builder::new().name("access-usage".into()).spawn(run)? })
    }
}

fn write(pending: &Pending, database: &Database) -> Result<(), AccessError> {
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
