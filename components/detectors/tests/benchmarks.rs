//! Benchmarks on healthy rows, SKAB and Tennessee Eastman. Data: `WHEELTAPPER_TEST_DATA`, else `shared/data` next to
//! the repository; a test without its data is skipped. Protocols: the READMEs in the data folders. `KINDS=pca,process`
//! selects other detectors than the default. `--nocapture` prints the figures.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::{fs, io::Read as _, path::PathBuf, time::Instant};

use wheeltapper_detectors::{AnyDetector, Detector as _, DetectorKind, Layout, random::Random};

const FITTED: usize = 400;
const SECOND: i64 = 1_000_000_000;

fn kinds(default: &[DetectorKind]) -> Vec<DetectorKind> {
    let Ok(names) = std::env::var("KINDS") else { return default.to_vec() };
    DetectorKind::ALL
        .iter()
        .copied()
        .filter(|kind| names.split(',').any(|name| name == kind.name() || name == "all"))
        .collect()
}

fn data(set: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("WHEELTAPPER_TEST_DATA").map_or_else(beside, PathBuf::from).join(set);
    let found = path.is_dir();
    if !found {
        eprintln!("skipped: no data set {set}; set WHEELTAPPER_TEST_DATA to the folder that contains it");
    }
    found.then_some(path)
}

/// Rows and their labels.
type Labelled = (Vec<Vec<f64>>, Vec<bool>);

fn skab(path: &std::path::Path) -> Labelled {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<f64> = line.split(';').skip(1).map(|field| field.parse().unwrap()).collect();
            (fields[..8].to_vec(), fields.get(8).is_some_and(|label| *label > 0.5))
        })
        .unzip()
}

fn files(set: &std::path::Path) -> Vec<Labelled> {
    let mut paths: Vec<PathBuf> = ["valve1", "valve2", "other"]
        .iter()
        .flat_map(|folder| fs::read_dir(set.join(folder)).into_iter().flatten())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect();
    paths.sort();
    paths.iter().map(|path| skab(path)).collect()
}

fn ratios(kind: DetectorKind, layout: Layout, fitted: &[Vec<f64>], rows: &[Vec<f64>]) -> Vec<f64> {
    let mut detector = AnyDetector::new(kind);
    detector.fit(layout, fitted).unwrap();
    rows.iter().zip(1..).map(|(row, at)| detector.score(at * SECOND, row)).collect()
}

fn verdicts(kind: DetectorKind, fitted: &[Vec<f64>], rows: &[Vec<f64>]) -> Vec<bool> {
    let layout = Layout::levels_only(fitted[0].len());
    ratios(kind, layout, fitted, rows).iter().map(|ratio| *ratio >= 1.0).collect()
}

fn share(alarms: &[bool]) -> f64 {
    alarms.iter().filter(|alarm| **alarm).count() as f64 / alarms.len() as f64
}

/// True positives, false positives, false negatives and true negatives.
#[derive(Clone, Copy, Default)]
struct Counts([f64; 4]);

impl Counts {
    fn add(&mut self, verdicts: &[bool], labels: &[bool]) {
        for (verdict, label) in verdicts.iter().zip(labels) {
            let at = match (verdict, label) {
                (true, true) => 0,
                (true, false) => 1,
                (false, true) => 2,
                (false, false) => 3,
            };
            self.0[at] += 1.0;
        }
    }

    fn f1_far_mar(self) -> [f64; 3] {
        let [tp, fp, missed, tn] = self.0;
        [2.0 * tp / (2.0 * tp + fp + missed), fp / (fp + tn), missed / (missed + tp)]
    }
}

#[test]
fn skab_plain_shifted_and_anomaly_free() {
    let Some(set) = data("skab") else { return };
    let files = files(&set);
    let (free, _) = skab(&set.join("anomaly-free/anomaly-free.csv"));
    for kind in kinds(&[DetectorKind::Process, DetectorKind::Ensemble]) {
        let mut unshifted = Counts::default();
        for (rows, labels) in &files {
            unshifted.add(&verdicts(kind, &rows[..FITTED], &rows[FITTED..]), &labels[FITTED..]);
        }
        let mut random = Random::new(1);
        let mut shifted = [0.0; 3];
        for _ in 0..3 {
            let mut counts = Counts::default();
            for (rows, labels) in &files {
                let (cut, dropped) = (random.below(61), random.below(101));
                let (to, test) = (cut + FITTED, cut + FITTED + dropped);
                counts.add(&verdicts(kind, &rows[cut..to], &rows[test..]), &labels[test..]);
            }
            shifted.iter_mut().zip(counts.f1_far_mar()).for_each(|(sum, value)| *sum += value / 3.0);
        }
        let free = share(&verdicts(kind, &free[..FITTED], &free[FITTED..]));
        let unshifted = unshifted.f1_far_mar();
        println!(
            "SKAB {:18} F1 FAR MAR {unshifted:.3?}, shifted {shifted:.3?}, anomaly-free FAR {free:.4}",
            kind.name()
        );
        if [DetectorKind::Process, DetectorKind::Ensemble].contains(&kind) {
            assert!(unshifted[0] >= 0.80 && unshifted[1] <= 0.15, "{unshifted:?}");
            assert!((shifted[0] - unshifted[0]).abs() < 0.04, "{shifted:?}");
            assert!(free < 0.03, "{free}");
        }
    }
}

fn tep(path: &std::path::Path) -> Vec<Vec<f64>> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.split_whitespace().map(|field| field.parse().unwrap()).collect())
        .collect()
}

#[test]
fn tennessee_eastman() {
    let Some(set) = data("tep") else { return };
    let wide = tep(&set.join("d00.dat.gz"));
    let fitted: Vec<Vec<f64>> = (0..wide[0].len()).map(|at| wide.iter().map(|row| row[at]).collect()).collect();
    let healthy_rows = tep(&set.join("d00_te.dat.gz"));
    for kind in kinds(&[DetectorKind::Process, DetectorKind::Ensemble]) {
        let healthy = share(&verdicts(kind, &fitted, &healthy_rows));
        let (mut found, mut before, mut all) = (Vec::new(), Vec::new(), String::new());
        for fault in 1..=21 {
            let path = set.join(format!("d{fault:02}_te.dat.gz"));
            if !path.is_file() {
                continue;
            }
            let alarms = verdicts(kind, &fitted, &tep(&path));
            all += &format!(" {fault}:{:.3}", share(&alarms[160..]));
            before.push(share(&alarms[..160]));
            if ![3, 9, 15].contains(&fault) {
                found.push(share(&alarms[160..]));
            }
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (found, before) = (mean(&found), mean(&before));
        println!("TEP {:18} FDR {found:.4}, FAR d00_te {healthy:.4}, before {before:.4};{all}", kind.name());
        if [DetectorKind::Process, DetectorKind::Ensemble].contains(&kind) {
            assert!(found > 0.80 && healthy < 0.02 && before < 0.02);
        }
    }
}

/// A healthy plant with twelve columns as the detect stage computes them from windows: level, median, spreads, shapes.
/// The load jumps between regimes, which the levels and spreads follow; each column has AR(1) noise of φ = 0.7.
struct Plant {
    random: Random,
    noise: Vec<f64>,
    load: usize,
    remaining: usize,
}

impl Plant {
    const LAYOUT: Layout = Layout { sensors: 4, columns: 12, level: 0, spread: Some(3) };

    fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), noise: vec![0.0; Self::LAYOUT.width()], load: 0, remaining: 8 }
    }

    fn row(&mut self) -> Vec<f64> {
        if self.remaining == 0 {
            self.load = (self.load + 1 + self.random.below(2)) % 3;
            self.remaining = 4 + self.random.below(8);
        }
        self.remaining -= 1;
        let load = self.load as f64;
        for noise in &mut self.noise {
            *noise = 0.7 * *noise + 0.51_f64.sqrt() * self.random.normal();
        }
        let noise = &self.noise;
        (0..noise.len())
            .map(|at| {
                let (sensor, column) = (at / 12, at % 12);
                let (level, spread) = (noise[sensor * 12], noise[sensor * 12 + 3]);
                let follows = [2.0, 1.0, 0.0, -1.0][sensor] * load;
                match column {
                    0 => 50.0 + 2.0 * (follows + level),
                    1 => 50.0 + 2.0 * (follows + level) + 0.2 * noise[at],
                    3..8 => 0.3 * load + 0.2 * spread + 0.05 * noise[at],
                    _ => noise[at],
                }
            })
            .collect()
    }

    fn rows(&mut self, count: usize) -> Vec<Vec<f64>> {
        (0..count).map(|_| self.row()).collect()
    }
}

#[test]
fn healthy_rows_raise_few_alarms() {
    for kind in kinds(&[DetectorKind::Ensemble]) {
        let mut all = Vec::new();
        for fitted in [30, 60, 400] {
            let mut alarms = Vec::new();
            for seed in 200..240 {
                let mut plant = Plant::new(seed);
                let rows = plant.rows(fitted);
                let found = ratios(kind, Plant::LAYOUT, &rows, &plant.rows(20_000));
                alarms.push(found.iter().filter(|ratio| **ratio >= 1.0).count());
            }
            all.push(alarms);
        }
        let mean = |alarms: &Vec<usize>| alarms.iter().sum::<usize>() as f64 / alarms.len() as f64 / 20_000.0;
        let means: Vec<f64> = all.iter().map(mean).collect();
        let above: Vec<usize> = all.iter().map(|all| all.iter().filter(|alarms| **alarms > 40).count()).collect();
        let worst: Vec<_> = all.iter().map(|all| all.iter().max().copied().unwrap_or(0)).collect();
        println!(
            "healthy {:18} fitted on 30, 60, 400: mean FAR {means:.5?}, of 40 plants above 0.2 %: {above:?}, most of 20,000: {worst:?}",
            kind.name()
        );
        if kind == DetectorKind::Ensemble {
            assert!(means.iter().all(|mean| *mean <= 0.002), "{means:?}");
            assert!(worst.iter().all(|worst| *worst <= 200), "{worst:?}");
        }
    }
}

/// Injects faults into the same plant and counts how many of 200 rows raise an alarm.
#[test]
fn faults_are_found() {
    type Fault = (&'static str, fn(&mut Vec<f64>, f64));
    let faults: [Fault; 5] = [
        ("level +6", |row, _| (0..2).for_each(|at| row[24 + at] += 12.0)),
        ("spread x3", |row, _| (3..8).for_each(|at| row[12 + at] += 1.1)),
        ("shape", |row, _| (9..12).for_each(|at| row[36 + at] += 6.0)),
        ("ramp to +8", |row, along| (0..2).for_each(|at| row[at] += 16.0 * along)),
        ("against the load", |row, _| (0..2).for_each(|at| row[at] = 2.0 * 56.0 - row[at])),
    ];
    for kind in kinds(&[DetectorKind::Process, DetectorKind::Ensemble]) {
        for fitted in [30, 60, 400] {
            let mut line = String::new();
            let mut worst = 1.0_f64;
            for (name, fault) in faults {
                let mut plant = Plant::new(11);
                let mut detector = AnyDetector::new(kind);
                detector.fit(Plant::LAYOUT, &plant.rows(fitted)).unwrap();
                for (row, at) in plant.rows(300).iter().zip(0..) {
                    detector.score(at * SECOND, row);
                }
                let mut rows = plant.rows(200);
                rows.iter_mut().enumerate().for_each(|(at, row)| fault(row, at as f64 / 200.0));
                let found = rows.iter().zip(300..).filter(|(row, at)| detector.score(at * SECOND, row) >= 1.0).count();
                line += &format!(" {name} {:.2};", found as f64 / 200.0);
                if name.starts_with("level") || name.starts_with("spread") {
                    worst = worst.min(found as f64 / 200.0);
                }
            }
            println!("faults {:18} fitted on {fitted}:{line}", kind.name());
            if kind == DetectorKind::Ensemble && fitted >= 400 {
                assert!(worst > 0.5, "{line}");
            }
        }
    }
}

#[test]
fn cost() {
    let mut plant = Plant::new(1);
    let twice = |one: &mut Plant| {
        let (mut a, b) = (one.rows(2400), one.rows(2400));
        a.iter_mut().zip(b).for_each(|(a, b)| a.extend(b));
        a
    };
    let rows = twice(&mut plant);
    let layout = Layout { sensors: 8, ..Plant::LAYOUT };
    for kind in kinds(DetectorKind::ALL) {
        let start = Instant::now();
        let mut detector = AnyDetector::new(kind);
        detector.fit(layout, &rows[..FITTED]).unwrap();
        let fit = start.elapsed().as_secs_f64() * 1e3;
        let start = Instant::now();
        let sum: f64 = rows[FITTED..].iter().zip(0..).map(|(row, at)| detector.score(at * SECOND, row)).sum();
        let each = start.elapsed().as_secs_f64() * 1e6 / (rows.len() - FITTED) as f64;
        let size = postcard::to_stdvec(&detector).unwrap().len() / 1024;
        println!("cost {:18} {fit:8.2} ms to fit, {each:7.2} µs a row, {size:5} KiB ({sum:.0})", kind.name());
    }
}
