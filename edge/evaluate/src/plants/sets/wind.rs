//! La Haute Borne (Engie open data): real wind turbines, 10 minutes, two years. Stops and sensor faults were read off
//! the data.

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

const PROTOCOL: &str = "learn 60 days; no alert is expected outside of stops (and 6 h) and sensor faults; stops of 6 h and more \
                        with wind have to be noticed within the hour";
/// Length from which a stop has to be noticed, in hours.
const LONG_STOP_HOURS: f64 = 6.0;

pub(super) fn read(folder: &Path) -> Result<PlantSet, Error> {
    let stops = Csv::read(&folder.join("stops_derived.csv"), b',')?;
    let faults = Csv::read(&folder.join("sensor_faults_derived.csv"), b',')?;
    let mut cases = Vec::new();
    for path in read::files(folder, &[".csv.gz"])? {
        let csv = Csv::read(&path, b',')?;
        if csv.column_index("Wind_turbine_name").is_none() {
            continue;
        }
        let times = times_of(&csv, "Date_time", parse_time)?;
        let (sensors, rows) = sensor_rows(&csv, &["Wind_turbine_name", "Date_time"], &times);
        let mut case = PlantCase { machine: stem(&path), sensors, rows, ..PlantCase::default() };
        case.learn_until = start(&case.rows) + 60 * DAY;
        case.judged = (case.learn_until, case.end());
        add_stops(&mut case, &stops)?;
        add_sensor_faults(&mut case, &faults)?;
        cases.push(case);
    }
    let set = PlantSet {
        name: "wind-haute-borne",
        protocol: PROTOCOL,
        unit: RateUnit::Time(MONTH, "machine-month"),
        gap: DAY,
        floor: pca_residual,
        floor_name: PCA_RESIDUAL,
        cases,
    };
    required(set, folder, "tables of turbines such as R80711.csv.gz")
}

fn add_stops(case: &mut PlantCase, stops: &Csv) -> Result<(), Error> {
    for [turbine, first, last, hours] in texts(stops, ["turbine", "first", "last", "hours"])? {
        if turbine != case.machine {
            continue;
        }
        let (from, last) = (required_time(&stops.path, &first)?, required_time(&stops.path, &last)?);
        case.excused.push((from - 6 * HOUR, last + 6 * HOUR));
        if from >= case.learn_until && hours.parse().is_ok_and(|hours: f64| hours >= LONG_STOP_HOURS) {
            let name = format!("stop of {first}");
            case.events.push(PlantEvent { name, from, until: from + HOUR, kind: EventKind::Fault });
        }
    }
    Ok(())
}

fn add_sensor_faults(case: &mut PlantCase, faults: &Csv) -> Result<(), Error> {
    for [turbine, what, first, last] in texts(faults, ["turbine", "what", "first", "last"])? {
        if turbine != case.machine {
            continue;
        }
        let (from, last) = (required_time(&faults.path, &first)?, required_time(&faults.path, &last)?);
        case.excused.push((from, last + 6 * HOUR));
        let column = case.sensors.iter().position(|name| what.starts_with(name.as_str()));
        if let Some(column) = column.filter(|_| from >= case.learn_until) {
            let kind = EventKind::SensorFault(case.sensor_id(column));
            case.events.push(PlantEvent { name: format!("{what} of {first}"), from, until: last + HOUR, kind });
        }
    }
    Ok(())
}
