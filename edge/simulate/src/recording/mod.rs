//! Readers of recordings. They go through a file in pieces and give each as a body that ingest takes.

mod csv;
mod npy;
mod time;

use std::{io, path::PathBuf};

pub use csv::{CsvOptions, CsvRecording};
pub use npy::{NpyOptions, NpyRecording};

/// A piece of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Media type of the body: `application/x-ndjson`, or `application/vnd.wheeltapper.waveform`.
    pub content_type: &'static str,
    /// What ingest takes.
    pub body: Vec<u8>,
    /// How many readings are in it: cells that are not empty, or samples. Those that ingest will refuse count as well.
    pub readings: u64,
    /// Time of its last reading, in ns since 1970; that of the chunk before (0 at first) when no time in it can be read.
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
        /// What the system said.
        source: io::Error,
    },
    /// Not a CSV file with a header, or not as asked for.
    #[error("{}, line {line}: expected {expected}; got {came}; {advice}", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What should have been there.
        expected: &'static str,
        /// What was there.
        came: String,
        /// What to do.
        advice: &'static str,
    },
    /// Not a NumPy file, or of a kind that is no recording.
    #[error("{}: expected {expected}; got {came}; {advice}", path.display())]
    Npy {
        /// The file.
        path: PathBuf,
        /// What should have been there.
        expected: &'static str,
        /// What was there.
        came: String,
        /// What to do.
        advice: &'static str,
    },
}

/// The start of a text, for messages.
fn excerpt(text: &str) -> String {
    let mut start: String = text.chars().take(120).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}
