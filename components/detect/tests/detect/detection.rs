//! Healthy machines raise few alarms, faults are found and identified, and batches make no difference.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wheeltapper_detect::{Anomaly, FeatureBlock, Score, Severity, Stage};
use wheeltapper_featurize::features::WINDOW_FEATURES;

use crate::common::{Readings, S, T0, detect, normal, push_windows, source, windows};

const CONFIG: &str = r#"{"model":"ensemble","sensors":{
    "p/pump/vibration":{"unit":"mm/s","kind":"vibration"},
    "p/pump/temperature":{"unit":"°C","kind":"temperature"},
    "p/pump/current":{"unit":"A","kind":"current"}}}"#;

/// Readings of one per second under a varying load; `fault` changes them: (seconds, sensor, value).
fn machine(seed: u64, seconds: i64, fault: impl Fn(i64, usize, f64) -> f64) -> Readings {
    let mut source = source(seed);
    let (mut sensor, mut time, mut value) = (Vec::new(), Vec::new(), Vec::new());
    let mut slow = 0.0;
    for second in 0..seconds {
        slow = 0.95 * slow + 0.3 * normal(&mut source);
        let healthy = [
            2.0 + 0.1 * slow + 0.2 * normal(&mut source),
            55.0 + 0.3 * slow,
            12.0 + 0.2 * slow + 0.1 * normal(&mut source),
        ];
        for (index, healthy) in healthy.into_iter().enumerate() {
            sensor.push(u32::try_from(index).unwrap());
            time.push(T0 + second * S);
            value.push(fault(second, index, healthy));
        }
    }
    (sensor, time, value)
}

#[test]
fn healthy_machines_raise_few_alarms() {
    let (mut scored, mut false_alarms) = (0, 0);
    for seed in 0..10 {
        let found = detect(CONFIG, &machine(seed, 20_000, |_, _, healthy| healthy));
        scored += found.scores.len();
        false_alarms += found.anomalies.len();
    }
    assert!(scored > 19_000, "{scored}");
    assert!(false_alarms * 1000 <= scored, "{false_alarms} false alarms in {scored} windows");
}

/// Returns the anomalies after the start of the fault.
fn found(fault: impl Fn(i64, usize, f64) -> f64) -> Vec<Anomaly> {
    let found = detect(
        CONFIG,
        &machine(
            1,
            3000,
            |second, index, healthy| if second < 2000 { healthy } else { fault(second - 2000, index, healthy) },
        ),
    );
    let (before, after): (Vec<_>, Vec<_>) = found.anomalies.into_iter().partition(|found| found.end <= T0 + 2000 * S);
    assert!(before.is_empty(), "{before:?}");
    after
}

#[test]
fn faults_are_found_and_identified() {
    let hot = found(|after, index, healthy| if index == 1 { healthy + 0.02 * after as f64 } else { healthy });
    assert!(hot.len() > 50, "{}", hot.len());
    let last = hot.last().unwrap();
    assert_eq!(
        (last.sensor.as_str(), last.fault_mode, last.model),
        ("p/pump/temperature", Some("overheating"), "ensemble")
    );
    assert!(last.message.contains("temperature") && last.message.contains("°C"), "{}", last.message);
    // A deviation alone is medium at most.
    assert!(last.severity == Severity::Medium && last.score >= last.threshold && last.confidence > 0.8);
    assert!(last.contributions.iter().map(|part| part.share).sum::<f64>() <= 1.0 + 1e-9);

    let stuck = found(|_, index, healthy| if index == 2 { 12.0 } else { healthy });
    assert_eq!(stuck.last().unwrap().fault_mode, Some("sensor-stuck"));

    let knocking = found(|after, index, healthy| if index == 0 && after % 7 == 0 { healthy + 4.0 } else { healthy });
    assert_eq!(knocking.last().unwrap().fault_mode, Some("bearing-impacts"));

    let overload = found(|_, index, healthy| if index == 2 { healthy * 1.3 } else { healthy });
    assert_eq!(overload.last().unwrap().fault_mode, Some("electrical-overload"));
}

#[test]
fn every_model_finds_an_unusual_combination() {
    for model in ["ensemble", "zscore", "mahalanobis"] {
        let config = format!(r#"{{"model":"{model}"}}"#);
        let found = detect(
            &config,
            &machine(
                3,
                4000,
                |second, index, healthy| if second > 3000 && index == 1 { healthy + 6.0 } else { healthy },
            ),
        );
        assert!(found.anomalies.len() > 60, "{model}: {}", found.anomalies.len());
        assert!(found.anomalies.iter().all(|found| found.model == model));
    }
    assert!(Stage::open(r#"{"model":"oracle"}"#).unwrap_err().to_string().contains("oracle"));
    assert!(Stage::open(r#"{"threshold":2}"#).unwrap_err().to_string().contains("threshold"));
}

#[test]
fn batches_and_restarts_do_not_matter() {
    let out = windows(&machine(
        5,
        3000,
        |second, index, healthy| if second > 2000 && index == 0 { healthy * 3.0 } else { healthy },
    ));
    let mut whole = Stage::open(CONFIG).unwrap();
    let all = push_windows(&mut whole, &out, 0, out.windows.len());
    assert!(!all.anomalies.is_empty());
    let mut parts = Stage::open(CONFIG).unwrap();
    let (mut scores, mut anomalies): (Vec<Score>, Vec<Anomaly>) = (Vec::new(), Vec::new());
    let mut from = 0;
    for cut in [1, 7, 2, 40, 13, 5].iter().cycle() {
        let to = (from + cut).min(out.windows.len());
        let found = push_windows(&mut parts, &out, from, to);
        scores.extend(found.scores);
        anomalies.extend(found.anomalies);
        parts = Stage::restore(CONFIG, &parts.snapshot()).unwrap();
        from = to;
        if from == out.windows.len() {
            break;
        }
    }
    assert_eq!(scores, all.scores);
    assert_eq!(anomalies, all.anomalies);
    assert_eq!(parts.flush(), whole.flush());
    assert_eq!(parts.snapshot().len(), whole.snapshot().len());
}

#[test]
fn invalid_batches_and_snapshots_are_rejected() {
    let features = vec!["mean".to_owned()];
    let block = FeatureBlock { features: &features, sensor: &[0], start: &[0], end: &[1], count: &[1], values: &[] };
    let mut stage = Stage::open("").unwrap();
    assert!(stage.push(&[("a", "a")], &[block]).unwrap_err().to_string().contains("unequal"));
    let block = FeatureBlock { values: &[1.0], ..block };
    assert!(stage.push(&[], &[block]).unwrap_err().to_string().contains("table of 0"));
    for snapshot in [b"".as_slice(), b"\x07", b"\x01\xff\xff\xff"] {
        assert!(Stage::restore("", snapshot).unwrap_err().to_string().contains("snapshot of detect"));
    }
}

proptest::proptest! {
    /// For any values, scores are between 0 and 1 and nothing panics.
    #[test]
    fn any_values(values in proptest::collection::vec(proptest::num::f64::ANY, WINDOW_FEATURES.len() * 60)) {
        let features: Vec<String> = WINDOW_FEATURES.iter().map(|&name| name.to_owned()).collect();
        let start: Vec<i64> = (0..60).map(|at| at * 10 * S).collect();
        let end: Vec<i64> = start.iter().map(|start| start + 30 * S).collect();
        let block = FeatureBlock { features: &features, sensor: &[0; 60], start: &start, end: &end, count: &[30; 60], values: &values };
        let mut stage = Stage::open(r#"{"warmup_windows":10}"#).unwrap();
        let mut found = stage.push(&[("s", "a")], &[block]).unwrap();
        found.scores.extend(stage.flush().scores);
        proptest::prop_assert!(found.scores.iter().all(|score| (0.0..=1.0).contains(&score.score)), "{:?}", found.scores);
    }
}
