//! One partition: its segment files, its end, and what retention drops.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::{FRAME, LogError, Reader, frame, head};

/// What is kept. A segment goes when it is older than `age`, or when the partition is larger than `size`; the newest
/// segment and whatever a consumer still needs stay.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// How old a segment's last write may be.
    pub age: Duration,
    /// How many bytes the partition may hold.
    pub size: u64,
}

/// What readers share with the writer: where the segments are, and how far the records are durable.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) folder: PathBuf,
    /// Offsets of the segments' first bytes, ascending.
    pub(crate) bases: RwLock<Vec<u64>>,
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
    file: File,
    /// Offset of the open segment's first byte.
    base: u64,
    /// Offset after the last byte written, durable or not.
    written: u64,
    segment_size: u64,
    /// A sync failed: the kernel may have dropped the pages it could not write, so that a later sync would succeed
    /// without them (P. Rebello et al., "Can Applications Recover from fsync Failures?", 2020).
    broken: bool,
}

pub(crate) fn segment_path(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}.log"))
}

impl Partition {
    /// Opens the partition in `folder`, or makes it; cuts off a torn tail. Segments roll at `segment_size` bytes.
    ///
    /// # Errors
    /// [`LogError::Io`] when the file system refuses.
    pub fn open(folder: &Path, segment_size: u64) -> Result<Self, LogError> {
        fs::create_dir_all(folder).map_err(LogError::io("making the folder", folder))?;
        let mut bases = segment_bases(folder)?;
        if bases.is_empty() {
            bases.push(0);
        }
        let base = bases.last().copied().unwrap_or(0);
        let path = segment_path(folder, base);
        let file = open_segment(&path)?;
        let length = sound_length(&path)?;
        file.set_len(length).map_err(LogError::io("cutting the torn tail of", &path))?;
        file.sync_all().map_err(LogError::io("syncing", &path))?;
        sync_folder(folder)?;
        let end = base + length;
        Ok(Self {
            shared: Arc::new(Shared {
                folder: folder.to_owned(),
                bases: RwLock::new(bases),
                end: AtomicU64::new(end),
                waiting: Mutex::new(()),
                grown: Condvar::new(),
                wakes: AtomicU64::new(0),
            }),
            file,
            base,
            written: end,
            segment_size,
            broken: false,
        })
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
    /// [`LogError::Io`] when the file system refuses; what was half written is cut off again.
    pub fn append(&mut self, payload: &[u8]) -> Result<u64, LogError> {
        let mut framed = Vec::with_capacity(payload.len() + FRAME);
        frame(payload, &mut framed);
        self.append_framed(&framed)
    }

    /// Writes records that [`frame`] made, one after another. Returns the offset after them.
    ///
    /// # Errors
    /// [`LogError::Io`] when the file system refuses; what was half written is cut off again.
    pub fn append_framed(&mut self, framed: &[u8]) -> Result<u64, LogError> {
        self.sound()?;
        if self.written - self.base >= self.segment_size {
            self.roll()?;
        }
        if let Err(source) = self.file.write_all(framed) {
            let path = segment_path(&self.shared.folder, self.base);
            // A half-written record would hide all that follow it.
            let _ = self.file.set_len(self.written - self.base);
            return Err(LogError::Io { what: "appending to", path, source });
        }
        self.written += framed.len() as u64;
        Ok(self.written)
    }

    /// Makes all that was written durable and visible to readers.
    ///
    /// # Errors
    /// [`LogError::Io`] when the file system refuses.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.sound()?;
        if self.written == self.end() {
            return Ok(());
        }
        if let Err(source) = self.file.sync_data() {
            self.broken = true;
            return Err(LogError::Io { what: "syncing", path: segment_path(&self.shared.folder, self.base), source });
        }
        self.shared.end.store(self.written, Ordering::Release);
        let _held = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.grown.notify_all();
        Ok(())
    }

    /// Nothing is taken any more once a sync failed; opening the partition anew tells what is really on the disk.
    fn sound(&self) -> Result<(), LogError> {
        if !self.broken {
            return Ok(());
        }
        let source = io::Error::other("an earlier sync failed; look after the disk, then restart the host");
        Err(LogError::Io { what: "writing to", path: segment_path(&self.shared.folder, self.base), source })
    }

    /// Forgets every record from `offset` on. It must be the offset of a record, or the end.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] when retention has dropped that offset or it is past the end; [`LogError::Io`].
    pub fn truncate(&mut self, offset: u64) -> Result<(), LogError> {
        let mut bases = self.shared.bases.write().unwrap_or_else(PoisonError::into_inner);
        let start = bases.first().copied().unwrap_or(0);
        if offset < start || offset > self.written {
            return Err(LogError::OutOfRange { offset, start, end: self.written });
        }
        while bases.len() > 1 && bases.last().is_some_and(|&base| base > offset) {
            if let Some(base) = bases.pop() {
                let path = segment_path(&self.shared.folder, base);
                fs::remove_file(&path).map_err(LogError::io("removing", &path))?;
            }
        }
        self.base = bases.last().copied().unwrap_or(0);
        let path = segment_path(&self.shared.folder, self.base);
        self.file = open_segment(&path)?;
        self.file.set_len(offset - self.base).map_err(LogError::io("truncating", &path))?;
        self.file.sync_all().map_err(LogError::io("syncing", &path))?;
        self.written = offset;
        self.shared.end.store(offset, Ordering::Release);
        Ok(())
    }

    /// Deletes the segments that `retention` does not keep, but none that holds a record at or after `needed`.
    /// Returns how many bytes went.
    ///
    /// # Errors
    /// [`LogError::Io`] when the file system refuses.
    pub fn expire(&mut self, retention: Retention, needed: u64, now: SystemTime) -> Result<u64, LogError> {
        let mut bases = self.shared.bases.write().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        while let (Some(&base), Some(&next)) = (bases.first(), bases.get(1)) {
            let path = segment_path(&self.shared.folder, base);
            let written =
                fs::metadata(&path).and_then(|meta| meta.modified()).map_err(LogError::io("reading", &path))?;
            let old = now.duration_since(written).unwrap_or_default() > retention.age;
            let large = self.written - base > retention.size;
            if next > needed || !(old || large) {
                break;
            }
            fs::remove_file(&path).map_err(LogError::io("removing", &path))?;
            bases.remove(0);
            dropped += next - base;
        }
        Ok(dropped)
    }

    fn roll(&mut self) -> Result<(), LogError> {
        self.sync()?;
        let base = self.written;
        let path = segment_path(&self.shared.folder, base);
        self.file = open_segment(&path)?;
        sync_folder(&self.shared.folder)?;
        self.base = base;
        self.shared.bases.write().unwrap_or_else(PoisonError::into_inner).push(base);
        Ok(())
    }
}

fn open_segment(path: &Path) -> Result<File, LogError> {
    OpenOptions::new().create(true).append(true).open(path).map_err(LogError::io("opening", path))
}

/// A new file is durable only once its folder is.
fn sync_folder(folder: &Path) -> Result<(), LogError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(LogError::io("syncing the folder", folder))
}

fn segment_bases(folder: &Path) -> Result<Vec<u64>, LogError> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(folder).map_err(LogError::io("listing", folder))? {
        let entry = entry.map_err(LogError::io("listing", folder))?;
        let name = entry.file_name();
        if let Some(base) = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok()) {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

/// How many bytes of a segment are whole records.
fn sound_length(path: &Path) -> Result<u64, LogError> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(LogError::io("reading", path))?;
    let mut sound = 0;
    while let Some((length, check)) = bytes.get(sound..).and_then(head) {
        let start = sound + FRAME;
        match bytes.get(start..start + length) {
            Some(payload) if crc32c::crc32c(payload) == check => sound = start + length,
            _ => break,
        }
    }
    Ok(sound as u64)
}
