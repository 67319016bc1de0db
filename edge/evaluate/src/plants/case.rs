//! One machine of a plant with its readings and events.

use std::fmt;

use crate::{
    AlertUpdate, Error, WaveformReading,
    alert_history::AlertSpan,
    line::{OpenLine, ReadingBatch},
};

/// Rows that are passed in one call.
const ROWS_PER_CALL: usize = 500;

/// What an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The machine has a fault, or stops without need.
    Fault,
    /// This sensor has a fault, which has to be reported as such.
    SensorFault(String),
    /// Work on the machine. It may be noticed.
    Service,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantEvent {
    /// Name.
    pub name: String,
    /// Start, in ns since 1970.
    pub from: i64,
    /// Time by which an alert has to open, in ns since 1970.
    pub until: i64,
    /// What it is.
    pub kind: EventKind,
}

/// Time in ns since 1970 and values of each row; NaN is a missing value.
pub type Rows = Vec<(i64, Vec<f64>)>;

/// A machine with its readings in order of the file. All times are in ns since 1970.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlantCase {
    /// The asset.
    pub machine: String,
    /// Names of the columns.
    pub sensors: Vec<String>,
    /// The rows.
    pub rows: Rows,
    /// Waveforms in order of time; they refer to `sensors`.
    pub waveforms: Vec<WaveformReading>,
    /// End of the time for learning.
    pub learn_until: i64,
    /// Time in which no alert is expected: a start and an end. Alerts outside of it are not counted.
    pub judged: (i64, i64),
    /// Parts of that time in which alerts do not count as false.
    pub excused: Vec<(i64, i64)>,
    /// What happened.
    pub events: Vec<PlantEvent>,
    /// Times in which false alerts are also counted apart, by what happened then.
    pub apart: Vec<(&'static str, Vec<(i64, i64)>)>,
}

impl PlantCase {
    /// Id of the sensor of a column.
    #[must_use]
    pub fn sensor_id(&self, column: usize) -> String {
        sensor_id(&self.machine, self.sensors.get(column).map_or("", String::as_str))
    }

    /// Time of the last row or waveform.
    #[must_use]
    pub fn end(&self) -> i64 {
        let row = self.rows.iter().map(|(time, _)| *time).max();
        let waveform = self.waveforms.iter().map(|waveform| waveform.start).max();
        row.max(waveform).unwrap_or(0)
    }
}

/// What the rate of false alerts refers to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateUnit {
    /// A length of time in ns, with its name.
    Time(i64, &'static str),
    /// A machine.
    Machine,
}

impl RateUnit {
    /// Time after which an alert that stays open counts again, in ns.
    pub(super) fn length(self) -> i64 {
        match self {
            Self::Time(ns, _) => ns,
            Self::Machine => i64::MAX,
        }
    }
}

impl fmt::Display for RateUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time(_, name) => name,
            Self::Machine => "machine",
        })
    }
}

/// A simple rule that raises alerts; `None` if it needs other data.
pub type Floor = fn(&PlantCase) -> Option<Vec<AlertSpan>>;

/// A set of recordings with its protocol.
#[derive(Clone, Debug)]
pub struct PlantSet {
    /// Name of its folder.
    pub name: &'static str,
    /// Short description of the protocol.
    pub protocol: &'static str,
    /// What the rate of false alerts refers to.
    pub unit: RateUnit,
    /// Alerts that open within this time in ns of the first are one episode.
    pub gap: i64,
    /// The simple rule beside which the line is printed, and what it is.
    pub floor: Floor,
    /// Description of the rule.
    pub floor_name: &'static str,
    /// The machines.
    pub cases: Vec<PlantCase>,
}

/// Id of the sensor of a column after an import.
pub(crate) fn sensor_id(machine: &str, column: &str) -> String {
    format!("{machine}/{}", slug(column))
}

/// The column's name as the last part of a sensor id: lower case, with a dash for each run of other characters than
/// letters and digits.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.trim().chars() {
        if character.is_alphanumeric() {
            slug.extend(character.to_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// Runs a machine through a line with the default configuration.
pub(super) fn run_case(case: &PlantCase, open: &OpenLine<'_>) -> Result<Vec<AlertUpdate>, Error> {
    let sensors: Vec<(String, String)> =
        (0..case.sensors.len()).map(|column| (case.sensor_id(column), case.machine.clone())).collect();
    let mut line = open("", &sensors)?;
    let mut updates = Vec::new();
    for rows in case.rows.chunks(ROWS_PER_CALL) {
        let mut batch = ReadingBatch::default();
        for (time, values) in rows {
            for (sensor, value) in (0..).zip(values).filter(|(_, value)| value.is_finite()) {
                batch.push(sensor, *time, *value);
            }
        }
        updates.extend(line.push(&batch)?);
    }
    for waveform in &case.waveforms {
        let batch = ReadingBatch { waveforms: vec![waveform.clone()], ..ReadingBatch::default() };
        updates.extend(line.push(&batch)?);
    }
    updates.extend(line.flush()?);
    Ok(updates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_parts_of_sensor_ids() {
        assert_eq!(slug("AHU: Supply Air Duct Static Pressure "), "ahu-supply-air-duct-static-pressure");
        assert_eq!(slug("P-PDG"), "p-pdg");
    }
}
