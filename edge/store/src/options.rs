//! Options for opening a store.

use std::time::Duration;

/// Options for opening a store. The defaults suit a host on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Name of the SQLite VFS that opens the files; `None` for SQLite's default of the operating system.
    pub vfs: Option<String>,
    /// How long a statement waits for a lock held by another process or by a checkpoint of the write-ahead log.
    pub busy_timeout: Duration,
    /// Time limit of one read, because a read keeps the write-ahead log from being reset; `None` for no limit.
    pub read_timeout: Option<Duration>,
    /// [`crate::Store::checkpoint_wal`] resets the write-ahead log when it is larger than this many bytes. Commits call it
    /// when the log is four times as large, so that it stays below five times the limit, unless a single transaction, a
    /// backup, or a long read of another program needs more.
    pub max_wal_bytes: u64,
    /// Chunks of readings that one transaction of a checkpoint writes or deletes.
    pub chunks_per_transaction: usize,
    /// Time limit of a quick [`crate::Store::check_integrity`].
    pub quick_check_timeout: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            vfs: None,
            busy_timeout: Duration::from_secs(30),
            read_timeout: Some(Duration::from_secs(30)),
            max_wal_bytes: 64 << 20,
            chunks_per_transaction: 512,
            quick_check_timeout: Duration::from_secs(2),
        }
    }
}

impl StoreOptions {
    /// Options for a single-threaded simulation: the VFS of that name, no waiting for locks that no other thread would
    /// release, and small transactions, so that a checkpoint of a few sensors needs several.
    pub fn simulation(vfs: impl Into<String>) -> Self {
        let vfs = Some(vfs.into());
        Self { vfs, busy_timeout: Duration::ZERO, read_timeout: None, chunks_per_transaction: 4, ..Self::default() }
    }
}
