//! Evaluation on a simulated fleet: which faults were found before failure, and how often an alert was raised on a
//! healthy machine.
//!
//! Featurize, detect and alert are called in the same way as by the line. A fault counts as found when an alert is open
//! on its machine between the fault's onset and its full strength. An alert that opens on a machine without a fault, or
//! before the onset, is a false alarm.

use std::{collections::BTreeMap, fmt::Write as _, thread};

use serde::Serialize;
use wheeltapper_config::{Config, Duration};
use wheeltapper_simulate::{FaultLabel, Fleet, FleetSpec, Tick};

use crate::{
    components::{
        Alerter, Detector, Featurizer, Sandbox,
        wit::types::{Alert, AlertState, ReadingBatch, ReadingColumns, SensorTable, Waveform},
    },
    name_dictionary,
};

const SECONDS_PER_DAY: f64 = 86_400.0;
/// Interval between two readings of a scalar sensor, and between two waveforms of a machine, in seconds.
const READING_INTERVAL: f64 = 60.0;
const WAVEFORM_INTERVAL: f64 = 6.0 * 3600.0;
/// Size and slide of the windows: half an hour and ten minutes, in seconds.
const WINDOW_SIZE_AND_SLIDE: (u64, u64) = (1800, 600);
/// Simulated ticks per call.
const TICKS_PER_CALL: usize = 30;
/// Days in a month, for the rate of false alarms.
const DAYS_PER_MONTH: f64 = 30.0;

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct FleetScenario {
    /// Number of machines.
    pub machines: usize,
    /// Simulated days.
    pub days: f64,
    /// Seed of the fleet.
    pub seed: u64,
}

/// Result for one fault mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FaultModeResult {
    /// Machines that had the fault.
    pub faults: usize,
    /// Faults that were found before failure.
    pub found: usize,
    /// Of the faults found, the number per fault mode that the alert named.
    pub told: BTreeMap<String, usize>,
    /// Median lead time before failure, in hours.
    pub lead_hours: f64,
}

/// Result of the evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FleetReport {
    /// Number of machines.
    pub machines: usize,
    /// Simulated days.
    pub days: f64,
    /// Result by simulated fault.
    pub modes: BTreeMap<&'static str, FaultModeResult>,
    /// Share of the faults found before failure, 0 to 1.
    pub found: f64,
    /// Number of false alerts.
    pub false_alerts: usize,
    /// The false alerts: machine id, day, message.
    pub false_told: Vec<(String, f64, String)>,
    /// False alerts per machine and 30 days, over the time in which machines were healthy.
    pub false_a_machine_month: f64,
    /// Machines with more than one false alert per month.
    pub machines_past_one: usize,
}

impl FleetReport {
    /// The report as a text table.
    pub fn table(&self) -> String {
        let mut text = format!("fleet: {} machines, {} days, simulated\n\n", self.machines, self.days);
        let _ = writeln!(text, "{:<22}{:>7}{:>7}{:>10}  reported as", "fault", "faults", "found", "lead h");
        let _ = writeln!(text, "{}", "-".repeat(78));
        for (name, mode) in &self.modes {
            let reported: Vec<String> =
                mode.told.iter().map(|(fault_mode, count)| format!("{fault_mode} {count}")).collect();
            let _ = writeln!(
                text,
                "{name:<22}{:>7}{:>7}{:>10.1}  {}",
                mode.faults,
                mode.found,
                mode.lead_hours,
                reported.join(", ")
            );
        }
        let _ = writeln!(
            text,
            "\nfound before failure {:.1} %; false alerts {} = {:.3} per machine and month; machines above one per month: {}",
            100.0 * self.found,
            self.false_alerts,
            self.false_a_machine_month,
            self.machines_past_one
        );
        text
    }
}

/// Simulates the fleet and scores the alerts.
///
/// # Errors
/// When a component fails.
pub fn evaluate(sandbox: &Sandbox, plan: FleetScenario) -> anyhow::Result<FleetReport> {
    let span = plan.days * SECONDS_PER_DAY;
    let spec = FleetSpec {
        machines: plan.machines,
        seed: plan.seed,
        start_ns: 1_767_225_600_000_000_000,
        scalar_hz: READING_INTERVAL.recip(),
        faulty_fraction: 0.5,
        fault_onset_range: (0.2 * span, 0.6 * span),
        degradation_seconds: 0.25 * span,
        waveform_interval_seconds: WAVEFORM_INTERVAL,
        waveform_samples: 4096,
        ..FleetSpec::default()
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let alerts: Vec<Alert> = thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let spec = spec.clone();
                scope.spawn(move || run_share(sandbox, Fleet::new(spec), span, part, threads))
            })
            .collect();
        parts
            .into_iter()
            .map(|part| part.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
            .collect::<anyhow::Result<Vec<_>>>()
    })?
    .concat();
    Ok(score_alerts(&Fleet::new(spec), plan, &alerts))
}

/// The alerts of every `parts`-th machine, starting at machine `part`.
fn run_share(sandbox: &Sandbox, mut fleet: Fleet, span: f64, part: usize, parts: usize) -> anyhow::Result<Vec<Alert>> {
    let mut config = wheeltapper_config::parse(&fleet.config_toml(), "fleet")?;
    set_windows(&mut config);
    let mut featurizer = Featurizer::open(sandbox, &config.featurize_json(), None)?;
    let mut detector = Detector::open(sandbox, &config.detect_json(&[]), None)?;
    let mut alerter = Alerter::open(sandbox, &config.alert_json(), None)?;
    let (table, own) = sensor_table(&fleet, part, parts);
    let mut alerts = Vec::new();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of ticks")]
    let ticks = (span / READING_INTERVAL) as usize;
    let mut done = 0;
    while done < ticks {
        let ticks_of_call: Vec<Tick> = (0..TICKS_PER_CALL.min(ticks - done)).map(|_| fleet.step()).collect();
        done += ticks_of_call.len();
        let mut part = featurizer.push(&reading_batch(&ticks_of_call, &table, &own))?;
        loop {
            let detected = detector.push(&part.features)?;
            alerts.extend(alerter.push(&detected.scores, &detected.anomalies)?);
            if !part.has_more {
                break;
            }
            part = featurizer.resume()?;
        }
    }
    Ok(alerts)
}

fn set_windows(config: &mut Config) {
    config.windows.size = Duration::from_secs(WINDOW_SIZE_AND_SLIDE.0);
    config.windows.slide = Duration::from_secs(WINDOW_SIZE_AND_SLIDE.1);
    config.windows.lateness = Duration::from_secs(0);
}

/// The sensor table of this thread's machines, and each fleet sensor's index in it.
fn sensor_table(fleet: &Fleet, part: usize, parts: usize) -> (SensorTable, Vec<Option<u32>>) {
    let mut table =
        SensorTable { names: name_dictionary::empty(), assets: name_dictionary::empty(), asset: Vec::new() };
    let (mut own, mut machines) = (Vec::new(), BTreeMap::new());
    for sensor in fleet.sensors() {
        let asset = wheeltapper_config::asset_of(&sensor.id).to_owned();
        let next = machines.len();
        let index = *machines
            .entry(asset.clone())
            .or_insert_with(|| (next % parts == part).then(|| name_dictionary::push_name(&mut table.assets, &asset)));
        own.push(index.map(|index| {
            table.asset.push(index);
            name_dictionary::push_name(&mut table.names, &sensor.id)
        }));
    }
    (table, own)
}

fn reading_batch(ticks: &[Tick], table: &SensorTable, own: &[Option<u32>]) -> ReadingBatch {
    let index = |sensor: usize| own.get(sensor).copied().flatten();
    let mut columns = ReadingColumns { sensor: Vec::new(), time: Vec::new(), value: Vec::new() };
    let mut waveforms = Vec::new();
    for tick in ticks {
        for reading in &tick.readings {
            if let Some(sensor) = index(reading.sensor) {
                columns.sensor.push(sensor);
                columns.time.push(reading.time_ns);
                columns.value.push(reading.value);
            }
        }
        for waveform in &tick.waveforms {
            if let Some(sensor) = index(waveform.sensor) {
                let samples = waveform.samples.clone();
                waveforms.push(Waveform { sensor, start: waveform.start_ns, rate: waveform.rate_hz, samples });
            }
        }
    }
    ReadingBatch { sensors: table.clone(), readings: columns, waveforms, arrivals: Vec::new() }
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn score_alerts(fleet: &Fleet, plan: FleetScenario, alerts: &[Alert]) -> FleetReport {
    let labels: BTreeMap<String, FaultLabel> =
        fleet.labels().into_iter().map(|label| (label.machine.clone(), label)).collect();
    let mut opened: BTreeMap<&str, Vec<&Alert>> = BTreeMap::new();
    for alert in alerts.iter().filter(|alert| alert.state == AlertState::Open) {
        opened.entry(&alert.asset).or_default().push(alert);
    }
    let machines: Vec<String> = {
        let mut all: Vec<String> =
            fleet.sensors().iter().map(|sensor| wheeltapper_config::asset_of(&sensor.id).to_owned()).collect();
        all.dedup();
        all
    };
    let mut report = FleetReport { machines: machines.len(), days: plan.days, ..FleetReport::default() };
    let mut leads: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let mut healthy_days = 0.0;
    for machine in &machines {
        let label = labels.get(machine);
        let onset = label.map_or(i64::MAX, |label| label.onset_ns);
        let own = opened.get(machine.as_str()).map(Vec::as_slice).unwrap_or_default();
        // An alert is reported again when it changes; only the first report counts.
        let mut ids: Vec<&str> =
            own.iter().filter(|alert| alert.opened < onset).map(|alert| alert.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        report.false_alerts += ids.len();
        for id in &ids {
            if let Some(alert) = own.iter().find(|alert| alert.id == *id) {
                let day = (alert.opened - fleet.spec().start_ns) as f64 / 1e9 / SECONDS_PER_DAY;
                report.false_told.push((machine.clone(), day, alert.message.clone()));
            }
        }
        let days =
            label.map_or(plan.days, |label| (label.onset_ns - fleet.spec().start_ns) as f64 / 1e9 / SECONDS_PER_DAY);
        healthy_days += days;
        report.machines_past_one += usize::from(ids.len() as f64 > (days / DAYS_PER_MONTH).max(1.0));
        let Some(label) = label else { continue };
        // A stuck sensor has its full strength at once; it gets as much time as faults that degrade.
        let degrade = 0.25 * plan.days * SECONDS_PER_DAY * 1e9;
        let failure = label.full_strength_ns.max(label.onset_ns.saturating_add(degrade as i64));
        let mode = report.modes.entry(label.fault.name()).or_default();
        mode.faults += 1;
        let hits: Vec<&&Alert> =
            own.iter().filter(|alert| alert.updated >= label.onset_ns && alert.updated <= failure).collect();
        if let (Some(first), Some(last)) = (hits.first(), hits.last()) {
            mode.found += 1;
            *mode.told.entry(last.fault_mode.clone().unwrap_or_else(|| "unnamed".to_owned())).or_default() += 1;
            leads.entry(label.fault.name()).or_default().push((failure - first.updated) as f64 / 3.6e12);
        }
    }
    for (name, mut hours) in leads {
        hours.sort_by(f64::total_cmp);
        if let Some(mode) = report.modes.get_mut(name) {
            mode.lead_hours = hours.get(hours.len() / 2).copied().unwrap_or(f64::NAN);
        }
    }
    let (faults, found) =
        report.modes.values().fold((0, 0), |(faults, found), mode| (faults + mode.faults, found + mode.found));
    report.found = found as f64 / faults.max(1) as f64;
    report.false_a_machine_month = report.false_alerts as f64 / (healthy_days / DAYS_PER_MONTH).max(f64::MIN_POSITIVE);
    report
}
