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

mod disk_state;
mod vfs;
mod vfs_file;

use std::{
    fs,
    path::Path,
    sync::{Mutex, OnceLock},
};

use crate::{Store, StoreError};
pub use disk_state::{CallCounts, Faults};
use disk_state::{SharedDisk, SimulatedDiskState};

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
