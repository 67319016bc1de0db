//! Connections: how they are opened, how they heal after an error, and how long a read may hold a snapshot.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, InterruptHandle, OpenFlags, Transaction, TransactionBehavior};

use crate::{Store, StoreError, StoreErrorKind, schema, wal};

/// Readers that are kept for the next read.
const IDLE_READERS: usize = 8;
/// Instructions of SQLite's virtual machine between two looks at the clock; some tens of microseconds.
const INSTRUCTIONS: i32 = 4_000;

/// How a store is opened. The default is what a host on one machine wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// The SQLite VFS that opens the files, by name; none: SQLite's own for this system.
    pub vfs: Option<String>,
    /// How long a statement waits for a lock that another process, or a checkpoint of the write-ahead log, holds.
    pub busy_timeout: Duration,
    /// How long one read may take, as it keeps the write-ahead log from starting anew; none: as long as it wants.
    pub read_limit: Option<Duration>,
    /// [`Store::fold`] makes the write-ahead log start anew above this many bytes. Commits fold by themselves above
    /// four times as many, so that five times as many are never reached, unless one transaction, a backup, or another program
    /// that reads for long, needs them.
    pub wal_limit: u64,
    /// Chunks of readings that one transaction of a checkpoint writes or takes back.
    pub chunks_at_once: usize,
    /// How long [`Store::check`] may take when it is to be quick.
    pub quick_check: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            vfs: None,
            busy_timeout: Duration::from_secs(30),
            read_limit: Some(Duration::from_secs(30)),
            wal_limit: 64 << 20,
            chunks_at_once: 512,
            quick_check: Duration::from_secs(2),
        }
    }
}

impl StoreOptions {
    /// For a simulation on a single thread: the VFS of that name, no waiting for locks that nobody gives back, and
    /// transactions of few chunks, so that a checkpoint of some sensors has several.
    pub fn simulation(vfs: impl Into<String>) -> Self {
        let vfs = Some(vfs.into());
        Self { vfs, busy_timeout: Duration::ZERO, read_limit: None, chunks_at_once: 4, ..Self::default() }
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) options: StoreOptions,
    /// SQLite has one writer at a time; waiting here is fairer than its busy handler.
    writer: Option<Mutex<Writer>>,
    /// Readers that are not in use.
    idle: Mutex<Vec<Reader>>,
    /// Reads that are under way.
    active: Mutex<Vec<Active>>,
    /// Held by whoever folds.
    pub(crate) folding: Mutex<()>,
    /// When a commit last folded in vain.
    pub(crate) folded_in_vain: Mutex<Option<Instant>>,
    /// Numbers the attempts to write a checkpoint.
    pub(crate) attempts: AtomicI64,
    reads: AtomicU64,
    identity: String,
}

#[derive(Debug)]
struct Writer {
    connection: Connection,
    /// False after an error that may have left the connection unusable, until it is opened anew.
    healthy: bool,
}

#[derive(Debug)]
struct Reader {
    connection: Connection,
    /// Nanoseconds since `base` when the read under way has to end.
    deadline: Arc<AtomicU64>,
    base: Instant,
}

struct Active {
    number: u64,
    since: Instant,
    /// A backup needs its snapshot to the end.
    may_end: bool,
    handle: InterruptHandle,
}

impl std::fmt::Debug for Active {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { number, since, may_end, .. } = self;
        formatter
            .debug_struct("Active")
            .field("number", number)
            .field("since", since)
            .field("may_end", may_end)
            .finish_non_exhaustive()
    }
}

/// Takes a read off the list, also when it panics.
struct Registered<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        lock(&self.shared.active).retain(|active| active.number != self.number);
    }
}

/// A panic of another thread says nothing about a list of connections.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store in `path`, or makes it.
    ///
    /// # Errors
    /// [`StoreError`] when the file is no store, or of a newer version, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, StoreOptions::default())
    }

    /// Opens the store in `path`, or makes it, as `options` say. Only its owner may read a file that is made.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        make_private(path)?;
        let mut connection = open_writer(path, &options)?;
        schema::prepare(&mut connection)?;
        let identity = schema::identity(&connection)?;
        let store = Self::new(path, options, Some(connection), identity);
        if store.wal_bytes() > 0 {
            // What a process that died has left. Behind a damaged commit there may be later ones, which SQLite does not read.
            // They would count again if the next commit were byte for byte the damaged one, as a replay can make it; so the
            // log begins anew. Another program that reads may keep it from that.
            wal::start_anew(&store.shared, Duration::from_millis(250))?;
        }
        Ok(store)
    }

    /// Opens an existing store for looking; a host may be writing to it. A read may take two minutes.
    ///
    /// # Errors
    /// [`StoreError`] when there is none, or it is of another version.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let read_limit = Some(Duration::from_secs(120));
        Self::open_read_only_with(path, StoreOptions { read_limit, ..StoreOptions::default() })
    }

    /// Opens an existing store for looking, as `options` say.
    ///
    /// # Errors
    /// As [`Self::open_read_only`].
    pub fn open_read_only_with(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let reader = open_reader(path, &options)?;
        schema::check(&reader.connection)?;
        let identity = schema::identity(&reader.connection)?;
        let store = Self::new(path, options, None, identity);
        lock(&store.shared.idle).push(reader);
        Ok(store)
    }

    fn new(path: &Path, options: StoreOptions, writer: Option<Connection>, identity: String) -> Self {
        let shared = Shared {
            path: path.to_owned(),
            options,
            writer: writer.map(|connection| Mutex::new(Writer { connection, healthy: true })),
            idle: Mutex::default(),
            active: Mutex::default(),
            folding: Mutex::default(),
            folded_in_vain: Mutex::default(),
            attempts: AtomicI64::new(1),
            reads: AtomicU64::new(0),
            identity,
        };
        Self { shared: Arc::new(shared) }
    }

    /// What tells this store from any other: 32 hexadecimal digits that were drawn when it was made. A backup has its
    /// own, as its log is another. A host that keeps it beside its log notices when the store was deleted or exchanged.
    pub fn identity(&self) -> &str {
        &self.shared.identity
    }

    /// Runs `work` in one transaction. After an error nothing of it was written, and the connection is usable again:
    /// the same call may be made anew.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mutex = self.shared.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        let result = {
            let mut writer = lock(mutex);
            // A thread that panicked held the lock; its transaction was rolled back when it unwound.
            mutex.clear_poison();
            let left_open = !writer.connection.is_autocommit();
            if left_open && writer.connection.execute_batch("ROLLBACK").is_err() {
                writer.healthy = false;
            }
            if !writer.healthy {
                writer.connection = self.reopen()?;
                writer.healthy = true;
            }
            let result = transact(&mut writer.connection, work);
            if let Err(error) = &result
                && matches!(error.kind(), StoreErrorKind::Io | StoreErrorKind::ReadOnly | StoreErrorKind::Corrupt)
            {
                // The new connection is there before the old one goes, so that the WAL's index stays in memory: reading
                // the WAL from the disk anew could bring back a commit whose sync failed and that was reported so.
                match self.reopen() {
                    Ok(connection) => writer.connection = connection,
                    Err(_) => writer.healthy = false,
                }
            }
            result
        };
        if result.is_ok() {
            self.bound_wal();
        }
        result
    }

    /// A writing connection in place of one that failed.
    fn reopen(&self) -> Result<Connection, StoreError> {
        let connection = open_writer(&self.shared.path, &self.shared.options)?;
        schema::check(&connection)?;
        if schema::identity(&connection)? == self.shared.identity { Ok(connection) } else { Err(StoreError::Replaced) }
    }

    /// Runs `query` on a connection that only reads, for no longer than the options allow.
    pub(crate) fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.read_for(self.shared.options.read_limit, query)
    }

    /// Runs `query` on a connection that only reads, for at most `limit`; none: nothing ends it.
    pub(crate) fn read_for<T>(
        &self,
        limit: Option<Duration>,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let shared = &*self.shared;
        let idle = lock(&shared.idle).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => open_reader(&shared.path, &shared.options)?,
        };
        let since = Instant::now();
        let end = limit.and_then(|limit| nanos(since.duration_since(reader.base).saturating_add(limit)));
        reader.deadline.store(end.unwrap_or(u64::MAX), Ordering::Relaxed);
        let number = shared.reads.fetch_add(1, Ordering::Relaxed);
        let handle = reader.connection.get_interrupt_handle();
        lock(&shared.active).push(Active { number, since, may_end: limit.is_some(), handle });
        let registered = Registered { shared, number };
        let result = query(&reader.connection);
        drop(registered);
        let sound = match &result {
            Ok(_) => true,
            Err(error) => matches!(error.kind(), StoreErrorKind::Other | StoreErrorKind::Busy),
        };
        // One that failed is opened anew for the next read.
        if sound && reader.connection.is_autocommit() {
            let mut idle = lock(&shared.idle);
            if idle.len() < IDLE_READERS {
                idle.push(reader);
            }
        }
        result.map_err(|error| if error.is_interrupt() { StoreError::TooLong(since.elapsed()) } else { error })
    }
}

impl Shared {
    /// Ends the reads that are older than `age`, so that the write-ahead log can start anew.
    pub(crate) fn end_reads(&self, age: Duration) {
        // The lock is held meanwhile, so that no read is met that began after the one that is meant.
        for active in lock(&self.active).iter() {
            if active.may_end && active.since.elapsed() >= age {
                active.handle.interrupt();
            }
        }
    }
}

fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // A lock that is taken later cannot be waited for once something was read.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

/// Opens a file of a store with the VFS that the options name.
pub(crate) fn open_file(path: &Path, flags: OpenFlags, options: &StoreOptions) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs.as_str())?,
        None => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(options.busy_timeout)?;
    // A damaged page is reported where it is met, rather than read as something else.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// The file has to be there; see [`make_private`].
fn open_writer(path: &Path, options: &StoreOptions) -> Result<Connection, StoreError> {
    let connection = open_file(path, OpenFlags::SQLITE_OPEN_READ_WRITE, options)?;
    if connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))? == 0 {
        // Only an empty file takes it: pages that become free can be given back to the system.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Only what is in the file counts as committed.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    // Copying the write-ahead log back would hold a commit up; [`Store::fold`] does it beside them.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    let limit = i64::try_from(options.wal_limit).unwrap_or(i64::MAX);
    connection.pragma_update(None, "journal_size_limit", limit)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn open_reader(path: &Path, options: &StoreOptions) -> Result<Reader, StoreError> {
    let options = StoreOptions { busy_timeout: options.busy_timeout.min(Duration::from_secs(10)), ..options.clone() };
    let mut connection = open_file(path, OpenFlags::SQLITE_OPEN_READ_ONLY, &options)?;
    let (deadline, base) = (Arc::new(AtomicU64::new(u64::MAX)), Instant::now());
    let limit = Arc::clone(&deadline);
    let passed = move || nanos(base.elapsed()).is_none_or(|now| now > limit.load(Ordering::Relaxed));
    connection.progress_handler(INSTRUCTIONS, Some(passed))?;
    Ok(Reader { connection, deadline, base })
}

fn nanos(duration: Duration) -> Option<u64> {
    u64::try_from(duration.as_nanos()).ok()
}

/// Makes the file where there is none, so that only its owner can read it, and takes away what others may do with one
/// that is there. SQLite gives the files beside it the same permissions.
pub(crate) fn make_private(path: &Path) -> Result<(), StoreError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            #[cfg(unix)]
            for ending in ["", "-wal", "-shm"] {
                take_from_others(&beside(path, ending))?;
            }
            Ok(())
        }
        Err(error) => Err(StoreError::Copy { to: path.to_owned(), error }),
    }
}

#[cfg(unix)]
fn take_from_others(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let mode = metadata.permissions().mode();
    if metadata.is_file() && mode & 0o077 != 0 {
        match fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700)) {
            // Who does not own the file, or may not write the file system, cannot change it and may still use it.
            Err(error)
                if !matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                return Err(error.into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// The path with something at its end, such as `-wal`.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut whole = path.as_os_str().to_owned();
    whole.push(ending);
    PathBuf::from(whole)
}
