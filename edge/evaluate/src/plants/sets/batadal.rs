//! BATADAL (Taormina et al. 2018): pumps, tanks and valves of a simulated water network, hourly, with attacks.

use std::path::Path;

use super::{DAY, HOUR, MONTH, required, required_time, sensor_rows, start, texts, times_of};
use crate::{
    Error,
    plants::{
        EventKind, PlantCase, PlantEvent, PlantSet, RateUnit,
        floor::{PCA_RESIDUAL, pca_residual},
    },
    read::{Csv, parse_time},
};

const PROTOCOL: &str = "the network is one machine; learn a year (dataset 03), or 60 days of dataset 04 itself; each attack of \
                        dataset 04 has to raise an alert; others outside of attacks (and 24 h) are false";

/// Parses `dd/mm/yy hh`.
fn parse_day_first(text: &str) -> Option<i64> {
    let (date, hour) = text.trim().split_once(' ')?;
    let parts: Vec<&str> = date.split('/').collect();
    let [day, month, year] = parts.as_slice() else { return None };
    parse_time(&format!("20{year}-{month}-{day} {hour:0>2}:00:00"))
}

fn read_table(path: &Path) -> Result<PlantCase, Error> {
    let csv = Csv::read(path, b',')?;
    let times = times_of(&csv, "DATETIME", parse_day_first)?;
    let (sensors, rows) = sensor_rows(&csv, &["DATETIME", "ATT_FLAG"], &times);
    Ok(PlantCase { sensors, rows, ..PlantCase::default() })
}

pub(super) fn read(folder: &Path) -> Result<PlantSet, Error> {
    let mut short = read_table(&folder.join("BATADAL_dataset04.csv.gz"))?;
    let attacks = Csv::read(&folder.join("attacks.csv"), b',')?;
    for [file, attack, first, last] in texts(&attacks, ["file", "attack", "first_hour", "last_hour"])? {
        if file == "dataset04" {
            let (from, last) = (required_time(&attacks.path, &first)?, required_time(&attacks.path, &last)?);
            short.excused.push((from, last + DAY));
            let name = format!("attack {attack}");
            short.events.push(PlantEvent { name, from, until: last + HOUR, kind: EventKind::Fault });
        }
    }
    short.machine = "network, 60 days learnt".to_owned();
    short.learn_until = start(&short.rows) + 60 * DAY;
    short.judged = (short.learn_until, short.end());
    let mut cases = vec![short.clone()];
    let year = folder.join("BATADAL_dataset03.csv.gz");
    if year.is_file() {
        let mut learnt = read_table(&year)?;
        learnt.rows.extend(short.rows.iter().cloned());
        let learn_until = start(&short.rows);
        let machine = "network, a year learnt".to_owned();
        cases.push(PlantCase { machine, rows: learnt.rows, learn_until, judged: (learn_until, short.end()), ..short });
    }
    let set = PlantSet {
        name: "batadal-water",
        protocol: PROTOCOL,
        unit: RateUnit::Time(MONTH, "month"),
        gap: DAY,
        floor: pca_residual,
        floor_name: PCA_RESIDUAL,
        cases,
    };
    required(set, folder, "BATADAL_dataset04.csv.gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_day_first() {
        assert_eq!(parse_day_first("04/07/16 01"), parse_time("2016-07-04 01:00:00"));
        assert_eq!(parse_day_first("04-07-16"), None);
    }
}
