//! An open simulated file.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    fault::Operation,
    state::{SharedState, SimulationState, split_mix},
};
use crate::storage::StorageFile;

#[derive(Debug)]
pub(super) struct SimulatedFile {
    state: SharedState,
    path: PathBuf,
    file_index: usize,
    process_epoch: u64,
}

impl SimulatedFile {
    pub(super) fn new(state: SharedState, path: &Path, node: usize, life: u64) -> Self {
        Self { state, path: path.to_owned(), file_index: node, process_epoch: life }
    }

    fn call<T>(
        &self,
        operation: Operation,
        at: u64,
        length: u64,
        work: impl FnOnce(&mut SimulationState) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state.lock();
        if state.process_epoch != self.process_epoch {
            return Err(io::Error::other("the process that opened this file is dead"));
        }
        let result = work(&mut state);
        state.trace_call(operation, &self.path, at, length, result.is_ok());
        result
    }

    fn sync(&self) -> io::Result<()> {
        self.call(Operation::Sync, 0, 0, |state| {
            let dirty = state.files[self.file_index].is_dirty();
            let fault = state.take_fault(Operation::Sync, &self.path);
            if fault.is_none() && !(state.read_only && dirty) {
                state.files[self.file_index].sync();
                return Ok(());
            }
            let mut random = state.next_random();
            state.files[self.file_index].fail_sync(|| split_mix(&mut random));
            fault.map_or_else(|| Err(io::ErrorKind::ReadOnlyFilesystem.into()), |fault| fault.trigger())
        })
    }
}

impl StorageFile for SimulatedFile {
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.call(Operation::Write, at, bytes.len() as u64, |state| {
            state.writable()?;
            let fault = state.take_fault(Operation::Write, &self.path);
            let to_write = fault.as_ref().map_or(bytes.len(), |fault| fault.partial_bytes.min(bytes.len()));
            let position = position(at)?;
            let old_length = state.files[self.file_index].cached().len();
            let inside = old_length.saturating_sub(position).min(to_write);
            // The space between the end of the file and `at` is a hole, which takes no space.
            let room = usize::try_from(state.reserve_space((to_write - inside) as u64)).unwrap_or(usize::MAX);
            let written = inside + room;
            let now = state.now;
            state.files[self.file_index].write(position, bytes.get(..written).unwrap_or(bytes));
            state.modified.insert(self.file_index, now);
            match fault {
                Some(fault) => fault.trigger(),
                None if written < to_write => Err(io::ErrorKind::StorageFull.into()),
                None => Ok(()),
            }
        })
    }

    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.call(Operation::Read, at, bytes.len() as u64, |state| {
            if let Some(fault) = state.take_fault(Operation::Read, &self.path) {
                return fault.trigger();
            }
            let position = position(at)?;
            let from = state.files[self.file_index].cached().get(position..).and_then(|rest| rest.get(..bytes.len()));
            bytes.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.state.lock();
        if state.process_epoch != self.process_epoch {
            return Err(io::Error::other("the process that opened this file is dead"));
        }
        Ok(state.files[self.file_index].cached().len() as u64)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.call(Operation::SetLen, 0, length, |state| {
            state.writable()?;
            if let Some(fault) = state.take_fault(Operation::SetLen, &self.path) {
                return fault.trigger();
            }
            let old_length = state.files[self.file_index].cached().len() as u64;
            state.release_space(old_length.saturating_sub(length));
            let now = state.now;
            state.files[self.file_index].set_len(position(length)?);
            state.modified.insert(self.file_index, now);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }
}

/// Converts a position. A simulated file of a gigabyte or more is an error.
fn position(at: u64) -> io::Result<usize> {
    usize::try_from(at).ok().filter(|&at| at < 1 << 30).ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}
