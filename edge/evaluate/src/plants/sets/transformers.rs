//! ETT (Zhou et al. 2021): loads and oil temperature of real transformer stations, hourly, two years, without a
//! failure. Values that repeat for a day and more were read off the data.

use std::path::Path;

use super::{DAY, HOUR, MONTH, parse_time, required, required_time, sensor_rows, start, stem, texts, times_of};
use crate::{
    Error,
    plants::{
        EventKind, PlantCase, PlantEvent, PlantSet, RateUnit,
        floor::{PCA_RESIDUAL, pca_residual},
    },
    read::{self, Csv},
};

const PROTOCOL: &str = "learn 60 days; no alert is expected except during frozen values of a sensor for 24 h and more (and a day \
                        after), which have to be diagnosis as a fault of that sensor";

pub(super) fn read(folder: &Path) -> Result<PlantSet, Error> {
    let frozen = Csv::read(&folder.join("frozen_derived.csv"), b',')?;
    let mut cases = Vec::new();
    for path in read::files(folder, &[".csv.gz"])? {
        let csv = Csv::read(&path, b',')?;
        let times = times_of(&csv, "date", parse_time)?;
        let (sensors, rows) = sensor_rows(&csv, &["date"], &times);
        let mut case = PlantCase { machine: stem(&path), sensors, rows, ..PlantCase::default() };
        case.learn_until = start(&case.rows) + 60 * DAY;
        case.judged = (case.learn_until, case.end());
        for [station, column, first, last] in texts(&frozen, ["station", "column", "first", "last"])? {
            let Some(at) = case.sensors.iter().position(|name| *name == column) else { continue };
            if station != case.machine {
                continue;
            }
            let (from, last) = (required_time(&frozen.path, &first)?, required_time(&frozen.path, &last)?);
            case.excused.push((from, last + DAY));
            if from >= case.learn_until {
                let kind = EventKind::SensorFault(case.sensor_id(at));
                let name = format!("{column} frozen from {first}");
                case.events.push(PlantEvent { name, from, until: last + 2 * HOUR, kind });
            }
        }
        cases.push(case);
    }
    let set = PlantSet {
        name: "transformers-ett",
        protocol: PROTOCOL,
        unit: RateUnit::Time(MONTH, "machine-month"),
        gap: DAY,
        floor: pca_residual,
        floor_name: PCA_RESIDUAL,
        cases,
    };
    required(set, folder, "ETTh1.csv.gz")
}
