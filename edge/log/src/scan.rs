//! Finds the valid records in a segment that may be damaged.

use std::{io, ops::Range};

use crc32c::crc32c_append;

use crate::{
    FRAME, SEGMENT_HEADER,
    format::{FrameHeader, HeaderBytes, Sealer, SegmentHeader, is_version_1},
    storage::StorageFile,
};

/// Bytes per read.
const CHUNK: usize = 256 << 10;

/// The source that a scan reads from.
pub(crate) trait Image {
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;
}

impl Image for &dyn StorageFile {
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        StorageFile::read_exact_at(*self, bytes, at)
    }
}

impl Image for &[u8] {
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        let from = usize::try_from(at).ok().and_then(|at| self.get(at..)?.get(..bytes.len()));
        bytes.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Reads the frames of a segment through a window, so that a damaged length field does not increase memory use.
#[derive(Debug)]
pub(crate) struct Scanner<I> {
    image: I,
    sealer: Sealer,
    base: u64,
    /// Offset at which the segment's bytes end.
    stop: u64,
    window: Vec<u8>,
    /// Offset of the window's first byte.
    window_at: u64,
}

impl<I: Image> Scanner<I> {
    /// Scans the segment at `base` up to offset `stop`, which must not exceed the bytes that exist.
    pub(crate) fn new(image: I, base: u64, key: u64, stop: u64) -> Self {
        Self { image, sealer: Sealer::new(key), base, stop, window: Vec::new(), window_at: base }
    }

    /// Returns the bytes from `offset` on: at least `min_length`, at most what the window contains. Returns `None` past
    /// the end.
    fn bytes(&mut self, offset: u64, min_length: usize) -> io::Result<Option<&[u8]>> {
        let buffered = offset.checked_sub(self.window_at).and_then(|skip| usize::try_from(skip).ok());
        let buffered = buffered.filter(|&skip| self.window.len() >= skip.saturating_add(min_length));
        let skip = match buffered {
            Some(skip) => skip,
            None => {
                let remaining = usize::try_from(self.stop.saturating_sub(offset)).unwrap_or(usize::MAX);
                if remaining < min_length {
                    return Ok(None);
                }
                self.window.clear();
                self.window.resize(remaining.min(CHUNK), 0);
                self.window_at = offset;
                if let Err(error) =
                    self.image.read_exact_at(&mut self.window, offset - self.base + SEGMENT_HEADER as u64)
                {
                    self.window.clear();
                    return Err(error);
                }
                0
            }
        };
        Ok(self.window.get(skip..))
    }

    /// Returns the header of the frame at `offset` if header and payload are valid.
    pub(crate) fn frame_at(&mut self, offset: u64) -> io::Result<Option<FrameHeader>> {
        let codec = self.sealer;
        let Some(header) = self.bytes(offset, FRAME)?.and_then(|bytes| codec.header(bytes, offset)) else {
            return Ok(None);
        };
        if header.frame_length() > self.stop - offset {
            return Ok(None);
        }
        let mut at = offset + FRAME as u64;
        let mut remaining = header.length;
        let mut check = 0;
        while remaining > 0 {
            let Some(bytes) = self.bytes(at, 1)? else { return Ok(None) };
            let piece = bytes.get(..remaining).unwrap_or(bytes);
            check = crc32c_append(check, piece);
            at += piece.len() as u64;
            remaining -= piece.len();
        }
        Ok((check == header.payload_crc).then_some(header))
    }

    /// Offset of the first valid frame at or after `from`.
    pub(crate) fn next_sound(&mut self, from: u64) -> io::Result<Option<u64>> {
        let codec = self.sealer;
        let mut at = from;
        loop {
            let Some(bytes) = self.bytes(at, FRAME)? else { return Ok(None) };
            let candidates = bytes.windows(FRAME);
            let tried = candidates.len() as u64;
            let found = candidates.zip(at..).find(|(bytes, offset)| codec.header(bytes, *offset).is_some());
            let Some((_, offset)) = found else {
                at += tried;
                continue;
            };
            if self.frame_at(offset)?.is_some() {
                return Ok(Some(offset));
            }
            at = offset + 1;
        }
    }

    /// Calls `frame` with the offset and header of each valid frame. Returns the ranges between the frames and after
    /// the last one.
    pub(crate) fn run(&mut self, mut frame: impl FnMut(u64, FrameHeader)) -> io::Result<Vec<Range<u64>>> {
        let mut damaged = Vec::new();
        let mut at = self.base;
        while at < self.stop {
            if let Some(header) = self.frame_at(at)? {
                frame(at, header);
                at += header.frame_length();
                continue;
            }
            let next = self.next_sound(at + 1)?.unwrap_or(self.stop);
            damaged.push(at..next);
            at = next;
        }
        Ok(damaged)
    }
}

/// The result of [`scan_segment_bytes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentScan {
    /// Not a segment of this format: too short, a damaged header, or another version.
    Unreadable,
    /// A segment.
    Segment {
        /// Offset of its first byte.
        base: u64,
        /// The valid records: offset of each record and offset after it.
        records: Vec<Range<u64>>,
        /// The ranges between the records and after the last one.
        damaged: Vec<Range<u64>>,
        /// Offset up to which everything was synced when the last record was written, according to the records'
        /// headers.
        synced: u64,
    },
}

/// Scans the bytes of a segment file as recovery does. Accepts any bytes: it does not panic, and its memory use is
/// proportional to their number.
pub fn recover_bytes(bytes: &[u8]) -> SegmentScan {
    let HeaderBytes::Sound(header) = SegmentHeader::read(bytes) else { return SegmentScan::Unreadable };
    let base = header.base;
    let Some(stop) = base.checked_add((bytes.len() - SEGMENT_HEADER) as u64) else { return SegmentScan::Unreadable };
    let mut records = Vec::new();
    let mut synced = base;
    let mut scanner = Scanner::new(bytes, base, header.key, stop);
    let damaged = scanner.run(|offset, frame| {
        records.push(offset..offset + frame.frame_length());
        synced = synced.max(offset.saturating_sub(frame.distance.into()));
    });
    match damaged {
        Ok(damaged) => SegmentScan::Segment { base, records, damaged, synced },
        Err(_) => SegmentScan::Unreadable,
    }
}

/// Reads the header of a segment file of `length` bytes. The inner `Err` is the version of a segment in another format.
pub(crate) fn read_header(file: &dyn StorageFile, length: u64) -> io::Result<Result<Option<SegmentHeader>, u32>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(SEGMENT_HEADER)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(match SegmentHeader::read(&bytes) {
        HeaderBytes::Sound(header) => Ok(Some(header)),
        HeaderBytes::Version(version) => Err(version),
        HeaderBytes::Unsound => {
            // One MiB is enough to recognise a record of version 1.
            let mut first = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(1 << 20)];
            file.read_exact_at(&mut first, 0)?;
            if is_version_1(&first) { Err(1) } else { Ok(None) }
        }
    })
}
