//! Properties that every detector has.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use wheeltapper_detectors::{AnyDetector, Detector as _, DetectorKind, FitError, Layout, random::Random};

const STEP: i64 = 60_000_000_000;
const LAYOUT: Layout = Layout { sensors: 3, columns: 4, level: 0, spread: Some(2) };

fn rows(random: &mut Random, count: usize) -> Vec<Vec<f64>> {
    (0..count)
        .map(|_| {
            let load = random.normal();
            (0..LAYOUT.width())
                .map(
                    |at| if at % 4 == 3 { 7.0 } else { 100.0 * at as f64 + load + (1.0 + at as f64) * random.normal() },
                )
                .collect()
        })
        .collect()
}

fn fitted(kind: DetectorKind, rows: &[Vec<f64>]) -> AnyDetector {
    let mut detector = AnyDetector::new(kind);
    detector.fit(LAYOUT, rows).unwrap();
    detector
}

fn is_shares(shares: &[f64]) -> bool {
    let sum: f64 = shares.iter().sum();
    shares.len() == LAYOUT.width()
        && shares.iter().all(|share| *share >= 0.0)
        && ((sum - 1.0).abs() < 1e-9 || sum == 0.0)
}

#[test]
fn noise_is_normal_and_a_gross_fault_is_not() {
    for &kind in DetectorKind::ALL {
        for count in [40, 400] {
            let mut random = Random::new(5);
            let mut detector = fitted(kind, &rows(&mut random, count));
            let mut alarms = 0;
            for (at, row) in rows(&mut random, 2000).iter().enumerate() {
                alarms += usize::from(detector.score(at as i64 * STEP, row) >= 1.0);
                assert!(is_shares(&detector.explain()), "{kind:?}: {:?}", detector.explain());
            }
            assert!(alarms <= 10, "{kind:?} fitted on {count}: {alarms} of 2000");
            let found = rows(&mut random, 60).into_iter().enumerate().any(|(at, mut row)| {
                row[4] += if at % 2 == 0 { 3e3 } else { 2e3 };
                detector.score((2000 + at as i64) * STEP, &row) >= 1.0
            });
            // Discords are unusual shapes of any size, and noise has none. Trees hardly see one number of many.
            let weak = [DetectorKind::Discord, DetectorKind::IsolationForest, DetectorKind::Trees].contains(&kind);
            assert!(found || weak, "{kind:?} fitted on {count} is blind");
            let shares = detector.explain();
            println!("{kind:?} {count}: {alarms} alarms, share {:.2}", shares[4]);
        }
    }
}

#[test]
fn a_restored_detector_continues_identically() {
    for &kind in DetectorKind::ALL {
        let mut random = Random::new(6);
        let mut detector = fitted(kind, &rows(&mut random, 100));
        for (at, row) in rows(&mut random, 100).iter().enumerate() {
            detector.score(at as i64 * STEP, row);
        }
        let bytes = postcard::to_stdvec(&detector).unwrap();
        let mut other: AnyDetector = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(other.kind(), kind);
        let mut later = rows(&mut random, 100);
        later[50][0] = 1e4;
        for (at, row) in later.iter().enumerate() {
            let time = (100 + at as i64) * STEP;
            assert_eq!(detector.score(time, row).to_bits(), other.score(time, row).to_bits(), "{kind:?}");
            assert_eq!(detector.explain(), other.explain(), "{kind:?}");
        }
        println!("{kind:?}: {} bytes", bytes.len());
    }
}

#[test]
fn the_state_does_not_grow() {
    for &kind in DetectorKind::ALL {
        let mut random = Random::new(7);
        let mut detector = fitted(kind, &rows(&mut random, 100));
        let size = |detector: &AnyDetector| postcard::to_stdvec(detector).unwrap().len();
        let mut at = 0;
        let mut run = |detector: &mut AnyDetector, count| {
            for row in rows(&mut random, count) {
                at += STEP;
                detector.score(at, &row);
            }
        };
        run(&mut detector, 8000);
        let before = size(&detector);
        run(&mut detector, 10_000);
        assert!(size(&detector) < before + before / 10, "{kind:?}: {before} {}", size(&detector));
    }
}

#[test]
fn odd_rows_are_harmless() {
    let extreme = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 0.0, -0.0, 1.0];
    for &kind in DetectorKind::ALL {
        let mut random = Random::new(8);
        let mut learnt = rows(&mut random, 100);
        for (at, row) in learnt.iter_mut().enumerate() {
            row[at % 12] = f64::NAN;
            row[9] = f64::NAN;
        }
        let mut detector = fitted(kind, &learnt);
        for round in 0..300_usize {
            let row: Vec<f64> =
                (0..12 - round % 3).map(|at| extreme[(round * 7 + at * round) % extreme.len()]).collect();
            let ratio = detector.score([i64::MIN, 0, i64::MAX][round % 3], &row);
            assert!(ratio >= 0.0 && ratio.is_finite(), "{kind:?}: {ratio}");
            assert!(is_shares(&detector.explain()), "{kind:?}");
        }
        for row in [vec![f64::NAN; 12], Vec::new(), vec![1.0; 40]] {
            assert!(detector.score(0, &row).is_finite());
        }
        // Rows in which nothing ever changes.
        let flat = vec![vec![3.0; 12]; 60];
        let mut detector = fitted(kind, &flat);
        assert!(flat.iter().zip(0..).all(|(row, at)| detector.score(at * STEP, row) < 1.0), "{kind:?}");
    }
}

#[test]
fn invalid_rows_are_rejected_and_the_previous_fit_stays() {
    for &kind in DetectorKind::ALL {
        let mut unfitted = AnyDetector::new(kind);
        assert_eq!(unfitted.score(0, &[1.0; 12]), 0.0, "{kind:?}");
        assert!(unfitted.explain().iter().all(|share| *share == 0.0));
        let mut random = Random::new(9);
        let mut detector = fitted(kind, &rows(&mut random, 100));
        let layout_error = FitError::Layout { width: 12, got: 11 };
        assert_eq!(detector.fit(LAYOUT, &vec![vec![1.0; 11]; 100]), Err(layout_error), "{kind:?}");
        assert!(detector.fit(Layout::default(), &vec![Vec::new(); 100]).is_err(), "{kind:?}");
        assert!(detector.fit(Layout { level: 4, ..LAYOUT }, &vec![vec![1.0; 12]; 100]).is_err(), "{kind:?}");
        assert_eq!(detector.score(0, &rows(&mut random, 1)[0]).to_bits(), {
            let mut random = Random::new(9);
            let mut other = fitted(kind, &rows(&mut random, 100));
            other.score(0, &rows(&mut random, 1)[0]).to_bits()
        });
    }
}

#[test]
fn names_are_those_of_serde() {
    for kind in DetectorKind::ALL {
        assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{}\"", kind.name()));
    }
}

/// The README lists all parameters that can be set, with their defaults.
#[test]
fn the_readme_has_the_parameters() {
    let readme = include_str!("../README.md");
    let settings = serde_json::to_value(wheeltapper_detectors::process::ProcessSettings::default()).unwrap();
    let config = serde_json::to_value(wheeltapper_detectors::stream::StreamConfig::default()).unwrap();
    for (name, value) in settings.as_object().unwrap().iter().chain(config.as_object().unwrap()) {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        let numbers: Vec<String> = values.iter().map(|value| value.as_f64().unwrap().to_string()).collect();
        let text = format!("`{name}` {}", numbers.join(", "));
        assert!(readme.contains(&text), "the README lacks {text}");
    }
    for kind in DetectorKind::ALL {
        assert_eq!(readme.matches(&format!("\n| `{}` |", kind.name())).count(), 2, "{}", kind.name());
    }
}
