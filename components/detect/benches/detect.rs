//! Cost of a window of ten sensors and of the training, compared with the cost of the same work in Python's libraries.
//!
//! `WHEELTAPPER_PYTHON=venv/bin/python cargo bench -p wheeltapper-detect`; `peer.py` lists the packages at its head.

use std::process::Command;

use divan::{Bencher, black_box, counter::ItemsCount};
use wheeltapper_condition_monitoring::waveform::{envelope::WaveformSpectrum, fft::FftPlans};
use wheeltapper_detect::{FeatureBlock, Stage};
use wheeltapper_detectors::{AnyDetector, Detector as _, DetectorKind, Layout};
use wheeltapper_featurize::features::{FeatureExtractor, WINDOW_FEATURES};

fn main() {
    divan::main();
    peer();
}

/// Prints the figures of `peer.py`.
fn peer() {
    let Some(python) = std::env::var_os("WHEELTAPPER_PYTHON") else {
        println!(
            "\nFor the figures of NumPy, SciPy and scikit-learn set WHEELTAPPER_PYTHON to a Python with these packages."
        );
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer.py");
    match Command::new(&python).arg(script).output() {
        Ok(out) if out.status.success() => println!("\n{}", String::from_utf8_lossy(&out.stdout)),
        Ok(out) => println!("\npeer.py failed:\n{}", String::from_utf8_lossy(&out.stderr)),
        Err(error) => println!("\ncannot run {}: {error}", python.display()),
    }
}

const SENSORS: usize = 10;
const COLUMNS: usize = 12;
const ASSETS: usize = 8;
/// Windows of the last training.
const LEARNT: usize = 400;
const S: i64 = 1_000_000_000;

/// Uniform noise from -1 to 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 23) - 1.0
    }

    fn sample(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// Input of a stage: consecutive windows of all sensors of all assets, with the features of simulated readings.
struct Fleet {
    names: Vec<(String, String)>,
    features: Vec<String>,
    noise: Noise,
    extractor: FeatureExtractor,
    at: i64,
}

#[derive(Default)]
struct Rows {
    sensor: Vec<u32>,
    start: Vec<i64>,
    end: Vec<i64>,
    count: Vec<u32>,
    values: Vec<f64>,
}

impl Fleet {
    fn new() -> Self {
        let names = (0..ASSETS * SENSORS)
            .map(|at| (format!("p/m{}/s{}", at / SENSORS, at % SENSORS), format!("p/m{}", at / SENSORS)));
        Self {
            names: names.collect(),
            features: WINDOW_FEATURES.iter().map(|&name| name.to_owned()).collect(),
            noise: Noise(1),
            extractor: FeatureExtractor::default(),
            at: 0,
        }
    }

    fn table(&self) -> Vec<(&str, &str)> {
        self.names.iter().map(|(name, asset)| (&**name, &**asset)).collect()
    }

    fn rows(&mut self, windows: usize) -> Rows {
        let mut rows = Rows::default();
        for _ in 0..windows {
            let start = (1_700_000_000 + 30 * self.at) * S;
            self.at += 1;
            let times: Vec<i64> = (0..30).map(|second| start + second * S).collect();
            for sensor in 0..ASSETS * SENSORS {
                let readings: Vec<f64> = (0..30).map(|_| 20.0 + self.noise.next() + self.noise.next()).collect();
                rows.sensor.push(u32::try_from(sensor).unwrap_or(0));
                rows.start.push(start);
                rows.end.push(start + 30 * S);
                rows.count.push(30);
                rows.values.extend(self.extractor.window_features(&times, &readings, 1.0, 30.0));
            }
        }
        rows
    }

    fn block<'a>(&'a self, rows: &'a Rows) -> FeatureBlock<'a> {
        FeatureBlock {
            features: &self.features,
            sensor: &rows.sensor,
            start: &rows.start,
            end: &rows.end,
            count: &rows.count,
            values: &rows.values,
        }
    }
}

/// Windows of eight assets of ten sensors with twelve scored columns, after the training.
#[divan::bench(args = ["ensemble", "process", "zscore", "mahalanobis"], sample_count = 50, sample_size = 1)]
fn push(bencher: Bencher<'_, '_>, model: &str) {
    let mut fleet = Fleet::new();
    let config = format!(r#"{{"model":"{model}","warmup_windows":100,"spread_windows":0}}"#);
    let Ok(mut stage) = Stage::open(&config) else { return };
    let rows = fleet.rows(LEARNT + 200);
    if stage.push(&fleet.table(), &[fleet.block(&rows)]).is_err() {
        return;
    }
    let batches: Vec<Rows> = (0..60).map(|_| fleet.rows(10)).collect();
    let table = fleet.table();
    let mut batches = batches.iter().cycle();
    // Each sample uses the next ten windows; divan may use one more at the start.
    let bencher = bencher.counter(ItemsCount::new(10 * ASSETS));
    bencher.with_inputs(|| batches.next()).bench_local_refs(|rows| {
        let rows = (*rows)?;
        stage.push(&table, &[fleet.block(black_box(rows))]).ok()
    });
}

/// Dry run of one window of one sensor of ten.
#[divan::bench]
fn dry_run(bencher: Bencher<'_, '_>) {
    let mut fleet = Fleet::new();
    let Ok(mut stage) = Stage::open(r#"{"warmup_windows":100,"spread_windows":0}"#) else { return };
    let rows = fleet.rows(LEARNT + 200);
    if stage.push(&fleet.table(), &[fleet.block(&rows)]).is_err() {
        return;
    }
    let table = fleet.table();
    let width = fleet.features.len();
    let block = FeatureBlock {
        features: &fleet.features,
        sensor: &rows.sensor[..1],
        start: &rows.start[..1],
        end: &rows.end[..1],
        count: &[1],
        values: &rows.values[..width],
    };
    bencher.bench_local(|| stage.dry_run(&table, black_box(&[block]), None));
}

fn rows(count: usize) -> Vec<Vec<f64>> {
    let mut noise = Noise(7);
    (0..count).map(|_| noise.sample(SENSORS * COLUMNS).into_iter().map(|value| 1.7 * value).collect()).collect()
}

const LAYOUT: Layout = Layout { sensors: SENSORS, columns: COLUMNS, level: 0, spread: Some(3) };

/// Training on 30, 100 and 400 rows of 120 numbers.
#[divan::bench(args = [30, 100, 400], sample_count = 10, sample_size = 1)]
fn fit(bencher: Bencher<'_, '_>, count: usize) {
    let rows = rows(count);
    bencher.bench_local(|| AnyDetector::new(DetectorKind::Ensemble).fit(LAYOUT, black_box(&rows)));
}

/// Training of detectors that scikit-learn has as well, on 400 rows.
#[divan::bench(args = [DetectorKind::IsolationForest, DetectorKind::Mcd], sample_count = 5, sample_size = 1)]
fn fit_alone(bencher: Bencher<'_, '_>, kind: DetectorKind) {
    let rows = rows(LEARNT);
    bencher.bench_local(|| AnyDetector::new(kind).fit(LAYOUT, black_box(&rows)));
}

/// The score of a row of 120 numbers by detectors that scikit-learn has as well, and by the ensemble.
#[divan::bench(args = [DetectorKind::Ensemble, DetectorKind::IsolationForest, DetectorKind::Mcd])]
fn score(bencher: Bencher<'_, '_>, kind: DetectorKind) {
    let rows = rows(LEARNT);
    let mut detector = AnyDetector::new(kind);
    if detector.fit(LAYOUT, &rows).is_err() {
        return;
    }
    let mut next = rows.iter().cycle();
    bencher.bench_local(|| next.next().map(|row| detector.score(0, black_box(row))));
}

/// The 17 features of 30 readings.
#[divan::bench]
fn features_of_a_window(bencher: Bencher<'_, '_>) {
    let values: Vec<f64> = Noise(1).sample(30).iter().map(|value| 20.0 + value).collect();
    let mut extractor = FeatureExtractor::default();
    bencher.bench_local(|| extractor.basic_features(black_box(&values), 1.0));
}

/// The spectrum of the squared envelope of one band of 2,048 samples.
#[divan::bench]
fn envelope_spectrum(bencher: Bencher<'_, '_>) {
    let samples = Noise(2).sample(2048);
    let mut plans = FftPlans::default();
    bencher.bench_local(|| {
        let source = WaveformSpectrum::new(&mut plans, black_box(&samples), 25_600.0);
        source.squared_envelope(&mut plans, 3000.0, 5000.0).spectrum(&mut plans, 1000.0)
    });
}
