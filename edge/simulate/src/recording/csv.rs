//! Reads CSV recordings: a time column, and a column for each sensor.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::{Chunk, RecordingError, excerpt, time};
use crate::ndjson;

/// Approximate maximum length of a body in bytes.
const MAX_BODY: usize = 4 << 20;
/// Size of the read buffer in bytes; the separator is detected within it.
const READ_BUFFER: usize = 64 << 10;
/// Names of time columns, in order of preference.
const TIME_COLUMNS: [&str; 4] = ["datetime", "timestamp", "time", "date"];

/// Options for reading a CSV recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// Name of the machine or test rig.
    pub asset: String,
    /// Template of the sensor ids. `{asset}` is replaced by the asset, `{column}` by the column's name in lower case,
    /// with a dash for each run of characters that are not letters or digits.
    pub sensor: String,
    /// The time column; by default `datetime`, `timestamp`, `time` or `date`. Column names are not case-sensitive.
    pub time_column: Option<String>,
    /// Columns to read; empty means all.
    pub columns: Vec<String>,
    /// Columns that are not sensors.
    pub ignore: Vec<String>,
    /// Number of rows per chunk, at least 1. A chunk of very long rows has fewer.
    pub rows_per_chunk: usize,
    /// Whether numbers use a decimal comma, as in `40,5`.
    pub decimal_comma: bool,
}

/// An iterator over the chunks of a CSV file; each chunk is an NDJSON body.
///
/// The separator (`;`, `,` or tab) is detected from the header. Each cell that is not empty is a reading. Numbers are
/// copied to the body unchanged. A cell that is not a number, a time that cannot be parsed, and a cell beyond the
/// header's columns are passed on as text, so that ingest rejects them with a reason.
#[derive(Debug)]
pub struct CsvRecording {
    reader: Reader<BufReader<File>>,
    path: PathBuf,
    time_index: usize,
    /// Index of each sensor column, and the start of its NDJSON lines.
    sensor_columns: Vec<(usize, Vec<u8>)>,
    column_count: usize,
    /// The start of the lines for cells beyond the header; `None` if only some columns are read.
    beyond_prefix: Option<Vec<u8>>,
    rows_per_chunk: usize,
    record: ByteRecord,
    last_time: i64,
    has_ended: bool,
    decimal_comma: bool,
    /// Number of cells that would be numbers with a decimal point in place of the comma.
    decimal_comma_cells: u64,
}

impl CsvRecording {
    /// Opens the file and reads the header.
    ///
    /// # Errors
    /// If the file cannot be read, or has no header, no time column or not the requested columns.
    pub fn open(path: &Path, options: CsvOptions) -> Result<Self, RecordingError> {
        let failed = |source| RecordingError::Io { path: path.to_owned(), source };
        let mut file = BufReader::with_capacity(READ_BUFFER, File::open(path).map_err(failed)?);
        let start = file.fill_buf().map_err(failed)?;
        let mark = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let delimiter = detect_separator(start);
        file.consume(mark);
        let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(file);
        let mut record = ByteRecord::new();
        let wrong =
            |expected, found, advice| RecordingError::Csv { path: path.to_owned(), line: 1, expected, found, advice };
        if !reader.read_byte_record(&mut record).map_err(|error| csv_error(path, error))? {
            return Err(wrong("a header", "an empty file".to_owned(), "use a recording with a header"));
        }
        let names: Vec<String> = record.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        let find = |requested: &str| names.iter().position(|name| name.eq_ignore_ascii_case(requested.trim()));
        let found = || excerpt(&names.join(", "));
        let time = match &options.time_column {
            Some(requested) => find(requested).ok_or_else(|| {
                wrong("the requested time column", found(), "select one of these columns with --time-column")
            })?,
            None => TIME_COLUMNS.iter().find_map(|name| find(name)).ok_or_else(|| {
                let expected = "a time column (datetime, timestamp, time or date)";
                wrong(expected, found(), "select it with --time-column")
            })?,
        };
        for requested in &options.columns {
            if find(requested).is_none() {
                let found = format!("no column {requested:?} among {}", found());
                return Err(wrong("the requested columns", found, "select columns of the header with --columns"));
            }
        }
        let among = |list: &[String], name: &str| list.iter().any(|other| other.trim().eq_ignore_ascii_case(name));
        let mut used = BTreeMap::new();
        let columns: Vec<(usize, Vec<u8>)> = names
            .iter()
            .enumerate()
            .filter(|(at, name)| {
                let requested = options.columns.is_empty() || among(&options.columns, name);
                *at != time && requested && !among(&options.ignore, name)
            })
            .map(|(at, name)| (at, ndjson::prefix(&sensor_id(&options, &id_part(name, at, &mut used)))))
            .collect();
        if columns.is_empty() {
            return Err(wrong("at least one sensor column", found(), "ignore fewer columns with --ignore"));
        }
        let beyond = options.columns.is_empty().then(|| ndjson::prefix(&sensor_id(&options, "beyond-the-header")));
        Ok(Self {
            reader,
            path: path.to_owned(),
            time_index: time,
            sensor_columns: columns,
            column_count: names.len(),
            beyond_prefix: beyond,
            rows_per_chunk: options.rows_per_chunk.max(1),
            record,
            last_time: 0,
            has_ended: false,
            decimal_comma: options.decimal_comma,
            decimal_comma_cells: 0,
        })
    }

    /// Number of cells so far that were passed on as text only because of a decimal comma. Always 0 with
    /// [`CsvOptions::decimal_comma`].
    pub fn decimal_comma_cells(&self) -> u64 {
        self.decimal_comma_cells
    }

    /// Writes the cells of the current record to `body`. Returns the number of readings.
    fn write_row(&mut self, body: &mut Vec<u8>, time_text: &mut Vec<u8>) -> u64 {
        let text = String::from_utf8_lossy(self.record.get(self.time_index).unwrap_or_default());
        time_text.clear();
        match time::parse(&text) {
            Some(time) => {
                self.last_time = time;
                ndjson::write_time(time_text, time);
            }
            None => ndjson::write_string(time_text, &text),
        }
        let mut readings = 0;
        for (at, prefix) in &self.sensor_columns {
            let value = self.record.get(*at).unwrap_or_default().trim_ascii();
            if !value.is_empty() {
                let pointed = decimal_comma_to_point(value);
                self.decimal_comma_cells += u64::from(pointed.is_some() && !self.decimal_comma);
                let value = pointed.as_deref().filter(|_| self.decimal_comma).unwrap_or(value);
                write_line(body, prefix, time_text, |body| write_cell(body, value));
                readings += 1;
            }
        }
        if let Some(prefix) = &self.beyond_prefix {
            for value in self.record.iter().skip(self.column_count).filter(|value| !value.trim_ascii().is_empty()) {
                let message = format!(
                    "a cell beyond the header's {} columns: {}",
                    self.column_count,
                    String::from_utf8_lossy(value)
                );
                write_line(body, prefix, time_text, |body| ndjson::write_string(body, &message));
                readings += 1;
            }
        }
        readings
    }
}

impl Iterator for CsvRecording {
    type Item = Result<Chunk, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut body, mut time_text, mut readings, mut rows) = (Vec::new(), Vec::new(), 0, 0);
        while !self.has_ended && rows < self.rows_per_chunk && body.len() < MAX_BODY {
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => {
                    readings += self.write_row(&mut body, &mut time_text);
                    rows += 1;
                }
                Ok(false) => self.has_ended = true,
                Err(error) => {
                    self.has_ended = true;
                    return Some(Err(csv_error(&self.path, error)));
                }
            }
            // Rows without values do not make a chunk.
            if rows == self.rows_per_chunk && readings == 0 {
                rows = 0;
            }
        }
        (readings > 0).then_some(Ok(Chunk {
            content_type: "application/x-ndjson",
            body,
            readings,
            last_time_ns: self.last_time,
        }))
    }
}

fn write_line(body: &mut Vec<u8>, prefix: &[u8], time_text: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
    body.extend_from_slice(prefix);
    body.extend_from_slice(time_text);
    body.extend_from_slice(b",\"values\":");
    value(body);
    body.extend_from_slice(b"}\n");
}

/// Writes a cell as a JSON value: numbers unchanged, `NaN` as `NaN`, anything else as text.
fn write_cell(body: &mut Vec<u8>, value: &[u8]) {
    if is_json_number(value) {
        body.extend_from_slice(value);
    } else if value.eq_ignore_ascii_case(b"nan") {
        body.extend_from_slice(b"NaN");
    } else {
        ndjson::write_string(body, &String::from_utf8_lossy(value));
    }
}

/// Replaces a decimal comma by a point. `None` if the cell is not a number with a decimal comma.
fn decimal_comma_to_point(value: &[u8]) -> Option<Vec<u8>> {
    if !value.contains(&b',') {
        return None;
    }
    let mut pointed = value.to_vec();
    pointed.iter_mut().filter(|byte| **byte == b',').for_each(|byte| *byte = b'.');
    is_json_number(&pointed).then_some(pointed)
}

/// Whether the text is a JSON number: RFC 8259, section 6.
fn is_json_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with(b"0")) {
        return false;
    }
    let mut rest = rest.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    match rest.split_first() {
        None => true,
        Some((b'e' | b'E', exponent)) => {
            let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
        Some(_) => false,
    }
}

/// Detects the separator: the most frequent of `;`, tab and `,` in the first line, outside of quotes.
fn detect_separator(start: &[u8]) -> u8 {
    let mut counts = [(b';', 0), (b'\t', 0), (b',', 0)];
    let mut quoted = false;
    for &byte in start {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if quoted => {}
            _ => counts.iter_mut().filter(|(separator, _)| *separator == byte).for_each(|(_, count)| *count += 1),
        }
    }
    // The first separator with the maximum count; a comma if none occurs.
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    counts.iter().find(|(_, count)| most > 0 && *count == most).map_or(b',', |(separator, _)| *separator)
}

fn sensor_id(options: &CsvOptions, column: &str) -> String {
    options.sensor.replace("{column}", column).replace("{asset}", &options.asset)
}

/// Converts a column's name to a part of a sensor's id. Duplicate names get a number: `used` holds the last number of
/// each name.
fn id_part(name: &str, at: usize, used: &mut BTreeMap<String, usize>) -> String {
    let lower = name.to_lowercase();
    let mut part = lower.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()).fold(
        String::new(),
        |mut part, word| {
            if !part.is_empty() {
                part.push('-');
            }
            part.push_str(word);
            part
        },
    );
    if part.is_empty() {
        part = format!("column-{}", at + 1);
    }
    let Some(mut number) = used.insert(part.clone(), 1) else { return part };
    // The search goes on from the last number of this name, so that a header of equal names takes linear time.
    let own = loop {
        number += 1;
        let own = format!("{part}-{number}");
        if !used.contains_key(&own) {
            break own;
        }
    };
    used.insert(own.clone(), 1);
    used.insert(part, number);
    own
}

fn csv_error(path: &Path, error: csv::Error) -> RecordingError {
    let line = error.position().map_or(0, csv::Position::line);
    let found = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(source) => RecordingError::Io { path: path.to_owned(), source },
        _ => RecordingError::Csv {
            path: path.to_owned(),
            line,
            expected: "a CSV row",
            found,
            advice: "correct the file",
        },
    }
}
