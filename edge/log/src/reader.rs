//! Reading a partition's durable records, and waiting for more.

use std::{
    io,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use crate::{
    FRAME, LogError, SEGMENT_HEADER,
    format::Sealer,
    partition::{Segment, Shared, segment_path},
    scan::Scanner,
    storage::StorageFile,
};

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it begins.
    pub offset: u64,
    /// Where the next one begins.
    pub next: u64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// Reads the durable records of a partition from any offset.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    /// The segment that was read last, by its id.
    open: Option<(u64, Box<dyn StorageFile>)>,
}

impl Clone for Reader {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, open: None }
    }

    /// The first offset that is held.
    pub fn start(&self) -> u64 {
        self.shared.start.load(Ordering::Acquire)
    }

    /// The offset after the last durable record.
    pub fn end(&self) -> u64 {
        self.shared.end.load(Ordering::Acquire)
    }

    /// Waits until a record at or after `offset` is durable, at most `timeout`; tells whether one is.
    pub fn wait(&self, offset: u64, timeout: Duration) -> bool {
        self.wait_or_wake(offset, timeout, self.wakes())
    }

    /// As [`Self::wait`], but ends as well when somebody has called [`Self::wake`] since there were so many wakes.
    pub fn wait_or_wake(&self, offset: u64, timeout: Duration, wakes: u64) -> bool {
        let held = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let _held = self
            .shared
            .grown
            .wait_timeout_while(held, timeout, |()| self.end() <= offset && self.wakes() == wakes)
            .unwrap_or_else(PoisonError::into_inner);
        self.end() > offset
    }

    /// How often [`Self::wake`] was called.
    pub fn wakes(&self) -> u64 {
        self.shared.wakes.load(Ordering::Acquire)
    }

    /// Wakes who waits, though there may be nothing new.
    pub fn wake(&self) {
        let _held = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.wakes.fetch_add(1, Ordering::Release);
        self.shared.grown.notify_all();
    }

    /// Reads records from `offset` on: as many as fit into `max_bytes` and not past `until`, at least one when there is
    /// one before it. Stops at a segment's end, and before damage.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when there is no sound record at `offset`: the caller reports it and goes on at its `resume`.
    /// [`LogError::OutOfRange`] when `offset` is not held or lies beyond the end; [`LogError::Io`], after which the same
    /// may be tried again.
    pub fn read(&mut self, offset: u64, until: u64, max_bytes: usize) -> Result<Vec<Record>, LogError> {
        let end = self.end();
        if offset > end {
            return Err(LogError::OutOfRange { offset, start: self.start(), end });
        }
        let until = end.min(until);
        if offset >= until {
            return Ok(Vec::new());
        }
        let (segment, stop) = match self.segment_of(offset, end)? {
            Place::In(segment, stop) => (segment, stop),
            Place::Before(resume) => {
                let path = self.shared.folder.clone();
                return Err(LogError::Damaged { path, offset, resume: resume.min(until) });
            }
        };
        let path = segment_path(&self.shared.folder, segment.base);
        let file = match &mut self.open {
            Some((open, file)) if *open == segment.id => &**file,
            slot => match self.shared.storage.open_existing(&path) {
                Ok(file) => &*slot.insert((segment.id, file)).1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let start = self.shared.start.load(Ordering::Acquire);
                    if offset < start {
                        // Retention was quicker.
                        return Err(LogError::OutOfRange { offset, start, end });
                    }
                    return Err(LogError::Damaged { path, offset, resume: stop.min(until) });
                }
                Err(error) => return Err(LogError::io("opening", &path)(error)),
            },
        };
        let available = usize::try_from(stop - offset).unwrap_or(usize::MAX);
        match read_records(file, segment, offset, until, available, max_bytes) {
            Ok(Some(records)) => return Ok(records),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(LogError::io("reading", &path)(error)),
        }
        let resume = next_sound(file, segment, offset, stop).map_err(LogError::io("reading", &path))?;
        Err(LogError::Damaged { path, offset, resume: resume.min(until) })
    }

    /// The segment that holds `offset`, and the offset at which it stops.
    fn segment_of(&self, offset: u64, end: u64) -> Result<Place, LogError> {
        let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
        let start = self.start();
        if offset < start {
            return Err(LogError::OutOfRange { offset, start, end });
        }
        let after = segments.partition_point(|segment| segment.base <= offset);
        let next = segments.get(after).map_or(end, |next| next.base.min(end));
        Ok(match after.checked_sub(1).and_then(|index| segments.get(index)) {
            Some(&segment) => Place::In(segment, next),
            None => Place::Before(next),
        })
    }
}

enum Place {
    In(Segment, u64),
    /// In no segment; the next one begins there.
    Before(u64),
}

/// The records from `offset` on, with `available` bytes to the segment's end; `None` when there is no sound one.
fn read_records(
    file: &dyn StorageFile,
    segment: Segment,
    offset: u64,
    until: u64,
    available: usize,
    max_bytes: usize,
) -> io::Result<Option<Vec<Record>>> {
    let sealer = Sealer::new(segment.key);
    let position = SEGMENT_HEADER as u64 + (offset - segment.base);
    // A file that is shorter than its segment ends where the bytes do, so that what is there is read.
    let held = usize::try_from(file.len()?.saturating_sub(position)).unwrap_or(usize::MAX);
    let available = available.min(held);
    let mut bytes = vec![0; available.min(max_bytes.max(FRAME))];
    file.read_exact_at(&mut bytes, position)?;
    let Some(first) = sealer.header(&bytes, offset) else { return Ok(None) };
    let whole = FRAME + first.length;
    // A record larger than `max_bytes` is read whole all the same.
    if bytes.len() < whole {
        if available < whole {
            return Ok(None);
        }
        bytes = vec![0; whole];
        file.read_exact_at(&mut bytes, position)?;
    }
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..).and_then(|rest| sealer.header(rest, offset + at as u64)) {
        let Some(payload) = bytes.get(at + FRAME..at + FRAME + header.length) else { break };
        let begins = offset + at as u64;
        let next = begins + header.frame_length();
        if next > until {
            return Ok(Some(records));
        }
        if crc32c::crc32c(payload) != header.payload_crc {
            break;
        }
        at += FRAME + header.length;
        records.push(Record { offset: begins, next, payload: payload.to_vec() });
    }
    Ok((!records.is_empty()).then_some(records))
}

/// The offset of the next sound record after the damage at `offset`, or of the segment's stop.
fn next_sound(file: &dyn StorageFile, segment: Segment, offset: u64, stop: u64) -> io::Result<u64> {
    let held = segment.base.saturating_add(file.len()?.saturating_sub(SEGMENT_HEADER as u64)).min(stop);
    let mut scanner = Scanner::new(file, segment.base, segment.key, held);
    Ok(scanner.next_sound(offset + 1)?.unwrap_or(stop))
}
