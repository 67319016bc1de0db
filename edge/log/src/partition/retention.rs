//! Removal of old segments.

use std::{
    io,
    sync::{PoisonError, atomic::Ordering},
    time::{Duration, SystemTime},
};

use super::{Partition, sync_state::SyncState};
use crate::{LogError, segments::segment_path};

/// The limits of a partition. A segment is removed when it is older than `max_age` or the partition is larger than
/// `max_bytes`. The newest segment, and segments that a consumer still needs, are kept.
#[derive(Clone, Copy, Debug)]
pub struct LogRetention {
    /// Maximum age of a segment's last write.
    pub max_age: Duration,
    /// Maximum size of the partition, in bytes.
    pub max_bytes: u64,
}

impl Partition {
    /// Removes the segments that exceed `retention`, except those with a record at or after `needed`. Returns the
    /// number of bytes removed. A segment whose age cannot be read, or is negative because the clock was set back, is
    /// removed only because of the size.
    ///
    /// # Errors
    /// [`LogError::Io`] when the file system fails, also if only the age of a segment could not be read: segments above
    /// the size limit are then removed nevertheless, but the error needs attention.
    pub fn expire(&mut self, retention: LogRetention, needed: u64, now: SystemTime) -> Result<u64, LogError> {
        let start = self.shared.start.load(Ordering::Acquire);
        let mut age_error = None;
        let mut new_start = start;
        {
            let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
            for pair in segments.windows(2) {
                let [segment, next] = pair else { break };
                if next.base > needed {
                    break;
                }
                let path = segment_path(&self.shared.folder, segment.base);
                let old = match self.shared.storage.modified(&path) {
                    Ok(written) => now.duration_since(written).unwrap_or_default() > retention.max_age,
                    // Its bytes are missing; only its entry in the list is left.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                    Err(error) => {
                        age_error.get_or_insert(LogError::Io { what: "reading the age of", path, source: error });
                        false
                    }
                };
                let large = self.written_end - segment.base > retention.max_bytes;
                if !(old || large) {
                    break;
                }
                new_start = new_start.max(next.base);
            }
        }
        self.remove_segments_before(new_start)?;
        match age_error {
            None => Ok(new_start - start),
            Some(error) => Err(error),
        }
    }

    fn remove_segments_before(&mut self, new_start: u64) -> Result<(), LogError> {
        if new_start > self.sync_file.state.start {
            // The new start is made durable first: after a power loss, files before it are known to be leftovers, and
            // absent files after it are known to be missing.
            let state = SyncState { start: new_start, ..self.sync_file.state };
            self.sync_file.write_durably(state).map_err(LogError::io("advancing the start in", self.folder()))?;
            self.shared.start.store(new_start, Ordering::Release);
        }
        // This also removes segments before the start that could not be removed the last time.
        loop {
            let Some(oldest) = ({
                let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
                segments.first().filter(|oldest| oldest.base < new_start && segments.len() > 1).copied()
            }) else {
                return Ok(());
            };
            let path = segment_path(self.folder(), oldest.base);
            match self.shared.storage.remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(LogError::io("removing", &path)(error));
                }
                _ => {}
            }
            self.shared.segments.write().unwrap_or_else(PoisonError::into_inner).remove(0);
        }
    }
}
