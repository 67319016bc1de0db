//! A probe says what the stage would say, and leaves no trace.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Readings, S, SENSORS, T0, pump, push_windows, windows};
use wheeltapper_detect::{Block, Probed, Stage};
use wheeltapper_featurize::{Batch, Featurized, Featurizer, features::FEATURES};

const CONFIG: &str = r#"{"sensors":{
    "p/pump/vibration":{"unit":"mm/s","kind":"vibration"},
    "p/pump/temperature":{"unit":"°C","kind":"temperature"},
    "p/pump/current":{"unit":"A","kind":"current"}}}"#;
const TEMPERATURE: u32 = 1;
const CURRENT: u32 = 2;

/// A stage that has seen so many seconds of a healthy pump.
fn learnt(config: &str, seconds: i64) -> Stage {
    let mut stage = Stage::open(config).unwrap();
    let out = windows(&pump(3, seconds, |_, _, healthy| Some(healthy)));
    push_windows(&mut stage, &out, 0, out.windows.len());
    stage
}

/// Windows of readings that nothing came before.
fn fresh((sensor, time, value): &Readings) -> Featurized {
    let mut featurizer = Featurizer::open("").unwrap();
    let mut out =
        featurizer.push(&Batch { sensors: &SENSORS, sensor, time, value, bursts: &[], arrivals: &[] }).unwrap();
    let rest = featurizer.flush();
    // Of one sensor, so that the numbers of both are the same.
    out.windows.extend(rest.windows);
    out.sensors = rest.sensors;
    out
}

fn probe(stage: &Stage, out: &Featurized, model: Option<&str>) -> Result<Vec<Probed>, wheeltapper_detect::ProbeError> {
    let table: Vec<(&str, &str)> = out.sensors.iter().map(|(name, asset)| (&**name, &**asset)).collect();
    let features: Vec<String> = FEATURES.iter().map(|&name| name.to_owned()).collect();
    let rows = &out.windows;
    let sensor: Vec<u32> = rows.iter().map(|row| row.sensor).collect();
    let start: Vec<i64> = rows.iter().map(|row| row.start).collect();
    let end: Vec<i64> = rows.iter().map(|row| row.end).collect();
    let count: Vec<u32> = rows.iter().map(|row| row.count).collect();
    let values: Vec<f64> = rows.iter().flat_map(|row| row.values).collect();
    let block =
        Block { features: &features, sensor: &sensor, start: &start, end: &end, count: &count, values: &values };
    stage.probe(&table, &[block], model)
}

/// Values of one sensor, a second apart.
fn values(sensor: u32, values: &[f64]) -> Featurized {
    let times = (0..values.len()).map(|at| T0 + 10_000 * S + i64::try_from(at).unwrap() * S).collect();
    fresh(&(vec![sensor; values.len()], times, values.to_vec()))
}

/// The window that stands out most.
fn worst(probed: Vec<Probed>) -> Probed {
    probed.into_iter().max_by(|one, other| one.score.total_cmp(&other.score)).unwrap()
}

#[test]
fn a_whole_window_scores_as_if_it_were_pushed_and_nothing_changes() {
    let mut stage = learnt(CONFIG, 4_000);
    let all = windows(&pump(3, 4_200, |second, index, healthy| {
        Some(if second > 4_100 && index == 1 { healthy + 6.0 } else { healthy })
    }));
    let next = windows(&pump(3, 4_000, |_, _, healthy| Some(healthy))).windows.len();
    let rest = Featurized { windows: all.windows[next..].to_vec(), ..all };
    let before = stage.snapshot();
    let probed = probe(&stage, &rest, None).unwrap();
    assert_eq!(stage.snapshot(), before);
    let mut pushed = push_windows(&mut stage, &rest, 0, rest.windows.len());
    common::join(&mut pushed, stage.flush());
    assert!(!pushed.anomalies.is_empty() && pushed.scores.len() > 10);
    // Up to where a window is learnt from: the probe goes on without.
    for (score, probed) in pushed.scores.iter().zip(&probed).take(10) {
        assert_eq!((score.start, score.end), (probed.start, probed.end));
        assert!((score.score - probed.score).abs() < 1e-9, "{score:?} {probed:?}");
    }
    assert_eq!(pushed.scores.len(), probed.len());
    for (anomaly, probed) in pushed.anomalies.iter().zip(probed.iter().filter(|each| each.score >= each.threshold)) {
        let told = probed.anomaly.as_ref().unwrap();
        assert_eq!((&anomaly.id, &anomaly.message, anomaly.fault_mode), (&told.id, &told.message, told.fault_mode));
    }
}

#[test]
fn a_few_normal_values_are_no_anomaly() {
    for seconds in [800, 4_000] {
        let stage = learnt(CONFIG, seconds);
        let healthy = pump(77, 3_000, |_, _, healthy| Some(healthy));
        let (mut probes, mut alarms) = (0, 0);
        for sensor in 0..3 {
            let of: Vec<f64> =
                healthy.0.iter().zip(&healthy.2).filter(|(at, _)| **at == sensor).map(|(_, value)| *value).collect();
            for count in [1, 2, 5, 12] {
                for some in of.chunks_exact(count).step_by(7).take(60) {
                    let probed = worst(probe(&stage, &values(sensor, some), None).unwrap());
                    probes += 1;
                    alarms += usize::from(probed.score >= probed.threshold);
                }
            }
        }
        assert!(probes > 600 && alarms * 200 <= probes, "{alarms} alarms in {probes} probes after {seconds} s");
    }
}

/// A load that all sensors follow takes one of them far from its middle; that the others are not told does not make it strange.
#[test]
fn one_sensor_of_several_that_go_together_is_judged_alone() {
    let load = |second: i64, index: usize, healthy: f64| {
        Some(healthy + [0.8, 4.0, 3.0][index] * (second as f64 / 150.0).sin())
    };
    let mut stage = Stage::open(CONFIG).unwrap();
    let out = windows(&pump(3, 6_000, load));
    push_windows(&mut stage, &out, 0, out.windows.len());
    let other = pump(78, 3_000, load);
    let (mut probes, mut alarms) = (0, 0);
    for sensor in 0..3 {
        let of: Vec<f64> =
            other.0.iter().zip(&other.2).filter(|(at, _)| **at == sensor).map(|(_, value)| *value).collect();
        for count in [1, 30] {
            for some in of.chunks_exact(count).take(100) {
                let probed = worst(probe(&stage, &values(sensor, some), None).unwrap());
                probes += 1;
                alarms += usize::from(probed.score >= probed.threshold);
            }
        }
    }
    assert!(probes == 600 && alarms * 200 <= probes, "{alarms} alarms in {probes} probes");
    let far = worst(probe(&stage, &values(TEMPERATURE, &[75.0]), None).unwrap());
    assert!(far.score >= far.threshold, "{far:?}");
}

#[test]
fn a_single_value_far_out_is_one_and_is_explained() {
    let stage = learnt(CONFIG, 4_000);
    let probed = worst(probe(&stage, &values(TEMPERATURE, &[70.0]), Some("ensemble")).unwrap());
    assert!(probed.score >= probed.threshold, "{probed:?}");
    assert_eq!(
        (probed.asset.as_str(), probed.sensor.as_str(), probed.model.as_str()),
        ("p/pump", "p/pump/temperature", "ensemble")
    );
    assert!(probed.confidence > 0.4 && probed.learned >= probed.needed);
    let told = probed.anomaly.unwrap();
    assert_eq!(told.fault_mode, Some("overheating"));
    assert!(told.message.contains("temperature mean is 70.00 °C, normally 55"), "{}", told.message);
    assert!(told.contributions.iter().all(|part| part.sensor == "p/pump/temperature" && part.feature != "std"));
    // Below the threshold there is a reason, too.
    let normal = worst(probe(&stage, &values(TEMPERATURE, &[55.6]), None).unwrap());
    assert!(normal.score < 0.9 && !normal.anomaly.unwrap().message.is_empty());
    // More values make it surer.
    let many = worst(probe(&stage, &values(CURRENT, &[12.0, 12.1, 12.2].repeat(9)), None).unwrap());
    assert!(many.confidence > normal.confidence, "{} {}", many.confidence, normal.confidence);
}

#[test]
fn members_of_the_ensemble_can_be_asked_alone() {
    let stage = learnt(CONFIG, 4_000);
    for model in ["process", "zscore", "mahalanobis"] {
        let probed = worst(probe(&stage, &values(CURRENT, &[20.0]), Some(model)).unwrap());
        assert!(probed.model == model && probed.score > 0.9, "{probed:?}");
    }
    let told = probe(&stage, &values(CURRENT, &[20.0]), Some("lstm")).unwrap_err().to_string();
    assert!(told.contains("lstm") && told.contains("ensemble, process, zscore, mahalanobis"), "{told}");
    let single = learnt(r#"{"model":"zscore"}"#, 4_000);
    assert_eq!(worst(probe(&single, &values(CURRENT, &[20.0]), Some("ensemble")).unwrap()).model, "zscore");
    assert_eq!(worst(probe(&single, &values(CURRENT, &[20.0]), Some("zscore")).unwrap()).model, "zscore");
    assert!(probe(&single, &values(CURRENT, &[20.0]), Some("process")).is_err());
}

#[test]
fn what_is_still_learnt_is_not_judged() {
    let stage = learnt(CONFIG, 200);
    let probed = worst(probe(&stage, &values(CURRENT, &[99.0]), None).unwrap());
    assert!(probed.learned > 5 && probed.learned < probed.needed && (30..=45).contains(&probed.needed), "{probed:?}");
    assert!(probed.score == 0.0 && probed.model.is_empty() && probed.anomaly.is_none());
    let nobody = Stage::open(CONFIG).unwrap();
    let same = worst(probe(&nobody, &values(CURRENT, &[99.0]), None).unwrap());
    assert_eq!((same.learned, same.needed), (0, probed.needed));
    // A sensor that the machine did not have.
    let stage = learnt(CONFIG, 4_000);
    let mut other = values(CURRENT, &[99.0]);
    other.sensors = vec![("p/pump/flow".into(), "p/pump".into()); 3];
    assert_eq!(worst(probe(&stage, &other, None).unwrap()).learned, 0);
}

#[test]
fn a_probe_has_an_end() {
    let stage = Stage::open("").unwrap();
    let told = probe(&stage, &values(CURRENT, &vec![1.0; 12_000]), None).unwrap_err().to_string();
    assert!(told.contains("1000 at most"), "{told}");
}
