//! An in-memory file system with injected failures, torn writes and power loss. The same calls with the same random
//! numbers have the same result.

mod fault;
mod handle;
mod node;

pub use fault::{Event, Fault, Operation};

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use self::{handle::Handle, node::Node};
use super::{Storage, StorageFile};

/// The simulated file system; clones share it.
#[derive(Clone, Debug)]
pub struct SimulatedStorage {
    world: Arc<Mutex<World>>,
}

/// A change of a folder that is not synced yet.
#[derive(Clone, Debug)]
enum NameChange {
    Link { path: PathBuf, node: usize },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
}

#[derive(Debug)]
struct World {
    folders: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    name_changes: Vec<NameChange>,
    nodes: Vec<Node>,
    modified: BTreeMap<usize, SystemTime>,
    page: usize,
    free: Option<u64>,
    read_only: bool,
    faults: Vec<Fault>,
    /// Incremented when the process dies. Files opened before are then unusable.
    life: u64,
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
        let world = World {
            folders: BTreeSet::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            nodes: Vec::new(),
            modified: BTreeMap::new(),
            page,
            free: None,
            read_only: false,
            faults: Vec::new(),
            life: 0,
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            monotonic: Duration::ZERO,
            random: seed,
            trace: None,
        };
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// The process dies: written data stays, open files become unusable.
    pub fn kill(&self) {
        self.world().life += 1;
    }

    /// Power is lost: synced data stays, together with a random part of the rest. Open files become unusable; injected
    /// faults stay.
    pub fn crash(&self, mut random: impl FnMut() -> u64) {
        self.world().crash(&mut random);
    }

    /// Injects a fault.
    pub fn inject(&self, fault: Fault) {
        self.world().faults.push(fault);
    }

    /// Removes all injected faults. Calls still fail when there is no free space or the file system is read-only.
    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    /// Sets how many bytes files may still grow by; `None` is unlimited.
    pub fn set_free(&self, bytes: Option<u64>) {
        self.world().free = bytes;
    }

    /// Sets whether every write fails, as on a file system that was remounted read-only after an error.
    pub fn set_read_only(&self, read_only: bool) {
        self.world().read_only = read_only;
    }

    /// Flips a bit of a file, on the disk and in memory. Does nothing if the file is too short.
    pub fn flip_bit(&self, path: &Path, byte: u64, bit: u8) {
        let mut world = self.world();
        if let (Some(&node), Ok(byte)) = (world.names.get(path), usize::try_from(byte)) {
            world.nodes[node].flip(byte, bit);
        }
    }

    /// Changes a file without the log's knowledge, on the disk and in memory.
    pub fn corrupt(&self, path: &Path, change: impl Fn(&mut Vec<u8>)) {
        let mut world = self.world();
        if let Some(&node) = world.names.get(path) {
            world.nodes[node].corrupt(change);
        }
    }

    /// Removes a file durably, without the log's knowledge.
    pub fn lose_file(&self, path: &Path) {
        let mut world = self.world();
        world.names.remove(path);
        world.durable_names.remove(path);
        world.name_changes.retain(|change| change.path() != path);
    }

    /// The content of a file.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let world = self.world();
        world.names.get(path).map(|&node| world.nodes[node].live().to_vec())
    }

    /// Paths of all files.
    pub fn files(&self) -> Vec<PathBuf> {
        self.world().names.keys().cloned().collect()
    }

    /// Advances both clocks.
    pub fn advance(&self, time: Duration) {
        let mut world = self.world();
        world.now += time;
        world.monotonic += time;
    }

    /// Sets the wall clock; it may go back.
    pub fn set_now(&self, now: SystemTime) {
        self.world().now = now;
    }

    /// Starts a new trace, or ends tracing and discards the trace.
    pub fn record(&self, on: bool) {
        self.world().trace = on.then(Vec::new);
    }

    /// The trace since [`Self::set_tracing`].
    pub fn trace(&self) -> Vec<Event> {
        self.world().trace.clone().unwrap_or_default()
    }

    /// Adds a label to the trace, such as the acknowledgement of a reading.
    pub fn mark(&self, what: impl Into<String>) {
        if let Some(trace) = &mut self.world().trace {
            trace.push(Event::Mark(what.into()));
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a call, applies an injected fault, and adds the call to the trace.
    fn call<T>(
        &self,
        operation: Operation,
        path: &Path,
        work: impl FnOnce(&mut World) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut world = self.world();
        let result = match world.fault(operation, path) {
            None => work(&mut world),
            Some(fault) => fault.fail(),
        };
        world.note(operation, path, 0, 0, result.is_ok());
        result
    }
}

impl Fault {
    fn fail<T>(&self) -> io::Result<T> {
        #[expect(clippy::panic, reason = "a test wants it")]
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

impl World {
    fn next_random(&mut self) -> u64 {
        split_mix(&mut self.random)
    }

    fn note(&mut self, operation: Operation, path: &Path, at: u64, length: u64, ok: bool) {
        if let Some(trace) = &mut self.trace {
            trace.push(Event::Call { operation, path: path.to_owned(), at, length, ok });
        }
    }

    /// Returns the injected fault that applies to this call, if any.
    fn fault(&mut self, operation: Operation, path: &Path) -> Option<Fault> {
        let fits = |fault: &&mut Fault| fault.operation == operation && path.starts_with(&fault.under);
        let index = {
            let fault = self.faults.iter_mut().find(fits)?;
            if fault.skip > 0 {
                fault.skip -= 1;
                return None;
            }
            fault.times = fault.times.saturating_sub(1);
            fault.clone()
        };
        self.faults.retain(|fault| fault.times > 0);
        Some(index)
    }

    fn writable(&self) -> io::Result<()> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    /// Takes up to `bytes` from the free space. Returns how many were available.
    fn take(&mut self, bytes: u64) -> u64 {
        let Some(free) = &mut self.free else { return bytes };
        let taken = bytes.min(*free);
        *free -= taken;
        taken
    }

    fn give(&mut self, bytes: u64) {
        if let Some(free) = &mut self.free {
            *free += bytes;
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.name_changes.push(change);
    }

    fn crash(&mut self, random: &mut dyn FnMut() -> u64) {
        self.life += 1;
        for change in std::mem::take(&mut self.name_changes) {
            if random() & 1 == 0 {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for node in &mut self.nodes {
            node.crash(&mut *random);
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
        self.call(Operation::CreateDir, folder, |world| {
            if world.folders.contains(folder) {
                return Ok(());
            }
            world.writable()?;
            for folder in folder.ancestors() {
                world.folders.insert(folder.to_owned());
            }
            Ok(())
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.call(Operation::List, folder, |world| {
            if !world.folders.contains(folder) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let inside = world.names.keys().filter(|path| path.parent() == Some(folder));
            Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
        })
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let (node, life) = self.call(Operation::Open, path, |world| {
            world.writable()?;
            if let Some(&node) = world.names.get(path) {
                return Ok((node, world.life));
            }
            if path.parent().is_some_and(|folder| !world.folders.contains(folder)) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let node = world.nodes.len();
            world.nodes.push(Node::new(world.page));
            world.modified.insert(node, world.now);
            world.change_name(NameChange::Link { path: path.to_owned(), node });
            Ok((node, world.life))
        })?;
        Ok(Box::new(Handle::new(self.clone(), path, node, life)))
    }

    fn open_existing(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let (node, life) = self.call(Operation::Open, path, |world| {
            Ok((*world.names.get(path).ok_or(io::ErrorKind::NotFound)?, world.life))
        })?;
        Ok(Box::new(Handle::new(self.clone(), path, node, life)))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Operation::Remove, path, |world| {
            world.writable()?;
            let node = *world.names.get(path).ok_or(io::ErrorKind::NotFound)?;
            let length = world.nodes[node].live().len() as u64;
            world.give(length);
            world.change_name(NameChange::Unlink { path: path.to_owned() });
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Operation::Rename, from, |world| {
            world.writable()?;
            if !world.names.contains_key(from) {
                return Err(io::ErrorKind::NotFound.into());
            }
            world.change_name(NameChange::Rename { from: from.to_owned(), to: to.to_owned() });
            Ok(())
        })
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.call(Operation::SyncDir, folder, |world| {
            let changes = std::mem::take(&mut world.name_changes);
            for change in changes {
                if change.path().parent() == Some(folder) {
                    change.apply(&mut world.durable_names);
                } else {
                    world.name_changes.push(change);
                }
            }
            Ok(())
        })
    }

    fn modified(&self, path: &Path) -> io::Result<SystemTime> {
        self.call(Operation::Modified, path, |world| {
            let node = world.names.get(path).ok_or(io::ErrorKind::NotFound)?;
            world.modified.get(node).copied().ok_or(io::ErrorKind::NotFound.into())
        })
    }

    fn now(&self) -> SystemTime {
        self.world().now
    }

    fn monotonic(&self) -> Duration {
        self.world().monotonic
    }

    fn random(&self) -> u64 {
        self.world().next_random()
    }
}
