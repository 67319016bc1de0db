//! One partition: its segment files and its end.

mod heal;
mod recovery;
mod retention;
mod sync_state;

pub use recovery::{Damage, Recovery};
pub use retention::LogRetention;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use self::sync_state::{SyncState, SyncStateFile};
use crate::{
    FRAME_HEADER_LEN, LogError, Reader, SEGMENT_HEADER_LEN, encode_frame,
    format::{FrameCodec, SegmentHeader},
    segments::{PartitionShared, Segment, segment_path},
    storage::{Storage, StorageFile},
};

/// An append-only stream of records in a folder of its own.
#[derive(Debug)]
pub struct Partition {
    shared: Arc<PartitionShared>,
    /// The newest segment.
    file: Box<dyn StorageFile>,
    segment: Segment,
    /// Offset after the last byte written, durable or not.
    written_end: u64,
    segment_size: u64,
    sync_file: SyncStateFile,
    /// Set after a failed write or sync, when the content of the file is uncertain. After a failed sync the kernel may
    /// have dropped the pages that it could not write, so a later sync would succeed without them (A. Rebello et al.,
    /// "Can Applications Recover from fsync Failures?", 2020).
    failure: Option<io::Error>,
    /// Number of bytes in the failed write; [`Self::heal`] tests whether the disk accepts that many.
    failed_write_bytes: usize,
    recovery: Recovery,
}

impl Partition {
    /// Opens the partition in `folder` on the local disk; see [`Self::open_with_storage`].
    ///
    /// # Errors
    /// As [`Self::open_with_storage`].
    pub fn open(folder: &Path, segment_size: u64) -> Result<Self, LogError> {
        Self::open_with_storage(Arc::new(crate::storage::DiskStorage), folder, segment_size)
    }

    /// The folder that holds the segments.
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// The storage that contains the partition.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.shared.storage
    }

    /// The result of recovery at opening, and the offsets that [`Self::advance_to`] has skipped since.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The failed write or sync because of which the partition rejects appends; [`Self::heal`] clears it.
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// The offset after the last durable record.
    pub fn end(&self) -> u64 {
        self.shared.end.load(Ordering::Acquire)
    }

    /// The offset after the last record written, durable or not.
    pub fn written_end(&self) -> u64 {
        self.written_end
    }

    /// Returns a reader of this partition, usable from any thread.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// Writes one record. It is durable after [`Self::sync`]. Returns the offset after it.
    ///
    /// # Errors
    /// As [`Self::append_framed`].
    pub fn append(&mut self, payload: &[u8]) -> Result<u64, LogError> {
        let mut framed = Vec::with_capacity(payload.len() + FRAME_HEADER_LEN);
        encode_frame(payload, &mut framed);
        self.append_framed(&mut framed)
    }

    /// Writes consecutive records made by [`encode_frame`], and completes their headers. Writes all of them or none.
    /// Returns the offset after the last one.
    ///
    /// # Errors
    /// [`LogError::Io`] when the write fails: the partial write is truncated, and if that fails too, the partition is
    /// failed. [`LogError::Broken`]; [`LogError::NotFramed`].
    pub fn append_framed(&mut self, framed: &mut [u8]) -> Result<u64, LogError> {
        self.ensure_healthy()?;
        if self.written_end - self.segment.base >= self.segment_size {
            self.start_next_segment()?;
        }
        FrameCodec::new(self.segment.key)
            .complete_headers(framed, self.written_end, self.end())
            .map_err(|at| LogError::NotFramed { path: self.shared.folder.clone(), at })?;
        if let Err(source) = self.file.write_all_at(framed, self.position(self.written_end)) {
            self.failed_write_bytes = framed.len();
            // A partial record would hide the records after it from recovery.
            let _ = self.rollback_to(self.written_end);
            return Err(LogError::Io { what: "appending to", path: self.path(), source });
        }
        self.written_end += framed.len() as u64;
        Ok(self.written_end)
    }

    /// Removes the records appended since [`Self::written_end`] was `mark`. There must have been no sync in between.
    pub(crate) fn rollback_to(&mut self, mark: u64) -> Result<(), LogError> {
        if mark < self.end() || mark < self.segment.base {
            return Ok(());
        }
        self.written_end = mark;
        self.file.set_len(self.position(mark)).map_err(|source| {
            self.failure =
                Some(io::Error::new(source.kind(), format!("a partial record could not be truncated: {source}")));
            LogError::Io { what: "truncating", path: self.path(), source }
        })
    }

    /// Makes all written records durable and visible to readers.
    ///
    /// # Errors
    /// [`LogError::Io`] when the sync fails; the partition is then failed. [`LogError::Broken`].
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.ensure_healthy()?;
        if self.written_end == self.end() {
            return Ok(());
        }
        if let Err(source) = self.file.sync_data() {
            self.failure = Some(io::Error::new(source.kind(), format!("a sync failed: {source}")));
            return Err(LogError::Io { what: "syncing", path: self.path(), source });
        }
        // If this fails, an older offset remains in the file, which only makes recovery more careful.
        let _ = self.sync_file.write(SyncState { synced: self.written_end, ..self.sync_file.state });
        self.publish_end(self.written_end);
        Ok(())
    }

    /// Continues at `offset`, when a consumer has committed an offset after the log's end because the log was deleted
    /// or is older than the store. The skipped offsets are reported as missing, and readers receive them as damage.
    /// Does nothing if `offset` is the end.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] when `offset` is before the end or greater than 2^62; [`LogError::Io`] and
    /// [`LogError::Broken`] as [`Self::sync`].
    pub fn advance_to(&mut self, offset: u64) -> Result<(), LogError> {
        self.sync()?;
        if offset == self.written_end {
            return Ok(());
        }
        if offset < self.written_end || offset > 1 << 62 {
            let start = self.shared.start.load(Ordering::Acquire);
            return Err(LogError::OutOfRange { offset, start, end: self.written_end });
        }
        self.recovery.missing.push(self.written_end..offset);
        self.written_end = offset;
        // This comes first, so that healing also continues at `offset` if creating the segment fails. After a crash
        // before the segment is durable, the log ends before the gap again, and the caller repeats this call.
        self.publish_end(offset);
        if let Err(error) = self.start_segment(offset) {
            self.failure = Some(error.to_io_error());
            return Err(error);
        }
        let _ = self.sync_file.write_durably(SyncState { synced: offset, ..self.sync_file.state });
        Ok(())
    }

    /// Makes the records before `end` visible to readers.
    fn publish_end(&self, end: u64) {
        self.shared.end.store(end, Ordering::Release);
        self.shared.signal.wake_all();
    }

    fn ensure_healthy(&self) -> Result<(), LogError> {
        match &self.failure {
            None => Ok(()),
            Some(earlier) => {
                let source = io::Error::new(earlier.kind(), earlier.to_string());
                Err(LogError::Broken { path: self.shared.folder.clone(), source })
            }
        }
    }

    fn start_next_segment(&mut self) -> Result<(), LogError> {
        self.sync()?;
        self.start_segment(self.written_end)
    }

    /// Creates the segment at `base` and makes it the current one. Overwrites an existing file of that name: the caller
    /// ensures that it is not one of the partition's segments, or is empty.
    fn start_segment(&mut self, base: u64) -> Result<(), LogError> {
        let key = self.sync_file.state.key;
        self.file = create_segment(&*self.shared.storage, &self.shared.folder, SegmentHeader { base, key })?;
        self.segment = self.shared.push_segment(base, key);
        Ok(())
    }

    fn path(&self) -> PathBuf {
        segment_path(&self.shared.folder, self.segment.base)
    }

    /// Position of `offset` in the newest segment's file.
    fn position(&self, offset: u64) -> u64 {
        SEGMENT_HEADER_LEN as u64 + (offset - self.segment.base)
    }
}

/// Creates an empty segment durably.
fn create_segment(
    storage: &dyn Storage,
    folder: &Path,
    header: SegmentHeader,
) -> Result<Box<dyn StorageFile>, LogError> {
    let path = segment_path(folder, header.base);
    let file = storage.open(&path).map_err(LogError::io("opening", &path))?;
    file.set_len(0).map_err(LogError::io("emptying", &path))?;
    file.write_all_at(&header.to_bytes(), 0).map_err(LogError::io("writing the header of", &path))?;
    // This comes before the first record, so a file that has no valid header and is not longer than a header contains
    // no records.
    file.sync_all().map_err(LogError::io("syncing", &path))?;
    sync_segment_folder(storage, folder)?;
    Ok(file)
}

/// A new file is durable only after its folder is synced.
fn sync_segment_folder(storage: &dyn Storage, folder: &Path) -> Result<(), LogError> {
    storage.sync_dir(folder).map_err(LogError::io("syncing the folder", folder))
}
