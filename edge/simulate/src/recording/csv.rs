//! Recordings as CSV: a time column, and a column for each sensor.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::{Chunk, RecordingError, excerpt, time};
use crate::ndjson;

/// A body is not made longer than about this.
const BODY: usize = 4 << 20;
/// Read ahead; a header is searched for separators so far.
const BUFFER: usize = 64 << 10;
/// Names of time columns, the likelier first.
const TIME_COLUMNS: [&str; 4] = ["datetime", "timestamp", "time", "date"];

/// How to read a CSV recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// Name of the machine or test rig.
    pub asset: String,
    /// Sensor ids: `{asset}` is the asset, `{column}` the column's name in lower case, with a dash for each run of
    /// characters that are no letters or digits.
    pub sensor: String,
    /// The time column; by default `datetime`, `timestamp`, `time` or `date`. Case does not matter for columns' names.
    pub time_column: Option<String>,
    /// Only these columns; empty means all.
    pub columns: Vec<String>,
    /// Columns that are no sensors.
    pub ignore: Vec<String>,
    /// So many rows make a chunk (fewer when they are very long); at least 1.
    pub rows_per_chunk: usize,
    /// Whether numbers have a decimal comma, as in `40,5`.
    pub decimal_comma: bool,
}

/// A CSV file, chunk by chunk; each is a body of NDJSON.
///
/// The separator (`;`, `,` or tab) is told from the header. Each cell that is not empty is a reading. A number stands in the
/// body as it stands in the file; what is no number, or a row's time that cannot be read, is passed on as text, so that
/// ingest refuses it with the reason. So is a cell beyond the header's columns.
#[derive(Debug)]
pub struct CsvRecording {
    reader: Reader<BufReader<File>>,
    path: PathBuf,
    time: usize,
    /// Column and the start of its lines.
    columns: Vec<(usize, Vec<u8>)>,
    width: usize,
    /// The start of lines for cells that no column names; none if only some columns are asked for.
    beyond: Option<Vec<u8>>,
    rows: usize,
    record: ByteRecord,
    last_time: i64,
    ended: bool,
    decimal_comma: bool,
    /// Cells that would be numbers if they had a decimal point.
    with_comma: u64,
}

impl CsvRecording {
    /// Reads the header.
    ///
    /// # Errors
    /// When the file cannot be read, has no header or no time column, or has not the columns that are asked for.
    pub fn open(path: &Path, options: CsvOptions) -> Result<Self, RecordingError> {
        let failed = |source| RecordingError::Io { path: path.to_owned(), source };
        let mut file = BufReader::with_capacity(BUFFER, File::open(path).map_err(failed)?);
        let start = file.fill_buf().map_err(failed)?;
        let mark = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let delimiter = separator(start);
        file.consume(mark);
        let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(file);
        let mut record = ByteRecord::new();
        let wrong =
            |expected, came, advice| RecordingError::Csv { path: path.to_owned(), line: 1, expected, came, advice };
        if !reader.read_byte_record(&mut record).map_err(|error| unreadable(path, error))? {
            return Err(wrong("a header", "an empty file".to_owned(), "give a recording that has one"));
        }
        let names: Vec<String> = record.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        let find = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted.trim()));
        let came = || excerpt(&names.join(", "));
        let time = match &options.time_column {
            Some(wanted) => find(wanted).ok_or_else(|| {
                wrong("the time column that was asked for", came(), "name one of these with --time-column")
            })?,
            None => TIME_COLUMNS.iter().find_map(|name| find(name)).ok_or_else(|| {
                let expected = "a time column (datetime, timestamp, time or date)";
                wrong(expected, came(), "name it with --time-column")
            })?,
        };
        for wanted in &options.columns {
            if find(wanted).is_none() {
                let came = format!("no column {wanted:?} among {}", came());
                return Err(wrong(
                    "the columns that were asked for",
                    came,
                    "name columns of the header with --columns",
                ));
            }
        }
        let among = |list: &[String], name: &str| list.iter().any(|other| other.trim().eq_ignore_ascii_case(name));
        let mut used = BTreeMap::new();
        let columns: Vec<(usize, Vec<u8>)> = names
            .iter()
            .enumerate()
            .filter(|(at, name)| {
                let wanted = options.columns.is_empty() || among(&options.columns, name);
                *at != time && wanted && !among(&options.ignore, name)
            })
            .map(|(at, name)| (at, ndjson::prefix(&sensor(&options, &part(name, at, &mut used)))))
            .collect();
        if columns.is_empty() {
            return Err(wrong("a column that is a sensor", came(), "name fewer columns with --ignore"));
        }
        let beyond = options.columns.is_empty().then(|| ndjson::prefix(&sensor(&options, "beyond-the-header")));
        Ok(Self {
            reader,
            path: path.to_owned(),
            time,
            columns,
            width: names.len(),
            beyond,
            rows: options.rows_per_chunk.max(1),
            record,
            last_time: 0,
            ended: false,
            decimal_comma: options.decimal_comma,
            with_comma: 0,
        })
    }

    /// How many cells so far were passed on as text that would be numbers if they had a decimal point: 0 with
    /// [`CsvOptions::decimal_comma`].
    pub fn with_decimal_comma(&self) -> u64 {
        self.with_comma
    }

    /// Adds the record's cells; gives how many.
    fn row(&mut self, body: &mut Vec<u8>, stamp: &mut Vec<u8>) -> u64 {
        let text = String::from_utf8_lossy(self.record.get(self.time).unwrap_or_default());
        stamp.clear();
        match time::parse(&text) {
            Some(time) => {
                self.last_time = time;
                ndjson::time(stamp, time);
            }
            None => ndjson::text(stamp, &text),
        }
        let mut readings = 0;
        for (at, prefix) in &self.columns {
            let value = self.record.get(*at).unwrap_or_default().trim_ascii();
            if !value.is_empty() {
                let pointed = pointed(value);
                self.with_comma += u64::from(pointed.is_some() && !self.decimal_comma);
                let value = pointed.as_deref().filter(|_| self.decimal_comma).unwrap_or(value);
                line(body, prefix, stamp, |body| cell(body, value));
                readings += 1;
            }
        }
        if let Some(prefix) = &self.beyond {
            for value in self.record.iter().skip(self.width).filter(|value| !value.trim_ascii().is_empty()) {
                let told =
                    format!("a cell beyond the header's {} columns: {}", self.width, String::from_utf8_lossy(value));
                line(body, prefix, stamp, |body| ndjson::text(body, &told));
                readings += 1;
            }
        }
        readings
    }
}

impl Iterator for CsvRecording {
    type Item = Result<Chunk, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut body, mut stamp, mut readings, mut rows) = (Vec::new(), Vec::new(), 0, 0);
        while !self.ended && rows < self.rows && body.len() < BODY {
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => {
                    readings += self.row(&mut body, &mut stamp);
                    rows += 1;
                }
                Ok(false) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(unreadable(&self.path, error)));
                }
            }
            // Rows without any cell do not make a chunk.
            if rows == self.rows && readings == 0 {
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

fn line(body: &mut Vec<u8>, prefix: &[u8], stamp: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
    body.extend_from_slice(prefix);
    body.extend_from_slice(stamp);
    body.extend_from_slice(b",\"values\":");
    value(body);
    body.extend_from_slice(b"}\n");
}

/// A cell as a JSON value: numbers as they are written, `NaN` as it is, all else as text.
fn cell(body: &mut Vec<u8>, value: &[u8]) {
    if is_json_number(value) {
        body.extend_from_slice(value);
    } else if value.eq_ignore_ascii_case(b"nan") {
        body.extend_from_slice(b"NaN");
    } else {
        ndjson::text(body, &String::from_utf8_lossy(value));
    }
}

/// A number with a decimal comma, with a point in its place.
fn pointed(value: &[u8]) -> Option<Vec<u8>> {
    if !value.contains(&b',') {
        return None;
    }
    let mut pointed = value.to_vec();
    pointed.iter_mut().filter(|byte| **byte == b',').for_each(|byte| *byte = b'.');
    is_json_number(&pointed).then_some(pointed)
}

/// RFC 8259, section 6.
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

/// The one of `;`, tab and `,` that is most often in the first line, outside of quotes.
fn separator(start: &[u8]) -> u8 {
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
    // The first of the largest; a comma when there is none at all.
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    counts.iter().find(|(_, count)| most > 0 && *count == most).map_or(b',', |(separator, _)| *separator)
}

fn sensor(options: &CsvOptions, column: &str) -> String {
    options.sensor.replace("{column}", column).replace("{asset}", &options.asset)
}

/// A column's name as a part of a sensor's id. Names that would be the same get a number.
fn part(name: &str, at: usize, used: &mut BTreeMap<String, usize>) -> String {
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
    let mut number = 1;
    let mut own = part.clone();
    while used.insert(own.clone(), at).is_some() {
        number += 1;
        own = format!("{part}-{number}");
    }
    own
}

fn unreadable(path: &Path, error: csv::Error) -> RecordingError {
    let line = error.position().map_or(0, csv::Position::line);
    let came = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(source) => RecordingError::Io { path: path.to_owned(), source },
        _ => RecordingError::Csv {
            path: path.to_owned(),
            line,
            expected: "a row of cells",
            came,
            advice: "correct the file",
        },
    }
}
