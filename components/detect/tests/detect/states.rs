//! The default model: neither batches, restarts, names nor the beginning of the recording matter. Old snapshots and a
//! reset baseline start anew with a record.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{self, S, SENSORS, T0, join, pump, push, push_windows, windows};
use wheeltapper_detect::{Detected, Stage};
use wheeltapper_featurize::{Batch, Featurized, Featurizer, features::WINDOW_FEATURES};

/// Learns 40 windows, so that the tests are short.
const CONFIG: &str = r#"{"warmup_windows":40,"sensors":{
    "p/pump/vibration":{"unit":"mm/s","kind":"vibration"},
    "p/pump/temperature":{"unit":"°C","kind":"temperature"},
    "p/pump/current":{"unit":"A","kind":"current"}}}"#;

/// A pump whose vibration triples after 50 minutes.
fn faulty() -> Featurized {
    windows(&pump(5, 5000, |second, index, healthy| {
        Some(if second > 3000 && index == 0 { 3.0 * healthy } else { healthy })
    }))
}

#[test]
fn batches_and_restarts_do_not_matter() {
    let out = faulty();
    let mut whole = Stage::open(CONFIG).unwrap();
    let all = push_windows(&mut whole, &out, 0, out.windows.len());
    assert!(all.anomalies.len() > 20, "{}", all.anomalies.len());
    assert!(all.anomalies.iter().all(|found| found.end > T0 + 3000 * S && found.model == "similarity"));
    let (mut parts, mut got, mut from) = (Stage::open(CONFIG).unwrap(), Detected::default(), 0);
    for cut in [1, 97, 40, 13, 251].iter().cycle() {
        let to = (from + cut).min(out.windows.len());
        join(&mut got, push_windows(&mut parts, &out, from, to));
        parts = Stage::restore(CONFIG, &parts.snapshot()).unwrap();
        from = to;
        if from == out.windows.len() {
            break;
        }
    }
    assert_eq!(got, all);
    assert_eq!(parts.snapshot(), whole.snapshot());
    assert_eq!(parts.flush(), whole.flush());
}

#[test]
fn names_and_the_order_of_machines_do_not_matter() {
    let out = faulty();
    let mut named = Stage::open(CONFIG).unwrap();
    let expected = push_windows(&mut named, &out, 0, out.windows.len());
    let other = r#"{"warmup_windows":40,"sensors":{
        "z/9/a":{"unit":"mm/s","kind":"vibration"},"z/9/b":{"unit":"°C","kind":"temperature"},
        "z/9/c":{"unit":"A","kind":"current"},"a/first/x":{"kind":"vibration"}}}"#;
    let mut renamed = Stage::open(other).unwrap();
    // Another machine is there first.
    let first = [wheeltapper_featurize::FeatureRow { sensor: 0, ..out.windows[0].clone() }];
    push(&mut renamed, &[("a/first/x", "a/first")], &WINDOW_FEATURES, &first);
    let table = [("z/9/a", "z/9"), ("z/9/b", "z/9"), ("z/9/c", "z/9")];
    let got = push(&mut renamed, &table, &WINDOW_FEATURES, &out.windows);
    let verdicts =
        |found: &Detected| -> Vec<(i64, f64)> { found.scores.iter().map(|score| (score.end, score.score)).collect() };
    assert_eq!(verdicts(&got), verdicts(&expected));
    assert_eq!(got.anomalies.len(), expected.anomalies.len());
    for (one, other) in got.anomalies.iter().zip(&expected.anomalies) {
        assert_eq!((one.severity, one.fault_mode, one.score), (other.severity, other.fault_mode, other.score));
    }
}

#[test]
fn an_old_snapshot_starts_anew_and_says_so() {
    let mut stage = Stage::restore(CONFIG, &[2, 0, 0]).unwrap();
    let out = faulty();
    let found = push_windows(&mut stage, &out, 0, 30);
    assert_eq!(found.drifts.len(), 1, "{:?}", found.drifts);
    assert!(found.drifts[0].message.contains("learning starts anew"), "{:?}", found.drifts);
    // So does an asset whose model in the configuration is another one.
    let mut ensemble = Stage::open(common::ENSEMBLE).unwrap();
    push_windows(&mut ensemble, &out, 0, 300);
    let mut stage = Stage::restore(CONFIG, &ensemble.snapshot()).unwrap();
    let found = push_windows(&mut stage, &out, 300, 330);
    assert!(found.drifts.iter().any(|drift| drift.message.contains("learning starts anew")), "{:?}", found.drifts);
}

#[test]
fn a_reset_baseline_is_learnt_again_before_anything_is_judged() {
    let out = faulty();
    let mut stage = Stage::open(CONFIG).unwrap();
    let before = push_windows(&mut stage, &out, 0, 1050);
    assert!(before.anomalies.len() > 20, "{}", before.anomalies.len());
    let known = stage.snapshot();
    stage.reset_baseline("p/other");
    assert_eq!(stage.snapshot(), known);
    stage.reset_baseline("p/pump");
    assert_ne!(stage.snapshot(), known);
    // A restart after the reset does not matter.
    let mut restored = Stage::restore(CONFIG, &stage.snapshot()).unwrap();
    let reset_at = before.scores.last().unwrap().end;
    let after = push_windows(&mut stage, &out, 1050, out.windows.len());
    assert_eq!(push_windows(&mut restored, &out, 1050, out.windows.len()), after);
    assert!(after.drifts[0].message.contains("the baseline was reset"), "{:?}", after.drifts);
    // 40 windows are learnt first, 10 s apart. What raised alarms is normal then.
    assert!(after.scores.first().is_some_and(|score| score.end >= reset_at + 400 * S), "{:?}", after.scores.first());
    assert!(after.anomalies.is_empty(), "{:?}", after.anomalies);
}

#[test]
fn a_reset_baseline_of_another_model_is_learnt_again() {
    let out = faulty();
    let mut stage = Stage::open(common::ENSEMBLE).unwrap();
    assert!(!push_windows(&mut stage, &out, 0, 600).scores.is_empty());
    stage.reset_baseline("p/pump");
    // The warm-up takes 30 windows of three rows.
    assert!(push_windows(&mut stage, &out, 600, 680).scores.is_empty());
    assert!(!push_windows(&mut stage, &out, 680, out.windows.len()).scores.is_empty());
}

#[test]
fn sensors_of_different_pace_are_judged_apart() {
    // The temperature sends one reading a minute; its windows are longer.
    let (sensor, time, value) = pump(7, 60_000, |second, index, healthy| {
        let hot = if index == 1 && second > 50_000 { 25.0 } else { 0.0 };
        (index != 1 || second % 60 == 0).then_some(healthy + hot)
    });
    let mut featurizer = Featurizer::open("").unwrap();
    let batch = Batch { sensors: &SENSORS, sensor: &sensor, time: &time, value: &value, waveforms: &[], arrivals: &[] };
    let first = featurizer.push(&batch).unwrap();
    let out = featurizer.complete(first);
    let mut stage = Stage::open(CONFIG).unwrap();
    let mut all = push_windows(&mut stage, &out, 0, out.windows.len());
    join(&mut all, stage.flush());
    let lengths: std::collections::BTreeSet<i64> =
        all.scores.iter().map(|score| (score.end - score.start) / S).collect();
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [30, 600]);
    assert!(!all.anomalies.is_empty());
    assert!(
        all.anomalies.iter().all(|found| found.sensor == "p/pump/temperature" && found.end > T0 + 50_000 * S),
        "{:?}",
        all.anomalies.first()
    );
}
