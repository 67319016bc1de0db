//! Opens a partition: distinguishes valid records, unfinished writes and damage.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Partition, create_segment, sync_segment_folder,
    sync_state::{SyncState, SyncStateFile},
};
use crate::{
    LogError, SEGMENT_HEADER_LEN,
    format::SegmentHeader,
    scan::{Scanner, read_segment_header},
    segments::{PartitionShared, segment_path},
    storage::{Storage, StorageFile},
    wake_signal::WakeSignal,
};

/// Bytes that exist but are not valid records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The damaged offsets. Empty if only the segment's header is damaged.
    pub range: Range<u64>,
    /// The segment file.
    pub path: PathBuf,
}

/// The result of opening a partition. Only the newest segment is read at that time; a [`crate::Reader`] reports damage
/// in older segments when it reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Damaged ranges of the newest segment, and segments with a damaged header. None of them is truncated or deleted.
    pub damaged: Vec<Damage>,
    /// Offsets that no file contains: segments that are missing or too short, a deleted log, and the offsets that
    /// [`Partition::advance_to`] has skipped.
    pub missing: Vec<Range<u64>>,
    /// Bytes of an unfinished write that were truncated at the end. They were not acknowledged.
    pub torn_bytes: u64,
}

impl Recovery {
    /// Returns whether everything that was synced is intact.
    pub fn is_intact(&self) -> bool {
        self.damaged.is_empty() && self.missing.is_empty()
    }

    /// The number of damaged or missing bytes.
    pub fn lost_bytes(&self) -> u64 {
        let damaged = self.damaged.iter().map(|damage| &damage.range);
        damaged.chain(&self.missing).map(|range| range.end - range.start).sum()
    }
}

/// A segment file found in the folder.
struct SegmentFile {
    base: u64,
    /// Bytes after the header.
    length: u64,
    header: Option<SegmentHeader>,
}

/// The recovery result for the newest segment.
struct TailRecovery {
    /// Offset at which its file ends, without the torn write.
    file_end: u64,
    /// Offset of the next record.
    next_offset: u64,
    /// Offset up to which everything is known to be synced.
    synced: u64,
    /// Whether writing must continue in a new segment, because bytes before `end` are damaged or missing.
    needs_new_segment: bool,
}

impl TailRecovery {
    /// Whether the newest segment is exactly as synced. An empty one is not: its folder entry may not be durable.
    fn is_as_stored(&self, newest: &SegmentFile, stored: &SyncState) -> bool {
        let stop = newest.base.saturating_add(newest.length);
        let is_whole = newest.header.is_some() && newest.length > 0 && !self.needs_new_segment;
        is_whole && [self.file_end, self.next_offset, stored.synced] == [stop; 3]
    }
}

impl Partition {
    /// Opens the partition in `folder`, or creates it. A new segment is started when the newest one has reached
    /// `segment_size` bytes. Truncates a torn tail, which is the rest of an unfinished write: bytes after everything
    /// known to be synced, with no valid record among or after them. All other bytes that are not valid records are
    /// damage: they stay in the file, [`Self::recovery`] reports them, and readers skip them.
    ///
    /// # Errors
    /// [`LogError::Io`] when the file system fails; [`LogError::Format`] for a log of another format version.
    pub fn open_with_storage(storage: Arc<dyn Storage>, folder: &Path, segment_size: u64) -> Result<Self, LogError> {
        storage.create_dir_all(folder).map_err(LogError::io("creating the folder", folder))?;
        let mut found = find_segments(&*storage, folder)?;
        let newest_key = found.iter().rev().find_map(|found| Some(found.header?.key));
        let first = found.first().map_or(0, |first| first.base);
        let initial = SyncState { key: newest_key.unwrap_or_else(|| storage.random()), start: first, synced: 0 };
        let (mut state_file, stored) = SyncStateFile::open(&*storage, folder, initial)?;
        if stored.is_none() {
            // The state is written after this, so a folder with a state is durable.
            sync_parent_folders(&*storage, folder)?;
        }
        let state = stored.unwrap_or(initial);
        remove_dropped_segments(&*storage, folder, &mut found, state.start);

        let shared = Arc::new(PartitionShared {
            storage: Arc::clone(&storage),
            folder: folder.to_owned(),
            segments: RwLock::default(),
            start: AtomicU64::new(state.start),
            end: AtomicU64::new(0),
            signal: WakeSignal::default(),
        });
        let mut recovery = Recovery::default();
        let mut covered = state.start;
        for (index, segment) in found.iter().enumerate() {
            if segment.base > covered {
                recovery.missing.push(covered..segment.base);
            }
            if segment.header.is_none() && segment.length > 0 {
                let path = segment_path(folder, segment.base);
                recovery.damaged.push(Damage { range: segment.base..segment.base, path });
            }
            let next = found.get(index + 1).map_or(u64::MAX, |next| next.base);
            covered = covered.max(segment.base.saturating_add(segment.length).min(next));
            shared.push_segment(segment.base, segment.header.map_or(state.key, |header| header.key));
        }

        let (file, end, is_unchanged) = match found.last() {
            Some(newest) => {
                let file = open_newest(&*storage, folder, newest, state.key)?;
                let tail = recover_tail(&*file, folder, newest, &state, &mut recovery)?;
                let is_unchanged = stored.is_some_and(|stored| tail.is_as_stored(newest, &stored));
                if !is_unchanged {
                    persist_tail(&*file, &segment_path(folder, newest.base), newest.base, &tail)?;
                }
                (Some(file).filter(|_| !tail.needs_new_segment), tail.next_offset, is_unchanged)
            }
            None => {
                let end = state.synced.max(state.start);
                if end > state.start {
                    recovery.missing.push(state.start..end);
                }
                (None, end, false)
            }
        };
        let (file, segment) = match (file, shared.newest_segment()) {
            (Some(file), Some(newest)) => (file, newest),
            _ => {
                let file = create_segment(&*storage, folder, SegmentHeader { base: end, key: state.key })?;
                (file, shared.push_segment(end, state.key))
            }
        };
        if is_unchanged {
            // Everything in the log was synced before its offset was stored: an orderly start writes nothing.
            state_file.keep_stored();
        } else {
            sync_segment_folder(&*storage, folder)?;
            let state = SyncState { synced: end, ..state };
            state_file.write_durably(state).map_err(LogError::io("writing the synced offset in", folder))?;
        }
        shared.end.store(end, Ordering::Release);
        Ok(Self {
            shared,
            file,
            segment,
            written_end: end,
            segment_size,
            sync_file: state_file,
            failure: None,
            failed_write_bytes: 0,
            recovery,
        })
    }
}

/// Makes a created folder durable. It may have been created just before a crash, so existing parent folders are synced
/// too.
fn sync_parent_folders(storage: &dyn Storage, folder: &Path) -> Result<(), LogError> {
    for parent in folder.ancestors().skip(1).take(2).filter(|parent| !parent.as_os_str().is_empty()) {
        match storage.sync_dir(parent) {
            // A process that may not list the parent has not created the folder in it either.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(LogError::io("syncing the folder", parent))?,
        }
    }
    Ok(())
}

/// The segments in the folder, in ascending order.
fn find_segments(storage: &dyn Storage, folder: &Path) -> Result<Vec<SegmentFile>, LogError> {
    let names = storage.list(folder).map_err(LogError::io("listing", folder))?;
    let mut bases: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".log").filter(|digits| digits.len() == 20)?.parse().ok())
        .collect();
    bases.sort_unstable();
    let mut found = Vec::with_capacity(bases.len());
    for base in bases {
        let path = segment_path(folder, base);
        let file = storage.open_existing(&path).map_err(LogError::io("opening", &path))?;
        let length = file.len().map_err(LogError::io("reading", &path))?;
        let header = read_segment_header(&*file, length)
            .map_err(LogError::io("reading", &path))?
            .map_err(|version| LogError::Format { path, version })?;
        found.push(SegmentFile { base, length: length.saturating_sub(SEGMENT_HEADER_LEN as u64), header });
    }
    Ok(found)
}

/// Deletes segments that retention had dropped before a power loss.
fn remove_dropped_segments(storage: &dyn Storage, folder: &Path, found: &mut Vec<SegmentFile>, start: u64) {
    let dropped = found.windows(2).take_while(|pair| pair.last().is_some_and(|next| next.base <= start)).count();
    for leftover in found.drain(..dropped) {
        // A file that cannot be removed does no harm. The next opening tries again.
        let _ = storage.remove_file(&segment_path(folder, leftover.base));
    }
}

/// Opens the newest segment for writing. If it ends within its header, its creation was interrupted, and it is created
/// again.
fn open_newest(
    storage: &dyn Storage,
    folder: &Path,
    newest: &SegmentFile,
    key: u64,
) -> Result<Box<dyn StorageFile>, LogError> {
    if newest.header.is_none() && newest.length == 0 {
        return create_segment(storage, folder, SegmentHeader { base: newest.base, key });
    }
    let path = segment_path(folder, newest.base);
    storage.open(&path).map_err(LogError::io("opening", path))
}

/// Scans the newest segment and determines its end.
fn recover_tail(
    file: &dyn StorageFile,
    folder: &Path,
    newest: &SegmentFile,
    state: &SyncState,
    recovery: &mut Recovery,
) -> Result<TailRecovery, LogError> {
    let path = segment_path(folder, newest.base);
    let stop = newest.base.saturating_add(newest.length);
    let key = newest.header.map_or(state.key, |header| header.key);
    // After a power loss, the records' headers may know a later synced offset than the file `synced`.
    let mut synced = state.synced;
    let mut damaged = Scanner::new(file, newest.base, key, stop)
        .scan(|offset, frame| synced = synced.max(offset.saturating_sub(frame.bytes_since_sync.into())))
        .map_err(LogError::io("reading", &path))?;
    // If the header is damaged, the key may be wrong, so that valid records look damaged.
    let header_damaged = newest.header.is_none() && newest.length > 0;
    let torn = damaged.pop_if(|last| last.end == stop && last.start >= synced && !header_damaged);
    let roll = header_damaged || synced > stop || damaged.last().is_some_and(|last| last.end == stop);
    recovery.damaged.extend(damaged.into_iter().map(|range| Damage { range, path: path.clone() }));
    if let Some(torn) = torn {
        recovery.torn_bytes = torn.end - torn.start;
        return Ok(TailRecovery { file_end: torn.start, next_offset: torn.start, synced, needs_new_segment: roll });
    }
    if synced > stop {
        recovery.missing.push(stop..synced);
    }
    Ok(TailRecovery { file_end: stop, next_offset: stop.max(synced), synced, needs_new_segment: roll })
}

/// Truncates the torn tail and makes the rest durable. After an earlier failed sync the kernel treats the pages as
/// clean although the disk does not have them, so they are written again.
fn persist_tail(file: &dyn StorageFile, path: &Path, base: u64, tail: &TailRecovery) -> Result<(), LogError> {
    let position = |offset: u64| SEGMENT_HEADER_LEN as u64 + (offset - base);
    file.set_len(position(tail.file_end)).map_err(LogError::io("truncating the torn tail of", path))?;
    let mut at = tail.synced.max(base);
    let mut bytes = Vec::new();
    while at < tail.file_end {
        bytes.resize(usize::try_from(tail.file_end - at).unwrap_or(usize::MAX).min(1 << 20), 0);
        file.read_exact_at(&mut bytes, position(at)).map_err(LogError::io("reading", path))?;
        file.write_all_at(&bytes, position(at)).map_err(LogError::io("writing", path))?;
        at += bytes.len() as u64;
    }
    file.sync_all().map_err(LogError::io("syncing", path))
}
