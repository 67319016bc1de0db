//! The cost of windows of 30 readings and of waveforms of 2,048 samples and more.

use divan::{Bencher, black_box, counter::ItemsCount};
use wheeltapper_featurize::{Batch, Featurizer, Waveform, features::FeatureExtractor};

fn main() {
    divan::main();
}

const SENSORS: usize = 200;
const SECONDS: usize = 300;

/// Noise, rounded to three decimals as by a sensor.
fn noise(count: usize) -> Vec<f64> {
    let mut state = 1_u64;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (20.0 + (state >> 40) as f64 / f64::from(1 << 24)) * 1e3
        })
        .map(|value| value.round() / 1e3)
        .collect()
}

/// The first 17 features of one window.
#[divan::bench]
fn basic(bencher: Bencher<'_, '_>) {
    let windows = noise(30 * 64);
    let mut extractor = FeatureExtractor::default();
    bencher.counter(ItemsCount::new(64_usize)).bench_local(|| {
        for values in windows.chunks_exact(30) {
            black_box(extractor.basic_features(black_box(values), 1.0));
        }
    });
}

/// All features of one window.
#[divan::bench]
fn window(bencher: Bencher<'_, '_>) {
    let windows = noise(30 * 64);
    let times: Vec<i64> = (0..30).map(|second| (1_700_000_000 + second) * 1_000_000_000).collect();
    let mut extractor = FeatureExtractor::default();
    bencher.counter(ItemsCount::new(64_usize)).bench_local(|| {
        for values in windows.chunks_exact(30) {
            black_box(extractor.window_features(black_box(&times), black_box(values), 1.0, 30.0));
        }
    });
}

/// 200 sensors send a reading a second for five minutes; windows of 30 s slide by 10 s.
#[divan::bench]
fn push(bencher: Bencher<'_, '_>) {
    let names: Vec<String> = (0..SENSORS).map(|index| format!("plant/hall/machine-{index}/temperature")).collect();
    let table: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "plant/hall/machine")).collect();
    let sensor: Vec<u32> = (0..SECONDS).flat_map(|_| 0..200).collect();
    let time: Vec<i64> = (0..SECONDS as i64)
        .flat_map(|second| {
            (0..SENSORS as i64).map(move |index| (1_700_000_000 + second) * 1_000_000_000 + index * 1_000_003)
        })
        .collect();
    let value = noise(sensor.len());
    bencher.counter(ItemsCount::new(sensor.len())).with_inputs(|| Featurizer::open("").ok()).bench_local_values(
        |featurizer| {
            let mut featurizer = featurizer?;
            let batch =
                Batch { sensors: &table, sensor: &sensor, time: &time, value: &value, waveforms: &[], arrivals: &[] };
            featurizer.push(&batch).ok()
        },
    );
}

fn push_waveforms(bencher: Bencher<'_, '_>, config: &str, count: usize) {
    let samples: Vec<f32> = noise(count).iter().map(|&value| (value - 20.5) as f32).collect();
    bencher.with_inputs(|| Featurizer::open(config).ok()).bench_local_values(|featurizer| {
        // Ten, so that the cost of the FFT plans is shared.
        let mut featurizer = featurizer?;
        let waveforms: Vec<Waveform<'_>> =
            (0..10).map(|start| Waveform { sensor: 0, start, rate: 25_600.0, samples: &samples }).collect();
        featurizer.push(&Batch { sensors: &[("v", "m")], waveforms: &waveforms, ..Batch::default() }).ok()
    });
}

/// Ten waveforms of a sensor without a configuration.
#[divan::bench]
fn ten_waveforms_unknown(bencher: Bencher<'_, '_>) {
    push_waveforms(bencher, "", 2048);
}

const KNOWN: &str =
    r#"{"sensors":{"v":{"unit":"m/s2","rpm":1475,"bearing":"6205","teeth":23,"iso_class":"medium_rigid"}}}"#;

/// Ten waveforms of a sensor whose machine is configured.
#[divan::bench]
fn ten_waveforms_known(bencher: Bencher<'_, '_>) {
    push_waveforms(bencher, KNOWN, 2048);
}

/// Ten waveforms of half a second.
#[divan::bench(sample_count = 10)]
fn ten_waveforms_of_12_800(bencher: Bencher<'_, '_>) {
    push_waveforms(bencher, KNOWN, 12_800);
}

/// Ten waveforms of ten seconds, of which only the first 32,768 samples are used.
#[divan::bench(sample_count = 3)]
fn ten_waveforms_of_256_000(bencher: Bencher<'_, '_>) {
    push_waveforms(bencher, KNOWN, 256_000);
}
