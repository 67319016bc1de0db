//! The store: one SQLite file that a person can open and query.
//!
//! Findings are rows. Raw readings lie in `reading_chunks`, one row a sensor and checkpoint, with times and values as
//! columns compressed by pco; their hourly aggregates lie beside them. All that one checkpoint brings is one transaction.

mod backup;
mod chunk;
mod commit;
mod counts;
mod course;
mod deeds;
mod error;
mod export;
mod letters;
mod look;
mod merge;
mod newest;
mod rows;
mod schema;
mod windows;

pub use backup::copy_file;
pub use chunk::{decode_f64, decode_i64, encode_f64, encode_i64};
pub use commit::{Applied, Checkpoint, Commit, SensorColumn, WaveformRow, WindowBlock, WindowRow};
pub use counts::Counts;
pub use deeds::{ActionRow, Deed, TaskRow};
pub use error::StoreError;
pub use export::Table;
pub use look::{Filter, Hour};
pub use newest::{FeatureWindow, Span};
pub use rows::{
    AlertRow, AnomalyRow, DeadLetter, DriftRow, PartitionState, PrognosisRow, SensorRow, SkippedRow, WorkOrderRow,
};

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A value of a row or a parameter.
pub use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags};

/// A write-ahead log below this many bytes is left alone.
const WAL_SIZE: u64 = 32 << 20;

/// A handle on the store; clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// SQLite has one writer at a time; waiting here is fairer than its busy handler.
    writer: Option<Mutex<Connection>>,
    /// Readers that are not in use.
    readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the store in `path`, or makes it.
    ///
    /// # Errors
    /// [`StoreError`] when the file is no store, or of a newer version, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut writer = Connection::open(path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        // Only what is in the file counts as committed.
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "cache_size", -32_768)?;
        // Copying the write-ahead log back would hold a commit up; [`Store::fold`] does it beside them.
        writer.pragma_update(None, "wal_autocheckpoint", 0)?;
        writer.busy_timeout(std::time::Duration::from_secs(30))?;
        writer.set_prepared_statement_cache_capacity(64);
        schema::prepare(&mut writer)?;
        let shared = Shared { path: path.to_owned(), writer: Some(Mutex::new(writer)), readers: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens an existing store for looking; a host may be writing to it.
    ///
    /// # Errors
    /// [`StoreError`] when there is none, or it is of another version.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let shared = Shared { path: path.to_owned(), writer: None, readers: Mutex::default() };
        let store = Self { shared: Arc::new(shared) };
        store.read(schema::check)?;
        Ok(store)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        let writer = self.shared.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        Ok(writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `look` on a connection that only reads.
    fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(&self.shared.path, flags)?;
                connection.busy_timeout(std::time::Duration::from_secs(10))?;
                connection
            }
        };
        let result = look(&connection);
        self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result
    }

    /// Copies what is in the write-ahead log back into the file, so that the log can begin anew. Writers go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is lost, the log grows until the next call.
    pub fn fold(&self) -> Result<(), StoreError> {
        let mut wal = self.shared.path.clone().into_os_string();
        wal.push("-wal");
        if std::fs::metadata(&wal).is_ok_and(|about| about.len() < WAL_SIZE) {
            return Ok(());
        }
        let connection = Connection::open_with_flags(&self.shared.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        Ok(())
    }
}
