//! Finds the valid records in a segment that may be damaged.

use std::{io, ops::Range};

use crc32c::crc32c_append;

use crate::{
    FRAME_HEADER_LEN, SEGMENT_HEADER_LEN,
    format::{FrameCodec, FrameHeader, ParsedHeader, SegmentHeader, is_version_1},
    storage::StorageFile,
};

/// Bytes per read.
const READ_SIZE: usize = 256 << 10;

/// The source that a scan reads from.
pub(crate) trait ReadAt {
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;
}

impl ReadAt for &dyn StorageFile {
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        StorageFile::read_exact_at(*self, bytes, at)
    }
}

impl ReadAt for &[u8] {
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        let from = usize::try_from(at).ok().and_then(|at| self.get(at..)?.get(..bytes.len()));
        bytes.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Reads the frames of a segment through a window, so that a damaged length field does not increase memory use.
#[derive(Debug)]
pub(crate) struct Scanner<I> {
    source: I,
    codec: FrameCodec,
    base: u64,
    /// Offset at which the segment's bytes end.
    end_offset: u64,
    window: Vec<u8>,
    /// Offset of the window's first byte.
    window_offset: u64,
}

impl<I: ReadAt> Scanner<I> {
    /// Scans the segment at `base` up to offset `stop`, which must not exceed the bytes that exist.
    pub(crate) fn new(image: I, base: u64, key: u64, stop: u64) -> Self {
        Self {
            source: image,
            codec: FrameCodec::new(key),
            base,
            end_offset: stop,
            window: Vec::new(),
            window_offset: base,
        }
    }

    /// Returns the bytes from `offset` on: at least `min_length`, at most what the window contains. Returns `None` past
    /// the end.
    fn bytes_at(&mut self, offset: u64, min_length: usize) -> io::Result<Option<&[u8]>> {
        let buffered = offset.checked_sub(self.window_offset).and_then(|skip| usize::try_from(skip).ok());
        let buffered = buffered.filter(|&skip| self.window.len() >= skip.saturating_add(min_length));
        let skip = match buffered {
            Some(skip) => skip,
            None => {
                let remaining = usize::try_from(self.end_offset.saturating_sub(offset)).unwrap_or(usize::MAX);
                if remaining < min_length {
                    return Ok(None);
                }
                self.window.clear();
                self.window.resize(remaining.min(READ_SIZE), 0);
                self.window_offset = offset;
                if let Err(error) =
                    self.source.read_exact_at(&mut self.window, offset - self.base + SEGMENT_HEADER_LEN as u64)
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
        let codec = self.codec;
        let Some(header) = self.bytes_at(offset, FRAME_HEADER_LEN)?.and_then(|bytes| codec.parse_header(bytes, offset))
        else {
            return Ok(None);
        };
        if header.frame_length() > self.end_offset - offset {
            return Ok(None);
        }
        let mut at = offset + FRAME_HEADER_LEN as u64;
        let mut remaining = header.length;
        let mut check = 0;
        while remaining > 0 {
            let Some(bytes) = self.bytes_at(at, 1)? else { return Ok(None) };
            let piece = bytes.get(..remaining).unwrap_or(bytes);
            check = crc32c_append(check, piece);
            at += piece.len() as u64;
            remaining -= piece.len();
        }
        Ok((check == header.payload_crc).then_some(header))
    }

    /// Offset of the first valid frame at or after `from`.
    pub(crate) fn next_valid_frame(&mut self, from: u64) -> io::Result<Option<u64>> {
        let codec = self.codec;
        let mut at = from;
        loop {
            let Some(bytes) = self.bytes_at(at, FRAME_HEADER_LEN)? else { return Ok(None) };
            let candidates = bytes.windows(FRAME_HEADER_LEN);
            let tried = candidates.len() as u64;
            let found = candidates.zip(at..).find(|(bytes, offset)| codec.parse_header(bytes, *offset).is_some());
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
    pub(crate) fn scan(&mut self, mut frame: impl FnMut(u64, FrameHeader)) -> io::Result<Vec<Range<u64>>> {
        let mut damaged = Vec::new();
        let mut at = self.base;
        while at < self.end_offset {
            if let Some(header) = self.frame_at(at)? {
                frame(at, header);
                at += header.frame_length();
                continue;
            }
            let next = self.next_valid_frame(at + 1)?.unwrap_or(self.end_offset);
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
pub fn scan_segment_bytes(bytes: &[u8]) -> SegmentScan {
    let ParsedHeader::Valid(header) = SegmentHeader::parse(bytes) else { return SegmentScan::Unreadable };
    let base = header.base;
    let Some(stop) = base.checked_add((bytes.len() - SEGMENT_HEADER_LEN) as u64) else {
        return SegmentScan::Unreadable;
    };
    let mut records = Vec::new();
    let mut synced = base;
    let mut scanner = Scanner::new(bytes, base, header.key, stop);
    let damaged = scanner.scan(|offset, frame| {
        records.push(offset..offset + frame.frame_length());
        synced = synced.max(offset.saturating_sub(frame.bytes_since_sync.into()));
    });
    match damaged {
        Ok(damaged) => SegmentScan::Segment { base, records, damaged, synced },
        Err(_) => SegmentScan::Unreadable,
    }
}

/// Reads the header of a segment file of `length` bytes. The inner `Err` is the version of a segment in another format.
pub(crate) fn read_segment_header(
    file: &dyn StorageFile,
    length: u64,
) -> io::Result<Result<Option<SegmentHeader>, u32>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(SEGMENT_HEADER_LEN)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(match SegmentHeader::parse(&bytes) {
        ParsedHeader::Valid(header) => Ok(Some(header)),
        ParsedHeader::OtherVersion(version) => Err(version),
        ParsedHeader::Invalid => {
            // One MiB is enough to recognise a record of version 1.
            let mut first = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(1 << 20)];
            file.read_exact_at(&mut first, 0)?;
            if is_version_1(&first) { Err(1) } else { Ok(None) }
        }
    })
}
