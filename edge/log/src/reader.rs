//! Reads a partition's durable records, and waits for new ones.

use std::{
    io,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use crate::{
    FRAME_HEADER_LEN, LogError, SEGMENT_HEADER_LEN,
    format::FrameCodec,
    scan::Scanner,
    segments::{PartitionShared, Segment, segment_path},
    storage::StorageFile,
    wake_signal::WakeSignal,
};

/// A stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Offset of the record.
    pub offset: u64,
    /// Offset of the next record.
    pub next_offset: u64,
    /// The bytes that were appended.
    pub payload: Vec<u8>,
}

/// Reads the durable records of a partition from any offset.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<PartitionShared>,
    /// The last segment that was read, with its id.
    open_segment: Option<(u64, Box<dyn StorageFile>)>,
}

impl Clone for Reader {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl Reader {
    pub(crate) fn new(shared: Arc<PartitionShared>) -> Self {
        Self { shared, open_segment: None }
    }

    /// The first retained offset.
    pub fn start(&self) -> u64 {
        self.shared.start.load(Ordering::Acquire)
    }

    /// The offset after the last durable record.
    pub fn end(&self) -> u64 {
        self.shared.end.load(Ordering::Acquire)
    }

    /// Waits until a record at or after `offset` is durable, for at most `timeout`. Returns whether there is one.
    pub fn wait(&self, offset: u64, timeout: Duration) -> bool {
        self.signal().wait_until(timeout, || self.end() > offset)
    }

    /// As [`Self::wait`], but also returns when the count of [`Self::signal`] differs from `wakes`.
    pub fn wait_interruptible(&self, offset: u64, timeout: Duration, wakes: u64) -> bool {
        self.signal().wait_until(timeout, || self.end() > offset || self.signal().count() != wakes);
        self.end() > offset
    }

    /// The signal that wakes the waiting readers of the partition; it is also given for each new end.
    pub fn signal(&self) -> &WakeSignal {
        &self.shared.signal
    }

    /// Reads records from `offset` on, up to `until` and at most `max_bytes`. Returns at least one record if there is
    /// one before `until`, even if it is larger than `max_bytes`. Stops at the end of a segment and before damage.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when there is no valid record at `offset`: the caller reports it and continues at its
    /// `resume`.
    /// [`LogError::OutOfRange`] when `offset` is before the first retained record or after the end; [`LogError::Io`],
    /// after which the same call can be repeated.
    pub fn read(&mut self, offset: u64, until: u64, max_bytes: usize) -> Result<Vec<Record>, LogError> {
        let end = self.end();
        if offset > end {
            return Err(LogError::OutOfRange { offset, start: self.start(), end });
        }
        let until = end.min(until);
        if offset >= until {
            return Ok(Vec::new());
        }
        let (segment, stop) = match self.find_segment(offset, end)? {
            SegmentLookup::Found(segment, stop) => (segment, stop),
            SegmentLookup::Gap(resume) => {
                let path = self.shared.folder.clone();
                return Err(LogError::Damaged { path, offset, resume: resume.min(until) });
            }
        };
        let path = segment_path(&self.shared.folder, segment.base);
        let file = match &mut self.open_segment {
            Some((open, file)) if *open == segment.id => &**file,
            slot => match self.shared.storage.open_existing(&path) {
                Ok(file) => &*slot.insert((segment.id, file)).1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let start = self.shared.start.load(Ordering::Acquire);
                    if offset < start {
                        // Retention removed it in the meantime.
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
        let resume = find_resume_offset(file, segment, offset, stop).map_err(LogError::io("reading", &path))?;
        Err(LogError::Damaged { path, offset, resume: resume.min(until) })
    }

    /// Returns the segment that contains `offset`, and the offset at which it ends.
    fn find_segment(&self, offset: u64, end: u64) -> Result<SegmentLookup, LogError> {
        let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
        let start = self.start();
        if offset < start {
            return Err(LogError::OutOfRange { offset, start, end });
        }
        let after = segments.partition_point(|segment| segment.base <= offset);
        let next = segments.get(after).map_or(end, |next| next.base.min(end));
        Ok(match after.checked_sub(1).and_then(|index| segments.get(index)) {
            Some(&segment) => SegmentLookup::Found(segment, next),
            None => SegmentLookup::Gap(next),
        })
    }
}

enum SegmentLookup {
    Found(Segment, u64),
    /// The offset is in no segment; the next segment starts at this offset.
    Gap(u64),
}

/// Reads the records from `offset` on; `available` bytes remain in the segment. Returns `None` if the first record is
/// not valid.
fn read_records(
    file: &dyn StorageFile,
    segment: Segment,
    offset: u64,
    until: u64,
    available: usize,
    max_bytes: usize,
) -> io::Result<Option<Vec<Record>>> {
    let codec = FrameCodec::new(segment.key);
    let position = SEGMENT_HEADER_LEN as u64 + (offset - segment.base);
    // If the file is shorter than its segment, the part that exists is read.
    let stored = usize::try_from(file.len()?.saturating_sub(position)).unwrap_or(usize::MAX);
    let available = available.min(stored);
    let mut bytes = vec![0; available.min(max_bytes.max(FRAME_HEADER_LEN))];
    file.read_exact_at(&mut bytes, position)?;
    let Some(first) = codec.parse_header(&bytes, offset) else { return Ok(None) };
    let length = FRAME_HEADER_LEN + first.length;
    // A record larger than `max_bytes` is still returned.
    if bytes.len() < length {
        if available < length {
            return Ok(None);
        }
        bytes = vec![0; length];
        file.read_exact_at(&mut bytes, position)?;
    }
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..).and_then(|rest| codec.parse_header(rest, offset + at as u64)) {
        let Some(payload) = bytes.get(at + FRAME_HEADER_LEN..at + FRAME_HEADER_LEN + header.length) else { break };
        let begins = offset + at as u64;
        let next = begins + header.frame_length();
        if next > until {
            return Ok(Some(records));
        }
        if crc32c::crc32c(payload) != header.payload_crc {
            break;
        }
        at += FRAME_HEADER_LEN + header.length;
        records.push(Record { offset: begins, next_offset: next, payload: payload.to_vec() });
    }
    Ok((!records.is_empty()).then_some(records))
}

/// Returns the offset of the next valid record after the damage at `offset`, or the end of the segment.
fn find_resume_offset(file: &dyn StorageFile, segment: Segment, offset: u64, stop: u64) -> io::Result<u64> {
    let file_end = segment.base.saturating_add(file.len()?.saturating_sub(SEGMENT_HEADER_LEN as u64)).min(stop);
    let mut scanner = Scanner::new(file, segment.base, segment.key, file_end);
    Ok(scanner.next_valid_frame(offset + 1)?.unwrap_or(stop))
}
