//! Errors, and which of them are transient.

use std::{path::PathBuf, time::Duration};

use rusqlite::ffi;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An error of SQLite.
    #[error("the store: {0}; {hint}", hint = hint(sqlite_error_kind(.0)))]
    Sqlite(#[from] rusqlite::Error),
    /// A statement from the user is invalid.
    #[error("{0}")]
    InvalidStatement(String),
    /// A compressed column cannot be decoded.
    #[error("the store holds a damaged column: {0}; restore it from a backup")]
    CorruptColumn(String),
    /// A page or an index of the file is damaged.
    #[error("the store is damaged: {0}; stop the host, keep the file and restore the newest backup")]
    Corrupt(String),
    /// The store was opened read-only.
    #[error("the store was opened read-only")]
    ReadOnly,
    /// The file has the schema of another version.
    #[error(
        "the store has schema version {found}, this program supports version {known}; a starting host migrates \
         an older store, a newer one needs the program that made it"
    )]
    UnsupportedVersion {
        /// Version of the file.
        found: i64,
        /// Version that this program supports.
        known: i64,
    },
    /// The file at the store's path is not the one that was opened.
    #[error("another file has replaced the store since it was opened; put the store back, or restart the host")]
    FileReplaced,
    /// Only SELECT statements are allowed.
    #[error("only SELECT statements are allowed: {0}")]
    NotSelect(String),
    /// A read exceeded its time limit, which keeps the write-ahead log bounded.
    #[error(
        "the read was interrupted after {} s, because a longer one keeps the store's write-ahead log from \
         shrinking; request a shorter time range or fewer rows",
        .0.as_secs_f64()
    )]
    ReadTimeout(Duration),
    /// Another attempt to write the same partition's checkpoint deleted the chunks that this one had staged.
    #[error("the checkpoint of partition {0} was superseded by another attempt; write it again from the start")]
    Superseded(u16),
    /// The maximum number of commands is waiting for the planner.
    #[error("{0} commands wait for the planner, which is the maximum; wait until it has processed them")]
    TooManyPlannerCommands(u64),
    /// The target of a copy is its source.
    #[error("{} is the source of the copy; choose another target", .0.display())]
    CopyOntoItself(PathBuf),
    /// A copy could not be written.
    #[error("writing {}: {error}; check that the folder exists and has free space", to.display())]
    Copy {
        /// The target.
        to: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// Writing an export failed.
    #[error("the export: {0}")]
    Export(String),
    /// A file could not be read or written.
    #[error("a file could not be read or written: {0}; check that it is writable and that the disk has free space")]
    Io(#[from] std::io::Error),
}

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The disk, or the user's quota, is full.
    DiskFull,
    /// The file or its file system is read-only.
    ReadOnly,
    /// Another connection holds a lock, or a time limit was exceeded.
    Busy,
    /// The file is damaged or not a database.
    Corrupt,
    /// The system failed to read, write or sync.
    Io,
    /// An invalid request, another version, or any other permanent error.
    Other,
}

impl StoreErrorKind {
    /// The name of the kind, for `/ready`, logs and metrics.
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
    /// The kind of this error.
    pub fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Sqlite(error) => sqlite_error_kind(error),
            Self::CorruptColumn(_) | Self::Corrupt(_) => StoreErrorKind::Corrupt,
            Self::ReadOnly => StoreErrorKind::ReadOnly,
            Self::ReadTimeout(_) | Self::Superseded(_) | Self::TooManyPlannerCommands(_) => StoreErrorKind::Busy,
            Self::FileReplaced => StoreErrorKind::Io,
            Self::Io(error) | Self::Copy { error, .. } => match error.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreErrorKind::DiskFull,
                std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                    StoreErrorKind::ReadOnly
                }
                _ => StoreErrorKind::Io,
            },
            Self::InvalidStatement(_)
            | Self::UnsupportedVersion { .. }
            | Self::NotSelect(_)
            | Self::CopyOntoItself(_)
            | Self::Export(_) => StoreErrorKind::Other,
        }
    }

    /// Returns whether the same call may succeed later: when there is free space again, the file system is writable, or
    /// the lock is free. The failed call changed nothing, so it can be repeated.
    pub fn is_transient(&self) -> bool {
        match self {
            // Opened read-only on purpose.
            Self::ReadOnly => false,
            _ => match self.kind() {
                StoreErrorKind::DiskFull | StoreErrorKind::ReadOnly | StoreErrorKind::Busy | StoreErrorKind::Io => true,
                StoreErrorKind::Corrupt => false,
                StoreErrorKind::Other => self.is_out_of_memory(),
            },
        }
    }

    fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Sqlite(error) if extended_code(error).is_some_and(|code| code & 0xff == ffi::SQLITE_NOMEM))
    }

    /// Returns whether a statement was interrupted.
    pub(crate) fn is_interrupt(&self) -> bool {
        matches!(self, Self::Sqlite(error)
            if extended_code(error).is_some_and(|code| code & 0xff == ffi::SQLITE_INTERRUPT))
    }
}

/// SQLite's extended result code.
fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => Some(failure.extended_code),
        rusqlite::Error::SqlInputError { error, .. } => Some(error.extended_code),
        _ => None,
    }
}

fn sqlite_error_kind(error: &rusqlite::Error) -> StoreErrorKind {
    match error {
        // A value in a STRICT table has its column's type unless the page is damaged.
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => return StoreErrorKind::Corrupt,
        _ => {}
    }
    let Some(code) = extended_code(error) else { return StoreErrorKind::Other };
    match code {
        // SQLite reports a full disk as such for a write to a file, but as an I/O error when it extends the WAL index.
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

/// What the user can do.
fn hint(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::DiskFull => "free space on the disk of the data folder; the host then continues automatically",
        StoreErrorKind::ReadOnly => {
            "make the data folder and its file system writable again; the host then continues automatically"
        }
        StoreErrorKind::Busy => "another program has locked the file; stop that program, or wait",
        StoreErrorKind::Corrupt => {
            "the file is damaged or not a store; stop the host, keep the file and restore the newest backup"
        }
        StoreErrorKind::Io => "check the disk, the folder and its permissions; the host retries automatically",
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
        for (code, kind, transient, hint) in [
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
            assert!(error.to_string().contains(hint), "{error}");
        }
        assert!(!StoreError::ReadOnly.is_transient());
        let full = StoreError::Io(std::io::ErrorKind::StorageFull.into());
        assert_eq!((full.kind(), full.is_transient()), (DiskFull, true));
    }
}
