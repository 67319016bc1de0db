//! Which segments are dropped.

use std::{
    io,
    sync::{PoisonError, atomic::Ordering},
    time::{Duration, SystemTime},
};

use super::{Partition, State, segment_path};
use crate::LogError;

/// What is kept. A segment goes when it is older than `age`, or when the partition is larger than `size`; the newest
/// segment and whatever a consumer still needs stay.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// How old a segment's last write may be.
    pub age: Duration,
    /// How many bytes the partition may hold.
    pub size: u64,
}

impl Partition {
    /// Deletes the segments that `retention` does not keep, but none that holds a record at or after `needed`.
    /// Returns how many bytes went. A segment whose age cannot be read, or lies in the future because the clock was set
    /// back, goes by `size` alone.
    ///
    /// # Errors
    /// [`LogError::Io`] when the file system refuses, also when it only did not tell a segment's age: what `size` does
    /// not keep has been deleted all the same, but somebody should look.
    pub fn expire(&mut self, retention: Retention, needed: u64, now: SystemTime) -> Result<u64, LogError> {
        let start = self.shared.start.load(Ordering::Acquire);
        let mut unread = None;
        let mut kept_from = start;
        {
            let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
            for pair in segments.windows(2) {
                let [segment, next] = pair else { break };
                if next.base > needed {
                    break;
                }
                let path = segment_path(&self.shared.folder, segment.base);
                let old = match self.shared.storage.modified(&path) {
                    Ok(written) => now.duration_since(written).unwrap_or_default() > retention.age,
                    // Its bytes are gone; what is left of it is its name.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                    Err(error) => {
                        unread.get_or_insert(LogError::Io { what: "reading the age of", path, source: error });
                        false
                    }
                };
                let large = self.written - segment.base > retention.size;
                if !(old || large) {
                    break;
                }
                kept_from = kept_from.max(next.base);
            }
        }
        self.drop_before(kept_from)?;
        match unread {
            None => Ok(kept_from - start),
            Some(error) => Err(error),
        }
    }

    fn drop_before(&mut self, kept_from: u64) -> Result<(), LogError> {
        if kept_from > self.state.state.start {
            // First, durably: should power be lost, files before it are known to be leftovers, and files after it that
            // are not there are known to be missing.
            let state = State { start: kept_from, ..self.state.state };
            self.state.write_durably(state).map_err(LogError::io("moving the start in", self.folder()))?;
            self.shared.start.store(kept_from, Ordering::Release);
        }
        // Those before the start that could not be removed the last time go now.
        loop {
            let Some(oldest) = ({
                let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
                segments.first().filter(|oldest| oldest.base < kept_from && segments.len() > 1).copied()
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
