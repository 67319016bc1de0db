//! Tests of the detector through its public functions, with the default settings.

use super::{Evidence, EvidenceDetector, StreamConfig};

const STEP: i64 = 300_000_000_000;

/// A daily wave with noise that does not repeat.
fn wave(row: i64) -> f64 {
    let day = (row % 288) as f64 / 288.0 * std::f64::consts::TAU;
    let noise = (row * 7919 % 1009) as f64 / 1009.0 - 0.5;
    50.0 + 20.0 * day.sin() + 3.0 * noise
}

fn run(detector: &mut EvidenceDetector, rows: std::ops::Range<i64>, value: impl Fn(i64) -> f64) -> Vec<f64> {
    rows.map(|row| detector.score(row * STEP, value(row))).collect()
}

#[test]
fn injected_faults_are_found_without_false_alarms_before() {
    type Fault = (&'static str, fn(i64) -> f64, &'static [Evidence]);
    let faults: [Fault; 4] = [
        ("a spike", |_| 140.0, &[Evidence::Day, Evidence::Week, Evidence::Novelty]),
        ("stuck", |_| 61.0, &[Evidence::Quiet, Evidence::Activity, Evidence::Spread, Evidence::Day, Evidence::Week]),
        ("half a day late", |row| wave(row + 144), &[Evidence::Day, Evidence::Week]),
        ("noise", |row| wave(row) + (row * 31 % 41 - 20) as f64, &[Evidence::Activity, Evidence::Day, Evidence::Week]),
    ];
    for (name, fault, expected) in faults {
        let mut detector = EvidenceDetector::new(StreamConfig::default());
        let before = run(&mut detector, 0..6000, wave);
        let alarms = before.iter().skip(2500).filter(|&&score| score >= 0.5).count();
        assert!(alarms <= 3, "{name}: {alarms} false alarms");
        let found = (6000..6200).find_map(|row| {
            let reading = detector.score_with_evidence(row * STEP, fault(row));
            (reading.score >= 0.5).then_some((row - 6000, reading.evidence))
        });
        let (_, evidence) = found.unwrap_or_else(|| panic!("{name} was not found"));
        assert!(evidence.is_some_and(|evidence| expected.contains(&evidence)), "{name}: {found:?}");
    }
}

#[test]
fn a_restored_detector_continues_identically() {
    let mut detector = EvidenceDetector::new(StreamConfig::default());
    run(&mut detector, 0..2000, wave);
    let stored = serde_json::to_string(&detector).unwrap();
    let mut restored: EvidenceDetector = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored, detector);
    let value = |row| wave(row) * if row > 2500 { 1.7 } else { 1.0 };
    assert_eq!(run(&mut restored, 2000..3000, value), run(&mut detector, 2000..3000, value));
}

#[test]
fn the_state_does_not_grow() {
    let mut detector = EvidenceDetector::new(StreamConfig::default());
    run(&mut detector, 0..10_000, wave);
    let size = serde_json::to_string(&detector).unwrap().len();
    run(&mut detector, 10_000..60_000, wave);
    let later = serde_json::to_string(&detector).unwrap().len();
    assert!(later < size + size / 20, "{size} {later}");
}

#[test]
fn scores_do_not_depend_on_later_rows() {
    let mut one = EvidenceDetector::new(StreamConfig::default());
    let mut other = EvidenceDetector::new(StreamConfig::default());
    let changed = |row| if row < 1500 { wave(row) } else { -1e6 };
    assert_eq!(run(&mut one, 0..3000, wave)[..1500], run(&mut other, 0..3000, changed)[..1500]);
}

#[test]
fn scale_and_offset_do_not_matter() {
    let mut one = EvidenceDetector::new(StreamConfig::default());
    let mut other = EvidenceDetector::new(StreamConfig::default());
    let expected = run(&mut one, 0..4000, |row| wave(row) + if row == 3900 { 60.0 } else { 0.0 });
    let scaled = run(&mut other, 0..4000, |row| 1e-7 * (wave(row) + if row == 3900 { 60.0 } else { 0.0 }) - 2e-6);
    for (row, (one, other)) in expected.iter().zip(&scaled).enumerate() {
        assert!((one - other).abs() < 1e-6, "{row}: {one} {other}");
    }
}

#[test]
fn odd_input_is_harmless() {
    let mut detector = EvidenceDetector::new(StreamConfig::default());
    let extreme = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 0.0, -0.0, 1.0];
    let mut row = 0_i64;
    for round in 0..3000 {
        // Times that jump, stand still and go back.
        row = row.wrapping_add([1, 0, -5, 1_000_000, i64::MAX / 7][round % 5]);
        let value = if round % 3 == 0 { extreme[round / 3 % extreme.len()] } else { (round % 10) as f64 };
        let reading = detector.score_with_evidence(row, value);
        assert!((0.0..=1.0).contains(&reading.score), "{round}: {reading:?}");
        assert!(!reading.ratio.is_nan());
    }
    for times in [i64::MIN, i64::MAX] {
        assert!((0.0..=1.0).contains(&detector.score(times, 1.0)));
    }
}

#[test]
fn nan_changes_nothing() {
    let mut one = EvidenceDetector::new(StreamConfig::default());
    let mut other = one.clone();
    for row in 0..3000 {
        let expected = one.score(row * STEP, wave(row));
        assert_eq!(other.score(row * STEP, f64::NAN), 0.0);
        assert_eq!(other.score(row * STEP, wave(row)), expected);
    }
}

#[test]
fn a_constant_series_is_silent_until_it_changes() {
    let mut detector = EvidenceDetector::new(StreamConfig::default());
    assert!(run(&mut detector, 0..3000, |_| 7.0).iter().all(|&score| score == 0.0));
    let after = run(&mut detector, 3000..3100, |_| 8.0);
    assert!(after.iter().any(|&score| score > 0.5));
}

#[test]
fn invalid_settings_are_harmless() {
    let config = StreamConfig {
        alarm: f64::NAN,
        weights: [f64::NAN, -1.0, f64::INFINITY, 0.0, 1.0, 1.0],
        half_lives: [0.0, -1.0, f64::NAN, 1e300, 1e-300, 1.0],
        exponent: -3.0,
        again: 0.0,
        slots: [0, 0],
        residuals: [0, 0],
        rate: 7.0,
        step: 0,
        points: 0,
        bank: 0,
        recent: [0, 0, 0],
        memory: 0.0,
        ..StreamConfig::default()
    };
    let mut detector = EvidenceDetector::new(config);
    assert!(run(&mut detector, 0..1000, wave).iter().all(|score| (0.0..=1.0).contains(score)));
    assert!(serde_json::from_str::<StreamConfig>(r#"{"alarm":2.0}"#).is_ok_and(|config| config.alarm == 2.0));
    assert!(serde_json::from_str::<StreamConfig>(r#"{"alram":2.0}"#).is_err());
}
