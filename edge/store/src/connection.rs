//! Connections: opening, reopening after an error, and time limits of reads.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, InterruptHandle, OpenFlags, Transaction, TransactionBehavior};

use crate::{
    Store, StoreError, StoreErrorKind, StoreOptions,
    file::{ensure_private_file, open_file},
    schema, wal,
};

/// Idle readers that are kept for later reads.
const MAX_IDLE_READERS: usize = 8;
/// SQLite virtual machine instructions between two checks of the time limit; some tens of microseconds.
const INSTRUCTIONS_PER_CHECK: i32 = 4_000;

#[derive(Debug)]
pub(crate) struct StoreShared {
    pub(crate) path: PathBuf,
    pub(crate) options: StoreOptions,
    /// Readers that are not in use. They are dropped before the writer: the last connection checkpoints the write-ahead
    /// log, which a reader cannot.
    idle_readers: Mutex<Vec<PooledReader>>,
    /// SQLite has one writer at a time. This mutex is fairer than its busy handler.
    writer: Option<Mutex<Writer>>,
    /// Reads in progress.
    active_reads: Mutex<Vec<ActiveRead>>,
    /// Held during a checkpoint of the write-ahead log.
    pub(crate) wal_checkpoint_lock: Mutex<()>,
    /// Time of the last commit whose checkpoint of the write-ahead log failed.
    pub(crate) last_failed_wal_checkpoint: Mutex<Option<Instant>>,
    /// Number of the next attempt to write a checkpoint.
    pub(crate) next_attempt: AtomicI64,
    next_read_number: AtomicU64,
    identity: String,
}

#[derive(Debug)]
struct Writer {
    connection: Connection,
    /// False after an error that may have left the connection unusable, until it is reopened.
    healthy: bool,
}

#[derive(Debug)]
struct PooledReader {
    connection: Connection,
    /// Time limit of the current read, in nanoseconds since `epoch`.
    deadline: Arc<AtomicU64>,
    epoch: Instant,
}

struct ActiveRead {
    number: u64,
    started: Instant,
    /// False for a backup, which needs its snapshot to the end.
    can_interrupt: bool,
    handle: InterruptHandle,
}

impl std::fmt::Debug for ActiveRead {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { number, started: since, can_interrupt: may_end, .. } = self;
        formatter
            .debug_struct("Active")
            .field("number", number)
            .field("since", since)
            .field("may_end", may_end)
            .finish_non_exhaustive()
    }
}

/// Removes a read from the list of active reads, also after a panic.
struct ActiveReadGuard<'a> {
    shared: &'a StoreShared,
    number: u64,
}

impl Drop for ActiveReadGuard<'_> {
    fn drop(&mut self) {
        lock_unpoisoned(&self.shared.active_reads).retain(|active| active.number != self.number);
    }
}

/// Locks a mutex even if it is poisoned: a panic of another thread does not make a list of connections invalid.
pub(crate) fn lock_unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store at `path`, or creates it.
    ///
    /// # Errors
    /// [`StoreError`] when the file is not a store, has a newer version, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, StoreOptions::default())
    }

    /// Opens the store at `path`, or creates it, with `options`. A new file is readable by its owner only.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        ensure_private_file(path)?;
        let mut connection = open_writer(path, &options)?;
        schema::migrate(&mut connection)?;
        let identity = schema::identity(&connection)?;
        let store = Self::new(path, options, Some(connection), identity);
        if store.wal_bytes() > 0 {
            // A crashed host has left a log. After a damaged commit it may contain later commits, which SQLite ignores. They
            // would become valid again if the next commit had the same bytes as the damaged one, which a replay can produce;
            // so the log is restarted. A read of another program may prevent this.
            wal::reset_wal(path, &store.shared.options, Duration::from_millis(250))?;
        }
        Ok(store)
    }

    /// Opens an existing store read-only; a host may be writing to it. A read may take two minutes.
    ///
    /// # Errors
    /// [`StoreError`] when the file does not exist or has another version.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let read_limit = Some(Duration::from_secs(120));
        Self::open_read_only_with(path, StoreOptions { read_timeout: read_limit, ..StoreOptions::default() })
    }

    /// Opens an existing store read-only, with `options`.
    ///
    /// # Errors
    /// As [`Self::open_read_only`].
    pub fn open_read_only_with(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let reader = open_reader(path, &options)?;
        schema::check_version(&reader.connection)?;
        let identity = schema::identity(&reader.connection)?;
        let store = Self::new(path, options, None, identity);
        lock_unpoisoned(&store.shared.idle_readers).push(reader);
        Ok(store)
    }

    fn new(path: &Path, options: StoreOptions, writer: Option<Connection>, identity: String) -> Self {
        let shared = StoreShared {
            path: path.to_owned(),
            options,
            writer: writer.map(|connection| Mutex::new(Writer { connection, healthy: true })),
            idle_readers: Mutex::default(),
            active_reads: Mutex::default(),
            wal_checkpoint_lock: Mutex::default(),
            last_failed_wal_checkpoint: Mutex::default(),
            next_attempt: AtomicI64::new(1),
            next_read_number: AtomicU64::new(0),
            identity,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The identity of this store: 32 hexadecimal digits, drawn at random when it was created. A backup has another
    /// identity, because its log is another. A host that stores the identity with its log detects that the store was
    /// deleted or replaced.
    pub fn identity(&self) -> &str {
        &self.shared.identity
    }

    /// Runs `work` in one transaction. After an error nothing is written, and the same call can be repeated.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mutex = self.shared.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        let result = {
            let mut writer = lock_unpoisoned(mutex);
            // If a thread panicked while it held the lock, its transaction was rolled back during unwinding.
            mutex.clear_poison();
            let left_open = !writer.connection.is_autocommit();
            if left_open && writer.connection.execute_batch("ROLLBACK").is_err() {
                writer.healthy = false;
            }
            if !writer.healthy {
                writer.connection = self.reopen()?;
                writer.healthy = true;
            }
            let result = run_transaction(&mut writer.connection, work);
            if let Err(error) = &result
                && matches!(error.kind(), StoreErrorKind::Io | StoreErrorKind::ReadOnly | StoreErrorKind::Corrupt)
            {
                // The new connection is opened before the old one is closed, so that the WAL index stays in memory:
                // reading the WAL again from the disk could restore a commit whose sync failed and that was reported as
                // failed.
                match self.reopen() {
                    Ok(connection) => writer.connection = connection,
                    Err(_) => writer.healthy = false,
                }
            }
            result
        };
        if result.is_ok() {
            self.limit_wal_size();
        }
        result
    }

    /// Opens a new writing connection after a failure.
    fn reopen(&self) -> Result<Connection, StoreError> {
        let connection = open_writer(&self.shared.path, &self.shared.options)?;
        schema::check_version(&connection)?;
        if schema::identity(&connection)? == self.shared.identity {
            Ok(connection)
        } else {
            Err(StoreError::FileReplaced)
        }
    }

    /// Runs `query` on a read-only connection, within the time limit of the options.
    pub(crate) fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.read_with_timeout(self.shared.options.read_timeout, query)
    }

    /// Runs `query` on a read-only connection, for at most `limit`; `None` for no limit.
    pub(crate) fn read_with_timeout<T>(
        &self,
        limit: Option<Duration>,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let shared = &*self.shared;
        let idle = lock_unpoisoned(&shared.idle_readers).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => open_reader(&shared.path, &shared.options)?,
        };
        let since = Instant::now();
        let deadline = limit.and_then(|limit| to_nanos(since.duration_since(reader.epoch).saturating_add(limit)));
        reader.deadline.store(deadline.unwrap_or(u64::MAX), Ordering::Relaxed);
        let number = shared.next_read_number.fetch_add(1, Ordering::Relaxed);
        let handle = reader.connection.get_interrupt_handle();
        lock_unpoisoned(&shared.active_reads).push(ActiveRead {
            number,
            started: since,
            can_interrupt: limit.is_some(),
            handle,
        });
        let registered = ActiveReadGuard { shared, number };
        let result = query(&reader.connection);
        drop(registered);
        let reusable = match &result {
            Ok(_) => true,
            Err(error) => matches!(error.kind(), StoreErrorKind::Other | StoreErrorKind::Busy),
        };
        // A failed connection is not reused.
        if reusable && reader.connection.is_autocommit() {
            let mut idle = lock_unpoisoned(&shared.idle_readers);
            if idle.len() < MAX_IDLE_READERS {
                idle.push(reader);
            }
        }
        result.map_err(|error| if error.is_interrupt() { StoreError::ReadTimeout(since.elapsed()) } else { error })
    }
}

impl StoreShared {
    /// Interrupts the reads that are older than `age`, so that the write-ahead log can be reset.
    pub(crate) fn interrupt_reads(&self, age: Duration) {
        // The lock is held during the loop, so that an interrupt cannot hit a later read on the same connection.
        for active in lock_unpoisoned(&self.active_reads).iter() {
            if active.can_interrupt && active.started.elapsed() >= age {
                active.handle.interrupt();
            }
        }
    }
}

fn run_transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // The write lock is taken at once: after a read, SQLite would not wait for it.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

/// The file must exist; see [`ensure_private_file`].
fn open_writer(path: &Path, options: &StoreOptions) -> Result<Connection, StoreError> {
    let connection = open_file(path, OpenFlags::SQLITE_OPEN_READ_WRITE, options)?;
    if connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))? == 0 {
        // Can only be set on an empty file. It allows returning free pages to the operating system.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit counts only when it is on the disk.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    // Checkpoints of the WAL would delay a commit; [`Store::checkpoint_wal`] runs them separately.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    let limit = i64::try_from(options.max_wal_bytes).unwrap_or(i64::MAX);
    connection.pragma_update(None, "journal_size_limit", limit)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn open_reader(path: &Path, options: &StoreOptions) -> Result<PooledReader, StoreError> {
    let options = StoreOptions { busy_timeout: options.busy_timeout.min(Duration::from_secs(10)), ..options.clone() };
    let mut connection = open_file(path, OpenFlags::SQLITE_OPEN_READ_ONLY, &options)?;
    let (deadline, base) = (Arc::new(AtomicU64::new(u64::MAX)), Instant::now());
    let limit = Arc::clone(&deadline);
    let is_expired = move || to_nanos(base.elapsed()).is_none_or(|now| now > limit.load(Ordering::Relaxed));
    connection.progress_handler(INSTRUCTIONS_PER_CHECK, Some(is_expired))?;
    Ok(PooledReader { connection, deadline, epoch: base })
}

fn to_nanos(duration: Duration) -> Option<u64> {
    u64::try_from(duration.as_nanos()).ok()
}
