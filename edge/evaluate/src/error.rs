//! What can go wrong.

use std::{io, path::PathBuf};

/// Why a benchmark could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{what} {path}: {source}; check that it is there and may be read or written", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file or folder is not laid out as its benchmark is.
    #[error("{path}: expected {expected}, found {found}; fetch the benchmark's files anew", path = path.display())]
    Layout {
        /// The file or folder.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The line failed.
    #[error("the line failed on {recording}: {reason}")]
    Line {
        /// What it was running.
        recording: String,
        /// In its own words.
        reason: String,
    },
    /// The line answered, but not what was asked.
    #[error("the line's answer on {recording}: expected {expected}, got {found}; this is a fault of the line's host")]
    Answer {
        /// What it was running.
        recording: String,
        /// What was asked.
        expected: String,
        /// What came.
        found: String,
    },
}

impl Error {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn layout(path: impl Into<PathBuf>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Layout { path: path.into(), expected: expected.into(), found: found.into() }
    }

    pub(crate) fn answer(recording: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Answer { recording: recording.into(), expected: expected.into(), found: found.into() }
    }
}
