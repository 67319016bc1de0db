//! The scores of alert lists written by hand.

use wheeltapper_simulate::{Fault, Growth, SensorFaultKind};

use super::*;
use crate::{AlertUpdate, alert_history::alert_spans};

const MACHINE: &str = "plant/hall/pump-01";

/// Open from one day to another; `None` stays open.
fn alert(from: f64, until: Option<f64>, severity: Severity, mode: &str) -> Vec<AlertUpdate> {
    let update = |day: f64, is_open| AlertUpdate {
        id: format!("{from}"),
        asset: MACHINE.to_owned(),
        sensor: format!("{MACHINE}/vibration-rms"),
        severity,
        is_open,
        at: days(day),
        fault_mode: (!mode.is_empty()).then(|| mode.to_owned()),
        message: String::new(),
    };
    [Some(update(from, true)), until.map(|until| update(until, false))].into_iter().flatten().collect()
}

fn days(days: f64) -> i64 {
    (days * DAY_NS as f64) as i64
}

fn truth(faults: Vec<TrueFault>, changes: Vec<TrueChange>) -> Truth {
    Truth { machines: vec![MACHINE.to_owned()], span_ns: (0, days(30.0)), faults, changes }
}

fn fault(kind: TrueFaultKind, onset: f64, limit: f64, end: f64) -> TrueFault {
    TrueFault::new(MACHINE, kind, [onset, limit, end].map(days), Growth::Linear)
}

fn imbalance() -> TrueFault {
    fault(TrueFaultKind::Machine(Fault::Imbalance), 10.0, 14.0, 15.0)
}

fn scored(truth: &Truth, alerts: &[Vec<AlertUpdate>]) -> RunScore {
    score(truth, &alert_spans(&alerts.concat()))
}

#[test]
fn alerts_on_a_healthy_machine_are_false_and_merge_within_a_day() {
    let healthy = truth(Vec::new(), Vec::new());
    let alerts = [
        alert(2.0, Some(2.1), Severity::Low, ""),
        alert(2.9, Some(3.0), Severity::Critical, ""),
        alert(9.0, Some(11.0), Severity::Low, ""),
    ];
    let found = scored(&healthy, &alerts);
    assert_eq!((found.false_episodes, found.false_critical, found.false_alerts.len()), (2, 1, 3));
    assert!((found.healthy_days - 30.0).abs() < 1e-9 && (found.alert_days - 2.2).abs() < 1e-6);
    assert_eq!(scored(&healthy, &[]).false_episodes, 0);
}

#[test]
fn a_fault_is_found_on_its_way_and_kept_open_until_the_repair() {
    let found = scored(&truth(vec![imbalance()], Vec::new()), &[alert(11.0, Some(15.2), Severity::High, "imbalance")]);
    let fault = &found.faults[0];
    assert_eq!(found.false_episodes, 0);
    assert!((fault.way.unwrap() - 0.25).abs() < 1e-9 && (fault.hours.unwrap() - 24.0).abs() < 1e-9);
    assert!(fault.kept_open && fault.named && fault.noticed && !fault.misnamed);
    // The fault and the day after the repair are not healthy time.
    assert!((found.healthy_days - 24.0).abs() < 1e-9);
}

#[test]
fn an_alert_that_closes_early_or_comes_late_does_not_count() {
    let truth = truth(vec![imbalance()], Vec::new());
    let early = &scored(&truth, &[alert(11.0, Some(12.0), Severity::High, "")]).faults[0];
    assert!(early.way.is_some() && !early.kept_open);
    let late = &scored(&truth, &[alert(14.5, None, Severity::High, "")]).faults[0];
    assert!(late.way.is_none() && !late.noticed);
}

#[test]
fn an_alert_that_was_open_before_finds_nothing_and_one_that_never_closes_is_false() {
    let truth = truth(vec![imbalance()], Vec::new());
    let forever = scored(&truth, &[alert(5.0, None, Severity::Low, "")]);
    assert_eq!(forever.false_episodes, 1);
    assert!(forever.faults[0].way.is_none());
    let after = scored(&truth, &[alert(11.0, None, Severity::High, "")]);
    assert_eq!(after.false_episodes, 1, "still open a day after the repair");
    assert!(after.faults[0].way.is_some());
}

#[test]
fn a_wrong_name_is_misnaming_and_a_sensor_alert_finds_no_machine_fault() {
    let truth = truth(vec![imbalance()], Vec::new());
    let wrong = &scored(&truth, &[alert(11.0, Some(15.0), Severity::High, "misalignment")]).faults[0];
    assert!(wrong.misnamed && !wrong.named && wrong.way.is_some());
    let sensor = &scored(&truth, &[alert(11.0, Some(15.0), Severity::High, "sensor-noise")]).faults[0];
    assert!(sensor.misnamed && sensor.way.is_none() && sensor.noticed);
}

#[test]
fn a_sensor_fault_must_be_reported_as_such_and_with_its_sensor() {
    let mut stuck = fault(TrueFaultKind::Sensor(SensorFaultKind::Stuck), 10.0, 12.0, 15.0);
    stuck.sensor = Some(format!("{MACHINE}/vibration-rms"));
    let such = [alert(10.5, Some(15.0), Severity::Medium, "sensor-stuck")];
    assert!(scored(&truth(vec![stuck.clone()], Vec::new()), &such).faults[0].way.is_some());
    let unnamed = [alert(10.5, Some(15.0), Severity::Medium, "")];
    let found = &scored(&truth(vec![stuck.clone()], Vec::new()), &unnamed).faults[0];
    assert!(found.way.is_none() && found.noticed && !found.misnamed);
    stuck.sensor = Some(format!("{MACHINE}/current"));
    assert!(scored(&truth(vec![stuck], Vec::new()), &such).faults[0].way.is_none());
}

#[test]
fn during_an_outage_only_missing_data_may_be_reported() {
    let truth = truth(vec![fault(TrueFaultKind::NoData, 10.0, 11.0, 11.0)], Vec::new());
    let diagnosis = scored(&truth, &[alert(10.1, Some(11.1), Severity::Medium, "no-data")]);
    assert!(diagnosis.false_episodes == 0 && diagnosis.faults[0].way.is_some());
    let wrong = scored(&truth, &[alert(10.1, Some(11.1), Severity::Medium, "imbalance")]);
    assert!(wrong.false_episodes == 1 && wrong.faults[0].way.is_none());
}

#[test]
fn a_lasting_change_may_be_reported_once_and_quietly() {
    let change = TrueChange { machine: MACHINE.to_owned(), name: "new load", at_ns: days(10.0) };
    let truth = truth(Vec::new(), vec![change]);
    let count = |alerts: &[Vec<AlertUpdate>]| scored(&truth, alerts).false_episodes;
    assert_eq!(count(&[alert(10.5, Some(12.0), Severity::Medium, "")]), 0);
    assert_eq!(count(&[alert(10.5, Some(12.0), Severity::High, "")]), 1);
    assert_eq!(count(&[alert(10.5, None, Severity::Low, "")]), 1, "open for more than a week");
    assert_eq!(count(&[alert(10.5, Some(10.6), Severity::Low, ""), alert(12.0, Some(12.1), Severity::Low, "")]), 1);
    assert_eq!(count(&[alert(15.0, Some(15.1), Severity::Low, "")]), 1, "five days later");
}

#[test]
fn while_data_are_late_only_that_may_be_reported() {
    let change = TrueChange { machine: MACHINE.to_owned(), name: LATE_DATA, at_ns: days(10.0) };
    let truth = truth(Vec::new(), vec![change]);
    assert_eq!(scored(&truth, &[alert(10.2, Some(10.4), Severity::Medium, "no-data")]).false_episodes, 0);
    assert_eq!(scored(&truth, &[alert(10.2, Some(10.4), Severity::Medium, "")]).false_episodes, 1);
}

#[test]
fn a_machine_that_is_worn_from_the_start_is_not_scored_until_its_repair() {
    let mut worn = fault(TrueFaultKind::Machine(Fault::BearingWear), 0.0, 8.0, 8.0);
    worn.from_start = true;
    let truth = truth(vec![worn], Vec::new());
    let found = scored(&truth, &[alert(1.0, Some(8.5), Severity::High, "")]);
    assert!(found.faults.is_empty() && found.false_episodes == 0);
    assert_eq!(scored(&truth, &[alert(8.2, None, Severity::High, "")]).false_episodes, 1);
}

#[test]
fn while_a_sensor_is_dead_a_fault_of_the_machine_may_be_named() {
    let mut stuck = fault(TrueFaultKind::Sensor(SensorFaultKind::Stuck), 5.0, 7.0, 30.0);
    stuck.sensor = Some(format!("{MACHINE}/current"));
    let truth = truth(vec![stuck, imbalance()], Vec::new());
    let found = scored(&truth, &[alert(11.0, Some(15.0), Severity::High, "imbalance")]);
    assert!(found.faults.iter().all(|fault| !fault.misnamed));
    assert!(found.faults[1].way.is_some());
}
