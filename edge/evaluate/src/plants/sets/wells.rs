//! Petrobras 3W (Vargas et al. 2019): real offshore wells, spurious closures of a safety valve, one second.

use std::{collections::BTreeMap, path::Path};

use super::{HOUR, parse_time, required, sensor_rows, start, stem, times_of};
use crate::{
    Error,
    plants::{
        EventKind, PlantCase, PlantEvent, PlantSet, RateUnit,
        floor::{PCA_RESIDUAL, pca_residual},
    },
    read::{self, Csv},
};

const PROTOCOL: &str = "learn the normal rows of a file; an alert after the onset of the closure is expected; alerts in the normal \
                        rows of the other files of the same well, after the first file is learnt, are false";

pub(super) fn read(folder: &Path) -> Result<PlantSet, Error> {
    let mut cases = Vec::new();
    let mut normal: BTreeMap<String, Vec<PlantCase>> = BTreeMap::new();
    for path in read::files(folder, &[".csv.gz"])? {
        let csv = Csv::read(&path, b',')?;
        let times = times_of(&csv, "timestamp", parse_time)?;
        let (sensors, rows) = sensor_rows(&csv, &["timestamp", "class"], &times);
        let class = csv.required_column("class")?;
        let is_faulty = |record: &csv::StringRecord| {
            record.get(class).and_then(|cell| cell.trim().parse().ok()).is_some_and(|class: f64| class > 0.0)
        };
        let Some(onset) = csv.records.iter().position(is_faulty).and_then(|at| times.get(at).copied()) else {
            continue;
        };
        let machine = stem(&path);
        let well = machine.split('_').next().unwrap_or_default().to_owned();
        let normal_rows = rows.iter().filter(|(time, _)| *time < onset).cloned().collect();
        let part = PlantCase { sensors: sensors.clone(), rows: normal_rows, ..PlantCase::default() };
        normal.entry(well).or_default().push(part);
        let end = rows.last().map_or(onset, |(time, _)| *time);
        let closure = PlantEvent { name: "closure".to_owned(), from: onset, until: end, kind: EventKind::Fault };
        let judged = (onset, onset);
        cases.push(PlantCase {
            machine,
            sensors,
            rows,
            learn_until: onset,
            judged,
            events: vec![closure],
            ..PlantCase::default()
        });
    }
    for (well, mut files) in normal {
        files.sort_by_key(|file| start(&file.rows));
        let mut files = files.into_iter();
        let Some(mut joined) = files.next().filter(|_| files.len() > 0) else { continue };
        let Some(second) = files.as_slice().first().map(|file| start(&file.rows)) else { continue };
        for file in files.filter(|file| file.sensors == joined.sensors) {
            joined.rows.extend(file.rows);
        }
        joined.machine = format!("{well}, normal rows");
        joined.learn_until = second;
        // Only the hours that were recorded.
        joined.excused = gaps(&joined.rows);
        joined.judged = (second, joined.end());
        cases.push(joined);
    }
    let set = PlantSet {
        name: "wells-3w",
        protocol: PROTOCOL,
        unit: RateUnit::Time(HOUR, "hour"),
        gap: HOUR,
        floor: pca_residual,
        floor_name: PCA_RESIDUAL,
        cases,
    };
    required(set, folder, "files such as WELL-00009_20170313160804.csv.gz")
}

/// The times between the files.
fn gaps(rows: &[(i64, Vec<f64>)]) -> Vec<(i64, i64)> {
    rows.array_windows::<2>().map(|[one, other]| (one.0, other.0)).filter(|(one, other)| other - one > HOUR).collect()
}
