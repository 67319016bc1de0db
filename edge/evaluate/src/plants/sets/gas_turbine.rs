//! A gas turbine (Kaya et al. 2019): hourly rows of load plateaus in several years, without a failure and without
//! times. Rows count as hours that follow each other.

use std::path::Path;

use super::{DAY, HOUR, required, sensor_rows};
use crate::{
    Error,
    plants::{
        PlantCase, PlantSet, RateUnit,
        floor::{PCA_RESIDUAL, pca_residual},
    },
    read::{self, Csv, parse_time},
};

const PROTOCOL: &str = "learn the first 1,000 rows; no alert is expected afterwards";
/// Rows that are learnt.
const LEARNT_ROWS: i64 = 1000;
/// Rows to which the rate of false alerts refers: a month of hours.
const ROWS_PER_MONTH: i64 = 720;

pub(super) fn read(folder: &Path) -> Result<PlantSet, Error> {
    let first = parse_time("2011-01-01 00:00:00").unwrap_or(0);
    let mut cases = Vec::new();
    for path in read::files(folder, &[".csv.gz"])? {
        let csv = Csv::read(&path, b',')?;
        let times: Vec<i64> = (0..).map(|row| first + row * HOUR).take(csv.records.len()).collect();
        let (sensors, rows) = sensor_rows(&csv, &[], &times);
        let mut case = PlantCase { machine: "turbine".to_owned(), sensors, rows, ..PlantCase::default() };
        case.learn_until = first + LEARNT_ROWS * HOUR;
        case.judged = (case.learn_until, case.end());
        cases.push(case);
    }
    let set = PlantSet {
        name: "gas-turbine",
        protocol: PROTOCOL,
        unit: RateUnit::Time(ROWS_PER_MONTH * HOUR, "720 rows"),
        gap: DAY,
        floor: pca_residual,
        floor_name: PCA_RESIDUAL,
        cases,
    };
    required(set, folder, "gas_turbine_first_half.csv.gz")
}
