//! An in-memory file system with injected failures, torn writes and power loss. The same calls with the same random
//! numbers have the same result.

mod fault;
mod file_content;
mod simulated_file;

pub use fault::{Event, Fault, Operation};

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use self::{file_content::FileContent, simulated_file::SimulatedFile};
use super::{Storage, StorageFile};

/// The simulated file system; clones share it.
#[derive(Clone, Debug)]
pub struct SimulatedStorage {
    state: Arc<Mutex<SimulationState>>,
}

/// A change of a folder that is not synced yet.
#[derive(Clone, Debug)]
enum NameChange {
    Link { path: PathBuf, node: usize },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
}

#[derive(Debug)]
struct SimulationState {
    folders: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    name_changes: Vec<NameChange>,
    files: Vec<FileContent>,
    modified: BTreeMap<usize, SystemTime>,
    page_size: usize,
    free_bytes: Option<u64>,
    read_only: bool,
    faults: Vec<Fault>,
    /// Incremented when the process dies. Files opened before are then unusable.
    process_epoch: u64,
    now: SystemTime,
    monotonic: Duration,
    random: u64,
    trace: Option<Vec<Event>>,
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
        Self { state: Arc::new(Mutex::new(state)) }
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Fault {
    fn trigger<T>(&self) -> io::Result<T> {
        #[expect(clippy::panic, reason = "the test requested it")]
        if self.panics {
            panic!("an injected panic");
        }
        Err(io::Error::new(self.error, "an injected fault"))
    }
}

impl NameChange {
    fn path(&self) -> &Path {
        match self {
            Self::Link { path, .. } | Self::Unlink { path } | Self::Rename { to: path, .. } => path,
        }
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Link { path, node } => {
                names.insert(path, node);
            }
            Self::Unlink { path } => {
                names.remove(&path);
            }
            Self::Rename { from, to } => {
                if let Some(node) = names.remove(&from) {
                    names.insert(to, node);
                }
            }
        }
    }
}

impl SimulationState {
    fn next_random(&mut self) -> u64 {
        split_mix(&mut self.random)
    }

    fn trace_call(&mut self, operation: Operation, path: &Path, at: u64, length: u64, ok: bool) {
        if let Some(trace) = &mut self.trace {
            trace.push(Event::Call { operation, path: path.to_owned(), at, length, ok });
        }
    }

    /// Returns the injected fault that applies to this call, if any.
    fn take_fault(&mut self, operation: Operation, path: &Path) -> Option<Fault> {
        let fits = |fault: &&mut Fault| fault.operation == operation && path.starts_with(&fault.under);
        let index = {
            let fault = self.faults.iter_mut().find(fits)?;
            if fault.skip > 0 {
                fault.skip -= 1;
                return None;
            }
            fault.failure_count = fault.failure_count.saturating_sub(1);
            fault.clone()
        };
        self.faults.retain(|fault| fault.failure_count > 0);
        Some(index)
    }

    fn writable(&self) -> io::Result<()> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    /// Takes up to `bytes` from the free space. Returns how many were available.
    fn reserve_space(&mut self, bytes: u64) -> u64 {
        let Some(free) = &mut self.free_bytes else { return bytes };
        let taken = bytes.min(*free);
        *free -= taken;
        taken
    }

    fn release_space(&mut self, bytes: u64) {
        if let Some(free) = &mut self.free_bytes {
            *free += bytes;
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.name_changes.push(change);
    }

    fn lose_power(&mut self, random: &mut dyn FnMut() -> u64) {
        self.process_epoch += 1;
        for change in std::mem::take(&mut self.name_changes) {
            if random() & 1 == 0 {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for node in &mut self.files {
            node.lose_power(&mut *random);
        }
    }
}

/// SplitMix64.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
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
        Ok(Box::new(SimulatedFile::new(self.clone(), path, node, life)))
    }

    fn open_existing(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let (node, life) = self.call(Operation::Open, path, |state| {
            Ok((*state.names.get(path).ok_or(io::ErrorKind::NotFound)?, state.process_epoch))
        })?;
        Ok(Box::new(SimulatedFile::new(self.clone(), path, node, life)))
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
