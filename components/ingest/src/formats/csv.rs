//! CSV with a header. Long: the columns sensor_id, timestamp, value. Wide: a time column, and every other column is a
//! sensor. Comma, semicolon or tab; an empty cell is no reading.

use std::collections::BTreeMap;

use csv::{ByteRecord, ReaderBuilder, StringRecord};

use crate::{
    intake::Intake,
    letters::Letter,
    rejection::{Reason, Rejection, excerpt},
    time,
};

/// Columns of a file.
const MOST_COLUMNS: usize = 100_000;
const TIMES: [&str; 5] = ["timestamp", "time", "datetime", "ts", "date"];
const SENSORS: [&str; 3] = ["sensor_id", "sensor", "id"];
const VALUES: [&str; 2] = ["value", "values"];

fn is_one_of(names: &[&str], cell: &[u8]) -> bool {
    names.iter().any(|name| cell.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

fn delimiter(header: &[u8]) -> u8 {
    *[b',', b';', b'\t']
        .iter()
        .max_by_key(|&&mark| header.iter().filter(|&&byte| byte == mark).count())
        .unwrap_or(&b',')
}

pub(super) fn looks_so(header: &[u8]) -> bool {
    let mark = delimiter(header);
    let mut cells = header.split(|&byte| byte == mark).map(|cell| cell.trim_ascii().trim_ascii_start());
    header.contains(&mark) && cells.any(|cell| is_one_of(&TIMES, unquoted(cell)) || is_one_of(&SENSORS, unquoted(cell)))
}

fn unquoted(cell: &[u8]) -> &[u8] {
    cell.strip_prefix(b"\"").and_then(|cell| cell.strip_suffix(b"\"")).unwrap_or(cell)
}

/// What the columns are.
enum Shape {
    Long { sensor: Option<usize>, time: Option<usize>, value: usize },
    Wide { time: usize, sensors: Vec<(usize, String)> },
}

impl Shape {
    fn time(&self) -> Option<usize> {
        match self {
            Self::Long { time, .. } => *time,
            Self::Wide { time, .. } => Some(*time),
        }
    }

    /// How many readings a row has.
    fn readings(&self, record: &ByteRecord) -> usize {
        match self {
            Self::Long { .. } => 1,
            Self::Wide { sensors, .. } => {
                sensors.iter().filter(|(column, _)| record.get(*column).is_some_and(|cell| !cell.is_empty())).count()
            }
        }
    }
}

/// What the file's rows have in common.
struct Table<'a> {
    shape: Shape,
    mapped: Option<&'a str>,
    payload: &'a [u8],
    /// Where the header ends.
    header: usize,
}

pub(super) fn decode(payload: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    let header = payload.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter(header)).flexible(true).trim(csv::Trim::All).from_reader(payload);
    let header = reader.headers().map_err(|error| {
        Rejection::malformed(format!("expected a header in UTF-8: {error}; export the file as UTF-8"))
    });
    let shape = match header.and_then(|header| shape(header, sensor)) {
        Ok(shape) => shape,
        Err(rejection) => return intake.refuse(0, rejection, payload, 1),
    };
    let at = |place: &csv::Position| usize::try_from(place.byte()).unwrap_or(usize::MAX);
    let table = Table { shape, mapped: sensor, payload, header: at(reader.position()) };
    let mut record = ByteRecord::new();
    loop {
        let from = at(reader.position());
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let position = record.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(usize::MAX));
                let bytes = payload.get(from..at(reader.position())).unwrap_or_default();
                table.row(&record, bytes, position, intake);
                if intake.is_full() {
                    return;
                }
            }
            Err(error) => {
                let rejection = Rejection::malformed(format!("the rest cannot be read as CSV: {error}"));
                let rest = payload.get(from..).unwrap_or_default();
                return table.refuse(0, rejection, rest, 1, intake);
            }
        }
    }
}

fn shape(header: &StringRecord, sensor: Option<&str>) -> Result<Shape, Rejection> {
    if header.len() > MOST_COLUMNS {
        let message =
            format!("the header has {} columns, at most {MOST_COLUMNS} are read; send several files", header.len());
        return Err(Rejection::new(Reason::Oversize, message));
    }
    let find = |names: &[&str]| header.iter().position(|cell| is_one_of(names, cell.as_bytes()));
    let (times, sensors, values) = (find(&TIMES), find(&SENSORS), find(&VALUES));
    if let (Some(value), true) = (values, sensors.is_some() || (sensor.is_some() && header.len() <= 2)) {
        return Ok(Shape::Long { sensor: sensors, time: times, value });
    }
    let time = times.ok_or_else(|| {
        Rejection::malformed(format!(
            "expected a header with the columns sensor_id, timestamp, value, or with a timestamp column and one column a sensor; got {:?}",
            excerpt(header.iter().collect::<Vec<_>>().join(",").as_bytes())
        ))
    })?;
    let mut used = BTreeMap::new();
    let sensors: Vec<_> = header
        .iter()
        .enumerate()
        .filter(|(column, cell)| *column != time && !cell.is_empty())
        .map(|(column, name)| {
            let own = own_name(name, &mut used);
            (column, sensor.map_or_else(|| own.clone(), |prefix| format!("{prefix}/{own}")))
        })
        .collect();
    if sensors.is_empty() {
        return Err(Rejection::malformed("the header has a time column and no other; expected one column a sensor"));
    }
    Ok(Shape::Wide { time, sensors })
}

/// A column's name, with a number where a column before has it. `used` holds for each name the number to be tried next.
fn own_name(name: &str, used: &mut BTreeMap<String, usize>) -> String {
    if !used.contains_key(name) {
        used.insert(name.to_owned(), 2);
        return name.to_owned();
    }
    loop {
        let number = used.entry(name.to_owned()).or_insert(2);
        let own = format!("{name}-{number}");
        *number += 1;
        if !used.contains_key(&own) {
            used.insert(own.clone(), 2);
            return own;
        }
    }
}

impl Table<'_> {
    fn row(&self, record: &ByteRecord, bytes: &[u8], position: usize, intake: &mut Intake<'_>) {
        if !is_utf8(record) {
            let message = format!("expected a row in UTF-8; got {:?}: export the file as UTF-8", excerpt(bytes));
            return self.refuse(position, Rejection::malformed(message), bytes, self.shape.readings(record), intake);
        }
        let time = match self.shape.time() {
            None => Ok(intake.arrival),
            Some(column) => time::parse_text(text(record, column)),
        };
        match (&self.shape, time) {
            (Shape::Long { sensor, value, .. }, time) => {
                let name = sensor.map(|column| text(record, column)).or(self.mapped).unwrap_or_default();
                match time {
                    Ok(time) => take(position, name, time, text(record, *value), intake),
                    Err(rejection) => {
                        let rejection = intake.about(name, rejection);
                        self.refuse(position, rejection, bytes, 1, intake);
                    }
                }
            }
            (Shape::Wide { .. }, Err(rejection)) => {
                self.refuse(position, rejection, bytes, self.shape.readings(record), intake);
            }
            (Shape::Wide { sensors, .. }, Ok(time)) => {
                for (column, name) in sensors {
                    let cell = text(record, *column);
                    if !cell.is_empty() {
                        take(position, name, time, cell, intake);
                    }
                    if intake.is_full() {
                        return;
                    }
                }
            }
        }
    }

    /// Refuses rows as they came, after the header.
    fn refuse(&self, position: usize, rejection: Rejection, rows: &[u8], readings: usize, intake: &mut Intake<'_>) {
        let header = self.payload.get(..self.header).unwrap_or_default();
        intake.refuse_as(position, rejection, readings, || {
            let line = if header.ends_with(b"\n") { b"".as_slice() } else { b"\n" };
            // What stands before the row are blank lines; a tab is a cell.
            let blank = rows.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let payload = [header, line, rows.get(blank..).unwrap_or_default()].concat();
            Letter { payload, source: None, format: Some("csv".to_owned()) }
        });
    }
}

/// Takes a cell, or refuses it.
fn take(position: usize, name: &str, time: i64, cell: &str, intake: &mut Intake<'_>) {
    match number(cell) {
        Ok(value) => intake.take(position, name, time, value),
        Err(rejection) => intake.refuse_values(position, rejection, name, time, 1, || cell.into()),
    }
}

/// By cells: two of them can hold a letter's bytes between them.
fn is_utf8(record: &ByteRecord) -> bool {
    record.as_slice().is_ascii() || record.iter().all(|cell| std::str::from_utf8(cell).is_ok())
}

/// A cell of a row that is UTF-8; empty where the row is too short.
fn text(record: &ByteRecord, column: usize) -> &str {
    record.get(column).and_then(|cell| std::str::from_utf8(cell).ok()).unwrap_or_default()
}

fn number(text: &str) -> Result<f64, Rejection> {
    match text {
        "true" | "True" | "TRUE" => Ok(1.0),
        "false" | "False" | "FALSE" => Ok(0.0),
        text => text.parse().map_err(|_| no_number(text)),
    }
}

fn no_number(text: &str) -> Rejection {
    let got = excerpt(text.as_bytes());
    // As much of the world writes it: 1.234,5 with points between the thousands.
    let pointed = text.replace('.', "").replacen(',', ".", 1);
    Rejection::malformed(if text.contains(',') && pointed.parse::<f64>().is_ok() {
        format!(
            "expected a number with a decimal point, as {pointed}; got {got:?} with a comma: export the file with decimal points"
        )
    } else {
        format!("expected a number; got {got:?}")
    })
}
