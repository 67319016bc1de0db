//! Faults that a test injects, and the trace of calls.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A file is opened, for reading or writing.
    Open,
    /// A folder is created.
    CreateDir,
    /// A folder is listed.
    List,
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// A file is truncated or extended.
    SetLen,
    /// A file is synced, with or without its metadata.
    Sync,
    /// A folder is synced.
    SyncDir,
    /// A file is removed.
    Remove,
    /// A file is renamed.
    Rename,
    /// A file's modification time is read.
    Modified,
}

/// An injected fault of a call.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(super) operation: Operation,
    pub(super) under: PathBuf,
    pub(super) skip: u64,
    pub(super) failure_count: u64,
    pub(super) error: io::ErrorKind,
    pub(super) partial_bytes: usize,
    pub(super) panics: bool,
}

impl Fault {
    /// Makes the next call of a kind fail, with an I/O error.
    pub fn new(operation: Operation) -> Self {
        let error = io::ErrorKind::Other;
        Self { operation, under: PathBuf::new(), skip: 0, failure_count: 1, error, partial_bytes: 0, panics: false }
    }

    /// Limits the fault to a path and everything below it.
    #[must_use]
    pub fn under(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.under);
        self
    }

    /// Lets this many calls succeed first.
    #[must_use]
    pub fn after(mut self, calls: u64) -> Self {
        self.skip = calls;
        self
    }

    /// Makes this many calls fail.
    #[must_use]
    pub fn times(mut self, calls: u64) -> Self {
        self.failure_count = calls;
        self
    }

    /// Sets the kind of the error.
    #[must_use]
    pub fn error(mut self, kind: io::ErrorKind) -> Self {
        self.error = kind;
        self
    }

    /// A write stores this many bytes before it fails.
    #[must_use]
    pub fn partial_write(mut self, bytes: usize) -> Self {
        self.partial_bytes = bytes;
        self
    }

    /// Makes the call panic.
    #[must_use]
    pub fn panics(mut self) -> Self {
        self.panics = true;
        self
    }
}

/// An entry of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call.
    Call {
        /// Its kind.
        operation: Operation,
        /// The file or folder.
        path: PathBuf,
        /// Position in the file.
        at: u64,
        /// Bytes, or the file's new length.
        length: u64,
        /// Whether it succeeded.
        ok: bool,
    },
    /// A label set by [`super::SimulatedStorage::mark`].
    Mark(String),
}

impl Fault {
    /// Fails as injected.
    pub(super) fn trigger<T>(&self) -> io::Result<T> {
        #[expect(clippy::panic, reason = "the test requested it")]
        if self.panics {
            panic!("an injected panic");
        }
        Err(io::Error::new(self.error, "an injected fault"))
    }
}
