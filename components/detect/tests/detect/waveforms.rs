//! Waveforms of a bearing through the featurizer and the stage, and failing sensors.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{self, S, T0, detect, normal, pump, push, source};
use wheeltapper_detect::{Detected, Severity, Stage};
use wheeltapper_featurize::{Batch, Featurized, Featurizer, Waveform, features::WAVEFORM_FEATURES};

const RATE: f64 = 25_600.0;
const SHAFT: f64 = 1475.0 / 60.0;
/// A 6205 has 9 balls: they pass its outer race 3.585 times per revolution.
const OUTER: f64 = 3.585 * SHAFT;
const TABLE: [(&str, &str); 1] = [("p/fan/bearing", "p/fan")];
const MACHINE: &str = r#"{"sensors":{"p/fan/bearing":{"unit":"m/s2","rpm":1475,"bearing":"6205"}}}"#;
const DETECT: &str = r#"{"sensors":{"p/fan/bearing":{"unit":"m/s2","kind":"acceleration"}}}"#;

/// Noise and the shaft; a defect adds a ringing at 4 kHz at each passage, with an amplitude in units of the noise.
fn waveforms(seed: u64, count: usize, samples: usize, defect: impl Fn(usize) -> f64) -> Vec<Vec<f32>> {
    let mut source = source(seed);
    let two_pi = 2.0 * std::f64::consts::PI;
    (0..count)
        .map(|number| {
            let size = defect(number);
            // The passages slip a little, and each waveform starts at another phase.
            let mut hit = -0.02 - f64::from(u8::try_from(number % 10).unwrap()) * 1e-3;
            let mut hits = Vec::new();
            while hit < samples as f64 / RATE {
                hits.push(hit);
                hit += (1.0 + 0.005 * normal(&mut source)) / OUTER;
            }
            (0..samples)
                .map(|at| {
                    let time = at as f64 / RATE;
                    let ringing: f64 = hits
                        .iter()
                        .map(|hit| time - hit)
                        .filter(|since| (0.0..0.01).contains(since))
                        .map(|since| (two_pi * 4000.0 * since).sin() * (-since / 0.0008).exp())
                        .sum();
                    (0.5 * (two_pi * SHAFT * time).sin() + normal(&mut source) + size * ringing) as f32
                })
                .collect()
        })
        .collect()
}

fn features(samples: &[Vec<f32>]) -> Featurized {
    let recordings: Vec<Waveform<'_>> = (0..)
        .zip(samples)
        .map(|(at, samples)| Waveform { sensor: 0, start: T0 + at * 600 * S, rate: RATE, samples })
        .collect();
    let batch = Batch { sensors: &TABLE, waveforms: &recordings, ..Batch::default() };
    Featurizer::open(MACHINE).unwrap().push(&batch).unwrap()
}

fn detect_waveforms(samples: &[Vec<f32>]) -> Detected {
    let out = features(samples);
    let mut stage = Stage::open(DETECT).unwrap();
    let mut all = push(&mut stage, &TABLE, &WAVEFORM_FEATURES, &out.waveforms);
    common::join(&mut all, stage.flush());
    all
}

#[test]
fn an_outer_race_defect_is_identified() {
    for length in [2048, 12_800] {
        let found = detect_waveforms(&waveforms(1, 80, length, |number| if number < 60 { 0.0 } else { 6.0 }));
        let (before, after): (Vec<_>, Vec<_>) =
            found.anomalies.iter().partition(|found| found.start < T0 + 60 * 600 * S);
        assert!(before.is_empty(), "{before:?}");
        assert_eq!(after.len(), 20);
        let named = after.iter().filter(|found| found.fault_mode == Some("bearing-outer-race"));
        println!("{length}: {} of 20 named; {}", named.clone().count(), after[19].message);
        assert!(named.clone().count() >= 18);
        for found in named {
            assert!(found.message.starts_with("bearing: outer-race defect, "), "{}", found.message);
            let (hz, rest) = found.message["bearing: outer-race defect, ".len()..].split_once(" Hz = ").unwrap();
            let (orders, _) = rest.split_once(" x shaft, ").unwrap();
            let (hz, orders): (f64, f64) = (hz.parse().unwrap(), orders.parse().unwrap());
            assert!((hz / OUTER - 1.0).abs() < 0.02 && (orders / 3.585 - 1.0).abs() < 0.02, "{}", found.message);
            assert!(found.severity >= Severity::Medium, "{:?}", found.severity);
            assert_eq!(found.contributions[0].feature, "outer_ratio");
            assert!(found.contributions.iter().map(|part| part.share).sum::<f64>() <= 1.0 + 1e-9);
            let trend = found.trend.as_ref().unwrap();
            assert_eq!((trend.feature.as_str(), trend.unit.as_str()), ("rms", "m/s2"));
            assert_eq!(trend.times.last(), Some(&found.end));
        }
    }
}

/// The bearing diagnosis needs no warm-up.
#[test]
fn a_new_sensor_is_diagnosed_without_a_warmup() {
    let found = detect_waveforms(&waveforms(2, 3, 2048, |_| 6.0));
    assert!(found.anomalies.iter().any(|found| found.fault_mode == Some("bearing-outer-race")), "{found:?}");
    assert!(found.anomalies.iter().all(|found| found.model == "envelope"));
}

#[test]
fn a_reset_baseline_of_waveforms_is_learnt_again() {
    let out = features(&waveforms(3, 32, 2048, |_| 0.0));
    let mut stage = Stage::open(DETECT).unwrap();
    let before = push(&mut stage, &TABLE, &WAVEFORM_FEATURES, &out.waveforms[..26]);
    assert!(!before.scores.is_empty());
    stage.reset_baseline("p/fan");
    let mut after = push(&mut stage, &TABLE, &WAVEFORM_FEATURES, &out.waveforms[26..]);
    common::join(&mut after, stage.flush());
    assert!(after.scores.is_empty(), "{:?}", after.scores);
}

#[test]
fn healthy_waveforms_raise_few_alarms() {
    let (mut scored, mut alarms) = (0, Vec::new());
    for seed in 10..13 {
        let found = detect_waveforms(&waveforms(seed, 1000, 2048, |_| 0.0));
        scored += found.scores.len();
        alarms.extend(found.anomalies);
    }
    println!("{} anomalies in {scored} waveforms", alarms.len());
    assert!(scored > 2900, "{scored}");
    // Bearing lines: at most two in a thousand; octaves: as the threshold promises.
    let named: Vec<&str> =
        alarms.iter().filter(|found| found.model == "envelope").map(|found| found.message.as_str()).collect();
    assert!(named.len() * 500 <= scored, "{named:?}");
    assert!(alarms.len() * 300 <= scored, "{} anomalies in {scored}: {alarms:?}", alarms.len());
    assert!(alarms.iter().all(|found| found.severity == Severity::Low), "{alarms:?}");
}

const BREAKS: i64 = 4000;

#[test]
fn a_sensor_that_loses_readings_is_reported() {
    // First two of three readings are lost, then all of them.
    for interval in [3, i64::MAX] {
        let found = detect(
            common::ENSEMBLE,
            &pump(3, 6000, |second, index, healthy| {
                (index != 1 || second < BREAKS || second % interval == 1).then_some(healthy)
            }),
        );
        let (before, after): (Vec<_>, Vec<_>) = found.anomalies.iter().partition(|found| found.end <= T0 + BREAKS * S);
        assert!(before.is_empty(), "{before:?}");
        assert!(after.len() > 100, "{interval}: {}", after.len());
        let last = after.last().unwrap();
        assert_eq!((last.sensor.as_str(), last.fault_mode), ("p/pump/temperature", Some("sensor-dropout")));
        assert!(last.message.contains("% of its readings") && last.message.contains("while other sensors sent theirs"));
        let dropouts = after.iter().filter(|found| found.fault_mode == Some("sensor-dropout")).count();
        assert!(dropouts * 10 >= after.len() * 9, "{dropouts} of {}", after.len());
        // The trend ends with the readings; long after that there is none.
        for found in after {
            let last = found.trend.as_ref().map(|trend| trend.times.last().copied());
            match interval {
                3 => assert_eq!(last, Some(Some(found.end))),
                _ => assert!(last.is_none_or(|last| last.is_some_and(|last| last <= found.end)), "{found:?}"),
            }
        }
    }
    // All sensors are silent, as after a failure of the gateway or a shutdown.
    let found = detect(
        common::ENSEMBLE,
        &pump(3, 6000, |second, _, healthy| (!(BREAKS..5000).contains(&second)).then_some(healthy)),
    );
    assert!(found.anomalies.iter().all(|found| found.fault_mode != Some("sensor-dropout")), "{:?}", found.anomalies);
}

#[test]
fn a_stuck_sensor_is_reported() {
    for index in 0..3 {
        let found = detect(
            common::ENSEMBLE,
            &pump(4, 6000, |second, at, healthy| {
                Some(if at == index && second >= BREAKS { [2.0, 55.0, 12.0][index] } else { healthy })
            }),
        );
        let after: Vec<_> = found.anomalies.iter().filter(|found| found.start >= T0 + BREAKS * S).collect();
        assert!(after.len() > 100, "{}", after.len());
        let stuck = after
            .iter()
            .filter(|found| found.fault_mode == Some("sensor-stuck") && found.sensor == common::SENSORS[index].0);
        assert!(stuck.count() * 10 >= after.len() * 9);
        // The value stays at its usual level, so the levels show nothing.
        assert!(after.iter().all(|found| found.trend.as_ref().unwrap().times.last() == Some(&found.end)));
    }
}
