//! The segments of a partition, and the state that its writer shares with its readers.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{storage::Storage, wake_signal::WakeSignal};

/// A segment file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// Offset of its first byte.
    pub(crate) base: u64,
    /// Key of its frames; see [`crate::format::FrameCodec`].
    pub(crate) key: u64,
    /// Distinguishes the file from an earlier file of the same name that a reader may still have open.
    pub(crate) id: u64,
}

/// State that the writer shares with the readers: the segments, and the offset up to which records are durable.
#[derive(Debug)]
pub(crate) struct PartitionShared {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) folder: PathBuf,
    /// In ascending order.
    pub(crate) segments: RwLock<Vec<Segment>>,
    /// First retained offset. The segment that contained it may be missing.
    pub(crate) start: AtomicU64,
    pub(crate) end: AtomicU64,
    /// Wakes waiting readers.
    pub(crate) signal: WakeSignal,
}

impl PartitionShared {
    /// Adds the segment at `base` to the list as the newest one.
    pub(crate) fn push_segment(&self, base: u64, key: u64) -> Segment {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let segment = Segment { base, key, id: IDS.fetch_add(1, Ordering::Relaxed) };
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        segments.retain(|other| other.base < base);
        segments.push(segment);
        segment
    }

    /// The newest segment.
    pub(crate) fn newest_segment(&self) -> Option<Segment> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).last().copied()
    }
}

/// The file of the segment at `base`.
pub(crate) fn segment_path(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}.log"))
}
