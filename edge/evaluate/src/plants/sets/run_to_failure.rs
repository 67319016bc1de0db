//! The inIT production plant (von Birgelen et al. 2018): records from a new component to its replacement, 25 anonymous
//! channels, products and stops. Rows count as seconds.

use std::path::Path;

use super::{SECOND, required, sensor_rows, stem};
use crate::{
    Error,
    plants::{
        EventKind, PlantCase, PlantEvent, PlantSet, RateUnit,
        floor::{PCA_RESIDUAL, pca_residual},
    },
    read::{self, Csv},
};

const PROTOCOL: &str = "learn the first 20 % of a record; an alert that tells something new in the last 500 rows is a hit, alerts \
                        from 20 to 80 % are false";
/// Rows at the end in which the failure shows.
const FAILURE_ROWS: i64 = 500;

pub(super) fn read(folder: &Path) -> Result<PlantSet, Error> {
    let mut cases = Vec::new();
    for path in read::files(folder, &[".csv.gz"])? {
        let csv = Csv::read(&path, b',')?;
        let rows = csv.records.len() as i64;
        let times: Vec<i64> = (0..rows).map(|row| row * SECOND).collect();
        let (sensors, values) = sensor_rows(&csv, &["Timestamp"], &times);
        let machine = stem(&path);
        // The first part of a component does not end with a failure.
        let fails = !machine.ends_with("-1");
        let failure = PlantEvent {
            name: "failure".to_owned(),
            from: (rows - FAILURE_ROWS) * SECOND,
            until: rows * SECOND,
            kind: EventKind::Fault,
        };
        cases.push(PlantCase {
            machine,
            sensors,
            rows: values,
            learn_until: rows / 5 * SECOND,
            judged: (rows / 5 * SECOND, rows * 4 / 5 * SECOND),
            events: if fails { vec![failure] } else { Vec::new() },
            ..PlantCase::default()
        });
    }
    let set = PlantSet {
        name: "plant-runtofail-init",
        protocol: PROTOCOL,
        unit: RateUnit::Time(10_000 * SECOND, "10,000 rows"),
        gap: 200 * SECOND,
        floor: pca_residual,
        floor_name: PCA_RESIDUAL,
        cases,
    };
    required(set, folder, "records such as C8.csv.gz")
}
