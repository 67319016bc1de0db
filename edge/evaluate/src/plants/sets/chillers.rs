//! Two real water-cooled chillers of building-management systems: one hourly with 22 points, one by 15 minutes with
//! one file for each point. No failure; services and lost polling were read off the data.

use std::{collections::BTreeMap, path::Path};

use super::{DAY, HOUR, MONTH, SECOND, parse_time, required, required_time, sensor_rows, start, stem, texts, times_of};
use crate::{
    Error,
    plants::{
        EventKind, PlantCase, PlantEvent, PlantSet, RateUnit,
        floor::{PCA_RESIDUAL, pca_residual},
    },
    read::{self, Csv},
};

const PROTOCOL: &str =
    "learn 28 days, then no alert is expected except within 3 days after a service; a service may be noticed";

pub(super) fn read(folder: &Path) -> Result<PlantSet, Error> {
    let mut cases = Vec::new();
    for path in read::files(folder, &["_hourly.csv.gz"])? {
        let csv = Csv::read(&path, b',')?;
        let times = times_of(&csv, "timestamp_local", parse_time)?;
        let (sensors, rows) = sensor_rows(&csv, &["timestamp_local", "date_as_exported"], &times);
        let machine = stem(&path).trim_end_matches("_hourly").to_owned();
        cases.push(PlantCase { machine, sensors, rows, ..PlantCase::default() });
    }
    cases.extend(read_points(folder)?);
    let events = Csv::read(&folder.join("events_derived.csv"), b',')?;
    for case in &mut cases {
        case.learn_until = start(&case.rows) + 28 * DAY;
        case.judged = (case.learn_until, case.end());
        case.apart = vec![("at starts and stops", starts_and_stops(case))];
        add_events(case, &events)?;
    }
    let set = PlantSet {
        name: "chillers-real",
        protocol: PROTOCOL,
        unit: RateUnit::Time(MONTH, "machine-month"),
        gap: DAY,
        floor: pca_residual,
        floor_name: PCA_RESIDUAL,
        cases,
    };
    required(set, folder, "monash_chiller1_hourly.csv.gz")
}

/// The chiller with one file `bartech_chiller2_POINT.csv.gz` for each point: `save_time` in s and `value`.
fn read_points(folder: &Path) -> Result<Option<PlantCase>, Error> {
    let prefix = "bartech_chiller2_";
    let paths = read::files(folder, &[".csv.gz"])?;
    let paths: Vec<_> = paths.into_iter().filter(|path| read::file_name(path).starts_with(prefix)).collect();
    let mut rows: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at, path) in paths.iter().enumerate() {
        let csv = Csv::read(path, b',')?;
        let times = times_of(&csv, "save_time", |text| Some(text.trim().parse::<i64>().ok()? * SECOND))?;
        let values = csv.numbers(csv.required_column("value")?)?;
        for (time, value) in times.into_iter().zip(values) {
            if let Some(cell) = rows.entry(time).or_insert_with(|| vec![f64::NAN; paths.len()]).get_mut(at) {
                *cell = value;
            }
        }
    }
    let sensors: Vec<String> = paths.iter().map(|path| stem(path).replacen(prefix, "", 1)).collect();
    let machine = "bartech_chiller2".to_owned();
    Ok((!sensors.is_empty()).then(|| PlantCase {
        machine,
        sensors,
        rows: rows.into_iter().collect(),
        ..PlantCase::default()
    }))
}

/// From an hour before to two hours after each change between current and no current.
fn starts_and_stops(case: &PlantCase) -> Vec<(i64, i64)> {
    let Some(current) = case.sensors.iter().position(|name| name == "Actual Line Current") else { return Vec::new() };
    let is_running = |row: &[f64]| row.get(current).is_some_and(|value| *value > 0.0);
    case.rows
        .array_windows::<2>()
        .filter(|[before, after]| is_running(&before.1) != is_running(&after.1))
        .map(|[_, after]| (after.0 - HOUR, after.0 + 2 * HOUR))
        .collect()
}

fn add_events(case: &mut PlantCase, events: &Csv) -> Result<(), Error> {
    let mut lost_polling = Vec::new();
    for [machine, first, last, kind] in texts(events, ["machine", "first_local", "last_local", "kind"])? {
        if machine != case.machine {
            continue;
        }
        let (from, until) = (required_time(&events.path, &first)?, required_time(&events.path, &last)?);
        if kind.starts_with("service") {
            case.excused.push((from, until + 3 * DAY));
            let name = format!("service of {first}");
            case.events.push(PlantEvent { name, from, until: until + 3 * DAY, kind: EventKind::Service });
        } else {
            lost_polling.push((from, until + 2 * HOUR));
        }
    }
    case.apart.push(("at lost polling", lost_polling));
    Ok(())
}
