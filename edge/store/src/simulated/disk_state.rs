//! The state of the simulated disk: which calls fail, and what a loss of power takes back.

use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::ffi;

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

#[derive(Debug)]
pub(super) struct SharedDisk {
    pub(super) state: Mutex<SimulatedDiskState>,
}

impl SharedDisk {
    pub(super) fn lock(&self) -> MutexGuard<'_, SimulatedDiskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct SimulatedDiskState {
    pub(super) random: u64,
    pub(super) faults: Faults,
    pub(super) read_only: bool,
    pub(super) full: bool,
    pub(super) dead: bool,
    /// Number of the current process; a file belongs to the process that opened it.
    pub(super) process_epoch: u64,
    pub(super) kill_after: Option<u64>,
    pub(super) calls: CallCounts,
    /// Paths of opened files, by their number.
    pub(super) files: HashMap<u64, PathBuf>,
    /// The content overwritten by writes that are not synced, in order; `None` if power is not lost.
    pub(super) unsynced: Option<Vec<UndoRecord>>,
}

/// The bytes that a write replaced.
#[derive(Debug)]
pub(super) struct UndoRecord {
    pub(super) file: u64,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallOutcome {
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
    pub(super) fn new(seed: u64) -> Self {
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
    pub(super) fn mark_synced(&mut self, file: u64) {
        let (files, path) = (&self.files, self.files.get(&file));
        if let Some(writes) = &mut self.unsynced {
            writes.retain(|write| files.get(&write.file) != path);
        }
    }

    /// The file was truncated: writes past its end cannot be lost any more.
    pub(super) fn on_truncated(&mut self, file: u64, size: u64) {
        let (files, path) = (&self.files, self.files.get(&file));
        if let Some(writes) = &mut self.unsynced {
            writes.retain(|write| write.offset < size || files.get(&write.file) != path);
        }
    }

    /// A file was deleted.
    pub(super) fn on_deleted(&mut self, path: &Path) {
        let files = &self.files;
        if let Some(writes) = &mut self.unsynced {
            writes.retain(|write| files.get(&write.file).is_none_or(|file| file != path));
        }
    }

    /// Undoes some of the unsynced writes. Bytes past the old end become zero, as after a crash of a system that had
    /// already extended the file.
    pub(super) fn lose_unsynced(&mut self) {
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
    pub(super) fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn chance(&mut self, in_a_million: u32) -> bool {
        in_a_million > 0 && self.next() % 1_000_000 < u64::from(in_a_million)
    }

    pub(super) fn count_fault(&mut self, verdict: CallOutcome) -> CallOutcome {
        self.calls.faults += 1;
        verdict
    }

    pub(super) fn is_dead_process(&self, life: u64) -> bool {
        self.dead || self.process_epoch != life
    }

    /// Returns whether the process dies in this call.
    pub(super) fn dies_in_this_call(&mut self) -> bool {
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
    pub(super) fn on_write(&mut self, life: u64) -> CallOutcome {
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

    pub(super) fn on_truncate(&mut self, life: u64) -> CallOutcome {
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

    pub(super) fn on_sync(&mut self, life: u64) -> CallOutcome {
        self.calls.syncs += 1;
        if self.is_dead_process(life) || self.dies_in_this_call() {
            return CallOutcome::Fail(ffi::SQLITE_IOERR_FSYNC);
        }
        if self.chance(self.faults.sync_error) {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_IOERR_FSYNC));
        }
        CallOutcome::Proceed
    }

    pub(super) fn on_read(&mut self, life: u64) -> CallOutcome {
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

    pub(super) fn on_lock(&mut self, life: u64) -> CallOutcome {
        self.calls.locks += 1;
        if self.is_dead_process(life) {
            return CallOutcome::Fail(ffi::SQLITE_IOERR_LOCK);
        }
        if self.chance(self.faults.busy) {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_BUSY));
        }
        CallOutcome::Proceed
    }

    pub(super) fn on_open(&mut self) -> CallOutcome {
        self.calls.opens += 1;
        if self.dead {
            return CallOutcome::Fail(ffi::SQLITE_CANTOPEN);
        }
        if self.chance(self.faults.open_error) {
            return self.count_fault(CallOutcome::Fail(ffi::SQLITE_CANTOPEN));
        }
        CallOutcome::Proceed
    }

    pub(super) fn on_delete(&mut self) -> CallOutcome {
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
