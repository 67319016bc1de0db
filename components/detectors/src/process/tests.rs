//! Tests of the detector through its public functions.

use super::{FeatureKind, ProcessDetector, ProcessSettings};
use crate::{FitError, random::Random};

struct Pcg(Random);

impl Pcg {
    /// Rows of channels with a common cause and different levels and scales.
    fn rows(&mut self, count: usize, channels: usize) -> Vec<Vec<f64>> {
        (0..count)
            .map(|_| {
                let common = self.0.normal();
                (0..channels)
                    .map(|at| 100.0 * at as f64 + (1.0 + at as f64) * (self.0.normal() + 0.5 * common))
                    .collect()
            })
            .collect()
    }
}

fn fit(rows: &[Vec<f64>]) -> ProcessDetector {
    ProcessDetector::fit(ProcessSettings::default(), rows).unwrap()
}

fn alarms(detector: &mut ProcessDetector, rows: &[Vec<f64>]) -> usize {
    rows.iter().filter(|row| detector.score(row) > 0.999).count()
}

#[test]
fn sums_match_the_prototype() {
    #[derive(serde::Deserialize)]
    struct Run {
        fit: usize,
        sum: Vec<f64>,
        first: Vec<f64>,
        last: Vec<f64>,
    }
    #[derive(serde::Deserialize)]
    struct Prototype {
        rows: Vec<Vec<f64>>,
        runs: Vec<Run>,
    }
    let prototype: Prototype = serde_json::from_str(include_str!("../../tests/data/process_prototype.json")).unwrap();
    for run in &prototype.runs {
        let (before, after) = prototype.rows.split_at(run.fit);
        let mut detector = fit(before);
        for (at, (row, expected)) in after.iter().zip(&run.sum).enumerate() {
            let score = detector.score(row);
            let sum = detector.ratio().powi(2) * 20.0;
            assert!(
                (sum - expected).abs() < 1e-6 * (1.0 + expected),
                "row {at} of {}: {sum} is not {expected}",
                run.fit
            );
            assert!((score - (1.0 - 10f64.powf(-3.0 * sum / 20.0))).abs() < 1e-12);
            let expected = match at {
                0 => &run.first,
                at if at + 1 == after.len() => &run.last,
                _ => continue,
            };
            for (feature, expected) in detector.features().iter().zip(expected) {
                assert!((feature.deviation - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{feature:?} {expected}");
            }
        }
    }
}

#[test]
fn noise_is_normal_at_any_width() {
    for (channels, fitted) in [(1, 30), (1, 400), (8, 30), (8, 100), (8, 400), (50, 400), (100, 120), (100, 400)] {
        let mut pcg = Pcg(Random::new(channels as u64 + 1));
        let mut detector = fit(&pcg.rows(fitted, channels));
        let count = alarms(&mut detector, &pcg.rows(2000, channels));
        assert!(count <= 20, "{count} of 2000 rows of {channels} channels, fitted on {fitted}");
    }
}

#[test]
fn a_shift_is_found_attributed_to_its_channel_and_over_afterwards() {
    let mut pcg = Pcg(Random::new(3));
    let mut detector = fit(&pcg.rows(400, 8));
    assert_eq!(alarms(&mut detector, &pcg.rows(200, 8)), 0);
    let mut shifted = pcg.rows(300, 8);
    for row in &mut shifted {
        row[5] += 4.0 * 6.0;
    }
    let mut late = 0;
    for row in &shifted {
        if detector.score(row) < 0.999 {
            late += 1;
            continue;
        }
        let shares = detector.contributions();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(shares[5] > 0.5, "{shares:?}");
    }
    assert!(late <= 12, "{late} rows late");
    let features = detector.features();
    let level = features.iter().find(|feature| feature.channel == 5 && feature.kind == FeatureKind::Level).unwrap();
    assert!((level.expected - 500.0).abs() < 6.0 && (level.actual - 524.0).abs() < 6.0, "{level:?}");
    let after = alarms(&mut detector, &pcg.rows(300, 8));
    assert!(after <= 30, "{after} rows after it");
}

#[test]
fn growing_scatter_is_attributed_to_the_spread() {
    let mut pcg = Pcg(Random::new(4));
    let mut detector = fit(&pcg.rows(400, 4));
    let mut scattered = pcg.rows(200, 4);
    for row in &mut scattered {
        row[2] = 200.0 + 5.0 * (row[2] - 200.0);
    }
    assert!(alarms(&mut detector, &scattered) > 150);
    let top = detector.features().into_iter().max_by(|a, b| a.share.total_cmp(&b.share)).unwrap();
    assert_eq!((top.channel, top.kind), (2, FeatureKind::Spread));
}

#[test]
fn single_outliers_are_no_anomaly() {
    let mut pcg = Pcg(Random::new(5));
    let mut detector = fit(&pcg.rows(400, 4));
    let mut rows = pcg.rows(1000, 4);
    for row in rows.iter_mut().step_by(50) {
        row[1] += 1e3;
    }
    assert_eq!(alarms(&mut detector, &rows), 0);
}

#[test]
fn slow_drift_is_followed() {
    let mut pcg = Pcg(Random::new(6));
    let mut detector = fit(&pcg.rows(400, 4));
    let mut rows = pcg.rows(5000, 4);
    for (at, row) in rows.iter_mut().enumerate() {
        row[0] += 0.004 * at as f64;
    }
    let count = alarms(&mut detector, &rows);
    assert!(count <= 100, "{count}");
}

#[test]
fn accept_moves_the_reference() {
    let mut pcg = Pcg(Random::new(11));
    let mut detector = fit(&pcg.rows(400, 3));
    let mut rows = pcg.rows(600, 3);
    rows.iter_mut().for_each(|row| row[0] += 20.0);
    let (before, after) = rows.split_at(100);
    assert!(alarms(&mut detector, before) > 80);
    detector.accept();
    assert_eq!(alarms(&mut detector, after), 0);
}

#[test]
fn missing_values_do_not_matter() {
    let mut pcg = Pcg(Random::new(7));
    let mut rows = pcg.rows(400, 5);
    for (at, row) in rows.iter_mut().enumerate() {
        row[at % 5] = if at % 3 == 0 { f64::NAN } else { row[at % 5] };
        row[4] = f64::NAN;
    }
    let mut detector = fit(&rows);
    let mut rows = pcg.rows(500, 5);
    for (at, row) in rows.iter_mut().enumerate() {
        row[at % 4] = [f64::NAN, f64::INFINITY, row[at % 4], row[at % 4]][at % 4];
        if at % 7 == 0 {
            row.truncate(2);
        }
    }
    assert_eq!(alarms(&mut detector, &rows), 0);
    assert_eq!(detector.score(&[f64::NAN; 5]), 0.0);
    assert_eq!(detector.score(&[]), 0.0);
    assert_eq!(detector.contributions(), [0.0; 5]);
    let mut shifted = pcg.rows(50, 5);
    for row in &mut shifted {
        row[1] += 20.0;
        row[0] = f64::NAN;
    }
    assert!(alarms(&mut detector, &shifted) > 30);
    assert_eq!(detector.contributions()[0], 0.0);
}

#[test]
fn a_constant_channel_that_moves_is_found() {
    let mut pcg = Pcg(Random::new(8));
    let constant = |mut rows: Vec<Vec<f64>>, value: f64| {
        rows.iter_mut().for_each(|row| row[1] = value);
        rows
    };
    let mut detector = fit(&constant(pcg.rows(400, 3), 50.0));
    assert_eq!(alarms(&mut detector, &constant(pcg.rows(300, 3), 50.0)), 0);
    assert!(alarms(&mut detector, &constant(pcg.rows(50, 3), 55.0)) > 40);
    assert!(detector.contributions()[1] > 0.5);
    let all = vec![vec![0.0, 1.0]; 100];
    assert_eq!(alarms(&mut fit(&all), &all), 0);
}

#[test]
fn invalid_rows_are_rejected() {
    let fit = |rows: &[Vec<f64>]| ProcessDetector::fit(ProcessSettings::default(), rows).err();
    assert_eq!(fit(&[]), Some(FitError::Layout { width: 0, got: 0 }));
    assert_eq!(fit(&vec![vec![]; 100]), Some(FitError::Layout { width: 0, got: 0 }));
    assert_eq!(fit(&[vec![vec![1.0]; 50], vec![vec![1.0, 2.0]]].concat()), Some(FitError::Layout { width: 1, got: 2 }));
    assert_eq!(fit(&vec![vec![1.0]; 29]), Some(FitError::TooFewRows { got: 29, min: 30 }));
    assert_eq!(fit(&vec![vec![f64::NAN]; 100]), Some(FitError::TooFewRows { got: 0, min: 30 }));
    let extreme = ProcessSettings { smoothing: f64::NAN, freeze: -1.0, limit: 0.0, ..ProcessSettings::default() };
    let mut pcg = Pcg(Random::new(9));
    let mut detector = ProcessDetector::fit(extreme, &pcg.rows(60, 2)).unwrap();
    for row in [vec![f64::MAX, f64::MIN], vec![1e300, 0.0], vec![0.0, 0.0]] {
        assert!((0.0..=1.0).contains(&detector.score(&row)));
    }
}

#[test]
fn a_restored_detector_continues_identically() {
    let mut pcg = Pcg(Random::new(10));
    let mut detector = fit(&pcg.rows(100, 3));
    alarms(&mut detector, &pcg.rows(100, 3));
    let mut other: ProcessDetector = serde_json::from_str(&serde_json::to_string(&detector).unwrap()).unwrap();
    for row in pcg.rows(100, 3) {
        assert_eq!(detector.score(&row).to_bits(), other.score(&row).to_bits());
    }
}
