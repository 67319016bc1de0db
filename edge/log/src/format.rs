//! The binary format of a segment: its header, and the frame around each record.

use crc32c::{crc32c, crc32c_append};

/// Bytes of the header before each payload: length, checksum of the payload, bytes since the last sync, and checksum of
/// the header. Each is a little-endian u32.
pub const FRAME_HEADER_LEN: usize = 16;

/// The maximum length of a payload, in bytes. A greater length is treated as damage.
pub const MAX_PAYLOAD: usize = 1 << 30;

/// Bytes of the header of a segment file, before the first record.
pub const SEGMENT_HEADER_LEN: usize = 32;

/// The format version that this program writes, and the only one it reads. Version 1 had no segment header.
pub(crate) const VERSION: u32 = 2;

const MAGIC: [u8; 8] = *b"wt-log\r\n";

/// Appends `payload` to `out` as a frame. The two header fields that depend on the partition are completed by
/// [`crate::Partition::append_framed`].
pub fn encode_frame(payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.reserve(FRAME_HEADER_LEN + payload.len());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32c(payload).to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(payload);
}

/// A frame header with a valid checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) length: usize,
    pub(crate) payload_crc: u32,
    /// When the frame was written: its offset minus the offset up to which everything was synced.
    pub(crate) bytes_since_sync: u32,
}

impl FrameHeader {
    /// Bytes of the frame: header and payload.
    pub(crate) fn frame_length(&self) -> u64 {
        (FRAME_HEADER_LEN + self.length) as u64
    }
}

/// Completes and validates the headers of the frames of one segment. The header's checksum covers the segment's random
/// key and the frame's offset, which are not stored in the frame. A payload that looks like a frame is therefore not
/// taken for one, nor is a frame at an offset where it was not written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameCodec {
    checksum_seed: u32,
}

impl FrameCodec {
    pub(crate) fn new(key: u64) -> Self {
        Self { checksum_seed: crc32c(&key.to_le_bytes()) }
    }

    fn header_checksum(self, offset: u64, header: &[u8; 12]) -> u32 {
        let mut input = [0; 20];
        input[..8].copy_from_slice(&offset.to_le_bytes());
        input[8..].copy_from_slice(header);
        crc32c_append(self.checksum_seed, &input)
    }

    /// Completes the frames in `framed`. The first one is written at `offset`, and everything before `synced` is
    /// synced.
    ///
    /// # Errors
    /// The position of the first byte that does not start a frame.
    pub(crate) fn complete_headers(self, framed: &mut [u8], offset: u64, synced: u64) -> Result<(), usize> {
        let mut at = 0;
        while at < framed.len() {
            let begins = offset + at as u64;
            let Some(header) = framed.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<FRAME_HEADER_LEN>()) else {
                return Err(at);
            };
            let length = u32_at(header, 0) as usize;
            if length > MAX_PAYLOAD {
                return Err(at);
            }
            // If the distance does not fit the field, the maximum is stored. It understates what was synced, so
            // recovery is only more careful.
            let distance = u32::try_from(begins.saturating_sub(synced)).unwrap_or(u32::MAX);
            header[8..12].copy_from_slice(&distance.to_le_bytes());
            let mut covered = [0; 12];
            covered.copy_from_slice(&header[..12]);
            header[12..].copy_from_slice(&self.header_checksum(begins, &covered).to_le_bytes());
            match at.checked_add(FRAME_HEADER_LEN + length) {
                Some(next) if next <= framed.len() => at = next,
                _ => return Err(at),
            }
        }
        Ok(())
    }

    /// Returns the header at the start of `bytes`, which are stored at `offset`, if it is valid. Does not check the
    /// payload.
    pub(crate) fn parse_header(self, bytes: &[u8], offset: u64) -> Option<FrameHeader> {
        let header = bytes.first_chunk::<FRAME_HEADER_LEN>()?;
        let length = u32_at(header, 0) as usize;
        if length > MAX_PAYLOAD {
            return None;
        }
        let mut covered = [0; 12];
        covered.copy_from_slice(&header[..12]);
        (self.header_checksum(offset, &covered) == u32_at(header, 12)).then(|| FrameHeader {
            length,
            payload_crc: u32_at(header, 4),
            bytes_since_sync: u32_at(header, 8),
        })
    }
}

/// The header of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Offset of the segment's first byte.
    pub(crate) base: u64,
    /// See [`FrameCodec`].
    pub(crate) key: u64,
}

/// The result of parsing the first bytes of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParsedHeader {
    Valid(SegmentHeader),
    /// Written in another format version.
    OtherVersion(u32),
    /// Too short, or changed.
    Invalid,
}

impl SegmentHeader {
    pub(crate) fn to_bytes(self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.base.to_le_bytes());
        bytes[24..].copy_from_slice(&self.key.to_le_bytes());
        let check = crc32c(&bytes);
        bytes[12..16].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Parses the first bytes of a segment file. A file of version 1 starts with a record instead; see
    /// [`is_version_1`].
    pub(crate) fn parse(bytes: &[u8]) -> ParsedHeader {
        if let Some(header) = bytes.first_chunk::<SEGMENT_HEADER_LEN>() {
            let mut unchecked = *header;
            unchecked[12..16].fill(0);
            if header[..8] == MAGIC && crc32c(&unchecked) == u32_at(header, 12) {
                return match u32_at(header, 8) {
                    VERSION => ParsedHeader::Valid(Self { base: u64_at(header, 16), key: u64_at(header, 24) }),
                    other => ParsedHeader::OtherVersion(other),
                };
            }
        }
        ParsedHeader::Invalid
    }
}

/// Returns whether `bytes` start with a record of version 1: length, CRC-32C of the payload, payload.
pub(crate) fn is_version_1(bytes: &[u8]) -> bool {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return false };
    let length = u32_at(head, 0) as usize;
    length > 0 && rest.get(..length).is_some_and(|payload| crc32c(payload) == u32_at(head, 4))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
