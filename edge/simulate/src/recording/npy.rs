//! NumPy arrays (`.npy`, format versions 1 to 3) of one signal, as bursts.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use super::{Chunk, RecordingError};
use crate::{WAVEFORM_TYPE, encode_waveform};

/// How to read a NumPy recording.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyOptions {
    /// The sensor's id.
    pub sensor: String,
    /// Samples a second, in Hz.
    pub rate: f64,
    /// Time of the first sample, in nanoseconds since 1970.
    pub start_ns: i64,
    /// Seconds of samples in a burst.
    pub burst_seconds: f64,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    F4,
    F8,
    I2,
    I4,
}

impl Kind {
    fn size(self) -> usize {
        match self {
            Self::I2 => 2,
            Self::F4 | Self::I4 => 4,
            Self::F8 => 8,
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "samples are kept as f32")]
    fn sample(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::F4, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::I4, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32,
            (Self::I2, &[a, b]) => f32::from(i16::from_le_bytes([a, b])),
            (Self::F8, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32,
            _ => f32::NAN,
        }
    }
}

/// A NumPy recording, burst by burst.
#[derive(Debug)]
pub struct NpyRecording {
    path: PathBuf,
    file: BufReader<File>,
    kind: Kind,
    options: NpyOptions,
    burst: u64,
    done: u64,
    total: u64,
}

impl NpyRecording {
    /// Opens a recording and reads its header.
    ///
    /// # Errors
    /// [`RecordingError`]: the file cannot be read, or is no one-dimensional array of little-endian f4, f8, i2 or i4.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of samples")]
    pub fn open(path: &Path, options: NpyOptions) -> Result<Self, RecordingError> {
        let failed = |source| RecordingError::File { path: path.to_owned(), source };
        let form = |expected: &str, got: String| RecordingError::Form { path: path.to_owned(), line: None, expected: expected.to_owned(), got };
        if !(options.rate.is_finite() && options.rate > 0.0 && options.burst_seconds > 0.0) {
            return Err(form("a rate and a burst length above 0", format!("{} Hz, {} s", options.rate, options.burst_seconds)));
        }
        let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
        let mut start = [0; 8];
        file.read_exact(&mut start).map_err(failed)?;
        let Some([major, _]) = start.strip_prefix(b"\x93NUMPY") else {
            return Err(form("a NumPy array (.npy)", format!("{start:02x?}")));
        };
        let length = match *major {
            1 => {
                let mut length = [0; 2];
                file.read_exact(&mut length).map_err(failed)?;
                u32::from(u16::from_le_bytes(length))
            }
            2 | 3 => {
                let mut length = [0; 4];
                file.read_exact(&mut length).map_err(failed)?;
                u32::from_le_bytes(length)
            }
            version => return Err(form("format version 1 to 3", version.to_string())),
        };
        if length > 1 << 20 {
            return Err(form("a header of at most 1 MiB", length.to_string()));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(failed)?;
        let header = String::from_utf8_lossy(&header);
        let kind = match entry(&header, "descr").trim_matches(['\'', '"']) {
            "<f4" => Kind::F4,
            "<f8" => Kind::F8,
            "<i2" => Kind::I2,
            "<i4" => Kind::I4,
            other => return Err(form("elements of type <f4, <f8, <i2 or <i4", other.to_owned())),
        };
        let shape: Vec<&str> = entry(&header, "shape").trim_matches(['(', ')']).split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        let total = match shape.as_slice() {
            [total] => total.parse().map_err(|_| form("a shape such as (1000,)", (*total).to_owned()))?,
            other => return Err(form("one dimension; save each column for itself", format!("({})", other.join(", ")))),
        };
        let burst = ((options.rate * options.burst_seconds).round() as u64).max(1);
        Ok(Self { path: path.to_owned(), file, kind, options, burst, done: 0, total })
    }

    #[allow(clippy::cast_possible_truncation, reason = "nanoseconds; `as` saturates")]
    #[allow(clippy::cast_precision_loss, reason = "exact below 2^53 samples")]
    fn time(&self, sample: u64) -> i64 {
        self.options.start_ns.saturating_add((sample as f64 * 1e9 / self.options.rate).round() as i64)
    }
}

/// What follows a key of the header, up to the comma that ends it.
fn entry<'a>(header: &'a str, key: &str) -> &'a str {
    let after = header.split_once(&format!("'{key}':")).map_or("", |(_, after)| after).trim_start();
    let end = if after.starts_with('(') { after.find(')').map_or(after.len(), |end| end + 1) } else { after.find([',', '}']).unwrap_or(after.len()) };
    after.get(..end).unwrap_or_default().trim()
}

impl Iterator for NpyRecording {
    type Item = Result<Chunk, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let count = self.burst.min(self.total - self.done);
        if count == 0 {
            return None;
        }
        let size = self.kind.size();
        let mut bytes = Vec::new();
        let wanted = count * size as u64;
        let read = self.file.by_ref().take(wanted).read_to_end(&mut bytes);
        if let Err(source) = read {
            self.total = self.done;
            return Some(Err(RecordingError::File { path: self.path.clone(), source }));
        }
        if bytes.len() as u64 != wanted {
            let (expected, got) = (format!("{} samples, as its header says", self.total), format!("{}", self.done + (bytes.len() / size) as u64));
            self.total = self.done;
            return Some(Err(RecordingError::Form { path: self.path.clone(), line: None, expected, got }));
        }
        let samples: Vec<f32> = bytes.chunks_exact(size).map(|bytes| self.kind.sample(bytes)).collect();
        let body = encode_waveform(&self.options.sensor, self.time(self.done), self.options.rate, &samples);
        self.done += count;
        Some(Ok(Chunk { content_type: WAVEFORM_TYPE, body, readings: count, last_time_ns: self.time(self.done - 1) }))
    }
}
