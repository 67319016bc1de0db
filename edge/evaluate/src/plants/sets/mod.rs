//! The sets of recordings with their protocols.

mod batadal;
mod chillers;
mod femto;
mod gas_turbine;
mod hvac;
mod phm15;
mod run_to_failure;
mod transformers;
mod wells;
mod wind;

use std::path::Path;

use super::{PlantSet, Rows};
use crate::{Error, read::Csv};

pub(super) const SECOND: i64 = 1_000_000_000;
pub(super) const HOUR: i64 = 3600 * SECOND;
pub(super) const DAY: i64 = 24 * HOUR;
/// A month of 30.44 days.
pub(super) const MONTH: i64 = 3044 * DAY / 100;

/// Reads a set.
#[derive(Clone, Copy, Debug)]
pub struct SetReader {
    /// Name of the folder.
    pub folder: &'static str,
    pub(super) read: fn(&Path) -> Result<PlantSet, Error>,
}

/// All sets.
pub const SETS: [SetReader; 10] = [
    SetReader { folder: "chillers-real", read: chillers::read },
    SetReader { folder: "batadal-water", read: batadal::read },
    SetReader { folder: "wind-haute-borne", read: wind::read },
    SetReader { folder: "transformers-ett", read: transformers::read },
    SetReader { folder: "hvac-lbnl-ahu", read: hvac::read },
    SetReader { folder: "phm15-sites", read: phm15::read },
    SetReader { folder: "gas-turbine", read: gas_turbine::read },
    SetReader { folder: "plant-runtofail-init", read: run_to_failure::read },
    SetReader { folder: "femto-bearings", read: femto::read },
    SetReader { folder: "wells-3w", read: wells::read },
];

/// Names and rows of the columns that are not in `ignored`. A cell that is not a number is missing.
fn sensor_rows(csv: &Csv, ignored: &[&str], times: &[i64]) -> (Vec<String>, Rows) {
    let columns: Vec<usize> = (0..csv.header.len())
        .filter(|at| csv.header.get(*at).is_some_and(|name| !ignored.contains(&&**name)))
        .collect();
    let sensors = columns.iter().filter_map(|at| csv.header.get(*at).cloned()).collect();
    let cell = |record: &csv::StringRecord, at: usize| {
        record.get(at).and_then(|cell| cell.trim().parse().ok()).filter(|value: &f64| value.is_finite())
    };
    let rows = csv
        .records
        .iter()
        .zip(times)
        .map(|(record, time)| (*time, columns.iter().map(|at| cell(record, *at).unwrap_or(f64::NAN)).collect()))
        .collect();
    (sensors, rows)
}

/// Parses each cell of a column as a time.
fn times_of(csv: &Csv, column: &str, parse: impl Fn(&str) -> Option<i64>) -> Result<Vec<i64>, Error> {
    let at = csv.required_column(column)?;
    csv.records
        .iter()
        .enumerate()
        .map(|(row, record)| {
            let cell = record.get(at).unwrap_or_default();
            parse(cell).ok_or_else(|| {
                Error::layout(&csv.path, format!("a time in column {column}, row {row}"), format!("'{cell}'"))
            })
        })
        .collect()
}

/// The cells of some columns of a table, by row.
fn texts<const N: usize>(csv: &Csv, columns: [&str; N]) -> Result<Vec<[String; N]>, Error> {
    let mut indices = [0; N];
    for (index, column) in indices.iter_mut().zip(columns) {
        *index = csv.required_column(column)?;
    }
    let row = |record: &csv::StringRecord| indices.map(|at| record.get(at).unwrap_or_default().trim().to_owned());
    Ok(csv.records.iter().map(row).collect())
}

/// Parses `2016-07-01 00:00:00`, `2025-03-09T23:00`, or with an offset `2014-01-01T01:00:00+01:00`, to ns since 1970.
fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.get(10..).is_some_and(|clock| clock.contains(['+', '-', 'Z'])) {
        return i64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok();
    }
    crate::read::parse_time(text)
}

fn required_time(path: &Path, text: &str) -> Result<i64, Error> {
    parse_time(text).ok_or_else(|| Error::layout(path, "a time such as 2016-07-01 00:00:00", format!("'{text}'")))
}

/// The part of a file name before its first dot.
fn stem(path: &Path) -> String {
    crate::read::file_name(path).split('.').next().unwrap_or_default().to_owned()
}

/// The first time of the rows.
fn start(rows: &[(i64, Vec<f64>)]) -> i64 {
    rows.first().map_or(0, |(time, _)| *time)
}

/// Fails if a set has no cases.
fn required(set: PlantSet, folder: &Path, expected: &str) -> Result<PlantSet, Error> {
    if set.cases.is_empty() { Err(Error::layout(folder, expected, "none")) } else { Ok(set) }
}
