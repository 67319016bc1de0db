//! Shared test code: noise, readings of a pump, and the path through the featurizer into the stage.
#![allow(dead_code, reason = "not every test needs all of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rand_pcg::{Pcg64, rand_core::Rng};
use wheeltapper_detect::{Detected, FeatureBlock, Stage};
use wheeltapper_featurize::{Batch, FeatureRow, Featurized, Featurizer, features::WINDOW_FEATURES};

pub const S: i64 = 1_000_000_000;
pub const T0: i64 = 1_700_000_000 * S;
pub const SENSORS: [(&str, &str); 3] =
    [("p/pump/vibration", "p/pump"), ("p/pump/temperature", "p/pump"), ("p/pump/current", "p/pump")];

/// The configuration of the tests of the former default detector.
pub const ENSEMBLE: &str = r#"{"model":"ensemble","spread_windows":15}"#;

pub type Readings = (Vec<u32>, Vec<i64>, Vec<f64>);

pub fn source(seed: u64) -> Pcg64 {
    Pcg64::new(seed.into(), 7)
}

/// Approximately normal: the sum of 12 uniform numbers.
pub fn normal(source: &mut Pcg64) -> f64 {
    (0..12).map(|_| (source.next_u64() >> 11) as f64 * 2f64.powi(-53)).sum::<f64>() - 6.0
}

/// Readings of three sensors once per second under a varying load, each with its own noise. `change` modifies them:
/// (second, sensor, value); None drops the reading.
pub fn pump(seed: u64, seconds: i64, change: impl Fn(i64, usize, f64) -> Option<f64>) -> Readings {
    let mut source = source(seed);
    let (mut sensor, mut time, mut value) = (Vec::new(), Vec::new(), Vec::new());
    let mut load = 0.0;
    for second in 0..seconds {
        load = 0.9 * load + 0.3 * normal(&mut source);
        let healthy = [
            2.0 + 0.1 * load + 0.2 * normal(&mut source),
            55.0 + 0.3 * load + 0.5 * normal(&mut source),
            12.0 + 0.2 * load + 0.1 * normal(&mut source),
        ];
        for (index, healthy) in healthy.into_iter().enumerate() {
            if let Some(changed) = change(second, index, healthy) {
                sensor.push(u32::try_from(index).unwrap());
                time.push(T0 + second * S);
                value.push(changed);
            }
        }
    }
    (sensor, time, value)
}

/// Computes the windows of readings.
pub fn windows(readings: &Readings) -> Featurized {
    let (sensor, time, value) = readings;
    let batch = Batch { sensors: &SENSORS, sensor, time, value, waveforms: &[], arrivals: &[] };
    let mut featurizer = Featurizer::open("").unwrap();
    let first = featurizer.push(&batch).unwrap();
    featurizer.complete(first)
}

/// Pushes rows of one feature list.
pub fn push<const N: usize>(
    stage: &mut Stage,
    table: &[(&str, &str)],
    names: &[&str; N],
    rows: &[FeatureRow<N>],
) -> Detected {
    let features: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let sensor: Vec<u32> = rows.iter().map(|row| row.sensor).collect();
    let start: Vec<i64> = rows.iter().map(|row| row.start).collect();
    let end: Vec<i64> = rows.iter().map(|row| row.end).collect();
    let count: Vec<u32> = rows.iter().map(|row| row.count).collect();
    let values: Vec<f64> = rows.iter().flat_map(|row| row.values).collect();
    let block =
        FeatureBlock { features: &features, sensor: &sensor, start: &start, end: &end, count: &count, values: &values };
    stage.push(table, &[block]).unwrap()
}

/// Pushes windows of the pump.
pub fn push_windows(stage: &mut Stage, out: &Featurized, from: usize, to: usize) -> Detected {
    let table: Vec<(&str, &str)> = out.sensors.iter().map(|(name, asset)| (&**name, &**asset)).collect();
    push(stage, &table, &WINDOW_FEATURES, &out.windows[from..to])
}

pub fn join(all: &mut Detected, more: Detected) {
    all.scores.extend(more.scores);
    all.anomalies.extend(more.anomalies);
    all.drifts.extend(more.drifts);
    all.prognoses.extend(more.prognoses);
}

/// Returns all results of a stage with this configuration for these readings.
pub fn detect(config: &str, readings: &Readings) -> Detected {
    let out = windows(readings);
    let mut stage = Stage::open(config).unwrap();
    let mut all = push_windows(&mut stage, &out, 0, out.windows.len());
    join(&mut all, stage.flush());
    all
}
