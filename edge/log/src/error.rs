//! What can go wrong with a log.

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
    /// The bytes at an offset are no sound record: they were changed, or the file that held them is gone or shorter
    /// than it was. The records from `resume` on can be read.
    #[error(
        "{path}: no sound record at offset {offset} (its checksum does not match, or its bytes are missing); the records \
         before offset {resume} are lost unless the data folder is restored from a backup",
        path = path.display()
    )]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// Where in the stream.
        offset: u64,
        /// Offset of the next sound record, or where the reader may go on waiting for one. Always above `offset`.
        resume: u64,
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
    /// A segment of another format version, which this version does not read and does not touch.
    #[error(
        "{path}: the log's format is version {version}, this program reads version {supported}; start the version of the \
         program that wrote it, let it store what is pending, then move the log folder away",
        path = path.display(), supported = crate::format::VERSION
    )]
    Format {
        /// The segment file.
        path: PathBuf,
        /// The version that was found.
        version: u32,
    },
    /// Bytes to append that [`crate::frame`] did not make, or a record above [`crate::MAX_PAYLOAD`].
    #[error(
        "the bytes to append to {path} are no records: at byte {at} a frame of at most {max} bytes was expected",
        path = path.display(), max = crate::MAX_PAYLOAD
    )]
    NotFramed {
        /// The partition's folder.
        path: PathBuf,
        /// Position in what was to be appended.
        at: usize,
    },
    /// The partition takes nothing since a write or sync failed, until [`crate::Partition::reopen`] succeeds.
    #[error("{path} takes no records since an earlier failure ({source}); it is tried again by itself", path = path.display())]
    Broken {
        /// The partition's folder.
        path: PathBuf,
        /// The earlier failure; its kind is the original's.
        source: io::Error,
    },
}

impl LogError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    /// Whether the disk, or the quota on it, is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::Broken { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Damaged { .. } | Self::OutOfRange { .. } | Self::Format { .. } | Self::NotFramed { .. } => false,
        }
    }

    /// The same failure as an [`io::Error`], with its kind kept.
    pub(crate) fn as_io(&self) -> io::Error {
        let kind = match self {
            Self::Io { source, .. } | Self::Broken { source, .. } => source.kind(),
            Self::Damaged { .. } | Self::OutOfRange { .. } | Self::Format { .. } => io::ErrorKind::InvalidData,
            Self::NotFramed { .. } => io::ErrorKind::InvalidInput,
        };
        match self {
            // Not "an earlier failure (an earlier failure (...))".
            Self::Broken { source, .. } => io::Error::new(kind, source.to_string()),
            other => io::Error::new(kind, other.to_string()),
        }
    }
}
