//! Errors of the log.

use std::{io, path::PathBuf};

/// An error of the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// An operation of the file system failed.
    #[error(
        "{what} {path}: {source}; check that the folder is writable and the disk has free space",
        path = path.display()
    )]
    Io {
        /// The operation, such as "opening".
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The bytes at an offset are not a valid record: they were changed, or the file that contained them is missing or
    /// shorter than before. The records from `resume` on can be read.
    #[error(
        "{path}: no valid record at offset {offset} (its checksum does not match, or its bytes are missing); the \
         records before offset {resume} are lost unless the data folder is restored from a backup",
        path = path.display()
    )]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// Offset in the stream.
        offset: u64,
        /// Offset of the next valid record, or the offset at which the reader can wait for one. Always greater than
        /// `offset`.
        resume: u64,
    },
    /// The offset is before the first retained record or after the end.
    #[error("offset {offset} is outside this partition's range {start}..{end}")]
    OutOfRange {
        /// The requested offset.
        offset: u64,
        /// First offset that is retained.
        start: u64,
        /// Offset after the last record.
        end: u64,
    },
    /// A segment of another format version. This version does not read it and does not change it.
    #[error(
        "{path}: the log's format is version {version}, this program reads version {supported}; run the version of the \
         program that wrote it until all pending records are stored, then move the log folder away",
        path = path.display(), supported = crate::format::VERSION
    )]
    Format {
        /// The segment file.
        path: PathBuf,
        /// The version in the segment's header.
        version: u32,
    },
    /// The bytes to append were not made by [`crate::encode_frame`], or a record is longer than [`crate::MAX_PAYLOAD`].
    #[error(
        "the bytes to append to {path} are not valid records: expected a frame of at most {max} bytes at byte {at}",
        path = path.display(), max = crate::MAX_PAYLOAD
    )]
    NotFramed {
        /// The partition's folder.
        path: PathBuf,
        /// Position in the bytes to append.
        at: usize,
    },
    /// The partition rejects appends because a write or sync failed, until [`crate::Partition::heal`] succeeds.
    #[error(
        "{path} rejects records since an earlier failure ({source}); it is retried automatically",
        path = path.display()
    )]
    Broken {
        /// The partition's folder.
        path: PathBuf,
        /// The earlier failure. Its kind is the kind of the original error.
        source: io::Error,
    },
}

impl LogError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    /// Returns whether the disk, or the disk quota, is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::Broken { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Damaged { .. } | Self::OutOfRange { .. } | Self::Format { .. } | Self::NotFramed { .. } => false,
        }
    }

    /// Returns the same failure as an [`io::Error`] of the same kind.
    pub(crate) fn to_io_error(&self) -> io::Error {
        let kind = match self {
            Self::Io { source, .. } | Self::Broken { source, .. } => source.kind(),
            Self::Damaged { .. } | Self::OutOfRange { .. } | Self::Format { .. } => io::ErrorKind::InvalidData,
            Self::NotFramed { .. } => io::ErrorKind::InvalidInput,
        };
        match self {
            // Avoids "an earlier failure (an earlier failure (...))".
            Self::Broken { source, .. } => io::Error::new(kind, source.to_string()),
            other => io::Error::new(kind, other.to_string()),
        }
    }
}
