//! Reads NumPy recordings: the samples of one sensor.

use std::{
    fs::File,
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
};

use wheeltapper_domain::{WAVEFORM_CONTENT_TYPE, encode_waveform};

use super::{Chunk, RecordingError, excerpt};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Maximum length of the header in bytes; NumPy rejects longer headers by default.
const MAX_HEADER: usize = 64 << 10;
/// Minimum and maximum number of samples of a waveform: features of fewer samples are meaningless, and ingest rejects
/// more.
const MIN_SAMPLES: u64 = 16;
const MAX_SAMPLES: u64 = 1 << 20;
const NANOSECONDS_PER_SECOND: u128 = 1_000_000_000;

/// Options for reading a NumPy recording.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyOptions {
    /// The sensor's id.
    pub sensor: String,
    /// Sampling rate in Hz, above 0.
    pub rate: f64,
    /// Time of the first sample, in ns since 1970.
    pub start_ns: i64,
    /// Length of a waveform in seconds. A waveform has at least 16 and at most 2²⁰ samples in any case.
    pub waveform_seconds: f64,
}

/// An iterator over the waveforms of a `.npy` file (format 1, 2 or 3); each chunk is a `WTW1` body. The last waveform
/// has the remaining samples.
///
/// The array has one dimension and elements of type f4, f8, i2 or i4 in either byte order. Samples are converted to
/// f32. The time of sample `i` is `start_ns + i · 10⁹ / rate`, computed in integers and rounded once, so that waveforms
/// do not drift.
#[derive(Debug)]
pub struct NpyRecording {
    file: BufReader<File>,
    path: PathBuf,
    options: NpyOptions,
    element_type: ElementType,
    samples: u64,
    samples_read: u64,
    samples_per_waveform: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ElementKind {
    F4,
    F8,
    I2,
    I4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ElementType {
    kind: ElementKind,
    is_big_endian: bool,
}

impl NpyRecording {
    /// Opens the file and reads the header.
    ///
    /// # Errors
    /// If the file cannot be read, is not a NumPy file, is truncated, or has an array of another type or shape.
    pub fn open(path: &Path, options: NpyOptions) -> Result<Self, RecordingError> {
        let failed = |source| RecordingError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut file = BufReader::with_capacity(64 << 10, file);
        let wrong =
            |expected, found: String, advice| RecordingError::Npy { path: path.to_owned(), expected, found, advice };
        if !(options.rate.is_finite() && options.rate > 0.0) {
            return Err(wrong("a sampling rate above 0 Hz", options.rate.to_string(), "set it with --rate"));
        }
        if options.waveform_seconds.is_nan() || options.waveform_seconds <= 0.0 {
            return Err(wrong(
                "waveforms longer than 0 s",
                options.waveform_seconds.to_string(),
                "set it with --waveform-seconds",
            ));
        }
        let (header, start) = read_header(&mut file).map_err(|problem| match problem {
            HeaderError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => failed(error),
            HeaderError::Io(_) => {
                wrong("a .npy file", "a file that ends within its header".into(), "save it again with numpy.save")
            }
            HeaderError::Invalid(found) => {
                wrong("a .npy file of format 1, 2 or 3", found, "save it again with numpy.save")
            }
        })?;
        let (kind, samples) =
            parse_header(&header).map_err(|(expected, advice)| wrong(expected, excerpt(&header), advice))?;
        let available = length.saturating_sub(start);
        if samples.checked_mul(kind.size()) != Some(available) {
            let found = format!("{available} bytes for {samples} samples of {} bytes", kind.size());
            return Err(wrong("as many samples as the header declares", found, "copy or save the file again"));
        }
        // The conversion saturates; a waveform is at most as long as ingest accepts.
        let samples_per_waveform =
            ((options.waveform_seconds * options.rate).round() as u64).clamp(MIN_SAMPLES, MAX_SAMPLES);
        let new = Self {
            file,
            path: path.to_owned(),
            options,
            element_type: kind,
            samples,
            samples_read: 0,
            samples_per_waveform,
        };
        if new.time_of(samples.saturating_sub(1)).is_none() {
            let found = format!("{samples} samples at {} Hz from {} ns on", new.options.rate, new.options.start_ns);
            return Err(wrong("a recording that ends before the year 2262", found, "correct --rate or --start"));
        }
        Ok(new)
    }

    /// Time of a sample, in ns since 1970; `None` if it overflows.
    fn time_of(&self, sample: u64) -> Option<i64> {
        let after = i64::try_from(nanoseconds(sample, self.options.rate)?).ok()?;
        self.options.start_ns.checked_add(after)
    }

    fn next_waveform(&mut self) -> Result<Chunk, RecordingError> {
        let count = self.samples_per_waveform.min(self.samples - self.samples_read);
        // At most 2²⁰ samples of 8 bytes.
        let mut bytes = vec![0; (count * self.element_type.size()) as usize];
        self.file.read_exact(&mut bytes).map_err(|source| RecordingError::Io { path: self.path.clone(), source })?;
        let samples: Vec<f32> = self.element_type.samples(&bytes);
        // Does not overflow, because the time of the last sample does not.
        let start = self.time_of(self.samples_read).unwrap_or(i64::MAX);
        self.samples_read += count;
        Ok(Chunk {
            content_type: WAVEFORM_CONTENT_TYPE,
            body: encode_waveform(&self.options.sensor, start, self.options.rate, &samples),
            readings: count,
            last_time_ns: self.time_of(self.samples_read.saturating_sub(1)).unwrap_or(i64::MAX),
        })
    }
}

impl Iterator for NpyRecording {
    type Item = Result<Chunk, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.samples_read >= self.samples {
            return None;
        }
        let waveform = self.next_waveform();
        if waveform.is_err() {
            self.samples_read = self.samples;
        }
        Some(waveform)
    }
}

impl ElementType {
    fn parse(name: &str) -> Option<Self> {
        let (order, number) = name.split_at_checked(1)?;
        let number = match number {
            "f4" => ElementKind::F4,
            "f8" => ElementKind::F8,
            "i2" => ElementKind::I2,
            "i4" => ElementKind::I4,
            _ => return None,
        };
        match order {
            "<" | "=" => Some(Self { kind: number, is_big_endian: false }),
            ">" => Some(Self { kind: number, is_big_endian: true }),
            _ => None,
        }
    }

    fn size(self) -> u64 {
        match self.kind {
            ElementKind::I2 => 2,
            ElementKind::F4 | ElementKind::I4 => 4,
            ElementKind::F8 => 8,
        }
    }

    fn samples(self, bytes: &[u8]) -> Vec<f32> {
        match self.kind {
            ElementKind::F4 => self.convert(bytes, f32::from_le_bytes),
            ElementKind::F8 => self.convert(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
            ElementKind::I2 => self.convert(bytes, |bytes| f32::from(i16::from_le_bytes(bytes))),
            ElementKind::I4 => self.convert(bytes, |bytes| i32::from_le_bytes(bytes) as f32),
        }
    }

    fn convert<const N: usize>(self, bytes: &[u8], one: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let turned = |mut bytes: [u8; N]| {
            bytes.reverse();
            bytes
        };
        bytes.as_chunks().0.iter().map(|&bytes| one(if self.is_big_endian { turned(bytes) } else { bytes })).collect()
    }
}

enum HeaderError {
    Io(io::Error),
    Invalid(String),
}

impl From<io::Error> for HeaderError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the header. Returns its text and the offset of the samples.
fn read_header(file: &mut impl io::Read) -> Result<(String, u64), HeaderError> {
    let mut start = [0; 8];
    file.read_exact(&mut start)?;
    let (magic, version) = start.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(HeaderError::Invalid(format!("a file that starts with {:?}", String::from_utf8_lossy(&start))));
    }
    let (length, before) = match version {
        [1, _] => {
            let mut length = [0; 2];
            file.read_exact(&mut length)?;
            (usize::from(u16::from_le_bytes(length)), 10)
        }
        [2 | 3, _] => {
            let mut length = [0; 4];
            file.read_exact(&mut length)?;
            (u32::from_le_bytes(length) as usize, 12)
        }
        _ => return Err(HeaderError::Invalid(format!("format {version:?}"))),
    };
    if length > MAX_HEADER {
        return Err(HeaderError::Invalid(format!("a header of {length} bytes")));
    }
    let mut text = vec![0; length];
    file.read_exact(&mut text)?;
    Ok((String::from_utf8_lossy(&text).trim().to_owned(), before + length as u64))
}

/// Parses the element type and the number of samples from a header such as `{'descr': '<f4', 'fortran_order': False,
/// 'shape': (3,), }`. The error is the expected content and how to correct it.
fn parse_header(header: &str) -> Result<(ElementType, u64), (&'static str, &'static str)> {
    const HEADER: (&str, &str) = ("a header with descr, fortran_order and shape", "save it again with numpy.save");
    let after = |key: &str| {
        let (_, rest) = header.split_once(&format!("'{key}'")).or(header.split_once(&format!("\"{key}\"")))?;
        rest.trim_start().strip_prefix(':').map(str::trim_start)
    };
    let descr = after("descr").ok_or(HEADER)?;
    let name = descr.strip_prefix(['\'', '"']).and_then(|rest| rest.split(['\'', '"']).next());
    let kind = name.and_then(ElementType::parse).ok_or((
        "samples of type f4, f8, i2 or i4",
        "convert the array with .astype('f4') before numpy.save; structured arrays: save one field a file",
    ))?;
    let shape =
        after("shape").and_then(|rest| rest.strip_prefix('(')).and_then(|rest| rest.split_once(')')).ok_or(HEADER)?.0;
    let sizes: Vec<u64> = shape
        .split(',')
        .map(|size| size.trim().trim_end_matches('L'))
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().map_err(|_| HEADER))
        .collect::<Result<_, _>>()?;
    // An array with one column or one row has the same layout as one with one dimension.
    if sizes.is_empty() || sizes.iter().filter(|&&size| size != 1).count() > 1 {
        return Err((
            "an array of one dimension: the samples of one sensor",
            "save each column as a file of its own, such as numpy.save('a.npy', array[:, 0])",
        ));
    }
    Ok((kind, sizes.iter().product()))
}

/// Nanoseconds from the first sample to this one: `sample · 10⁹ / rate`, rounded to the nearest; `None` if it overflows
/// 128 bits. A double is an integer times a power of two, so this is a division of integers.
fn nanoseconds(sample: u64, rate: f64) -> Option<u128> {
    let bits = rate.to_bits();
    let exponent = (bits >> 52) as i32 & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    let (whole, exponent) = if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    // Removing factors of two keeps the numbers small.
    let twos = whole.trailing_zeros();
    let (whole, exponent) = (u128::from(whole.checked_shr(twos)?), exponent + i32::try_from(twos).ok()?);
    let above = u128::from(sample) * NANOSECONDS_PER_SECOND;
    let shift = exponent.unsigned_abs();
    let (above, below) = if exponent < 0 {
        (checked_shift_left(above, shift)?, whole)
    } else {
        match checked_shift_left(whole, shift) {
            Some(below) => (above, below),
            // The rate is far larger than any number of samples.
            None => return Some(0),
        }
    };
    (above.checked_add(below / 2)?).checked_div(below)
}

fn checked_shift_left(number: u128, by: u32) -> Option<u128> {
    (number == 0 || by < number.leading_zeros()).then(|| if number == 0 { 0 } else { number << by })
}
