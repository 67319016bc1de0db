//! What can go wrong.

use std::path::PathBuf;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the store: {0}; check that the disk has room and the file is writable")]
    Sqlite(#[from] rusqlite::Error),
    /// A statement of the user's cannot be run.
    #[error("{0}")]
    Statement(String),
    /// A compressed column cannot be read.
    #[error("the store holds a damaged column: {0}; restore it from a backup")]
    Column(String),
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
    /// Only looking is allowed.
    #[error("only SELECT is allowed here: {0}")]
    NotSelect(String),
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
    /// What takes the export did not take it.
    #[error("the export could not be written; check that there is room")]
    Io(#[from] std::io::Error),
}
