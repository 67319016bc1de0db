//! An in-memory file system with injected failures, torn writes and power loss. The same calls with the same random
//! numbers have the same result.

mod fault;
mod file_content;
mod simulated_file;
mod state;

pub use fault::{Event, Fault, Operation};

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::MutexGuard,
    time::{Duration, SystemTime},
};

use self::{
    file_content::FileContent,
    simulated_file::SimulatedFile,
    state::{NameChange, SharedState, SimulationState},
};
use super::{Storage, StorageFile};

/// The simulated file system; clones share it.
#[derive(Clone, Debug)]
pub struct SimulatedStorage {
    state: SharedState,
}

impl SimulatedStorage {
    /// An empty file system with pages of 64 bytes, so that small files are torn too. `seed` determines the random
    /// choices.
    pub fn new(seed: u64) -> Self {
        Self::with_page_size(seed, 64)
    }

    /// An empty file system with pages of `page` bytes.
    pub fn with_page_size(seed: u64, page: usize) -> Self {
        let state = SimulationState {
            folders: BTreeSet::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            files: Vec::new(),
            modified: BTreeMap::new(),
            page_size: page,
            free_bytes: None,
            read_only: false,
            faults: Vec::new(),
            process_epoch: 0,
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            monotonic: Duration::ZERO,
            random: seed,
            trace: None,
        };
        Self { state: SharedState::new(state) }
    }

    /// The process dies: written data stays, open files become unusable.
    pub fn kill_process(&self) {
        self.lock_state().process_epoch += 1;
    }

    /// Power is lost: synced data stays, together with a random part of the rest. Open files become unusable; injected
    /// faults stay.
    pub fn lose_power(&self, mut random: impl FnMut() -> u64) {
        self.lock_state().lose_power(&mut random);
    }

    /// Injects a fault.
    pub fn inject(&self, fault: Fault) {
        self.lock_state().faults.push(fault);
    }

    /// Removes all injected faults. Calls still fail when there is no free space or the file system is read-only.
    pub fn clear_faults(&self) {
        self.lock_state().faults.clear();
    }

    /// Sets how many bytes files may still grow by; `None` is unlimited.
    pub fn set_free_bytes(&self, bytes: Option<u64>) {
        self.lock_state().free_bytes = bytes;
    }

    /// Sets whether every write fails, as on a file system that was remounted read-only after an error.
    pub fn set_read_only(&self, read_only: bool) {
        self.lock_state().read_only = read_only;
    }

    /// Flips a bit of a file, on the disk and in memory. Does nothing if the file is too short.
    pub fn flip_bit(&self, path: &Path, byte: u64, bit: u8) {
        let mut state = self.lock_state();
        if let (Some(&node), Ok(byte)) = (state.names.get(path), usize::try_from(byte)) {
            state.files[node].flip_bit(byte, bit);
        }
    }

    /// Changes a file without the log's knowledge, on the disk and in memory.
    pub fn corrupt(&self, path: &Path, change: impl Fn(&mut Vec<u8>)) {
        let mut state = self.lock_state();
        if let Some(&node) = state.names.get(path) {
            state.files[node].corrupt(change);
        }
    }

    /// Removes a file durably, without the log's knowledge.
    pub fn remove_behind_log(&self, path: &Path) {
        let mut state = self.lock_state();
        state.names.remove(path);
        state.durable_names.remove(path);
        state.name_changes.retain(|change| change.path() != path);
    }

    /// The content of a file.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock_state();
        state.names.get(path).map(|&node| state.files[node].cached().to_vec())
    }

    /// Paths of all files.
    pub fn files(&self) -> Vec<PathBuf> {
        self.lock_state().names.keys().cloned().collect()
    }

    /// Advances both clocks.
    pub fn advance(&self, time: Duration) {
        let mut state = self.lock_state();
        state.now += time;
        state.monotonic += time;
    }

    /// Sets the wall clock; it may go back.
    pub fn set_now(&self, now: SystemTime) {
        self.lock_state().now = now;
    }

    /// Starts a new trace, or ends tracing and discards the trace.
    pub fn set_tracing(&self, on: bool) {
        self.lock_state().trace = on.then(Vec::new);
    }

    /// The trace since [`Self::set_tracing`].
    pub fn trace(&self) -> Vec<Event> {
        self.lock_state().trace.clone().unwrap_or_default()
    }

    /// Adds a label to the trace, such as the acknowledgement of a reading.
    pub fn add_trace_label(&self, what: impl Into<String>) {
        if let Some(trace) = &mut self.lock_state().trace {
            trace.push(Event::Mark(what.into()));
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, SimulationState> {
        self.state.lock()
    }

    /// Runs a call, applies an injected fault, and adds the call to the trace.
    fn call<T>(
        &self,
        operation: Operation,
        path: &Path,
        work: impl FnOnce(&mut SimulationState) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.lock_state();
        let result = match state.take_fault(operation, path) {
            None => work(&mut state),
            Some(fault) => fault.trigger(),
        };
        state.trace_call(operation, path, 0, 0, result.is_ok());
        result
    }
}

impl Storage for SimulatedStorage {
    fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        self.call(Operation::CreateDir, folder, |state| {
            if state.folders.contains(folder) {
                return Ok(());
            }
            state.writable()?;
            for folder in folder.ancestors() {
                state.folders.insert(folder.to_owned());
            }
            Ok(())
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.call(Operation::List, folder, |state| {
            if !state.folders.contains(folder) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let inside = state.names.keys().filter(|path| path.parent() == Some(folder));
            Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
        })
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let (node, life) = self.call(Operation::Open, path, |state| {
            state.writable()?;
            if let Some(&node) = state.names.get(path) {
                return Ok((node, state.process_epoch));
            }
            if path.parent().is_some_and(|folder| !state.folders.contains(folder)) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let node = state.files.len();
            state.files.push(FileContent::new(state.page_size));
            state.modified.insert(node, state.now);
            state.change_name(NameChange::Link { path: path.to_owned(), node });
            Ok((node, state.process_epoch))
        })?;
        Ok(Box::new(SimulatedFile::new(self.state.clone(), path, node, life)))
    }

    fn open_existing(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let (node, life) = self.call(Operation::Open, path, |state| {
            Ok((*state.names.get(path).ok_or(io::ErrorKind::NotFound)?, state.process_epoch))
        })?;
        Ok(Box::new(SimulatedFile::new(self.state.clone(), path, node, life)))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Operation::Remove, path, |state| {
            state.writable()?;
            let node = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
            let length = state.files[node].cached().len() as u64;
            state.release_space(length);
            state.change_name(NameChange::Unlink { path: path.to_owned() });
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Operation::Rename, from, |state| {
            state.writable()?;
            if !state.names.contains_key(from) {
                return Err(io::ErrorKind::NotFound.into());
            }
            state.change_name(NameChange::Rename { from: from.to_owned(), to: to.to_owned() });
            Ok(())
        })
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.call(Operation::SyncDir, folder, |state| {
            let changes = std::mem::take(&mut state.name_changes);
            for change in changes {
                if change.path().parent() == Some(folder) {
                    change.apply(&mut state.durable_names);
                } else {
                    state.name_changes.push(change);
                }
            }
            Ok(())
        })
    }

    fn modified(&self, path: &Path) -> io::Result<SystemTime> {
        self.call(Operation::Modified, path, |state| {
            let node = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
            state.modified.get(node).copied().ok_or(io::ErrorKind::NotFound.into())
        })
    }

    fn now(&self) -> SystemTime {
        self.lock_state().now
    }

    fn monotonic(&self) -> Duration {
        self.lock_state().monotonic
    }

    fn random(&self) -> u64 {
        self.lock_state().next_random()
    }
}
