//! Readers of recordings. They read a file in chunks and convert each chunk to a body for ingest.

mod csv;
mod npy;
mod time;

use std::{io, path::PathBuf};

pub use csv::{CsvOptions, CsvRecording};
pub use npy::{NpyOptions, NpyRecording};

/// A part of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Media type of the body: `application/x-ndjson`, or `application/vnd.wheeltapper.waveform`.
    pub content_type: &'static str,
    /// Body of an ingest request.
    pub body: Vec<u8>,
    /// Number of readings in the body: cells that are not empty, or samples. Readings that ingest will reject count
    /// too.
    pub readings: u64,
    /// Time of the last reading, in ns since 1970. If no time in the chunk can be parsed, the value of the previous
    /// chunk (initially 0).
    pub last_time_ns: i64,
}

/// Why a recording could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file is not a CSV file with a header, or lacks the requested columns.
    #[error("{}, line {line}: expected {expected}; got {found}; {advice}", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: u64,
        /// The expected content.
        expected: &'static str,
        /// The actual content.
        found: String,
        /// How to correct it.
        advice: &'static str,
    },
    /// The file is not a NumPy file, or its array is not a recording of one sensor.
    #[error("{}: expected {expected}; got {found}; {advice}", path.display())]
    Npy {
        /// The file.
        path: PathBuf,
        /// The expected content.
        expected: &'static str,
        /// The actual content.
        found: String,
        /// How to correct it.
        advice: &'static str,
    },
}

/// The start of a text, quoted, for messages.
fn excerpt(text: &str) -> String {
    let mut start: String = text.chars().take(120).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}
