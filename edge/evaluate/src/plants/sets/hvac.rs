//! MZVAV-2-1 of the LBNL data for fault detection (Granderson et al. 2020): a real air-handling unit, one minute, days
//! that do not follow each other, three of them with a leaking heating valve.

use std::{collections::BTreeMap, path::Path};

use super::{DAY, HOUR, required, sensor_rows, texts, times_of};
use crate::{
    Error,
    plants::{
        EventKind, PlantCase, PlantEvent, PlantSet, RateUnit,
        floor::{PCA_RESIDUAL, pca_residual},
    },
    read::{Csv, parse_time},
};

const PROTOCOL: &str = "learn the first 8 healthy days in order, then one other day, each alone; on a faulty day an alert is \
                        expected between 06:00 and 18:00, on a healthy one none; days follow each other without the gaps";
/// Healthy days that are learnt.
const LEARNT_DAYS: usize = 8;
/// Hours of a day in which the building is occupied.
const OCCUPIED: (i64, i64) = (6, 18);

/// Parses `8/28/2007 0:05`.
fn parse_month_first(text: &str) -> Option<i64> {
    let (date, clock) = text.trim().split_once(' ')?;
    let parts: Vec<&str> = date.split('/').collect();
    let [month, day, year] = parts.as_slice() else { return None };
    let (hour, minute) = clock.split_once(':')?;
    parse_time(&format!("{year}-{month:0>2}-{day:0>2} {hour:0>2}:{minute:0>2}:00"))
}

pub(super) fn read(folder: &Path) -> Result<PlantSet, Error> {
    let csv = Csv::read(&folder.join("MZVAV-2-1.csv.gz"), b',')?;
    let times = times_of(&csv, "Datetime", parse_month_first)?;
    let (sensors, rows) = sensor_rows(&csv, &["Datetime", "Fault Detection Ground Truth"], &times);
    let mut days: BTreeMap<i64, Vec<(i64, Vec<f64>)>> = BTreeMap::new();
    for (time, row) in rows {
        days.entry(time.div_euclid(DAY)).or_default().push((time, row));
    }
    let faults = Csv::read(&folder.join("faults.csv"), b',')?;
    let faulty: Vec<i64> = texts(&faults, ["file", "day"])?
        .into_iter()
        .filter(|[file, _]| file == "MZVAV-2-1")
        .filter_map(|[_, day]| Some(parse_time(&format!("{day} 00:00:00"))?.div_euclid(DAY)))
        .collect();
    let healthy: Vec<i64> = days.keys().copied().filter(|day| !faulty.contains(day)).collect();
    let (learnt, held_back) = healthy.split_at(LEARNT_DAYS.min(healthy.len()));
    let mut cases = Vec::new();
    for day in faulty.iter().chain(held_back) {
        let is_faulty = faulty.contains(day);
        // The days as if they followed each other.
        let mut rows = Vec::new();
        for (at, source) in (0..).zip(learnt.iter().chain([day])) {
            let shift = (learnt.first().unwrap_or(day) + at - source) * DAY;
            rows.extend(days.get(source).into_iter().flatten().map(|(time, row)| (time + shift, row.clone())));
        }
        let start = (learnt.first().unwrap_or(day) + learnt.len() as i64) * DAY;
        let occupied = (start + OCCUPIED.0 * HOUR, start + OCCUPIED.1 * HOUR);
        let date = jiff::Timestamp::from_second(day * 86_400).map(|time| time.strftime("%F").to_string());
        let name = format!("{} {}", if is_faulty { "leak" } else { "healthy" }, date.unwrap_or_default());
        let event = PlantEvent { name: name.clone(), from: occupied.0, until: occupied.1, kind: EventKind::Fault };
        cases.push(PlantCase {
            machine: name,
            sensors: sensors.clone(),
            rows,
            learn_until: start,
            judged: if is_faulty { (start, start) } else { (start, start + DAY) },
            events: if is_faulty { vec![event] } else { Vec::new() },
            ..PlantCase::default()
        });
    }
    let set = PlantSet {
        name: "hvac-lbnl-ahu",
        protocol: PROTOCOL,
        unit: RateUnit::Machine,
        gap: DAY,
        floor: pca_residual,
        floor_name: PCA_RESIDUAL,
        cases,
    };
    required(set, folder, "days in MZVAV-2-1.csv.gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_month_first() {
        assert_eq!(parse_month_first("8/28/2007 0:05"), parse_time("2007-08-28 00:05:00"));
        assert_eq!(parse_month_first("2007-08-28"), None);
    }
}
