//! Finding the sound records in a segment, whatever else lies in it.

use std::{io, ops::Range};

use crc32c::crc32c_append;

use crate::{
    FRAME, SEGMENT_HEADER,
    format::{FrameHeader, HeaderBytes, Sealer, SegmentHeader, is_version_1},
    storage::StorageFile,
};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// What a scan reads from.
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

/// Reads the frames of a segment through a window, so that memory does not grow with what a damaged length claims.
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
    /// Scans the segment at `base` up to offset `stop`, which must not lie beyond the bytes that are there.
    pub(crate) fn new(image: I, base: u64, key: u64, stop: u64) -> Self {
        Self { image, sealer: Sealer::new(key), base, stop, window: Vec::new(), window_at: base }
    }

    /// The bytes from `offset` on, at least `least` of them and at most what the window holds; none past the end.
    fn bytes(&mut self, offset: u64, least: usize) -> io::Result<Option<&[u8]>> {
        let held = offset.checked_sub(self.window_at).and_then(|skip| usize::try_from(skip).ok());
        let held = held.filter(|&skip| self.window.len() >= skip.saturating_add(least));
        let skip = match held {
            Some(skip) => skip,
            None => {
                let left = usize::try_from(self.stop.saturating_sub(offset)).unwrap_or(usize::MAX);
                if left < least {
                    return Ok(None);
                }
                self.window.clear();
                self.window.resize(left.min(CHUNK), 0);
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

    /// The sound frame at `offset`, if there is one.
    pub(crate) fn frame_at(&mut self, offset: u64) -> io::Result<Option<FrameHeader>> {
        let sealer = self.sealer;
        let Some(header) = self.bytes(offset, FRAME)?.and_then(|bytes| sealer.header(bytes, offset)) else {
            return Ok(None);
        };
        if header.frame_length() > self.stop - offset {
            return Ok(None);
        }
        let mut at = offset + FRAME as u64;
        let mut left = header.length;
        let mut check = 0;
        while left > 0 {
            let Some(bytes) = self.bytes(at, 1)? else { return Ok(None) };
            let piece = bytes.get(..left).unwrap_or(bytes);
            check = crc32c_append(check, piece);
            at += piece.len() as u64;
            left -= piece.len();
        }
        Ok((check == header.payload_crc).then_some(header))
    }

    /// Offset of the first sound frame at or after `from`.
    pub(crate) fn next_sound(&mut self, from: u64) -> io::Result<Option<u64>> {
        let sealer = self.sealer;
        let mut at = from;
        loop {
            let Some(bytes) = self.bytes(at, FRAME)? else { return Ok(None) };
            let candidates = bytes.windows(FRAME);
            let tried = candidates.len() as u64;
            let found = candidates.zip(at..).find(|(bytes, offset)| sealer.header(bytes, *offset).is_some());
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

    /// Calls `frame` with each sound frame's offset and header, and returns what lies between them and after the last.
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

/// What [`recover_bytes`] finds in a segment's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentScan {
    /// Not a segment of this format: too short, a damaged header, or another version.
    Unreadable,
    /// A segment.
    Segment {
        /// Offset of its first byte.
        base: u64,
        /// The sound records, by the offsets where each begins and the next one may.
        records: Vec<Range<u64>>,
        /// What lies between and after them.
        damaged: Vec<Range<u64>>,
        /// Offset up to which, by what the records say, all had been synced when the last of them was written.
        synced: u64,
    },
}

/// Scans the bytes of a segment file as recovery does. It takes any bytes: it does not panic, and allocates no more than
/// in proportion to them.
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

/// Reads the header of a segment file of `length` bytes; `Err` carries the version when it is another one's.
pub(crate) fn read_header(file: &dyn StorageFile, length: u64) -> io::Result<Result<Option<SegmentHeader>, u32>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(SEGMENT_HEADER)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(match SegmentHeader::read(&bytes) {
        HeaderBytes::Sound(header) => Ok(Some(header)),
        HeaderBytes::Version(version) => Err(version),
        HeaderBytes::Unsound => {
            // Of a record of version 1 no more is read than tells it.
            let mut first = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(1 << 20)];
            file.read_exact_at(&mut first, 0)?;
            if is_version_1(&first) { Err(1) } else { Ok(None) }
        }
    })
}
