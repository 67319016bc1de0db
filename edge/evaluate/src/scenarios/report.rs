//! The report on scenarios.

use serde::Serialize;
use wheeltapper_simulate::{Scenario, ScenarioClass};

use super::{FaultScore, RunScore};
use crate::grid::Grid;

/// Days in a month, for the rate of false alerts.
const DAYS_PER_MONTH: f64 = 30.0;

/// Figures of one scenario, or of several.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Runs.
    pub runs: usize,
    /// False alert episodes.
    pub false_episodes: usize,
    /// False alerts that became critical.
    pub false_critical: usize,
    /// Machine-days in which nothing was wrong, and those of these with an open alert.
    pub healthy_days: f64,
    /// Machine-days of these with an open alert.
    pub alert_days: f64,
    /// The faults.
    pub faults: Vec<FaultScore>,
}

impl Totals {
    fn add(&mut self, score: &RunScore) {
        self.runs += 1;
        self.false_episodes += score.false_episodes;
        self.false_critical += score.false_critical;
        self.healthy_days += score.healthy_days;
        self.alert_days += score.alert_days;
        self.faults.extend(score.faults.iter().cloned());
    }

    /// False alert episodes a machine-month of 30 healthy days; NaN without healthy time.
    #[must_use]
    pub fn false_a_month(&self) -> f64 {
        self.false_episodes as f64 / (self.healthy_days / DAYS_PER_MONTH)
    }

    /// Share of the healthy time with an open alert, in percent.
    #[must_use]
    pub fn alert_time(&self) -> f64 {
        100.0 * self.alert_days / self.healthy_days
    }

    /// Share of the faults for which `is` holds, in percent; NaN without faults.
    #[must_use]
    pub fn share(&self, is: impl Fn(&FaultScore) -> bool) -> f64 {
        100.0 * self.faults.iter().filter(|fault| is(fault)).count() as f64 / self.faults.len() as f64
    }

    /// Share of the faults found before `way`, a share of the way to the limit, in percent.
    #[must_use]
    pub fn found_before(&self, way: f64) -> f64 {
        self.share(|fault| fault.way.is_some_and(|at| at <= way))
    }

    /// Median share of the way at which faults are found; a fault that is not found counts as 1.
    #[must_use]
    pub fn median_way(&self) -> f64 {
        let mut ways: Vec<f64> = self.faults.iter().map(|fault| fault.way.unwrap_or(1.0)).collect();
        ways.sort_by(f64::total_cmp);
        ways.get(ways.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Median hours from the first alert to the limit, over the faults found; NaN if none is.
    #[must_use]
    pub fn median_lead(&self) -> f64 {
        let mut hours: Vec<f64> = self.faults.iter().filter_map(|fault| fault.lead_hours).collect();
        hours.sort_by(f64::total_cmp);
        hours.get(hours.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Share of the found faults whose alert stayed open until the repair, in percent.
    #[must_use]
    pub fn kept_open(&self) -> f64 {
        let found = self.faults.iter().filter(|fault| fault.way.is_some()).count();
        100.0 * self.faults.iter().filter(|fault| fault.kept_open).count() as f64 / found as f64
    }
}

/// Figures of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioRow {
    /// Name.
    pub name: &'static str,
    /// What happens.
    pub description: &'static str,
    /// Share of the way to the limit before which a fault has to be found.
    pub wanted_way: f64,
    /// Figures.
    #[serde(flatten)]
    pub totals: Totals,
    /// The runs by seed.
    pub by_seed: Vec<(u64, RunScore)>,
    #[serde(skip)]
    class: ScenarioClass,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioReport {
    /// Simulated days of each run.
    pub days: f64,
    /// One row for each scenario.
    pub scenarios: Vec<ScenarioRow>,
}

impl ScenarioReport {
    pub(super) fn new(days: f64) -> Self {
        Self { days, scenarios: Vec::new() }
    }

    pub(super) fn add(&mut self, scenario: &Scenario, seed: u64, score: RunScore) {
        let at = match self.scenarios.iter().position(|row| row.name == scenario.name) {
            Some(at) => at,
            None => {
                self.scenarios.push(ScenarioRow {
                    name: scenario.name,
                    description: scenario.description,
                    wanted_way: if scenario.class == ScenarioClass::SlowWear { 0.4 } else { 0.5 },
                    totals: Totals::default(),
                    by_seed: Vec::new(),
                    class: scenario.class,
                });
                self.scenarios.len() - 1
            }
        };
        if let Some(row) = self.scenarios.get_mut(at) {
            row.totals.add(&score);
            row.by_seed.push((seed, score));
        }
    }

    /// Figures of all scenarios of these classes.
    #[must_use]
    pub fn totals(&self, classes: &[ScenarioClass]) -> Totals {
        let mut totals = Totals::default();
        for row in self.scenarios.iter().filter(|row| classes.contains(&row.class)) {
            for (_, score) in &row.by_seed {
                totals.add(score);
            }
        }
        totals
    }

    /// The report as a text table.
    #[must_use]
    pub fn table(&self) -> String {
        let head = [
            "scenario",
            "false/month",
            "critical",
            "alert time %",
            "faults",
            "found %",
            "in time %",
            "way",
            "lead h",
            "kept open %",
            "misnamed %",
            "named %",
            "noticed %",
        ];
        let mut grid = Grid::new(&head);
        for row in &self.scenarios {
            grid.row(cells(row.name, &row.totals, row.wanted_way));
        }
        grid.line();
        for (name, classes, way) in [
            ("healthy", [ScenarioClass::Healthy].as_slice(), 0.5),
            ("faults", &[ScenarioClass::Fault], 0.5),
            ("slow wear", &[ScenarioClass::SlowWear], 0.4),
            ("sensor faults", &[ScenarioClass::SensorFault], 0.5),
            ("no data", &[ScenarioClass::NoData], 0.5),
        ] {
            let totals = self.totals(classes);
            if totals.runs > 0 {
                grid.row(cells(name, &totals, way));
            }
        }
        format!(
            "{} runs of {} days, default settings, simulated\n\n{grid}\n{LEGEND}",
            self.scenarios.iter().map(|row| row.by_seed.len()).sum::<usize>(),
            self.days
        )
    }
}

const LEGEND: &str = "\
false/month: false alert episodes a machine and 30 healthy days; critical: false alerts that became critical
alert time: healthy time with an open alert; found: before the limit, a sensor fault or missing data as such
in time: before half of the way to the limit, slow wear before 40 %; way: median share of the way when found
lead h: median hours from then to the limit
kept open: of the found faults, alert open until the repair; misnamed: an alert named a wrong cause
named: the right cause named; noticed: any alert after the onset and before the limit
";

fn cells(name: &str, totals: &Totals, way: f64) -> Vec<String> {
    let number = |value: f64, digits: usize| if value.is_nan() { "-".to_owned() } else { format!("{value:.digits$}") };
    let of_faults = |value: f64, digits| if totals.faults.is_empty() { String::new() } else { number(value, digits) };
    vec![
        name.to_owned(),
        number(totals.false_a_month(), 2),
        totals.false_critical.to_string(),
        number(totals.alert_time(), 1),
        if totals.faults.is_empty() { String::new() } else { totals.faults.len().to_string() },
        of_faults(totals.found_before(1.0), 1),
        of_faults(totals.found_before(way), 1),
        of_faults(totals.median_way(), 2),
        of_faults(totals.median_lead(), 1),
        of_faults(totals.kept_open(), 1),
        of_faults(totals.share(|fault| fault.misnamed), 1),
        of_faults(totals.share(|fault| fault.named), 1),
        of_faults(totals.share(|fault| fault.noticed), 1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_shares_of_all_faults() {
        let fault = |way: Option<f64>, kept_open| FaultScore {
            fault: "imbalance",
            way,
            hours: way,
            lead_hours: way,
            noticed: true,
            kept_open,
            misnamed: false,
            named: false,
            is_data_fault: false,
        };
        let mut totals = Totals::default();
        totals.add(&RunScore {
            healthy_days: 15.0,
            alert_days: 3.0,
            false_episodes: 2,
            faults: vec![fault(Some(0.2), true), fault(Some(0.6), false), fault(None, false), fault(Some(0.4), true)],
            ..RunScore::default()
        });
        assert_eq!((totals.false_a_month(), totals.alert_time()), (4.0, 20.0));
        assert_eq!((totals.found_before(1.0), totals.found_before(0.5)), (75.0, 50.0));
        assert_eq!(totals.median_way(), 0.6);
        assert!((totals.kept_open() - 66.67).abs() < 0.01);
    }
}
