//! Truncates the log to a known offset, on request or after a failure.

use std::{
    io,
    sync::{PoisonError, atomic::Ordering},
};

use super::{Partition, sync_segment_folder, sync_state::SyncState};
use crate::{LogError, SEGMENT_HEADER_LEN, segments::segment_path};

/// At most this many bytes are written to test whether the disk accepts writes again.
const MAX_PROBE_BYTES: usize = 1 << 20;

impl Partition {
    /// Removes every record from `offset` on. `offset` must be the offset of a record, or the end.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] when `offset` is before the first retained record or after the end; [`LogError::Io`],
    /// after which the partition is failed and [`Self::heal`] completes the truncation.
    pub fn truncate(&mut self, offset: u64) -> Result<(), LogError> {
        if self.failure.is_some() {
            self.heal()?;
        }
        let start = self.shared.start.load(Ordering::Acquire);
        if offset < start || offset > self.written_end {
            return Err(LogError::OutOfRange { offset, start, end: self.written_end });
        }
        if self.sync_file.may_exceed(offset) {
            // This comes first. Otherwise a crash in between would leave a log that ends before its recorded synced
            // offset.
            let state = SyncState { synced: offset.min(self.sync_file.state.synced), ..self.sync_file.state };
            self.sync_file
                .write_durably(state)
                .map_err(LogError::io("lowering the synced offset in", self.folder()))?;
        }
        self.failure = Some(io::Error::other("truncating the log did not complete"));
        self.shared.end.store(offset, Ordering::Release);
        self.truncate_files(offset)?;
        self.save_synced(offset);
        self.failure = None;
        Ok(())
    }

    /// Heals the partition after a failed write or sync, without a restart. Drops everything written since the last
    /// successful sync, which was not acknowledged and cannot be trusted; continues in a new segment; and tests whether
    /// the disk accepts as many bytes as failed before. The durable end and the readers do not change. The caller
    /// appends again what it needs.
    ///
    /// # Errors
    /// [`LogError::Io`] while the disk still fails. The partition stays failed, and the call can be repeated.
    pub fn heal(&mut self) -> Result<(), LogError> {
        let end = self.end();
        self.failure.get_or_insert_with(|| io::Error::other("healing did not complete"));
        let healed = self.continue_at(end);
        match &healed {
            Ok(()) => {
                self.failure = None;
                self.failed_write_bytes = 0;
            }
            Err(error) => self.failure = Some(error.to_io_error()),
        }
        healed
    }

    fn continue_at(&mut self, end: u64) -> Result<(), LogError> {
        self.truncate_files(end)?;
        // Does not write again to a file whose sync failed: the kernel's pages of it may differ from the disk.
        self.start_segment(end)?;
        self.save_synced(end);
        self.probe_disk()
    }

    fn save_synced(&mut self, end: u64) {
        // If this fails, an older offset remains in the file, which only makes recovery more careful.
        let _ = self.sync_file.write(SyncState { synced: end, ..self.sync_file.state });
    }

    /// Tests whether the disk accepts as many bytes as failed before, and removes them again.
    fn probe_disk(&mut self) -> Result<(), LogError> {
        if self.failed_write_bytes == 0 {
            return Ok(());
        }
        let at = self.position(self.written_end);
        let zeros = vec![0; self.failed_write_bytes.min(MAX_PROBE_BYTES)];
        let written = self.file.write_all_at(&zeros, at).and_then(|()| self.file.sync_data());
        self.file.set_len(at).and_then(|()| self.file.sync_data()).map_err(LogError::io("truncating", self.path()))?;
        written.map_err(LogError::io("writing to", self.path()))
    }

    /// Removes everything at or after `end`, and makes `end` the position of the next write.
    fn truncate_files(&mut self, end: u64) -> Result<(), LogError> {
        self.written_end = end;
        while let Some(newest) = self.shared.newest_segment().filter(|newest| newest.base > end) {
            self.remove_newest_segment(newest.base)?;
        }
        let Some(newest) = self.shared.newest_segment() else { return self.start_segment(end) };
        let path = segment_path(self.folder(), newest.base);
        let file = self.shared.storage.open(&path).map_err(LogError::io("opening", &path))?;
        let length = SEGMENT_HEADER_LEN as u64 + (end - newest.base);
        if file.len().map_err(LogError::io("reading", &path))? < length {
            // Bytes before `end` are missing.
            return self.start_segment(end);
        }
        file.set_len(length).map_err(LogError::io("truncating", &path))?;
        file.sync_all().map_err(LogError::io("syncing", &path))?;
        (self.file, self.segment) = (file, newest);
        Ok(())
    }

    /// Called with the newest segment first, and durable for each one. Otherwise a power loss could leave a later
    /// segment after a gap.
    fn remove_newest_segment(&mut self, base: u64) -> Result<(), LogError> {
        let path = segment_path(self.folder(), base);
        match self.shared.storage.remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(LogError::io("removing", &path)(error));
            }
            _ => {}
        }
        sync_segment_folder(&*self.shared.storage, self.folder())?;
        self.shared.segments.write().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(())
    }
}
