//! CSV with a header. Long: the columns sensor_id, timestamp, value. Wide: a time column, and every other column is a
//! sensor. Comma, semicolon or tab; an empty cell is no reading.

use csv::{ByteRecord, ReaderBuilder, StringRecord};

use crate::{
    intake::Intake,
    rejection::{Rejection, excerpt},
    time,
};

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
    let mut record = ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let position = record.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(usize::MAX));
                row(&record, position, &shape, sensor, intake);
            }
            Err(error) => {
                return intake.refuse(
                    0,
                    Rejection::malformed(format!("the rest cannot be read as CSV: {error}")),
                    b"",
                    1,
                );
            }
        }
    }
}

fn shape(header: &StringRecord, sensor: Option<&str>) -> Result<Shape, Rejection> {
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
    let sensors: Vec<_> = header
        .iter()
        .enumerate()
        .filter(|(column, cell)| *column != time && !cell.is_empty())
        .map(|(column, name)| (column, sensor.map_or_else(|| name.to_owned(), |prefix| format!("{prefix}/{name}"))))
        .collect();
    if sensors.is_empty() {
        return Err(Rejection::malformed("the header has a time column and no other; expected one column a sensor"));
    }
    Ok(Shape::Wide { time, sensors })
}

fn row(record: &ByteRecord, position: usize, shape: &Shape, mapped: Option<&str>, intake: &mut Intake<'_>) {
    let raw = || record.iter().collect::<Vec<_>>().join(&b',');
    if !is_utf8(record) {
        let message = format!("expected a row in UTF-8; got {:?}: export the file as UTF-8", excerpt(&raw()));
        return intake.refuse(position, Rejection::malformed(message), &raw(), shape.readings(record));
    }
    let at = |column: Option<usize>, intake: &Intake<'_>| match column {
        None => Ok(intake.arrival),
        Some(column) => time::parse_text(text(record, column)),
    };
    match shape {
        Shape::Long { sensor, time, value } => {
            let name = sensor.map(|column| text(record, column)).or(mapped).unwrap_or_default();
            let taken = at(*time, intake).and_then(|time| intake.reading(name, time, number(text(record, *value))?));
            if let Err(rejection) = taken.map_err(|rejection| intake.about(name, rejection)) {
                intake.refuse(position, rejection, &raw(), 1);
            }
        }
        Shape::Wide { time, sensors } => {
            let time = match at(Some(*time), intake) {
                Ok(time) => time,
                Err(rejection) => return intake.refuse(position, rejection, &raw(), shape.readings(record)),
            };
            for (column, name) in sensors {
                let cell = text(record, *column);
                if cell.is_empty() {
                    continue;
                }
                let taken = number(cell).and_then(|value| intake.reading(name, time, value));
                if let Err(rejection) = taken.map_err(|rejection| intake.about(name, rejection)) {
                    intake.refuse(position, rejection, &raw(), 1);
                }
            }
        }
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
