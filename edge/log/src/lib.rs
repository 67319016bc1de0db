//! The durable log: topics cut into partitions, each an append-only stream of records on disk.
//!
//! An **offset** is a position in bytes from the start of the partition's stream; a record's offset is where it begins,
//! and the offset after it is where the next one begins. Records lie in segment files named by the offset of their first
//! byte, so that old ones are dropped by deleting files. A record is framed as its length (u32, little endian), the
//! CRC-32C of its payload (u32) and the payload; a torn tail, as a power cut leaves it, fails that check and is cut off when
//! the partition is opened.
//!
//! [`Partition`] writes and reads one stream. [`Committer`] owns the partitions that many senders append to and makes
//! all the records that arrived while it was busy durable with one `fdatasync` a partition, then tells their senders.

mod committer;
mod partition;
mod reader;

pub use committer::{Append, CommitError, Committer};
pub use partition::{Partition, Retention};
pub use reader::{Reader, Record};

use std::{io, path::PathBuf};

/// What can go wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refused.
    #[error("{what} {path}: {source}; check that the folder is writable and the disk has room", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A record in the middle of the stream does not match its checksum.
    #[error(
        "{path}: the record at offset {offset} is damaged (its checksum does not match); restore the data folder from a backup",
        path = path.display()
    )]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// Where in the stream.
        offset: u64,
    },
    /// An offset that retention has dropped, or beyond the end.
    #[error("offset {offset} is outside this partition's {start}..{end}")]
    OutOfRange {
        /// What was asked for.
        offset: u64,
        /// First offset that is held.
        start: u64,
        /// Offset after the last record.
        end: u64,
    },
}

impl LogError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// Bytes of framing before each payload.
pub const FRAME: usize = 8;

/// The longest payload, in bytes; a length above it is taken for damage.
pub const MAX_PAYLOAD: usize = 1 << 30;

/// Appends `payload` to `out`, framed as it lies on disk.
pub fn frame(payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// Reads the frame's head: the payload's length and checksum.
pub(crate) fn head(bytes: &[u8]) -> Option<(usize, u32)> {
    let length: [u8; 4] = bytes.get(0..4)?.try_into().ok()?;
    let check: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    let length = u32::from_le_bytes(length) as usize;
    (length <= MAX_PAYLOAD).then_some((length, u32::from_le_bytes(check)))
}
