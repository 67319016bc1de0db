//! The write-ahead log's size: copying it back, starting it anew, and how large everything is.
//!
//! SQLite copies the log back as far as no reader needs what lies before, and begins it anew only when all was copied and
//! nobody reads from it. With readers that overlap this never happens by itself. So above a limit the log is started
//! anew: writers wait while the readers of that moment finish (new ones read from the file itself), and reads that take
//! too long are ended.

use std::{
    fs,
    sync::TryLockError,
    time::{Duration, Instant},
};

use rusqlite::OpenFlags;
use serde::Serialize;

use crate::{
    Store, StoreError,
    connection::{Shared, beside, lock, open_file},
};

/// Commits fold by themselves above so many times the limit.
const HARD: u64 = 4;
/// Between two folds of commits, when the first was in vain.
const PAUSE: Duration = Duration::from_secs(5);

/// What [`Store::fold`] reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Folded {
    /// Bytes of the write-ahead log before.
    pub before: u64,
    /// And after.
    pub after: u64,
    /// Frames (pages) in the log, as SQLite counted them last.
    pub frames: u64,
    /// Those of them that are in the file.
    pub copied: u64,
    /// Readers, or somebody else who folds, kept it from being done to the end.
    pub busy: bool,
}

/// How large the store is, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreSizes {
    /// The file.
    pub database_bytes: u64,
    /// The write-ahead log beside it.
    pub wal_bytes: u64,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Pages of the file.
    pub pages: u64,
    /// Those of them that hold nothing and are used again.
    pub free_pages: u64,
    /// Payloads of dead letters.
    pub dead_letter_bytes: u64,
    /// Sensors that have a number.
    pub sensors: u64,
    /// Chunks of readings of checkpoints that are not complete.
    pub staged_chunks: u64,
}

impl StoreSizes {
    /// Bytes of the file that hold something.
    pub fn used_bytes(&self) -> u64 {
        self.pages.saturating_sub(self.free_pages).saturating_mul(self.page_bytes)
    }
}

impl Store {
    /// Copies what is in the write-ahead log back into the file, so that the log can begin anew. Writers go on meanwhile,
    /// unless the log is above its limit: then they wait for up to two seconds, and long reads are ended.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is lost, the log grows until the next call.
    pub fn fold(&self) -> Result<Folded, StoreError> {
        let before = self.wal_bytes();
        let limit = self.shared.options.wal_limit;
        if before < limit / 2 {
            return Ok(Folded { before, after: before, ..Folded::default() });
        }
        let _folding = match self.shared.folding.try_lock() {
            Ok(folding) => folding,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Ok(Folded { before, after: before, busy: true, ..Folded::default() });
            }
        };
        let mut folded = checkpoint(&self.shared, "PASSIVE", Duration::ZERO)?;
        if before >= limit {
            if before >= limit.saturating_mul(2) {
                self.shared.end_reads(Duration::from_secs(2));
            }
            folded = checkpoint(&self.shared, "TRUNCATE", Duration::from_millis(250))?;
            if folded.busy && before >= limit.saturating_mul(HARD) {
                self.shared.end_reads(Duration::from_millis(250));
                folded = checkpoint(&self.shared, "TRUNCATE", Duration::from_secs(2))?;
            }
        }
        Ok(Folded { before, after: self.wal_bytes(), ..folded })
    }

    /// Copies all of the write-ahead log into the file and empties it, for an orderly end: then the file alone is the store.
    /// Gives up after two seconds where others read; nothing is lost then either.
    ///
    /// # Errors
    /// [`StoreError`]; the log is copied at the next start.
    pub fn fold_all(&self) -> Result<Folded, StoreError> {
        let before = self.wal_bytes();
        let folded = checkpoint(&self.shared, "TRUNCATE", Duration::from_secs(2))?;
        Ok(Folded { before, after: self.wal_bytes(), ..folded })
    }

    /// Folds when the log is far above its limit: who writes waits, so that it stays bounded.
    pub(crate) fn bound_wal(&self) {
        if self.wal_bytes() < self.shared.options.wal_limit.saturating_mul(HARD) {
            return;
        }
        // Another program that does not end its read must not make each commit wait.
        let lately = lock(&self.shared.folded_in_vain).is_some_and(|last| last.elapsed() < PAUSE);
        if !lately {
            // What was to be written is written; that the log could not be folded is met again.
            let vain = self.fold().map_or(true, |folded| folded.busy);
            *lock(&self.shared.folded_in_vain) = vain.then(Instant::now);
        }
    }

    /// Bytes of the write-ahead log.
    pub(crate) fn wal_bytes(&self) -> u64 {
        fs::metadata(beside(&self.shared.path, "-wal")).map_or(0, |about| about.len())
    }

    /// How large everything is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sizes(&self) -> Result<StoreSizes, StoreError> {
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        self.read(|connection| {
            let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0)).map(number);
            let one =
                |statement: &str| connection.prepare_cached(statement)?.query_row([], |row| row.get(0)).map(number);
            Ok(StoreSizes {
                database_bytes: fs::metadata(&self.shared.path).map_or(0, |about| about.len()),
                wal_bytes: self.wal_bytes(),
                page_bytes: pragma("page_size")?,
                pages: pragma("page_count")?,
                free_pages: pragma("freelist_count")?,
                dead_letter_bytes: one(
                    "SELECT coalesce((SELECT value FROM counters WHERE name = 'dead_letter_bytes'), 0)",
                )?,
                // Numbers are dense from 0.
                sensors: one("SELECT coalesce(max(id), -1) + 1 FROM sensors")?,
                staged_chunks: one("SELECT count(*) FROM staged")?,
            })
        })
    }
}

/// Copies everything back and empties the log, if readers end within `wait`.
pub(crate) fn start_anew(shared: &Shared, wait: Duration) -> Result<Folded, StoreError> {
    checkpoint(shared, "TRUNCATE", wait)
}

fn checkpoint(shared: &Shared, mode: &str, wait: Duration) -> Result<Folded, StoreError> {
    let connection = open_file(&shared.path, OpenFlags::SQLITE_OPEN_READ_WRITE, &shared.options)?;
    connection.busy_timeout(wait.min(shared.options.busy_timeout))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let (busy, frames, copied) = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(Folded { before: 0, after: 0, frames: number(frames), copied: number(copied), busy: busy != 0 })
}
