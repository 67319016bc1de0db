//! What a test makes fail, and what it sees of the calls.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A file is opened, for reading or writing.
    Open,
    /// A folder is made.
    CreateDir,
    /// A folder is listed.
    List,
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// A file is cut or extended.
    SetLen,
    /// A file is synced, with or without its metadata.
    Sync,
    /// A folder is synced.
    SyncDir,
    /// A file is removed.
    Remove,
    /// A file gets another name.
    Rename,
    /// A file's time is read.
    Modified,
}

/// A call that fails.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(super) operation: Operation,
    pub(super) under: PathBuf,
    pub(super) skip: u64,
    pub(super) times: u64,
    pub(super) error: io::ErrorKind,
    pub(super) short: usize,
    pub(super) panics: bool,
}

impl Fault {
    /// The next call of a kind fails, with an input/output error.
    pub fn new(operation: Operation) -> Self {
        let error = io::ErrorKind::Other;
        Self { operation, under: PathBuf::new(), skip: 0, times: 1, error, short: 0, panics: false }
    }

    /// Only for files and folders under a path, or that one.
    #[must_use]
    pub fn under(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.under);
        self
    }

    /// So many calls succeed before.
    #[must_use]
    pub fn after(mut self, calls: u64) -> Self {
        self.skip = calls;
        self
    }

    /// So many calls fail.
    #[must_use]
    pub fn times(mut self, calls: u64) -> Self {
        self.times = calls;
        self
    }

    /// The error.
    #[must_use]
    pub fn error(mut self, kind: io::ErrorKind) -> Self {
        self.error = kind;
        self
    }

    /// A write leaves so many bytes behind before it fails.
    #[must_use]
    pub fn short(mut self, bytes: usize) -> Self {
        self.short = bytes;
        self
    }

    /// The call panics.
    #[must_use]
    pub fn panics(mut self) -> Self {
        self.panics = true;
        self
    }
}

/// Something that happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call.
    Call {
        /// Its kind.
        operation: Operation,
        /// On what.
        path: PathBuf,
        /// Position in the file.
        at: u64,
        /// Bytes, or the file's new length.
        length: u64,
        /// Whether it succeeded.
        ok: bool,
    },
    /// What a test said with [`super::SimulatedStorage::mark`].
    Mark(String),
}
