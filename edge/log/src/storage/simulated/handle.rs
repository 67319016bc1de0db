//! An open simulated file.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Operation, SimulatedStorage, StorageFile, World};

#[derive(Debug)]
pub(super) struct Handle {
    storage: SimulatedStorage,
    path: PathBuf,
    node: usize,
    life: u64,
}

impl Handle {
    pub(super) fn new(storage: SimulatedStorage, path: &Path, node: usize, life: u64) -> Self {
        Self { storage, path: path.to_owned(), node, life }
    }

    fn call<T>(
        &self,
        operation: Operation,
        at: u64,
        length: u64,
        work: impl FnOnce(&mut World) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut world = self.storage.world();
        if world.life != self.life {
            return Err(io::Error::other("the process that opened this file is dead"));
        }
        let result = work(&mut world);
        world.note(operation, &self.path, at, length, result.is_ok());
        result
    }

    fn sync(&self) -> io::Result<()> {
        self.call(Operation::Sync, 0, 0, |world| {
            let dirty = world.nodes[self.node].is_dirty();
            let fault = world.fault(Operation::Sync, &self.path);
            if fault.is_none() && !(world.read_only && dirty) {
                world.nodes[self.node].sync();
                return Ok(());
            }
            let mut random = world.next_random();
            world.nodes[self.node].fail_sync(|| super::split_mix(&mut random));
            fault.map_or_else(|| Err(io::ErrorKind::ReadOnlyFilesystem.into()), |fault| fault.fail())
        })
    }
}

impl StorageFile for Handle {
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.call(Operation::Write, at, bytes.len() as u64, |world| {
            world.writable()?;
            let fault = world.fault(Operation::Write, &self.path);
            let to_write = fault.as_ref().map_or(bytes.len(), |fault| fault.short.min(bytes.len()));
            let position = position(at)?;
            let old_length = world.nodes[self.node].live().len();
            let inside = old_length.saturating_sub(position).min(to_write);
            // The space between the end of the file and `at` is a hole, which takes no space.
            let room = usize::try_from(world.take((to_write - inside) as u64)).unwrap_or(usize::MAX);
            let written = inside + room;
            let now = world.now;
            world.nodes[self.node].write(position, bytes.get(..written).unwrap_or(bytes));
            world.modified.insert(self.node, now);
            match fault {
                Some(fault) => fault.fail(),
                None if written < to_write => Err(io::ErrorKind::StorageFull.into()),
                None => Ok(()),
            }
        })
    }

    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.call(Operation::Read, at, bytes.len() as u64, |world| {
            if let Some(fault) = world.fault(Operation::Read, &self.path) {
                return fault.fail();
            }
            let position = position(at)?;
            let from = world.nodes[self.node].live().get(position..).and_then(|rest| rest.get(..bytes.len()));
            bytes.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        let world = self.storage.world();
        if world.life != self.life {
            return Err(io::Error::other("the process that opened this file is dead"));
        }
        Ok(world.nodes[self.node].live().len() as u64)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.call(Operation::SetLen, 0, length, |world| {
            world.writable()?;
            if let Some(fault) = world.fault(Operation::SetLen, &self.path) {
                return fault.fail();
            }
            let old_length = world.nodes[self.node].live().len() as u64;
            world.give(old_length.saturating_sub(length));
            let now = world.now;
            world.nodes[self.node].set_len(position(length)?);
            world.modified.insert(self.node, now);
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
