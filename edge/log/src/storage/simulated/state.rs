//! The state of the simulated file system.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{
    fault::{Event, Fault, Operation},
    file_content::FileContent,
};

/// The state that the storage and its open files share.
#[derive(Clone, Debug)]
pub(super) struct SharedState(Arc<Mutex<SimulationState>>);

impl SharedState {
    pub(super) fn new(state: SimulationState) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SimulationState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change of a folder that is not synced yet.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Link { path: PathBuf, node: usize },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
}

#[derive(Debug)]
pub(super) struct SimulationState {
    pub(super) folders: BTreeSet<PathBuf>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) durable_names: BTreeMap<PathBuf, usize>,
    pub(super) name_changes: Vec<NameChange>,
    pub(super) files: Vec<FileContent>,
    pub(super) modified: BTreeMap<usize, SystemTime>,
    pub(super) page_size: usize,
    pub(super) free_bytes: Option<u64>,
    pub(super) read_only: bool,
    pub(super) faults: Vec<Fault>,
    /// Incremented when the process dies. Files opened before are then unusable.
    pub(super) process_epoch: u64,
    pub(super) now: SystemTime,
    pub(super) monotonic: Duration,
    pub(super) random: u64,
    pub(super) trace: Option<Vec<Event>>,
}

impl NameChange {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Link { path, .. } | Self::Unlink { path } | Self::Rename { to: path, .. } => path,
        }
    }

    pub(super) fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
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
    pub(super) fn next_random(&mut self) -> u64 {
        split_mix(&mut self.random)
    }

    pub(super) fn trace_call(&mut self, operation: Operation, path: &Path, at: u64, length: u64, ok: bool) {
        if let Some(trace) = &mut self.trace {
            trace.push(Event::Call { operation, path: path.to_owned(), at, length, ok });
        }
    }

    /// Returns the injected fault that applies to this call, if any.
    pub(super) fn take_fault(&mut self, operation: Operation, path: &Path) -> Option<Fault> {
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

    pub(super) fn writable(&self) -> io::Result<()> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    /// Takes up to `bytes` from the free space. Returns how many were available.
    pub(super) fn reserve_space(&mut self, bytes: u64) -> u64 {
        let Some(free) = &mut self.free_bytes else { return bytes };
        let taken = bytes.min(*free);
        *free -= taken;
        taken
    }

    pub(super) fn release_space(&mut self, bytes: u64) {
        if let Some(free) = &mut self.free_bytes {
            *free += bytes;
        }
    }

    pub(super) fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.name_changes.push(change);
    }

    pub(super) fn lose_power(&mut self, random: &mut dyn FnMut() -> u64) {
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
pub(super) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
