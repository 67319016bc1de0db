//! A disk that fails on purpose: a SQLite VFS that hands every call on to the system's own, unless a fault is due.
//!
//! Which faults come, and when, follows from a seed alone, so that a failure is found again. Files are real; a folder in
//! memory (`/dev/shm`) makes thousands of histories a minute. Syncing and sleeping cost nothing here.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use wheeltapper_store::{Store, StoreOptions, simulated::{Faults, SimulatedDisk}};
//! let folder = tempfile::tempdir()?;
//! let disk = SimulatedDisk::register("doc", 7)?;
//! let store = Store::open_with(&folder.path().join("s.db"), StoreOptions::simulation(disk.name()))?;
//! disk.set_faults(Faults { sync_error: 1_000_000, ..Faults::default() });
//! assert!(store.state_put("key", b"value").unwrap_err().is_transient());
//! disk.set_faults(Faults::default());
//! store.state_put("key", b"value")?;
//! # Ok(())
//! # }
//! ```
//!
//! The VFS is for tests: it is compiled with the feature `simulation` only. `sqlite-plugin` and `sqlite-vfs` were looked
//! at; both want a file system written anew, with locks and shared memory, where only a layer before the system's is
//! needed.

mod vfs;

use std::{
    collections::HashMap,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use rusqlite::ffi;

use crate::{Store, StoreError};

/// How often what goes wrong: in so many of a million calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Writes that fail as the disk is full; half of them after a part was written.
    pub write_full: u32,
    /// Writes that fail with an I/O error; half of them after a part was written.
    pub write_error: u32,
    /// Syncs that fail.
    pub sync_error: u32,
    /// Reads that fail with an I/O error.
    pub read_error: u32,
    /// Reads in which one bit is not what lies on the disk.
    pub flipped_bit: u32,
    /// Locks that somebody else holds.
    pub busy: u32,
    /// Files that cannot be opened.
    pub open_error: u32,
}

/// Calls that were made so far, also those that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named after its call")]
pub struct Calls {
    pub opens: u64,
    pub reads: u64,
    pub writes: u64,
    pub truncates: u64,
    pub syncs: u64,
    pub deletes: u64,
    pub locks: u64,
    /// Calls of any kind that a fault made fail, or whose data it changed.
    pub faults: u64,
}

/// Makes a store at `path` with this identity, by copying one that was made once: it costs less than making the tables.
///
/// # Errors
/// [`StoreError`] when it cannot be written.
pub fn create(path: &Path, identity: [u8; 16]) -> Result<(), StoreError> {
    static TEMPLATE: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    let (file, old) = match TEMPLATE.get() {
        Some(template) => template,
        None => {
            let store = Store::open(path)?;
            let old = store.ask("SELECT value FROM state WHERE key = 'store/identity'", Vec::new())?;
            let Some(Some(crate::Cell::Blob(old))) = old.into_iter().next().map(|row| row.into_iter().next()) else {
                return Err(StoreError::Statement("a new store has no identity".into()));
            };
            // The last connection that is closed copies the write-ahead log back.
            drop(store);
            TEMPLATE.get_or_init(|| (fs::read(path).unwrap_or_default(), old))
        }
    };
    let mut file = file.clone();
    // Sixteen drawn bytes are nowhere else.
    if let Some(at) = file.windows(old.len()).position(|bytes| bytes == old.as_slice())
        && let Some(place) = file.get_mut(at..at + identity.len())
    {
        place.copy_from_slice(&identity);
    }
    Ok(fs::write(path, file)?)
}

/// A registered VFS and the state of its disk. It is unregistered when it is dropped; stores that use it have to be
/// dropped before, or their reopening fails.
#[derive(Debug)]
pub struct SimulatedDisk {
    disk: &'static Disk,
    name: String,
    vfs: vfs::Registered,
}

impl SimulatedDisk {
    /// Registers a VFS of that name. [`Self::reset`] makes it a new one for the next history: registering leaks a few
    /// hundred bytes, as SQLite keeps no account of who uses a VFS.
    ///
    /// # Errors
    /// [`StoreError::Statement`] when the name has a NUL, or SQLite does not take it.
    pub fn register(name: &str, seed: u64) -> Result<Self, StoreError> {
        let disk: &'static Disk = Box::leak(Box::new(Disk { state: Mutex::new(State::new(seed)) }));
        let vfs = vfs::Registered::new(name, disk)?;
        Ok(Self { disk, name: name.to_owned(), vfs })
    }

    /// The name for [`crate::StoreOptions::vfs`].
    pub fn name(&self) -> &str {
        debug_assert!(self.vfs.is_registered(), "it is until this is dropped");
        &self.name
    }

    /// Begins a new history: no faults, no calls, alive. Files that are still open belong to a dead process.
    pub fn reset(&self, seed: u64) {
        let mut state = self.disk.lock();
        let (life, files) = (state.life + 1, std::mem::take(&mut state.files));
        *state = State { life, files, ..State::new(seed) };
    }

    /// From now on these faults come.
    pub fn set_faults(&self, faults: Faults) {
        self.disk.lock().faults = faults;
    }

    /// Every write, until it is taken back, fails as on a file system that cannot be written.
    pub fn set_read_only(&self, read_only: bool) {
        self.disk.lock().read_only = read_only;
    }

    /// Every write, until it is taken back, fails as on a full disk.
    pub fn set_full(&self, full: bool) {
        self.disk.lock().full = full;
    }

    /// From now on a process that dies takes power with it: each write that was not synced is lost with the chance of one
    /// half when the next process begins.
    pub fn set_power_loss(&self, lose: bool) {
        let mut state = self.disk.lock();
        state.unsynced = lose.then(Vec::new);
    }

    /// The process dies: every call fails, so that closing connections cannot write anything more.
    pub fn kill(&self) {
        self.disk.lock().dead = true;
    }

    /// The process dies in the middle of a write, after so many more writes, truncations and syncs.
    pub fn kill_after(&self, calls: u64) {
        self.disk.lock().kill_after = Some(calls);
    }

    /// Whether the process is dead.
    pub fn is_dead(&self) -> bool {
        self.disk.lock().dead
    }

    /// A new process begins. What the dead one had open stays dead; drop its stores before, as they hold its locks.
    pub fn revive(&self) {
        let mut state = self.disk.lock();
        state.lose_unsynced();
        state.dead = false;
        state.kill_after = None;
        state.life += 1;
    }

    /// Calls since the beginning of the history.
    pub fn calls(&self) -> Calls {
        self.disk.lock().calls
    }
}

impl Store {
    /// Panics in the middle of a transaction, as a thread that has a defect does.
    ///
    /// # Panics
    /// Always, unless the store cannot be written.
    #[allow(clippy::panic, reason = "this is what it is for")]
    pub fn panic_while_writing(&self) {
        let _ = self.write(|to| -> Result<(), StoreError> {
            to.execute("INSERT OR REPLACE INTO state VALUES ('panic', x'00')", [])?;
            panic!("simulated")
        });
    }
}

#[derive(Debug)]
struct Disk {
    state: Mutex<State>,
}

impl Disk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct State {
    random: u64,
    faults: Faults,
    read_only: bool,
    full: bool,
    dead: bool,
    /// Counts processes; a file belongs to the one that opened it.
    life: u64,
    kill_after: Option<u64>,
    calls: Calls,
    /// Paths of the files that were opened, by their number.
    files: HashMap<u64, PathBuf>,
    /// What writes overwrote that were not synced yet, in order; none: nothing is lost.
    unsynced: Option<Vec<Overwritten>>,
}

/// What lay where something was written.
#[derive(Debug)]
struct Overwritten {
    file: u64,
    offset: u64,
    bytes: Vec<u8>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is handed on.
    Go,
    /// It fails with this code.
    Fail(i32),
    /// A part of it (in 256ths) is written, then it fails with this code.
    Torn(u8, i32),
    /// It is handed on, and then this bit (modulo their number) is changed.
    Flip(u64),
}

impl State {
    fn new(seed: u64) -> Self {
        Self {
            random: seed,
            faults: Faults::default(),
            read_only: false,
            full: false,
            dead: false,
            life: 0,
            kill_after: None,
            calls: Calls::default(),
            files: HashMap::new(),
            unsynced: None,
        }
    }

    /// What was written to this file, through whichever connection, is on the disk.
    fn synced(&mut self, file: u64) {
        let (files, path) = (&self.files, self.files.get(&file));
        if let Some(writes) = &mut self.unsynced {
            writes.retain(|write| files.get(&write.file) != path);
        }
    }

    /// This file was made shorter: what was written past its end is gone.
    fn cut(&mut self, file: u64, size: u64) {
        let (files, path) = (&self.files, self.files.get(&file));
        if let Some(writes) = &mut self.unsynced {
            writes.retain(|write| write.offset < size || files.get(&write.file) != path);
        }
    }

    /// A file was deleted.
    fn deleted(&mut self, path: &Path) {
        let files = &self.files;
        if let Some(writes) = &mut self.unsynced {
            writes.retain(|write| files.get(&write.file).is_none_or(|file| file != path));
        }
    }

    /// Puts back what some of the writes overwrote that were not synced. What lay past the end is zero, as after a crash
    /// of a system that had made the file longer already.
    fn lose_unsynced(&mut self) {
        let Some(writes) = self.unsynced.as_mut().map(std::mem::take) else { return };
        for write in writes.into_iter().rev() {
            if self.next() & 1 == 0
                && let Some(path) = self.files.get(&write.file)
                && let Ok(file) = File::options().write(true).open(path)
            {
                // A file that was deleted meanwhile has nothing to lose.
                let _ = file.write_all_at(&write.bytes, write.offset);
            }
        }
    }

    /// SplitMix64 (Steele et al., OOPSLA 2014).
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn chance(&mut self, in_a_million: u32) -> bool {
        in_a_million > 0 && self.next() % 1_000_000 < u64::from(in_a_million)
    }

    fn fault(&mut self, verdict: Verdict) -> Verdict {
        self.calls.faults += 1;
        verdict
    }

    fn gone(&self, life: u64) -> bool {
        self.dead || self.life != life
    }

    /// Whether this is the call in which the process dies.
    fn dies(&mut self) -> bool {
        match &mut self.kill_after {
            Some(0) => {
                self.dead = true;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "any eight bits will do")]
    fn on_write(&mut self, life: u64) -> Verdict {
        self.calls.writes += 1;
        if self.gone(life) {
            return Verdict::Fail(ffi::SQLITE_IOERR_WRITE);
        }
        let part = self.next() as u8;
        if self.dies() {
            return self.fault(Verdict::Torn(part, ffi::SQLITE_IOERR_WRITE));
        }
        if self.read_only {
            return self.fault(Verdict::Fail(ffi::SQLITE_READONLY));
        }
        if self.full {
            return self.fault(Verdict::Fail(ffi::SQLITE_FULL));
        }
        for (rate, code) in
            [(self.faults.write_full, ffi::SQLITE_FULL), (self.faults.write_error, ffi::SQLITE_IOERR_WRITE)]
        {
            if self.chance(rate) {
                let torn = part & 1 == 0;
                return self.fault(if torn { Verdict::Torn(part, code) } else { Verdict::Fail(code) });
            }
        }
        Verdict::Go
    }

    fn on_truncate(&mut self, life: u64) -> Verdict {
        self.calls.truncates += 1;
        if self.gone(life) || self.dies() {
            return Verdict::Fail(ffi::SQLITE_IOERR_TRUNCATE);
        }
        if self.read_only {
            return self.fault(Verdict::Fail(ffi::SQLITE_READONLY));
        }
        if self.chance(self.faults.write_error) {
            return self.fault(Verdict::Fail(ffi::SQLITE_IOERR_TRUNCATE));
        }
        Verdict::Go
    }

    fn on_sync(&mut self, life: u64) -> Verdict {
        self.calls.syncs += 1;
        if self.gone(life) || self.dies() {
            return Verdict::Fail(ffi::SQLITE_IOERR_FSYNC);
        }
        if self.chance(self.faults.sync_error) {
            return self.fault(Verdict::Fail(ffi::SQLITE_IOERR_FSYNC));
        }
        Verdict::Go
    }

    fn on_read(&mut self, life: u64) -> Verdict {
        self.calls.reads += 1;
        if self.gone(life) {
            return Verdict::Fail(ffi::SQLITE_IOERR_READ);
        }
        if self.chance(self.faults.read_error) {
            return self.fault(Verdict::Fail(ffi::SQLITE_IOERR_READ));
        }
        if self.chance(self.faults.flipped_bit) {
            let bit = self.next();
            return self.fault(Verdict::Flip(bit));
        }
        Verdict::Go
    }

    fn on_lock(&mut self, life: u64) -> Verdict {
        self.calls.locks += 1;
        if self.gone(life) {
            return Verdict::Fail(ffi::SQLITE_IOERR_LOCK);
        }
        if self.chance(self.faults.busy) {
            return self.fault(Verdict::Fail(ffi::SQLITE_BUSY));
        }
        Verdict::Go
    }

    fn on_open(&mut self) -> Verdict {
        self.calls.opens += 1;
        if self.dead {
            return Verdict::Fail(ffi::SQLITE_CANTOPEN);
        }
        if self.chance(self.faults.open_error) {
            return self.fault(Verdict::Fail(ffi::SQLITE_CANTOPEN));
        }
        Verdict::Go
    }

    fn on_delete(&mut self) -> Verdict {
        self.calls.deletes += 1;
        if self.dead {
            return Verdict::Fail(ffi::SQLITE_IOERR_DELETE);
        }
        if self.read_only {
            return self.fault(Verdict::Fail(ffi::SQLITE_READONLY));
        }
        Verdict::Go
    }
}
