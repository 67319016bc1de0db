//! Cutting the log back to a known offset: when a caller asks for it, and after a failure.

use std::{
    io,
    sync::{PoisonError, atomic::Ordering},
};

use super::{Partition, Segment, State, segment_path, sync_folder};
use crate::{LogError, SEGMENT_HEADER};

/// At most so many bytes are written to see whether there is room again.
const PROBE: usize = 1 << 20;

impl Partition {
    /// Forgets every record from `offset` on. It must be the offset of a record, or the end.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] when retention has dropped that offset or it is past the end; [`LogError::Io`], after
    /// which the partition is broken and [`Self::reopen`] ends what was begun.
    pub fn truncate(&mut self, offset: u64) -> Result<(), LogError> {
        if self.broken.is_some() {
            self.reopen()?;
        }
        let start = self.shared.start.load(Ordering::Acquire);
        if offset < start || offset > self.written {
            return Err(LogError::OutOfRange { offset, start, end: self.written });
        }
        if self.state.may_exceed(offset) {
            // Before anything goes: else a crash in between would leave a log that ends before what was synced.
            let state = State { synced: offset.min(self.state.state.synced), ..self.state.state };
            self.state.write_durably(state).map_err(LogError::io("lowering the synced offset in", self.folder()))?;
        }
        self.broken = Some(io::Error::other("cutting the log back did not end"));
        self.shared.end.store(offset, Ordering::Release);
        self.cut_back(offset)?;
        self.remember(offset);
        self.broken = None;
        Ok(())
    }

    /// Heals the partition after a failed write or sync, without a restart: drops what was written since the last
    /// successful sync (nobody was told that it is durable, and nothing of it may be trusted), goes on in a new segment,
    /// and tries whether the disk takes what it refused. Offsets and readers stay as they are. The caller appends
    /// again what it needs.
    ///
    /// # Errors
    /// [`LogError::Io`] while the disk still refuses; the partition stays broken, and this may be called again.
    pub fn reopen(&mut self) -> Result<(), LogError> {
        let end = self.end();
        self.broken.get_or_insert_with(|| io::Error::other("reopening did not end"));
        let healed = self.go_on_at(end);
        match &healed {
            Ok(()) => {
                self.broken = None;
                self.refused = 0;
            }
            Err(error) => self.broken = Some(error.as_io()),
        }
        healed
    }

    fn go_on_at(&mut self, end: u64) -> Result<(), LogError> {
        self.cut_back(end)?;
        // Never again to a file that could not be synced: what the kernel holds of it may not be what the disk does.
        self.start_segment(end)?;
        self.remember(end);
        self.probe()
    }

    fn remember(&mut self, end: u64) {
        // A failure leaves an older offset there, with which recovery is more careful.
        let _ = self.state.write(State { synced: end, ..self.state.state });
    }

    /// Writes as much as was refused, and takes it away again.
    fn probe(&mut self) -> Result<(), LogError> {
        if self.refused == 0 {
            return Ok(());
        }
        let at = self.position(self.written);
        let zeros = vec![0; self.refused.min(PROBE)];
        let written = self.file.write_all_at(&zeros, at).and_then(|()| self.file.sync_data());
        self.file.set_len(at).and_then(|()| self.file.sync_data()).map_err(LogError::io("cutting", self.path()))?;
        written.map_err(LogError::io("writing to", self.path()))
    }

    /// Removes all that lies at or after `end`, and writes from there on.
    fn cut_back(&mut self, end: u64) -> Result<(), LogError> {
        self.written = end;
        while let Some(newest) = self.newest().filter(|newest| newest.base > end) {
            self.remove_newest(newest.base)?;
        }
        let Some(newest) = self.newest() else { return self.start_segment(end) };
        let path = segment_path(self.folder(), newest.base);
        let file = self.shared.storage.open(&path).map_err(LogError::io("opening", &path))?;
        let length = SEGMENT_HEADER as u64 + (end - newest.base);
        if file.len().map_err(LogError::io("reading", &path))? < length {
            // The bytes before `end` are missing.
            return self.start_segment(end);
        }
        file.set_len(length).map_err(LogError::io("cutting", &path))?;
        file.sync_all().map_err(LogError::io("syncing", &path))?;
        (self.file, self.segment) = (file, newest);
        Ok(())
    }

    fn newest(&self) -> Option<Segment> {
        self.shared.segments.read().unwrap_or_else(PoisonError::into_inner).last().copied()
    }

    /// Newest first, each durably: else a loss of power may leave a later one behind a gap.
    fn remove_newest(&mut self, base: u64) -> Result<(), LogError> {
        let path = segment_path(self.folder(), base);
        match self.shared.storage.remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(LogError::io("removing", &path)(error));
            }
            _ => {}
        }
        sync_folder(&*self.shared.storage, self.folder())?;
        self.shared.segments.write().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(())
    }
}
