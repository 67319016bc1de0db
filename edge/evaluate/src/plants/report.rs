//! The report on recordings of ordinary plants.

use serde::Serialize;

use super::{PlantCase, PlantScore, PlantSet};
use crate::grid::Grid;

/// Figures of a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetReport {
    /// Name of the set.
    pub set: &'static str,
    /// Protocol.
    pub protocol: &'static str,
    /// What the rate of false alerts refers to.
    pub unit: String,
    /// What the simple rule is.
    pub floor: &'static str,
    /// Figures of the line by machine.
    pub line: Vec<(String, PlantScore)>,
    /// Figures of the simple rule by machine.
    pub simple_rule: Vec<(String, PlantScore)>,
}

impl SetReport {
    pub(super) fn new(set: &PlantSet) -> Self {
        Self {
            set: set.name,
            protocol: set.protocol,
            unit: set.unit.to_string(),
            floor: set.floor_name,
            line: Vec::new(),
            simple_rule: Vec::new(),
        }
    }

    pub(super) fn add_line(&mut self, case: &PlantCase, score: PlantScore) {
        self.line.push((case.machine.clone(), score));
    }

    pub(super) fn add_floor(&mut self, case: &PlantCase, score: PlantScore) {
        self.simple_rule.push((case.machine.clone(), score));
    }

    /// Figures of the line over all machines.
    #[must_use]
    pub fn total(&self) -> PlantScore {
        total(&self.line)
    }

    /// The set as a text table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut grid = Grid::new(&[
            self.set,
            "judged",
            &format!("false/{}", self.unit),
            "false",
            "critical",
            "alert time %",
            "events",
            "found",
            "delay h",
            "sensor faults reported",
            "false apart",
        ]);
        for (machine, score) in &self.line {
            grid.row(cells(machine, score));
        }
        if self.line.len() > 1 {
            grid.row(cells("all", &self.total()));
        }
        if !self.simple_rule.is_empty() {
            grid.line();
            for (machine, score) in &self.simple_rule {
                grid.row(cells(&format!("simple rule, {machine}"), score));
            }
            if self.simple_rule.len() > 1 {
                grid.row(cells("simple rule, all", &total(&self.simple_rule)));
            }
        }
        format!("{}: {}\nsimple rule: {}\n\n{grid}", self.set, self.protocol, self.floor)
    }
}

fn total(scores: &[(String, PlantScore)]) -> PlantScore {
    let mut total = PlantScore::default();
    for (_, score) in scores {
        total.add(score);
    }
    total
}

fn cells(name: &str, score: &PlantScore) -> Vec<String> {
    let number = |value: f64, digits: usize| if value.is_nan() { "-".to_owned() } else { format!("{value:.digits$}") };
    let faults = || score.events.iter().filter(|event| !event.is_sensor_fault);
    let sensors = || score.events.iter().filter(|event| event.is_sensor_fault);
    let mut hours: Vec<f64> = faults().filter_map(|event| event.hours).collect();
    hours.sort_by(f64::total_cmp);
    let count_of = |count: usize, all: usize| if all == 0 { String::new() } else { format!("{count} of {all}") };
    vec![
        name.to_owned(),
        number(score.units, 1),
        number(score.false_rate(), 2),
        score.false_episodes.to_string(),
        score.false_critical.to_string(),
        number(100.0 * score.alert_hours / score.judged_hours, 1),
        if faults().count() == 0 { String::new() } else { faults().count().to_string() },
        count_of(faults().filter(|event| event.is_found()).count(), faults().count()),
        hours.get(hours.len() / 2).map_or_else(String::new, |hours| number(*hours, 2)),
        count_of(sensors().filter(|event| event.is_found()).count(), sensors().count()),
        score.apart.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", "),
    ]
}

/// The report on all sets.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PlantsReport {
    /// The sets that were found.
    pub sets: Vec<SetReport>,
    /// Folders that were not found.
    pub skipped: Vec<&'static str>,
}
