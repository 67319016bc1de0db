//! CSV: a time column, and a sensor in every other one.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Seek as _},
    path::{Path, PathBuf},
};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::{Chunk, RecordingError};

const TIMES: [&str; 5] = ["datetime", "timestamp", "time", "date", "ts"];

/// How to read a CSV recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// What `{asset}` stands for.
    pub asset: String,
    /// Sensor ids; `{column}` is the column's name in lower case with dashes.
    pub sensor: String,
    /// The time column; else it is found by its name.
    pub time_column: Option<String>,
    /// Only these columns; none means all.
    pub columns: Vec<String>,
    /// Columns that are no sensors.
    pub ignore: Vec<String>,
    /// Rows in a chunk.
    pub rows_per_chunk: usize,
}

/// A CSV recording, chunk by chunk.
#[derive(Debug)]
pub struct CsvRecording {
    path: PathBuf,
    reader: Reader<BufReader<File>>,
    time: usize,
    /// Column and sensor's id as a JSON text.
    sensors: Vec<(usize, String)>,
    rows: usize,
    last_time: i64,
    ended: bool,
}

impl CsvRecording {
    /// Opens a recording and reads its header. The delimiter is a comma, a semicolon or a tab.
    ///
    /// # Errors
    /// [`RecordingError`]: the file cannot be read, or has no time column or no sensor.
    pub fn open(path: &Path, options: CsvOptions) -> Result<Self, RecordingError> {
        let failed = |source| RecordingError::File { path: path.to_owned(), source };
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let mut header = Vec::new();
        file.read_until(b'\n', &mut header).map_err(failed)?;
        file.rewind().map_err(failed)?;
        let count = |mark: u8| header.iter().filter(|&&byte| byte == mark).count();
        let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|&mark| count(mark)).unwrap_or(b',');
        let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(file);
        let form = |expected: String, got: String| RecordingError::Form { path: path.to_owned(), line: Some(1), expected, got };
        let header = reader.byte_headers().map_err(|error| form("a header".into(), error.to_string()))?;
        let names: Vec<String> = header.iter().map(|cell| String::from_utf8_lossy(cell).trim_start_matches('\u{feff}').to_owned()).collect();
        let is_time = |name: &str| match &options.time_column {
            Some(wanted) => name == wanted,
            None => TIMES.iter().any(|time| name.eq_ignore_ascii_case(time)),
        };
        let wanted = options.time_column.clone().unwrap_or_else(|| TIMES.join(", "));
        let time = names
            .iter()
            .position(|name| is_time(name))
            .ok_or_else(|| form(format!("a time column ({wanted}); name it with --time-column"), names.join(", ")))?;
        let mut sensors = Vec::new();
        for (column, name) in names.iter().enumerate() {
            let listed = |list: &[String]| list.iter().any(|each| each.eq_ignore_ascii_case(name));
            if column == time || name.is_empty() || listed(&options.ignore) || !(options.columns.is_empty() || listed(&options.columns)) {
                continue;
            }
            let id = options.sensor.replace("{asset}", &options.asset).replace("{column}", &slug(name));
            sensors.push((column, serde_json::Value::String(id).to_string()));
        }
        if sensors.is_empty() {
            return Err(form("columns that are sensors".into(), names.join(", ")));
        }
        Ok(Self { path: path.to_owned(), reader, time, sensors, rows: options.rows_per_chunk.max(1), last_time: 0, ended: false })
    }

    fn chunk(&mut self) -> Result<Option<Chunk>, RecordingError> {
        let mut body = Vec::new();
        let (mut readings, mut rows) = (0, 0);
        let mut record = ByteRecord::new();
        while rows < self.rows {
            let read = self.reader.read_byte_record(&mut record).map_err(|error| RecordingError::Form {
                path: self.path.clone(),
                line: error.position().map(csv::Position::line),
                expected: "CSV".into(),
                got: error.to_string(),
            })?;
            if !read {
                break;
            }
            rows += 1;
            let time = String::from_utf8_lossy(record.get(self.time).unwrap_or_default());
            if let Some(parsed) = parse_time(&time) {
                self.last_time = parsed;
            }
            // A number or a text; what is no time ingest refuses, with the reason.
            let time = if time.parse::<i64>().is_ok() { time.into_owned() } else { serde_json::Value::String(time.into_owned()).to_string() };
            for (column, sensor) in &self.sensors {
                let cell = record.get(*column).unwrap_or_default();
                if cell.is_empty() {
                    continue;
                }
                readings += 1;
                for part in [b"{\"sensor_id\":".as_slice(), sensor.as_bytes(), b",\"timestamp\":", time.as_bytes(), b",\"values\":"] {
                    body.extend_from_slice(part);
                }
                value(cell, &mut body);
                body.extend_from_slice(b"}\n");
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        Ok(Some(Chunk { content_type: "application/x-ndjson", body, readings, last_time_ns: self.last_time }))
    }
}

impl Iterator for CsvRecording {
    type Item = Result<Chunk, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let chunk = self.chunk().transpose();
        self.ended = !matches!(chunk, Some(Ok(_)));
        chunk
    }
}

/// A JSON number as it stands; else a text, which ingest reads if it can and refuses if not.
fn value(cell: &[u8], body: &mut Vec<u8>) {
    if serde_json::from_slice::<f64>(cell).is_ok() {
        return body.extend_from_slice(cell);
    }
    let text = serde_json::Value::String(String::from_utf8_lossy(cell).into_owned());
    body.extend_from_slice(text.to_string().as_bytes());
}

/// Lower case, with one dash for whatever is neither letter nor digit.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        if letter.is_alphanumeric() {
            slug.push(letter);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_matches('-').to_owned()
}

/// For the pace only; ingest has its own.
fn parse_time(text: &str) -> Option<i64> {
    let civil = || jiff::tz::Offset::UTC.to_timestamp(text.parse().ok()?).ok();
    let time = text.parse::<jiff::Timestamp>().ok().or_else(civil);
    match time {
        Some(time) => i64::try_from(time.as_nanosecond()).ok(),
        None => text.parse::<i64>().ok().map(|number| match number.unsigned_abs() {
            0..100_000_000_000 => number.saturating_mul(1_000_000_000),
            100_000_000_000..100_000_000_000_000 => number.saturating_mul(1_000_000),
            100_000_000_000_000..100_000_000_000_000_000 => number.saturating_mul(1_000),
            _ => number,
        }),
    }
}
