//! Recordings as the bodies that ingest takes.

mod csv;
mod npy;

use std::{io, path::PathBuf};

pub use csv::{CsvOptions, CsvRecording};
pub use npy::{NpyOptions, NpyRecording};

/// A stretch of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// Readings in it, also those that ingest will refuse.
    pub readings: u64,
    /// Time of its last reading, in nanoseconds since 1970.
    pub last_time_ns: i64,
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is not as expected.
    #[error("{path}{line}: expected {expected}; got {got}", path = path.display(), line = line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Form {
        /// Which one.
        path: PathBuf,
        /// Where, from 1.
        line: Option<u64>,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
}
