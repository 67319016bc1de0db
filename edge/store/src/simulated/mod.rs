//! A failing disk: a SQLite VFS that forwards every call to the system's VFS, unless a fault is injected.
//!
//! A seed determines which faults occur and when, so that a failure can be reproduced. The files are real; with a
//! folder in memory (`/dev/shm`), thousands of histories run per minute. Syncing and sleeping cost nothing here.
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
//! The VFS is for tests: it is compiled only with the feature `simulation`. `sqlite-plugin` and `sqlite-vfs` were
//! considered, but both require a new file system with locks and shared memory, where only a layer over the system's
//! VFS is needed.

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

/// Fault rates, in faults per million calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Writes that fail because the disk is full; half of them after a partial write.
    pub write_full: u32,
    /// Writes that fail with an I/O error; half of them after a partial write.
    pub write_error: u32,
    /// Syncs that fail.
    pub sync_error: u32,
    /// Reads that fail with an I/O error.
    pub read_error: u32,
    /// Reads that return one flipped bit.
    pub flipped_bit: u32,
    /// Locks that another connection holds.
    pub busy: u32,
    /// Files that cannot be opened.
    pub open_error: u32,
}

/// Number of calls, including failed ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named after its call")]
pub struct CallCounts {
    pub opens: u64,
    pub reads: u64,
    pub writes: u64,
    pub truncates: u64,
    pub syncs: u64,
    pub deletes: u64,
    pub locks: u64,
    /// Calls of any kind that an injected fault made fail, or whose data it changed.
    pub faults: u64,
}

/// Creates a store at `path` with this identity by copying a template, which is faster than creating the tables.
///
/// # Errors
/// [`StoreError`] when the file cannot be written.
pub fn create_store(path: &Path, identity: [u8; 16]) -> Result<(), StoreError> {
    static TEMPLATE: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    let (file, old_identity) = match TEMPLATE.get() {
        Some(template) => template,
        None => {
            let store = Store::open(path)?;
            let old_identity = store.query_rows("SELECT value FROM state WHERE key = 'store/identity'", Vec::new())?;
            let Some(Some(crate::Cell::Blob(old_identity))) =
                old_identity.into_iter().next().map(|row| row.into_iter().next())
            else {
                return Err(StoreError::InvalidStatement("a new store has no identity".into()));
            };
            // Closing the last connection checkpoints the write-ahead log.
            drop(store);
            TEMPLATE.get_or_init(|| (fs::read(path).unwrap_or_default(), old_identity))
        }
    };
    let mut file = file.clone();
    // The sixteen random bytes occur only once in the file.
    if let Some(at) = file.windows(old_identity.len()).position(|bytes| bytes == old_identity.as_slice())
        && let Some(target) = file.get_mut(at..at + identity.len())
    {
        target.copy_from_slice(&identity);
    }
    Ok(fs::write(path, file)?)
}

/// A registered VFS and the state of its disk. It is unregistered when it is dropped. Stores that use it must be
/// dropped before, or they cannot reopen their connections.
#[derive(Debug)]
pub struct SimulatedDisk {
    disk: &'static SharedDisk,
    name: String,
    vfs: vfs::RegisteredVfs,
}

impl SimulatedDisk {
    /// Registers a VFS with this name. [`Self::reset`] prepares it for the next history. Registering leaks a few
    /// hundred bytes, because SQLite does not track the users of a VFS.
    ///
    /// # Errors
    /// [`StoreError::InvalidStatement`] when the name contains a NUL, or SQLite rejects it.
    pub fn register(name: &str, seed: u64) -> Result<Self, StoreError> {
        let disk: &'static SharedDisk =
            Box::leak(Box::new(SharedDisk { state: Mutex::new(SimulatedDiskState::new(seed)) }));
        let vfs = vfs::RegisteredVfs::new(name, disk)?;
        Ok(Self { disk, name: name.to_owned(), vfs })
    }

    /// The name for [`crate::StoreOptions::vfs`].
    pub fn name(&self) -> &str {
        debug_assert!(self.vfs.is_registered(), "it stays registered until this is dropped");
        &self.name
    }

    /// Starts a new history: no faults, no calls, process alive. Files that are still open belong to a dead process.
    pub fn reset(&self, seed: u64) {
        let mut state = self.disk.lock();
        let (life, files) = (state.process_epoch + 1, std::mem::take(&mut state.files));
        *state = SimulatedDiskState { process_epoch: life, files, ..SimulatedDiskState::new(seed) };
    }

    /// Sets the fault rates.
    pub fn set_faults(&self, faults: Faults) {
        self.disk.lock().faults = faults;
    }

    /// Makes every write fail, as on a read-only file system, until it is disabled.
    pub fn set_read_only(&self, read_only: bool) {
        self.disk.lock().read_only = read_only;
    }

    /// Makes every write fail, as on a full disk, until it is disabled.
    pub fn set_full(&self, full: bool) {
        self.disk.lock().full = full;
    }

    /// From now on, a process that dies also loses power: each unsynced write is lost with a probability of one half
    /// when the next process starts.
    pub fn set_power_loss(&self, lose: bool) {
        let mut state = self.disk.lock();
        state.unsynced = lose.then(Vec::new);
    }

    /// The process dies: every call fails, so that closing a connection cannot write anything.
    pub fn kill(&self) {
        self.disk.lock().dead = true;
    }

    /// The process dies in the middle of a write, after this many more writes, truncations and syncs.
    pub fn kill_after(&self, calls: u64) {
        self.disk.lock().kill_after = Some(calls);
    }

    /// Whether the process is dead.
    pub fn is_dead(&self) -> bool {
        self.disk.lock().dead
    }

    /// Starts a new process. Files of the dead process stay unusable; drop its stores before, because they hold its
    /// locks.
    pub fn revive(&self) {
        let mut state = self.disk.lock();
        state.lose_unsynced();
        state.dead = false;
        state.kill_after = None;
        state.process_epoch += 1;
    }

    /// Number of calls since the start of the history.
    pub fn calls(&self) -> CallCounts {
        self.disk.lock().calls
    }
}

impl Store {
    /// Panics in the middle of a transaction, to test the recovery from a panic.
    ///
    /// # Panics
    /// Always, unless the store cannot be written.
    #[allow(clippy::panic, reason = "the test requested it")]
    pub fn panic_while_writing(&self) {
        let _ = self.write(|to| -> Result<(), StoreError> {
            to.execute("INSERT OR REPLACE INTO state VALUES ('panic', x'00')", [])?;
            panic!("simulated")
        });
    }
}

#[derive(Debug)]
struct SharedDisk {
    state: Mutex<SimulatedDiskState>,
}

impl SharedDisk {
    fn lock(&self) -> MutexGuard<'_, SimulatedDiskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct SimulatedDiskState {
    random: u64,
    faults: Faults,
    read_only: bool,
    full: bool,
    dead: bool,
    /// Number of the current process; a file belongs to the process that opened it.
    process_epoch: u64,
    kill_after: Option<u64>,
    calls: CallCounts,
    /// Paths of opened files, by their number.
    files: HashMap<u64, PathBuf>,
    /// The content overwritten by writes that are not synced, in order; `None` if power is not lost.
    unsynced: Option<Vec<UndoRecord>>,
}

/// The bytes that a write replaced.
#[derive(Debug)]
struct UndoRecord {
    file: u64,
    offset: u64,
    bytes: Vec<u8>,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallOutcome {
    /// The call is forwarded.
    Proceed,
    /// The call fails with this code.
    Fail(i32),
    /// A part of the write (in 256ths) is forwarded, then it fails with this code.
    Torn(u8, i32),
    /// The call is forwarded, then this bit (modulo the number of bits) is flipped.
    FlipBit(u64),
}

impl SimulatedDiskState {
    fn new(seed: u64) -> Self {
        Self {
            random: seed,
            faults: Faults::default(),
            read_only: false,
            full: false,
            dead: false,
            process_epoch: 0,
            kill_after: None,
            calls: CallCounts::default(),
            files: HashMap::new(),
            unsynced: None,
        }
    }

    /// Marks all writes to this file as synced, whichever connection made them.
    fn mark_synced(&mut self, file: u64) {
        let (files, path) = (&self.files, self.files.get(&file));
        if let Some(writes) = &mut self.unsynced {
            writes.retain(|write| files.get(&write.file) != path);
        }
    }

    /// The file was truncated: writes past its end cannot be lost any more.
    fn on_truncated(&mut self, file: u64, size: u64) {
        let (files, path) = (&self.files, self.files.get(&file));
        if let Some(writes) = &mut self.unsynced {
            writes.retain(|write| write.offset < size || files.get(&write.file) != path);
        }
    }

    /// A file was deleted.
    fn on_deleted(&mut self, path: &Path) {
        let files = &self.files;
        if let Some(writes) = &mut self.unsynced {
            writes.retain(|write| files.get(&write.file).is_none_or(|file| file != path));
        }
    }

    /// Undoes some of the unsynced writes. Bytes past the old end become zero, as after a crash of a system that had
    /// already extended the file.
    fn lose_unsynced(&mut self) {
        let Some(writes) = self.unsynced.as_mut().map(std::mem::take) else { return };
        for write in writes.into_iter().rev() {
            if self.next() & 1 == 0
                && let Some(path) = self.files.get(&write.file)
                && let Ok(file) = File::options().write(true).open(path)
            {
                // A file that was deleted in the meantime is skipped.
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

    fn count_fault(&mut self, verdict: CallOutcome) -> CallOutcome {
        self.calls.faults += 1;
        verdict
    }

    fn is_dead_process(&self, life: u64) -> bool {
        self.dead || self.process_epoch != life
    }

    /// Returns whether the process dies in this call.
    fn dies_in_this_call(&mut self) -> bool {
        match &mut self.kill_after {
            Some(0) => {
                self.dead = true;
                true
            }
            Some(remaining) => {
                *remaining -= 1;
                false
            }
            None => false,
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "any eight bits are suitable")]
    fn on_write(&mut self, life: u64) -> CallOutcome {
        self.calls.writes += 1;
        if self.is_dead_process(life) {
            return CallOutcome::Fail(ffi::SQLITE_IOERR_WRITE);
        }
        let part = self.next() as u8;
        if self.dies_in_this_call() {
            return self.count_fault(CallOutcome::Torn(part, ffi::SQLITE_IOERR_WRITE));
        }
        if self.read_only {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_READONLY));
        }
        if self.full {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_FULL));
        }
        for (rate, code) in
            [(self.faults.write_full, ffi::SQLITE_FULL), (self.faults.write_error, ffi::SQLITE_IOERR_WRITE)]
        {
            if self.chance(rate) {
                let torn = part & 1 == 0;
                return self.count_fault(if torn { CallOutcome::Torn(part, code) } else { CallOutcome::Fail(code) });
            }
        }
        CallOutcome::Proceed
    }

    fn on_truncate(&mut self, life: u64) -> CallOutcome {
        self.calls.truncates += 1;
        if self.is_dead_process(life) || self.dies_in_this_call() {
            return CallOutcome::Fail(ffi::SQLITE_IOERR_TRUNCATE);
        }
        if self.read_only {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_READONLY));
        }
        if self.chance(self.faults.write_error) {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_IOERR_TRUNCATE));
        }
        CallOutcome::Proceed
    }

    fn on_sync(&mut self, life: u64) -> CallOutcome {
        self.calls.syncs += 1;
        if self.is_dead_process(life) || self.dies_in_this_call() {
            return CallOutcome::Fail(ffi::SQLITE_IOERR_FSYNC);
        }
        if self.chance(self.faults.sync_error) {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_IOERR_FSYNC));
        }
        CallOutcome::Proceed
    }

    fn on_read(&mut self, life: u64) -> CallOutcome {
        self.calls.reads += 1;
        if self.is_dead_process(life) {
            return CallOutcome::Fail(ffi::SQLITE_IOERR_READ);
        }
        if self.chance(self.faults.read_error) {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_IOERR_READ));
        }
        if self.chance(self.faults.flipped_bit) {
            let bit = self.next();
            return self.count_fault(CallOutcome::FlipBit(bit));
        }
        CallOutcome::Proceed
    }

    fn on_lock(&mut self, life: u64) -> CallOutcome {
        self.calls.locks += 1;
        if self.is_dead_process(life) {
            return CallOutcome::Fail(ffi::SQLITE_IOERR_LOCK);
        }
        if self.chance(self.faults.busy) {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_BUSY));
        }
        CallOutcome::Proceed
    }

    fn on_open(&mut self) -> CallOutcome {
        self.calls.opens += 1;
        if self.dead {
            return CallOutcome::Fail(ffi::SQLITE_CANTOPEN);
        }
        if self.chance(self.faults.open_error) {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_CANTOPEN));
        }
        CallOutcome::Proceed
    }

    fn on_delete(&mut self) -> CallOutcome {
        self.calls.deletes += 1;
        if self.dead {
            return CallOutcome::Fail(ffi::SQLITE_IOERR_DELETE);
        }
        if self.read_only {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_READONLY));
        }
        CallOutcome::Proceed
    }
}
