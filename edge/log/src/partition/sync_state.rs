//! The file `synced`: the first retained offset, and the offset up to which everything is synced.

use std::{io, path::Path};

use crc32c::crc32c;

use crate::{
    LogError,
    format::{u32_at, u64_at},
    storage::{Storage, StorageFile},
};

const FILE_NAME: &str = "synced";
const MAGIC: [u8; 8] = *b"wt-sync2";
const ENTRY_LEN: usize = 44;
/// The entries are in different disk sectors, so that a torn write damages at most one.
const ENTRY_SPACING: u64 = 512;
/// Index of the entry that is only written durably. The other entries are written in turn, and both may be torn by a
/// power loss.
const DURABLE_ENTRY: u64 = 2;

/// The content of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SyncState {
    /// Key of the partition's segments.
    pub(super) key: u64,
    /// First retained offset.
    pub(super) start: u64,
    /// Offset up to which a sync succeeded.
    pub(super) synced: u64,
}

/// The open file. It has three entries, each with a number and a checksum. The valid entry with the highest number is
/// current.
#[derive(Debug)]
pub(super) struct SyncStateFile {
    file: Box<dyn StorageFile>,
    number: u64,
    pub(super) state: SyncState,
    /// A write failed, so an entry may differ from `state`.
    has_uncertain_entry: bool,
}

impl SyncStateFile {
    /// Opens the file. Returns its state if it has a valid entry; otherwise the state is `fresh` until the first write.
    pub(super) fn open(
        storage: &dyn Storage,
        folder: &Path,
        initial: SyncState,
    ) -> Result<(Self, Option<SyncState>), LogError> {
        let path = folder.join(FILE_NAME);
        let file = storage.open(&path).map_err(LogError::io("opening", &path))?;
        let mut found: Option<(u64, SyncState)> = None;
        for entry in 0..=DURABLE_ENTRY {
            let mut bytes = [0; ENTRY_LEN];
            match file.read_exact_at(&mut bytes, entry * ENTRY_SPACING) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(error) => return Err(LogError::io("reading", &path)(error)),
            }
            if let Some((number, state)) = decode(&bytes)
                && found.is_none_or(|(newest, _)| newest < number)
            {
                found = Some((number, state));
            }
        }
        let (number, state) = found.unwrap_or((0, initial));
        Ok((Self { file, number, state, has_uncertain_entry: false }, found.map(|(_, state)| state)))
    }

    /// Returns whether an entry may contain a synced offset greater than `offset`.
    pub(super) fn may_exceed(&self, offset: u64) -> bool {
        self.has_uncertain_entry || offset < self.state.synced
    }

    /// Keeps the stored state without writing it. Other entries may differ from it until the next durable write.
    pub(super) fn keep_stored(&mut self) {
        self.has_uncertain_entry = true;
    }

    /// Writes the state without syncing. After a power loss an older state may be current, which only makes recovery
    /// more careful as long as `synced` never decreases.
    pub(super) fn write(&mut self, state: SyncState) -> io::Result<()> {
        let number = self.number + 1;
        self.write_entry(number % DURABLE_ENTRY, number, state)?;
        // Set only after success: a failed entry is written again, and the valid one is not touched.
        self.number = number;
        self.state = state;
        Ok(())
    }

    /// Writes the state durably, and leaves no entry with another state. If it fails, either state may be current after
    /// a restart.
    pub(super) fn write_durably(&mut self, state: SyncState) -> io::Result<()> {
        let before = self.state;
        let written = self.write_all_entries(state);
        if written.is_err() {
            self.has_uncertain_entry = true;
            self.state = before;
        }
        written
    }

    fn write_all_entries(&mut self, state: SyncState) -> io::Result<()> {
        self.write(state)?;
        self.write(state)?;
        self.file.sync_all()?;
        // Written last: until here the older durable entry was needed.
        self.write_entry(DURABLE_ENTRY, self.number, state)?;
        self.file.sync_all()?;
        self.has_uncertain_entry = false;
        Ok(())
    }

    fn write_entry(&mut self, entry: u64, number: u64, state: SyncState) -> io::Result<()> {
        let written = self.file.write_all_at(&encode(number, state), entry * ENTRY_SPACING);
        self.has_uncertain_entry |= written.is_err();
        written
    }
}

fn encode(number: u64, state: SyncState) -> [u8; ENTRY_LEN] {
    let mut bytes = [0; ENTRY_LEN];
    bytes[..8].copy_from_slice(&MAGIC);
    for (at, value) in [(8, number), (16, state.key), (24, state.start), (32, state.synced)] {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    let check = crc32c(&bytes[..40]);
    bytes[40..].copy_from_slice(&check.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; ENTRY_LEN]) -> Option<(u64, SyncState)> {
    let sound = bytes[..8] == MAGIC && crc32c(&bytes[..40]) == u32_at(bytes, 40);
    let state = SyncState { key: u64_at(bytes, 16), start: u64_at(bytes, 24), synced: u64_at(bytes, 32) };
    sound.then_some((u64_at(bytes, 8), state))
}
