//! A slow healthy change is reported as drift without many alarms; stationary noise is not drift.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{self, ENSEMBLE, Readings, detect, join, pump, push_windows, windows};
use wheeltapper_detect::{Detected, DriftKind, Stage};

/// The temperature slowly rises by a degree and a half, as in spring, and stays there.
fn season(seed: u64, seconds: i64) -> Readings {
    pump(seed, seconds, |second, index, healthy| {
        let along = ((second - 10_000) as f64 / 40_000.0).clamp(0.0, 1.0);
        Some(if index == 1 { healthy + 1.5 * along } else { healthy })
    })
}

#[test]
fn a_season_is_drift_with_few_alarms() {
    for seed in 0..4 {
        let found = detect(ENSEMBLE, &season(seed, 80_000));
        let kinds: Vec<DriftKind> = found.drifts.iter().map(|drift| drift.kind).collect();
        println!(
            "seed {seed}: {} windows, {} anomalies, {:?}",
            found.scores.len(),
            found.anomalies.len(),
            found
                .drifts
                .iter()
                .map(|drift| (drift.kind, (drift.time - common::T0) / common::S, &drift.sensors, drift.p_value))
                .collect::<Vec<_>>()
        );
        assert!(found.anomalies.len() * 200 <= found.scores.len(), "{} anomalies", found.anomalies.len());
        // The result of a shadow follows each drift.
        assert!(kinds.len() >= 2, "{kinds:?}");
        for pair in kinds.chunks(2) {
            assert_eq!(pair[0], DriftKind::Drifted, "{kinds:?}");
            assert!(pair.get(1) != Some(&DriftKind::Drifted), "{kinds:?}");
        }
        assert!(kinds.len() <= 20, "{kinds:?}");
        let first = &found.drifts[0];
        assert_eq!(first.sensors, ["p/pump/temperature"]);
        assert!(first.p_value < 0.05 && first.message.starts_with("temperature drifted"), "{}", first.message);
        assert!(found.drifts.iter().all(|drift| drift.id.len() == 32));
    }
}

#[test]
fn restarts_do_not_matter() {
    let out = windows(&season(1, 60_000));
    let mut whole = Stage::open(ENSEMBLE).unwrap();
    let all = push_windows(&mut whole, &out, 0, out.windows.len());
    assert!(all.drifts.len() >= 2);
    let (mut parts, mut got) = (Stage::open(ENSEMBLE).unwrap(), Detected::default());
    let mut from = 0;
    for cut in [97, 1, 40, 251, 13, 1000].iter().cycle() {
        let to = (from + cut).min(out.windows.len());
        join(&mut got, push_windows(&mut parts, &out, from, to));
        parts = Stage::restore(ENSEMBLE, &parts.snapshot()).unwrap();
        from = to;
        if from == out.windows.len() {
            break;
        }
    }
    assert_eq!(got, all);
    assert_eq!(parts.flush(), whole.flush());
}

#[test]
fn noise_does_not_drift() {
    for seed in 10..16 {
        let found = detect(ENSEMBLE, &pump(seed, 200_000, |_, _, healthy| Some(healthy)));
        let messages: Vec<&str> = found.drifts.iter().map(|drift| drift.message.as_str()).collect();
        println!("seed {seed}: {} windows, {} anomalies, {messages:?}", found.scores.len(), found.anomalies.len());
        assert!(found.scores.len() > 19_000);
        let drifted = found.drifts.iter().filter(|drift| drift.kind == DriftKind::Drifted).count();
        assert!(drifted <= 2, "{messages:?}");
    }
}
