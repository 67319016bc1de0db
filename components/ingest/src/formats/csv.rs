//! CSV with a header. Long: the columns sensor_id, timestamp, value. Wide: a time column, and every other column is a
//! sensor. Comma, semicolon or tab; an empty cell is no reading.

use csv::{ByteRecord, ReaderBuilder};

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

pub(super) fn decode(payload: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    let header = payload.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter(header)).flexible(true).trim(csv::Trim::All).from_reader(payload);
    let shape = match reader
        .byte_headers()
        .map_err(|error| Rejection::malformed(format!("the header cannot be read: {error}")))
    {
        Ok(header) => shape(header, sensor),
        Err(rejection) => Err(rejection),
    };
    let shape = match shape {
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

fn shape(header: &ByteRecord, sensor: Option<&str>) -> Result<Shape, Rejection> {
    let find = |names: &[&str]| header.iter().position(|cell| is_one_of(names, cell));
    let (times, sensors, values) = (find(&TIMES), find(&SENSORS), find(&VALUES));
    if let (Some(value), true) = (values, sensors.is_some() || (sensor.is_some() && header.len() <= 2)) {
        return Ok(Shape::Long { sensor: sensors, time: times, value });
    }
    let time = times.ok_or_else(|| {
        Rejection::malformed(format!(
            "expected a header with the columns sensor_id, timestamp, value, or with a timestamp column and one column a sensor; got {:?}",
            excerpt(&header.iter().collect::<Vec<_>>().join(&b','))
        ))
    })?;
    let sensors: Vec<_> = header
        .iter()
        .enumerate()
        .filter(|(column, cell)| *column != time && !cell.is_empty())
        .map(|(column, cell)| {
            let name = String::from_utf8_lossy(cell);
            (column, sensor.map_or_else(|| name.to_string(), |prefix| format!("{prefix}/{name}")))
        })
        .collect();
    if sensors.is_empty() {
        return Err(Rejection::malformed("the header has a time column and no other; expected one column a sensor"));
    }
    Ok(Shape::Wide { time, sensors })
}

fn row(record: &ByteRecord, position: usize, shape: &Shape, mapped: Option<&str>, intake: &mut Intake<'_>) {
    let raw = || record.iter().collect::<Vec<_>>().join(&b',');
    let at = |column: Option<usize>, intake: &Intake<'_>| match column {
        None => Ok(intake.arrival),
        Some(column) => time::parse_text(&String::from_utf8_lossy(record.get(column).unwrap_or_default())),
    };
    match shape {
        Shape::Long { sensor, time, value } => {
            let cell = record.get(*value).unwrap_or_default();
            let name =
                sensor.map(|column| String::from_utf8_lossy(record.get(column).unwrap_or_default()).into_owned());
            let taken = at(*time, intake).and_then(|time| {
                let name = name.as_deref().or(mapped).unwrap_or_default();
                intake.reading(name, time, number(cell)?)
            });
            if let Err(rejection) = taken {
                intake.refuse(position, rejection, &raw(), 1);
            }
        }
        Shape::Wide { time, sensors } => {
            let filled =
                || sensors.iter().filter(|(column, _)| record.get(*column).is_some_and(|cell| !cell.is_empty()));
            let time = match at(Some(*time), intake) {
                Ok(time) => time,
                Err(rejection) => return intake.refuse(position, rejection, &raw(), filled().count()),
            };
            for (column, name) in filled() {
                let taken =
                    number(record.get(*column).unwrap_or_default()).and_then(|value| intake.reading(name, time, value));
                if let Err(rejection) = taken {
                    intake.refuse(position, rejection, &raw(), 1);
                }
            }
        }
    }
}

fn number(cell: &[u8]) -> Result<f64, Rejection> {
    let text = std::str::from_utf8(cell).unwrap_or_default();
    match text {
        "true" | "True" | "TRUE" => Ok(1.0),
        "false" | "False" | "FALSE" => Ok(0.0),
        text => text.parse().map_err(|_| Rejection::malformed(format!("expected a number; got {:?}", excerpt(cell)))),
    }
}
