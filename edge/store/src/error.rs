//! Errors, and which of them heal by themselves.

use std::{path::PathBuf, time::Duration};

use rusqlite::ffi;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite refused.
    #[error("the store: {0}; {hint}", hint = hint(kind_of(.0)))]
    Sqlite(#[from] rusqlite::Error),
    /// A statement of the user's cannot be run.
    #[error("{0}")]
    Statement(String),
    /// A compressed column cannot be read.
    #[error("the store holds a damaged column: {0}; restore it from a backup")]
    Column(String),
    /// A page or an index of the file is damaged.
    #[error("the store is damaged: {0}; stop the host, keep the file and restore the newest backup")]
    Damaged(String),
    /// It was opened for looking only.
    #[error("the store was opened for reading only")]
    ReadOnly,
    /// The file was made by another version.
    #[error(
        "the store is of version {found}, this program knows version {known}; a host that starts brings an older store up, a newer one needs the program that made it"
    )]
    Version {
        /// The file's.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file at the store's path is no longer the one that was opened.
    #[error("another file lies in the store's place since it was opened; put the store back, or restart the host")]
    Replaced,
    /// Only looking is allowed.
    #[error("only SELECT is allowed here: {0}")]
    NotSelect(String),
    /// A read was ended, so that it does not hold the write-ahead log.
    #[error(
        "the read was ended after {} s, as a longer one keeps the store's write-ahead log from shrinking; ask for a shorter time or fewer rows",
        .0.as_secs_f64()
    )]
    TooLong(Duration),
    /// Another attempt to write the same partition's checkpoint took back what this one had staged.
    #[error("the checkpoint of partition {0} was taken over by another attempt; write it again from its beginning")]
    Superseded(u16),
    /// More waits for the planner than the store keeps.
    #[error("{0} requests wait for the planner, no more are taken; wait until it has gone through them")]
    TooManyRequests(u64),
    /// A copy was to take the place of what it is a copy of.
    #[error("{} is the file that is to be copied; name another place for the copy", .0.display())]
    Onto(PathBuf),
    /// A copy could not be written.
    #[error("writing {}: {error}; check that the folder is there and has room", to.display())]
    Copy {
        /// Where to.
        to: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Writing an export failed.
    #[error("the export: {0}")]
    Export(String),
    /// A file could not be read or written.
    #[error("a file could not be read or written: {0}; check that there is room and that it is writable")]
    Io(#[from] std::io::Error),
}

/// What kind of trouble an error tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The disk, or the space that the user may take, is full.
    DiskFull,
    /// The file or its file system cannot be written.
    ReadOnly,
    /// Another connection holds a lock, or a time limit passed.
    Busy,
    /// The file is damaged or no database.
    Corrupt,
    /// The system failed to read, write or sync.
    Io,
    /// A mistake in what was asked, another version, or anything else that stays as it is.
    Other,
}

impl StoreErrorKind {
    /// The kind in words, for `/ready`, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::ReadOnly => "read_only",
            Self::Busy => "busy",
            Self::Corrupt => "corrupt",
            Self::Io => "io",
            Self::Other => "other",
        }
    }
}

impl StoreError {
    /// What kind of trouble this is.
    pub fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Sqlite(error) => kind_of(error),
            Self::Column(_) | Self::Damaged(_) => StoreErrorKind::Corrupt,
            Self::ReadOnly => StoreErrorKind::ReadOnly,
            Self::TooLong(_) | Self::Superseded(_) | Self::TooManyRequests(_) => StoreErrorKind::Busy,
            Self::Replaced => StoreErrorKind::Io,
            Self::Io(error) | Self::Copy { error, .. } => match error.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreErrorKind::DiskFull,
                std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                    StoreErrorKind::ReadOnly
                }
                _ => StoreErrorKind::Io,
            },
            Self::Statement(_) | Self::Version { .. } | Self::NotSelect(_) | Self::Onto(_) | Self::Export(_) => {
                StoreErrorKind::Other
            }
        }
    }

    /// Whether the same call may succeed later: once there is room again, the file system is writable, the lock is
    /// free. The failed call left nothing behind, so it can be made again as it is.
    pub fn is_transient(&self) -> bool {
        match self {
            // Opened so on purpose.
            Self::ReadOnly => false,
            _ => match self.kind() {
                StoreErrorKind::DiskFull | StoreErrorKind::ReadOnly | StoreErrorKind::Busy | StoreErrorKind::Io => true,
                StoreErrorKind::Corrupt => false,
                StoreErrorKind::Other => self.is_out_of_memory(),
            },
        }
    }

    fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Sqlite(error) if code_of(error).is_some_and(|code| code & 0xff == ffi::SQLITE_NOMEM))
    }

    /// Whether a statement was interrupted.
    pub(crate) fn is_interrupt(&self) -> bool {
        matches!(self, Self::Sqlite(error) if code_of(error).is_some_and(|code| code & 0xff == ffi::SQLITE_INTERRUPT))
    }
}

/// SQLite's extended result code.
fn code_of(error: &rusqlite::Error) -> Option<i32> {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => Some(failure.extended_code),
        rusqlite::Error::SqlInputError { error, .. } => Some(error.extended_code),
        _ => None,
    }
}

fn kind_of(error: &rusqlite::Error) -> StoreErrorKind {
    match error {
        // What is in a STRICT table has its column's type, unless the page is damaged.
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => return StoreErrorKind::Corrupt,
        _ => {}
    }
    let Some(code) = code_of(error) else { return StoreErrorKind::Other };
    match code {
        // SQLite reports a full disk as such when it writes a file, and as an I/O error when it grows the WAL's index.
        ffi::SQLITE_IOERR_SHMSIZE => return StoreErrorKind::DiskFull,
        ffi::SQLITE_IOERR_NOMEM => return StoreErrorKind::Other,
        ffi::SQLITE_IOERR_CORRUPTFS => return StoreErrorKind::Corrupt,
        ffi::SQLITE_IOERR_BLOCKED | ffi::SQLITE_IOERR_LOCK | ffi::SQLITE_IOERR_RDLOCK => return StoreErrorKind::Busy,
        _ => {}
    }
    match code & 0xff {
        ffi::SQLITE_FULL => StoreErrorKind::DiskFull,
        ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_AUTH => StoreErrorKind::ReadOnly,
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL | ffi::SQLITE_INTERRUPT => StoreErrorKind::Busy,
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => StoreErrorKind::Corrupt,
        ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN => StoreErrorKind::Io,
        _ => StoreErrorKind::Other,
    }
}

/// What to do about it.
fn hint(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::DiskFull => "free space on the disk of the data folder; the host goes on by itself then",
        StoreErrorKind::ReadOnly => {
            "make the data folder and its file system writable again; the host goes on by itself then"
        }
        StoreErrorKind::Busy => "another program holds the file locked; end what reads or writes it, or wait",
        StoreErrorKind::Corrupt => {
            "the file is damaged or no store; stop the host, keep the file and restore the newest backup"
        }
        StoreErrorKind::Io => "check the disk, the folder and its permissions; the host tries again",
        StoreErrorKind::Other => "check that the file was made by this program and that the request is valid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(code: i32) -> StoreError {
        StoreError::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn result_codes_have_their_kind_and_say_what_to_do() {
        use StoreErrorKind::{Busy, Corrupt, DiskFull, Io, Other, ReadOnly};
        for (code, kind, transient, word) in [
            (ffi::SQLITE_FULL, DiskFull, true, "free space"),
            (ffi::SQLITE_IOERR_SHMSIZE, DiskFull, true, "free space"),
            (ffi::SQLITE_READONLY, ReadOnly, true, "writable"),
            (ffi::SQLITE_READONLY_DIRECTORY, ReadOnly, true, "writable"),
            (ffi::SQLITE_BUSY, Busy, true, "wait"),
            (ffi::SQLITE_BUSY_SNAPSHOT, Busy, true, "wait"),
            (ffi::SQLITE_LOCKED_SHAREDCACHE, Busy, true, "wait"),
            (ffi::SQLITE_CORRUPT_INDEX, Corrupt, false, "backup"),
            (ffi::SQLITE_NOTADB, Corrupt, false, "backup"),
            (ffi::SQLITE_IOERR_FSYNC, Io, true, "disk"),
            (ffi::SQLITE_CANTOPEN_ISDIR, Io, true, "disk"),
            (ffi::SQLITE_CONSTRAINT_CHECK, Other, false, "valid"),
            (ffi::SQLITE_NOMEM, Other, true, "valid"),
        ] {
            let error = sqlite(code);
            assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{code}");
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(!StoreError::ReadOnly.is_transient());
        let full = StoreError::Io(std::io::ErrorKind::StorageFull.into());
        assert_eq!((full.kind(), full.is_transient()), (DiskFull, true));
    }
}
