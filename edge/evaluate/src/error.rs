//! Errors of an evaluation.

use std::{io, path::PathBuf};

/// Why a benchmark could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("{what} {path}: {source}; check that it exists and that its permissions are sufficient", path = path.display())]
    Io {
        /// The operation, such as `reading`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file or folder does not have the benchmark's layout.
    #[error("{path}: expected {expected}, found {found}; download the benchmark's files again", path = path.display())]
    Layout {
        /// The file or folder.
        path: PathBuf,
        /// The expected content.
        expected: String,
        /// The actual content.
        found: String,
    },
    /// The pipeline failed.
    #[error("the pipeline failed on {recording}: {reason}")]
    Pipeline {
        /// The recording that it was running.
        recording: String,
        /// Error message of the pipeline.
        reason: String,
    },
    /// The pipeline returned a result of the wrong shape.
    #[error(
        "invalid result of the pipeline on {recording}: expected {expected}, got {found}; this is a bug of the host"
    )]
    InvalidResult {
        /// The recording that it was running.
        recording: String,
        /// The expected result.
        expected: String,
        /// The actual result.
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

    pub(crate) fn invalid_result(
        recording: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::InvalidResult { recording: recording.into(), expected: expected.into(), found: found.into() }
    }
}
