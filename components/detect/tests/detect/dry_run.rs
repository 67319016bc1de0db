//! A dry run returns what the stage would return, and does not change the state.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{self, Readings, S, SENSORS, T0, pump, push_windows, windows};
use wheeltapper_detect::{DryRunResult, FeatureBlock, Stage};
use wheeltapper_featurize::{Batch, Featurized, Featurizer, features::WINDOW_FEATURES};

const CONFIG: &str = r#"{"model":"ensemble","sensors":{
    "p/pump/vibration":{"unit":"mm/s","kind":"vibration"},
    "p/pump/temperature":{"unit":"°C","kind":"temperature"},
    "p/pump/current":{"unit":"A","kind":"current"}}}"#;
const TEMPERATURE: u32 = 1;
const CURRENT: u32 = 2;

/// A stage that has seen this many seconds of a healthy pump.
fn trained_stage(config: &str, seconds: i64) -> Stage {
    let mut stage = Stage::open(config).unwrap();
    let out = windows(&pump(3, seconds, |_, _, healthy| Some(healthy)));
    push_windows(&mut stage, &out, 0, out.windows.len());
    stage
}

/// Windows of readings without any earlier readings.
fn fresh((sensor, time, value): &Readings) -> Featurized {
    let mut featurizer = Featurizer::open("").unwrap();
    let mut out =
        featurizer.push(&Batch { sensors: &SENSORS, sensor, time, value, waveforms: &[], arrivals: &[] }).unwrap();
    let rest = featurizer.flush();
    // All rows are of one sensor, so the sensor indices of both agree.
    out.windows.extend(rest.windows);
    out.sensors = rest.sensors;
    out
}

fn dry_run(
    stage: &Stage,
    out: &Featurized,
    model: Option<&str>,
) -> Result<Vec<DryRunResult>, wheeltapper_detect::DryRunError> {
    let table: Vec<(&str, &str)> = out.sensors.iter().map(|(name, asset)| (&**name, &**asset)).collect();
    let features: Vec<String> = WINDOW_FEATURES.iter().map(|&name| name.to_owned()).collect();
    let rows = &out.windows;
    let sensor: Vec<u32> = rows.iter().map(|row| row.sensor).collect();
    let start: Vec<i64> = rows.iter().map(|row| row.start).collect();
    let end: Vec<i64> = rows.iter().map(|row| row.end).collect();
    let count: Vec<u32> = rows.iter().map(|row| row.count).collect();
    let values: Vec<f64> = rows.iter().flat_map(|row| row.values).collect();
    let block =
        FeatureBlock { features: &features, sensor: &sensor, start: &start, end: &end, count: &count, values: &values };
    stage.dry_run(&table, &[block], model)
}

/// Windows of values of one sensor, one per second.
fn values(sensor: u32, values: &[f64]) -> Featurized {
    let times = (0..values.len()).map(|at| T0 + 10_000 * S + i64::try_from(at).unwrap() * S).collect();
    fresh(&(vec![sensor; values.len()], times, values.to_vec()))
}

/// Returns the window with the highest score.
fn worst(results: Vec<DryRunResult>) -> DryRunResult {
    results.into_iter().max_by(|one, other| one.score.total_cmp(&other.score)).unwrap()
}

#[test]
fn a_complete_window_scores_as_if_pushed_and_the_state_is_unchanged() {
    let mut stage = trained_stage(CONFIG, 4_000);
    let all = windows(&pump(3, 4_200, |second, index, healthy| {
        Some(if second > 4_100 && index == 1 { healthy + 6.0 } else { healthy })
    }));
    let next = windows(&pump(3, 4_000, |_, _, healthy| Some(healthy))).windows.len();
    let rest = Featurized { windows: all.windows[next..].to_vec(), ..all };
    let before = stage.snapshot();
    let result = dry_run(&stage, &rest, None).unwrap();
    assert_eq!(stage.snapshot(), before);
    let mut pushed = push_windows(&mut stage, &rest, 0, rest.windows.len());
    common::join(&mut pushed, stage.flush());
    assert!(!pushed.anomalies.is_empty() && pushed.scores.len() > 10);
    // Up to the first window that the stage learns from: the dry run does not learn.
    for (score, result) in pushed.scores.iter().zip(&result).take(10) {
        assert_eq!((score.start, score.end), (result.start, result.end));
        assert!((score.score - result.score).abs() < 1e-9, "{score:?} {result:?}");
    }
    assert_eq!(pushed.scores.len(), result.len());
    for (anomaly, result) in pushed.anomalies.iter().zip(result.iter().filter(|each| each.score >= each.threshold)) {
        let anomaly_of_dry_run = result.anomaly.as_ref().unwrap();
        let expected = (&anomaly.id, &anomaly.message, anomaly.fault_mode);
        assert_eq!(expected, (&anomaly_of_dry_run.id, &anomaly_of_dry_run.message, anomaly_of_dry_run.fault_mode));
    }
}

#[test]
fn a_few_normal_values_are_no_anomaly() {
    for seconds in [800, 4_000] {
        let stage = trained_stage(CONFIG, seconds);
        let healthy = pump(77, 3_000, |_, _, healthy| Some(healthy));
        let (mut runs, mut alarms) = (0, 0);
        for sensor in 0..3 {
            let of: Vec<f64> =
                healthy.0.iter().zip(&healthy.2).filter(|(at, _)| **at == sensor).map(|(_, value)| *value).collect();
            for count in [1, 2, 5, 12] {
                for subset in of.chunks_exact(count).step_by(7).take(60) {
                    let result = worst(dry_run(&stage, &values(sensor, subset), None).unwrap());
                    runs += 1;
                    alarms += usize::from(result.score >= result.threshold);
                }
            }
        }
        assert!(runs > 600 && alarms * 200 <= runs, "{alarms} alarms in {runs} dry runs after {seconds} s");
    }
}

/// All sensors follow a load, which moves one of them far from its median. It must not be unusual because the others
/// are unknown.
#[test]
fn one_of_several_correlated_sensors_is_scored_alone() {
    let load = |second: i64, index: usize, healthy: f64| {
        Some(healthy + [0.8, 4.0, 3.0][index] * (second as f64 / 150.0).sin())
    };
    let mut stage = Stage::open(CONFIG).unwrap();
    let out = windows(&pump(3, 6_000, load));
    push_windows(&mut stage, &out, 0, out.windows.len());
    let other = pump(78, 3_000, load);
    let (mut runs, mut alarms) = (0, 0);
    for sensor in 0..3 {
        let of: Vec<f64> =
            other.0.iter().zip(&other.2).filter(|(at, _)| **at == sensor).map(|(_, value)| *value).collect();
        for count in [1, 30] {
            for subset in of.chunks_exact(count).take(100) {
                let result = worst(dry_run(&stage, &values(sensor, subset), None).unwrap());
                runs += 1;
                alarms += usize::from(result.score >= result.threshold);
            }
        }
    }
    assert!(runs == 600 && alarms * 200 <= runs, "{alarms} alarms in {runs} dry runs");
    let far = worst(dry_run(&stage, &values(TEMPERATURE, &[75.0]), None).unwrap());
    assert!(far.score >= far.threshold, "{far:?}");
}

#[test]
fn a_single_outlier_is_an_anomaly_with_an_explanation() {
    let stage = trained_stage(CONFIG, 4_000);
    let result = worst(dry_run(&stage, &values(TEMPERATURE, &[70.0]), Some("ensemble")).unwrap());
    assert!(result.score >= result.threshold, "{result:?}");
    assert_eq!(
        (result.asset.as_str(), result.sensor.as_str(), result.model.as_str()),
        ("p/pump", "p/pump/temperature", "ensemble")
    );
    assert!(result.confidence > 0.4 && result.learned >= result.needed);
    let anomaly = result.anomaly.unwrap();
    assert_eq!(anomaly.fault_mode, Some("overheating"));
    assert!(anomaly.message.contains("temperature mean is 70.00 °C, normally 55"), "{}", anomaly.message);
    assert!(anomaly.contributions.iter().all(|part| part.sensor == "p/pump/temperature" && part.feature != "std"));
    // There is an explanation below the threshold, too.
    let normal = worst(dry_run(&stage, &values(TEMPERATURE, &[55.6]), None).unwrap());
    assert!(normal.score < 0.9 && !normal.anomaly.unwrap().message.is_empty());
    // More values raise the confidence.
    let many = worst(dry_run(&stage, &values(CURRENT, &[12.0, 12.1, 12.2].repeat(9)), None).unwrap());
    assert!(many.confidence > normal.confidence, "{} {}", many.confidence, normal.confidence);
}

#[test]
fn members_of_the_ensemble_can_score_alone() {
    let stage = trained_stage(CONFIG, 4_000);
    for model in ["process", "zscore", "mahalanobis"] {
        let result = worst(dry_run(&stage, &values(CURRENT, &[20.0]), Some(model)).unwrap());
        assert!(result.model == model && result.score > 0.9, "{result:?}");
    }
    let message = dry_run(&stage, &values(CURRENT, &[20.0]), Some("lstm")).unwrap_err().to_string();
    assert!(message.contains("lstm") && message.contains("ensemble, process, zscore, mahalanobis"), "{message}");
    let single = trained_stage(r#"{"model":"zscore"}"#, 4_000);
    assert_eq!(worst(dry_run(&single, &values(CURRENT, &[20.0]), Some("ensemble")).unwrap()).model, "zscore");
    assert_eq!(worst(dry_run(&single, &values(CURRENT, &[20.0]), Some("zscore")).unwrap()).model, "zscore");
    assert!(dry_run(&single, &values(CURRENT, &[20.0]), Some("process")).is_err());
}

#[test]
fn no_score_during_the_warmup() {
    let stage = trained_stage(CONFIG, 200);
    let result = worst(dry_run(&stage, &values(CURRENT, &[99.0]), None).unwrap());
    assert!(result.learned > 5 && result.learned < result.needed && (30..=45).contains(&result.needed), "{result:?}");
    assert!(result.score == 0.0 && result.model.is_empty() && result.anomaly.is_none());
    let untrained = Stage::open(CONFIG).unwrap();
    let same = worst(dry_run(&untrained, &values(CURRENT, &[99.0]), None).unwrap());
    assert_eq!((same.learned, same.needed), (0, result.needed));
    // A sensor that the machine did not have in the training.
    let stage = trained_stage(CONFIG, 4_000);
    let mut other = values(CURRENT, &[99.0]);
    other.sensors = vec![("p/pump/flow".into(), "p/pump".into()); 3];
    assert_eq!(worst(dry_run(&stage, &other, None).unwrap()).learned, 0);
}

#[test]
fn the_number_of_windows_is_limited() {
    let stage = Stage::open("").unwrap();
    let message = dry_run(&stage, &values(CURRENT, &vec![1.0; 12_000]), None).unwrap_err().to_string();
    assert!(message.contains("1000 at most"), "{message}");
}
