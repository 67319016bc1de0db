//! PHM Society data challenge 2015: the power of real buildings, 15 minutes, with a controller's fault log.

use std::{collections::BTreeSet, path::Path};

use super::{DAY, MONTH, parse_time, required, start, stem};
use crate::{
    Error,
    plants::{
        EventKind, PlantCase, PlantEvent, PlantSet, RateUnit, Rows,
        floor::{PCA_RESIDUAL, pca_residual},
    },
    read,
};

const PROTOCOL: &str = "learn 28 days; alerts are false except on days with the logged faults SupplyTempTooCold and \
                        HvacSupplyBelowFreezing, which need not show in the power";
/// Logged faults that are no messages of software.
const COLD_SUPPLY: [&str; 2] = ["SupplyTempTooCold", "HvacSupplyBelowFreezing"];

/// Reads a table without a header.
fn records(path: &Path) -> Result<Vec<csv::StringRecord>, Error> {
    let text = read::read_text(path)?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    reader.records().collect::<Result<_, _>>().map_err(|error| Error::layout(path, "a CSV table", error.to_string()))
}

pub(super) fn read(folder: &Path) -> Result<PlantSet, Error> {
    let mut cases = Vec::new();
    for path in read::files(folder, &["b.csv.gz"])? {
        let site = stem(&path).trim_end_matches('b').to_owned();
        let (sensors, rows) = read_power(&path)?;
        let mut case = PlantCase { machine: site.clone(), sensors, rows, ..PlantCase::default() };
        case.learn_until = start(&case.rows) + 28 * DAY;
        case.judged = (case.learn_until, case.end());
        let log = folder.join(format!("{site}c.csv.gz"));
        if log.is_file() {
            for day in cold_days(&log)? {
                let (from, until) = (day * DAY, (day + 1) * DAY);
                case.excused.push((from, until));
                if from >= case.learn_until {
                    let name = "cold supply".to_owned();
                    case.events.push(PlantEvent { name, from, until, kind: EventKind::Service });
                }
            }
        }
        cases.push(case);
    }
    let set = PlantSet {
        name: "phm15-sites",
        protocol: PROTOCOL,
        unit: RateUnit::Time(MONTH, "site-month"),
        gap: DAY,
        floor: pca_residual,
        floor_name: PCA_RESIDUAL,
        cases,
    };
    required(set, folder, "site54b.csv.gz")
}

/// Meter, time, cumulated energy, power: two sensors for each meter.
fn read_power(path: &Path) -> Result<(Vec<String>, Rows), Error> {
    let records = records(path)?;
    let meters: BTreeSet<String> = records.iter().filter_map(|record| Some(record.get(0)?.to_lowercase())).collect();
    let meters: Vec<String> = meters.into_iter().collect();
    let sensors: Vec<String> =
        meters.iter().flat_map(|meter| [format!("{meter}-energy"), format!("{meter}-power")]).collect();
    let mut rows = Vec::with_capacity(records.len());
    for (line, record) in records.iter().enumerate() {
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let time = parse_time(cell(1))
            .ok_or_else(|| Error::layout(path, format!("a time in line {}", line + 1), format!("'{}'", cell(1))))?;
        let mut row = vec![f64::NAN; sensors.len()];
        let meter = meters.iter().position(|meter| *meter == cell(0).to_lowercase()).unwrap_or(0);
        for (cell, text) in row.iter_mut().skip(2 * meter).zip([cell(2), cell(3)]) {
            *cell = text.trim().parse().unwrap_or(f64::NAN);
        }
        rows.push((time, row));
    }
    Ok((sensors, rows))
}

/// Days since 1970 with a cold supply.
fn cold_days(path: &Path) -> Result<BTreeSet<i64>, Error> {
    let is_cold = |record: &&csv::StringRecord| record.get(2).is_some_and(|fault| COLD_SUPPLY.contains(&fault.trim()));
    Ok(records(path)?
        .iter()
        .filter(is_cold)
        .filter_map(|record| Some(parse_time(record.get(0)?)?.div_euclid(DAY)))
        .collect())
}
