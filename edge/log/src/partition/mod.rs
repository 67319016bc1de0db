//! One partition: its segment files and its end.

mod heal;
mod recovery;
mod retention;
mod state;

pub use recovery::{Damage, Recovery};
pub use retention::Retention;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use self::state::{State, StateFile};
use crate::{
    FRAME, LogError, Reader, SEGMENT_HEADER,
    format::{Sealer, SegmentHeader},
    frame,
    storage::{Storage, StorageFile},
};

/// A segment file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// Offset of its first byte.
    pub(crate) base: u64,
    /// Key of its frames, see [`Sealer`].
    pub(crate) key: u64,
    /// Tells it from an earlier file of the same name, which a reader may hold open.
    pub(crate) id: u64,
}

/// What readers share with the writer: where the segments are, and how far the records are durable.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) folder: PathBuf,
    /// Ascending.
    pub(crate) segments: RwLock<Vec<Segment>>,
    /// First offset that retention has kept; the segment that holds it may be missing.
    pub(crate) start: AtomicU64,
    pub(crate) end: AtomicU64,
    pub(crate) waiting: Mutex<()>,
    pub(crate) grown: Condvar,
    /// How often those who wait were woken without a record.
    pub(crate) wakes: AtomicU64,
}

/// An append-only stream of records in a folder of its own.
#[derive(Debug)]
pub struct Partition {
    shared: Arc<Shared>,
    /// The newest segment.
    file: Box<dyn StorageFile>,
    segment: Segment,
    /// Offset after the last byte written, durable or not.
    written: u64,
    segment_size: u64,
    state: StateFile,
    /// A write or sync failed and the file may hold what nobody knows. After a failed sync the kernel may have dropped
    /// the pages it could not write, so that a later sync would succeed without them (A. Rebello et al., "Can
    /// Applications Recover from fsync Failures?", 2020).
    broken: Option<io::Error>,
    /// Bytes that could not be written; [`Self::reopen`] tries whether there is room for them.
    refused: usize,
    recovery: Recovery,
}

pub(crate) fn segment_path(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}.log"))
}

impl Partition {
    /// Opens the partition in `folder` on this machine's disk; see [`Self::open_on`].
    ///
    /// # Errors
    /// As [`Self::open_on`].
    pub fn open(folder: &Path, segment_size: u64) -> Result<Self, LogError> {
        Self::open_on(Arc::new(crate::storage::DiskStorage), folder, segment_size)
    }

    /// The folder that holds the segments.
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// The storage that it lies on.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.shared.storage
    }

    /// What opening found, and what [`Self::advance_to`] skipped since.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Why nothing is taken, since a write or sync failed; [`Self::reopen`] heals it.
    pub fn broken(&self) -> Option<&io::Error> {
        self.broken.as_ref()
    }

    /// The offset after the last durable record.
    pub fn end(&self) -> u64 {
        self.shared.end.load(Ordering::Acquire)
    }

    /// The offset after the last record written, durable or not.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// A reader of this partition, usable from any thread.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// Writes one record; durable after [`Self::sync`]. Returns the offset after it.
    ///
    /// # Errors
    /// As [`Self::append_framed`].
    pub fn append(&mut self, payload: &[u8]) -> Result<u64, LogError> {
        let mut framed = Vec::with_capacity(payload.len() + FRAME);
        frame(payload, &mut framed);
        self.append_framed(&mut framed)
    }

    /// Writes records that [`frame`] made, one after another, and completes their headers on the way. Returns the offset
    /// after them. All are written or none.
    ///
    /// # Errors
    /// [`LogError::Io`] when the file system refuses: what was half written is cut off again, and when that fails, too,
    /// the partition is broken. [`LogError::Broken`]; [`LogError::NotFramed`].
    pub fn append_framed(&mut self, framed: &mut [u8]) -> Result<u64, LogError> {
        self.sound()?;
        if self.written - self.segment.base >= self.segment_size {
            self.roll()?;
        }
        Sealer::new(self.segment.key)
            .seal_all(framed, self.written, self.end())
            .map_err(|at| LogError::NotFramed { path: self.shared.folder.clone(), at })?;
        if let Err(source) = self.file.write_all_at(framed, self.position(self.written)) {
            self.refused = framed.len();
            // Half a record would hide those that follow it from whoever looks for the end.
            let _ = self.undo(self.written);
            return Err(LogError::Io { what: "appending to", path: self.path(), source });
        }
        self.written += framed.len() as u64;
        Ok(self.written)
    }

    /// Forgets what was appended since [`Self::written`] was `mark`; nothing may have been synced in between.
    pub(crate) fn undo(&mut self, mark: u64) -> Result<(), LogError> {
        if mark < self.end() || mark < self.segment.base {
            return Ok(());
        }
        self.written = mark;
        self.file.set_len(self.position(mark)).map_err(|source| {
            self.broken = Some(io::Error::new(source.kind(), format!("half a record could not be cut off: {source}")));
            LogError::Io { what: "cutting", path: self.path(), source }
        })
    }

    /// Makes all that was written durable and visible to readers.
    ///
    /// # Errors
    /// [`LogError::Io`] when the file system refuses; the partition is broken then. [`LogError::Broken`].
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.sound()?;
        if self.written == self.end() {
            return Ok(());
        }
        if let Err(source) = self.file.sync_data() {
            self.broken = Some(io::Error::new(source.kind(), format!("a sync failed: {source}")));
            return Err(LogError::Io { what: "syncing", path: self.path(), source });
        }
        // A failure leaves an older offset there, with which recovery is more careful.
        let _ = self.state.write(State { synced: self.written, ..self.state.state });
        self.publish(self.written);
        Ok(())
    }

    /// Goes on at `offset`, when a consumer knows of more than the log holds: the log was deleted, or is older than the
    /// store. The offsets in between are reported as missing, and readers get them as damage. Does nothing when `offset`
    /// is the end.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] when it lies before the end, or absurdly far beyond; [`LogError::Io`] and
    /// [`LogError::Broken`] as [`Self::sync`].
    pub fn advance_to(&mut self, offset: u64) -> Result<(), LogError> {
        self.sync()?;
        if offset == self.written {
            return Ok(());
        }
        if offset < self.written || offset > 1 << 62 {
            let start = self.shared.start.load(Ordering::Acquire);
            return Err(LogError::OutOfRange { offset, start, end: self.written });
        }
        self.recovery.missing.push(self.written..offset);
        self.written = offset;
        // First, so that reopen goes on from there, too, should this fail half-way. After a crash before it is durable
        // the log ends before the gap again, and the caller comes here again.
        self.publish(offset);
        if let Err(error) = self.start_segment(offset) {
            self.broken = Some(error.as_io());
            return Err(error);
        }
        let _ = self.state.write_durably(State { synced: offset, ..self.state.state });
        Ok(())
    }

    /// Readers see what is before `end`.
    fn publish(&self, end: u64) {
        self.shared.end.store(end, Ordering::Release);
        let _held = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.grown.notify_all();
    }

    fn sound(&self) -> Result<(), LogError> {
        match &self.broken {
            None => Ok(()),
            Some(earlier) => {
                let source = io::Error::new(earlier.kind(), earlier.to_string());
                Err(LogError::Broken { path: self.shared.folder.clone(), source })
            }
        }
    }

    fn roll(&mut self) -> Result<(), LogError> {
        self.sync()?;
        self.start_segment(self.written)
    }

    /// Makes the segment at `base` and writes to it from now on. What a file of that name holds is gone: the caller knows
    /// that it is none of the partition's segments, or an empty one.
    fn start_segment(&mut self, base: u64) -> Result<(), LogError> {
        let key = self.state.state.key;
        self.file = create_segment(&*self.shared.storage, &self.shared.folder, SegmentHeader { base, key })?;
        self.segment = push_segment(&self.shared, base, key);
        Ok(())
    }

    fn path(&self) -> PathBuf {
        segment_path(&self.shared.folder, self.segment.base)
    }

    /// Where `offset` lies in the newest segment's file.
    fn position(&self, offset: u64) -> u64 {
        SEGMENT_HEADER as u64 + (offset - self.segment.base)
    }
}

/// Lists the segment at `base` as the newest, instead of one of the same name.
fn push_segment(shared: &Shared, base: u64, key: u64) -> Segment {
    static IDS: AtomicU64 = AtomicU64::new(0);
    let segment = Segment { base, key, id: IDS.fetch_add(1, Ordering::Relaxed) };
    let mut segments = shared.segments.write().unwrap_or_else(PoisonError::into_inner);
    segments.retain(|other| other.base < base);
    segments.push(segment);
    segment
}

/// Makes an empty segment, durably.
fn create_segment(
    storage: &dyn Storage,
    folder: &Path,
    header: SegmentHeader,
) -> Result<Box<dyn StorageFile>, LogError> {
    let path = segment_path(folder, header.base);
    let file = storage.open(&path).map_err(LogError::io("opening", &path))?;
    file.set_len(0).map_err(LogError::io("emptying", &path))?;
    file.write_all_at(&header.to_bytes(), 0).map_err(LogError::io("writing the header of", &path))?;
    // Before any record: so a file without a sound header that is no longer than one holds nothing.
    file.sync_all().map_err(LogError::io("syncing", &path))?;
    sync_folder(storage, folder)?;
    Ok(file)
}

/// A new file is durable only once its folder is.
fn sync_folder(storage: &dyn Storage, folder: &Path) -> Result<(), LogError> {
    storage.sync_dir(folder).map_err(LogError::io("syncing the folder", folder))
}
