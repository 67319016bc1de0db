//! CSV with a header, in one of two layouts. Long: the columns sensor_id, timestamp, value. Wide: a time column, and
//! every other column is a sensor. The delimiter is a comma, semicolon or tab. An empty cell is not a reading.

use std::collections::BTreeMap;

use csv::{ByteRecord, ReaderBuilder, StringRecord};

use crate::{
    collector::ReadingCollector,
    dead_letters::DeadLetter,
    rejection::{Reason, Rejection, excerpt},
    time,
};

/// Limit for the number of columns of a file.
const MAX_COLUMNS: usize = 100_000;
/// Names of the time column.
const TIME_COLUMNS: [&str; 5] = ["timestamp", "time", "datetime", "ts", "date"];
/// Names of the column with the sensor id, in the long layout.
const SENSOR_COLUMNS: [&str; 3] = ["sensor_id", "sensor", "id"];
/// Names of the column with the value, in the long layout.
const VALUE_COLUMNS: [&str; 2] = ["value", "values"];

fn is_one_of(names: &[&str], cell: &[u8]) -> bool {
    names.iter().any(|name| cell.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

/// Returns the most frequent of the three delimiters in the header line.
fn delimiter(header: &[u8]) -> u8 {
    *[b',', b';', b'\t']
        .iter()
        .max_by_key(|&&candidate| header.iter().filter(|&&byte| byte == candidate).count())
        .unwrap_or(&b',')
}

/// Returns whether the line is a CSV header with a time or sensor column.
pub(super) fn looks_like_csv(header: &[u8]) -> bool {
    let separator = delimiter(header);
    let mut cells = header.split(|&byte| byte == separator).map(|cell| cell.trim_ascii().trim_ascii_start());
    header.contains(&separator)
        && cells.any(|cell| is_one_of(&TIME_COLUMNS, unquote(cell)) || is_one_of(&SENSOR_COLUMNS, unquote(cell)))
}

fn unquote(cell: &[u8]) -> &[u8] {
    cell.strip_prefix(b"\"").and_then(|cell| cell.strip_suffix(b"\"")).unwrap_or(cell)
}

/// The meaning of the columns. The numbers are column indices.
enum Layout {
    Long { sensor: Option<usize>, time: Option<usize>, value: usize },
    Wide { time: usize, sensors: Vec<(usize, String)> },
}

impl Layout {
    fn time_column(&self) -> Option<usize> {
        match self {
            Self::Long { time, .. } => *time,
            Self::Wide { time, .. } => Some(*time),
        }
    }

    /// Returns how many readings a row has.
    fn reading_count(&self, record: &ByteRecord) -> usize {
        match self {
            Self::Long { .. } => 1,
            Self::Wide { sensors, .. } => {
                sensors.iter().filter(|(column, _)| record.get(*column).is_some_and(|cell| !cell.is_empty())).count()
            }
        }
    }
}

/// A CSV file; the context in which its rows are decoded.
struct CsvFile<'a> {
    layout: Layout,
    /// The sensor of the topic mapping.
    mapped_sensor: Option<&'a str>,
    payload: &'a [u8],
    /// Length of the header in bytes.
    header_len: usize,
}

pub(super) fn decode(payload: &[u8], sensor: Option<&str>, collector: &mut ReadingCollector<'_>) {
    let header = payload.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter(header)).flexible(true).trim(csv::Trim::All).from_reader(payload);
    let header = reader.headers().map_err(|error| {
        Rejection::malformed(format!("expected a header in UTF-8: {error}; export the file as UTF-8"))
    });
    let layout = match header.and_then(|header| parse_header(header, sensor)) {
        Ok(layout) => layout,
        Err(rejection) => return collector.reject(0, rejection, payload, 1),
    };
    let offset = |position: &csv::Position| usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let table = CsvFile { layout, mapped_sensor: sensor, payload, header_len: offset(reader.position()) };
    let mut record = ByteRecord::new();
    loop {
        let start = offset(reader.position());
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let position = record.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(usize::MAX));
                let bytes = payload.get(start..offset(reader.position())).unwrap_or_default();
                table.decode_row(&record, bytes, position, collector);
                if collector.is_event_rejected() {
                    return;
                }
            }
            Err(error) => {
                let rejection = Rejection::malformed(format!("the rest of the file is not valid CSV: {error}"));
                let rest = payload.get(start..).unwrap_or_default();
                return table.reject(0, rejection, rest, 1, collector);
            }
        }
    }
}

fn parse_header(header: &StringRecord, sensor: Option<&str>) -> Result<Layout, Rejection> {
    if header.len() > MAX_COLUMNS {
        let message =
            format!("expected at most {MAX_COLUMNS} columns; the header has {}: send several files", header.len());
        return Err(Rejection::new(Reason::Oversize, message));
    }
    let find = |names: &[&str]| header.iter().position(|cell| is_one_of(names, cell.as_bytes()));
    let (times, sensors, values) = (find(&TIME_COLUMNS), find(&SENSOR_COLUMNS), find(&VALUE_COLUMNS));
    if let (Some(value), true) = (values, sensors.is_some() || (sensor.is_some() && header.len() <= 2)) {
        return Ok(Layout::Long { sensor: sensors, time: times, value });
    }
    let time = times.ok_or_else(|| {
        Rejection::malformed(format!(
            "expected a header with the columns sensor_id, timestamp, value, or with a timestamp column and one column per sensor; got {:?}",
            excerpt(header.iter().collect::<Vec<_>>().join(",").as_bytes())
        ))
    })?;
    let mut used = BTreeMap::new();
    let sensors: Vec<_> = header
        .iter()
        .enumerate()
        .filter(|(column, cell)| *column != time && !cell.is_empty())
        .map(|(column, name)| {
            let unique = unique_name(name, &mut used);
            (column, sensor.map_or_else(|| unique.clone(), |prefix| format!("{prefix}/{unique}")))
        })
        .collect();
    if sensors.is_empty() {
        return Err(Rejection::malformed("the header has only a time column; expected one column per sensor as well"));
    }
    Ok(Layout::Wide { time, sensors })
}

/// Returns the name of a column, with a number appended if an earlier column has the same name. `used` maps each name
/// to the number to try next.
fn unique_name(name: &str, used: &mut BTreeMap<String, usize>) -> String {
    if !used.contains_key(name) {
        used.insert(name.to_owned(), 2);
        return name.to_owned();
    }
    loop {
        let number = used.entry(name.to_owned()).or_insert(2);
        let numbered = format!("{name}-{number}");
        *number += 1;
        if !used.contains_key(&numbered) {
            used.insert(numbered.clone(), 2);
            return numbered;
        }
    }
}

impl CsvFile<'_> {
    fn decode_row(&self, record: &ByteRecord, bytes: &[u8], position: usize, collector: &mut ReadingCollector<'_>) {
        if !is_utf8(record) {
            let message = format!("expected a row in UTF-8; got {:?}: export the file as UTF-8", excerpt(bytes));
            return self.reject(
                position,
                Rejection::malformed(message),
                bytes,
                self.layout.reading_count(record),
                collector,
            );
        }
        let time = match self.layout.time_column() {
            None => Ok(collector.arrival),
            Some(column) => time::parse_text(cell_text(record, column)),
        };
        match (&self.layout, time) {
            (Layout::Long { sensor, value, .. }, time) => {
                let name = sensor.map(|column| cell_text(record, column)).or(self.mapped_sensor).unwrap_or_default();
                match time {
                    Ok(time) => add_cell(position, name, time, cell_text(record, *value), collector),
                    Err(rejection) => {
                        let rejection = collector.with_sensor(name, rejection);
                        self.reject(position, rejection, bytes, 1, collector);
                    }
                }
            }
            (Layout::Wide { .. }, Err(rejection)) => {
                self.reject(position, rejection, bytes, self.layout.reading_count(record), collector);
            }
            (Layout::Wide { sensors, .. }, Ok(time)) => {
                for (column, name) in sensors {
                    let cell = cell_text(record, *column);
                    if !cell.is_empty() {
                        add_cell(position, name, time, cell, collector);
                    }
                    if collector.is_event_rejected() {
                        return;
                    }
                }
            }
        }
    }

    /// Rejects rows. The dead letter is the header followed by the unchanged rows.
    fn reject(
        &self,
        position: usize,
        rejection: Rejection,
        rows: &[u8],
        readings: usize,
        collector: &mut ReadingCollector<'_>,
    ) {
        let header = self.payload.get(..self.header_len).unwrap_or_default();
        collector.reject_with(position, rejection, readings, || {
            let line_break = if header.ends_with(b"\n") { b"".as_slice() } else { b"\n" };
            // Blank lines may precede the row. A tab is not blank: it separates empty cells.
            let line_breaks = rows.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let payload = [header, line_break, rows.get(line_breaks..).unwrap_or_default()].concat();
            DeadLetter { payload, source: None, format: Some("csv".to_owned()) }
        });
    }
}

/// Adds the reading of a cell, or rejects the cell.
fn add_cell(position: usize, name: &str, time: i64, cell: &str, collector: &mut ReadingCollector<'_>) {
    match parse_number(cell) {
        Ok(value) => collector.add_reading(position, name, time, value),
        Err(rejection) => collector.reject_values(position, rejection, name, time, 1, || cell.into()),
    }
}

/// Checks each cell: the bytes of one character may be split across two cells, which together look like valid UTF-8.
fn is_utf8(record: &ByteRecord) -> bool {
    record.as_slice().is_ascii() || record.iter().all(|cell| std::str::from_utf8(cell).is_ok())
}

/// Returns a cell of a row that is UTF-8. It is empty if the row is too short.
fn cell_text(record: &ByteRecord, column: usize) -> &str {
    record.get(column).and_then(|cell| std::str::from_utf8(cell).ok()).unwrap_or_default()
}

fn parse_number(text: &str) -> Result<f64, Rejection> {
    match text {
        "true" | "True" | "TRUE" => Ok(1.0),
        "false" | "False" | "FALSE" => Ok(0.0),
        text => text.parse().map_err(|_| invalid_number(text)),
    }
}

fn invalid_number(text: &str) -> Rejection {
    let got = excerpt(text.as_bytes());
    // A decimal comma, possibly with points between the thousands: 1.234,5.
    let with_point = text.replace('.', "").replacen(',', ".", 1);
    Rejection::malformed(if text.contains(',') && with_point.parse::<f64>().is_ok() {
        format!(
            "expected a number with a decimal point, such as {with_point}; got {got:?} with a decimal comma: export the file with decimal points"
        )
    } else {
        format!("expected a number; got {got:?}")
    })
}
