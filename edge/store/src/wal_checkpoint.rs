//! The size of the write-ahead log (WAL): checkpointing and resetting it; and size metrics.
//!
//! SQLite checkpoints the WAL (copies it into the database file) only up to the oldest snapshot in use, and resets it
//! only when everything was copied and no reader uses it. With overlapping readers this never happens on its own. Above
//! a size limit, the WAL is therefore reset explicitly: writers wait until the current readers finish (new ones read
//! from the database file), and reads that take too long are interrupted.

use std::{
    fs,
    sync::TryLockError,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    Store, StoreError,
    connection::lock_unpoisoned,
    file::with_suffix,
    wal::{WalCheckpoint, run_wal_checkpoint},
};

/// Commits checkpoint the WAL when it is this many times larger than its limit.
const COMMIT_CHECKPOINT_FACTOR: u64 = 4;
/// Pause after a commit whose checkpoint of the WAL failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The size of the store, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreSizes {
    /// Bytes of the database file.
    pub database_bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Bytes per page.
    pub page_bytes: u64,
    /// Pages of the database file.
    pub pages: u64,
    /// Unused pages of the database file, which are reused.
    pub free_pages: u64,
    /// Bytes of the payloads of dead letters.
    pub dead_letter_bytes: u64,
    /// Number of registered sensors.
    pub sensors: u64,
    /// Chunks of readings staged by unfinished checkpoints.
    pub staged_chunks: u64,
}

impl StoreSizes {
    /// Bytes of the database file that are in use.
    pub fn used_bytes(&self) -> u64 {
        self.pages.saturating_sub(self.free_pages).saturating_mul(self.page_bytes)
    }
}

impl Store {
    /// Copies the write-ahead log into the database file, so that the log can be reset. Writers continue meanwhile,
    /// unless the log is above its limit: then they wait up to two seconds, and long reads are interrupted.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is lost, and the log grows until the next call.
    pub fn checkpoint_wal(&self) -> Result<WalCheckpoint, StoreError> {
        let before = self.wal_bytes();
        let limit = self.shared.options.max_wal_bytes;
        if before < limit / 2 {
            return Ok(WalCheckpoint { before, after: before, ..WalCheckpoint::default() });
        }
        let _folding = match self.shared.wal_checkpoint_lock.try_lock() {
            Ok(folding) => folding,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Ok(WalCheckpoint { before, after: before, busy: true, ..WalCheckpoint::default() });
            }
        };
        let mut folded = self.run_wal_checkpoint("PASSIVE", Duration::ZERO)?;
        if before >= limit {
            if before >= limit.saturating_mul(2) {
                self.shared.interrupt_reads(Duration::from_secs(2));
            }
            folded = self.run_wal_checkpoint("TRUNCATE", Duration::from_millis(250))?;
            if folded.busy && before >= limit.saturating_mul(COMMIT_CHECKPOINT_FACTOR) {
                self.shared.interrupt_reads(Duration::from_millis(250));
                folded = self.run_wal_checkpoint("TRUNCATE", Duration::from_secs(2))?;
            }
        }
        Ok(WalCheckpoint { before, after: self.wal_bytes(), ..folded })
    }

    /// Copies the whole write-ahead log into the database file and empties it, for an orderly shutdown: the database
    /// file alone is then the store. Gives up after two seconds if there are other readers; nothing is lost then
    /// either.
    ///
    /// # Errors
    /// [`StoreError`]; the log is copied at the next start.
    pub fn truncate_wal(&self) -> Result<WalCheckpoint, StoreError> {
        let before = self.wal_bytes();
        let folded = self.run_wal_checkpoint("TRUNCATE", Duration::from_secs(2))?;
        Ok(WalCheckpoint { before, after: self.wal_bytes(), ..folded })
    }

    /// Checkpoints the WAL when it is far above its limit. The writer waits, so that the WAL stays bounded.
    pub(crate) fn limit_wal_size(&self) {
        if self.wal_bytes() < self.shared.options.max_wal_bytes.saturating_mul(COMMIT_CHECKPOINT_FACTOR) {
            return;
        }
        // Another program with a long read must not delay every commit.
        let failed_recently = lock_unpoisoned(&self.shared.last_failed_wal_checkpoint)
            .is_some_and(|last| last.elapsed() < RETRY_INTERVAL);
        if !failed_recently {
            // The commit itself succeeded; a failure to checkpoint is retried later.
            let was_busy = self.checkpoint_wal().map_or(true, |folded| folded.busy);
            *lock_unpoisoned(&self.shared.last_failed_wal_checkpoint) = was_busy.then(Instant::now);
        }
    }

    fn run_wal_checkpoint(&self, mode: &str, wait: Duration) -> Result<WalCheckpoint, StoreError> {
        run_wal_checkpoint(&self.shared.path, &self.shared.options, mode, wait)
    }

    /// Bytes of the write-ahead log.
    pub(crate) fn wal_bytes(&self) -> u64 {
        fs::metadata(with_suffix(&self.shared.path, "-wal")).map_or(0, |metadata| metadata.len())
    }

    /// Returns the sizes of the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sizes(&self) -> Result<StoreSizes, StoreError> {
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        self.read(|connection| {
            let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0)).map(number);
            let query_one =
                |statement: &str| connection.prepare_cached(statement)?.query_row([], |row| row.get(0)).map(number);
            Ok(StoreSizes {
                database_bytes: fs::metadata(&self.shared.path).map_or(0, |metadata| metadata.len()),
                wal_bytes: self.wal_bytes(),
                page_bytes: pragma("page_size")?,
                pages: pragma("page_count")?,
                free_pages: pragma("freelist_count")?,
                dead_letter_bytes: query_one(
                    "SELECT coalesce((SELECT value FROM counters WHERE name = 'dead_letter_bytes'), 0)",
                )?,
                // Ids are consecutive from 0.
                sensors: query_one("SELECT coalesce(max(id), -1) + 1 FROM sensors")?,
                staged_chunks: query_one("SELECT count(*) FROM staged")?,
            })
        })
    }
}
