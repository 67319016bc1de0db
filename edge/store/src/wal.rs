//! Checkpoints of SQLite's write-ahead log (WAL).

use std::{path::Path, time::Duration};

use rusqlite::OpenFlags;
use serde::Serialize;

use crate::{StoreError, StoreOptions, file::open_file};

/// The result of [`crate::Store::checkpoint_wal`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WalCheckpoint {
    /// Bytes of the WAL before.
    pub before: u64,
    /// Bytes of the WAL after.
    pub after: u64,
    /// Frames (pages) in the WAL, as last reported by SQLite.
    pub frames: u64,
    /// Frames that are copied to the database file.
    pub copied: u64,
    /// Whether readers or another checkpoint prevented it from completing.
    pub busy: bool,
}

/// Checkpoints the WAL and empties it, if readers finish within `wait`.
pub(crate) fn reset_wal(path: &Path, options: &StoreOptions, wait: Duration) -> Result<WalCheckpoint, StoreError> {
    run_wal_checkpoint(path, options, "TRUNCATE", wait)
}

/// Checkpoints the WAL in a mode of SQLite: `PASSIVE` or `TRUNCATE`.
pub(crate) fn run_wal_checkpoint(
    path: &Path,
    options: &StoreOptions,
    mode: &str,
    wait: Duration,
) -> Result<WalCheckpoint, StoreError> {
    let connection = open_file(path, OpenFlags::SQLITE_OPEN_READ_WRITE, options)?;
    connection.busy_timeout(wait.min(options.busy_timeout))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let (busy, frames, copied) = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(WalCheckpoint { before: 0, after: 0, frames: number(frames), copied: number(copied), busy: busy != 0 })
}
