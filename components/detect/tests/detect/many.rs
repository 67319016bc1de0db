//! Very many assets, and very many sensors of one asset.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::push;
use wheeltapper_detect::Stage;
use wheeltapper_featurize::{FeatureRow, features::WINDOW_FEATURES};

const S: i64 = 1_000_000_000;

/// Returns one window of each of `count` sensors.
fn rows(count: u32, at: i64) -> Vec<FeatureRow> {
    let row = |sensor| FeatureRow {
        sensor,
        start: at * S,
        end: (at + 10) * S,
        count: 10,
        values: [1.0; WINDOW_FEATURES.len()],
    };
    (0..count).map(row).collect()
}

#[test]
fn a_tick_over_very_many_assets_is_split() {
    let names: Vec<String> = (0..40_000).map(|at| format!("m{at}/s")).collect();
    let table: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    for flush in [false, true] {
        let mut stage = Stage::open("").unwrap();
        push(&mut stage, &table, &WINDOW_FEATURES, &rows(40_000, 0));
        let mut part = if flush {
            stage.flush()
        } else {
            assert!(!stage.tick().has_more);
            stage.tick()
        };
        let mut parts = 1;
        while part.has_more {
            part = stage.resume();
            parts += 1;
        }
        assert_eq!(parts, 3);
        assert!(!stage.tick().has_more && !stage.flush().has_more && !stage.resume().has_more);
    }
}

#[test]
fn an_asset_is_scored_by_a_bounded_number_of_sensors() {
    let names: Vec<String> = (0..1_100).map(|at| format!("m/s{at}.")).collect();
    let table: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "m")).collect();
    let mut stage = Stage::open("").unwrap();
    for at in 0..10 {
        push(&mut stage, &table, &WINDOW_FEATURES, &rows(1_100, at * 10));
    }
    let snapshot = stage.snapshot();
    let contains = |name: &[u8]| snapshot.windows(name.len()).any(|part| part == name);
    assert!(contains(b"m/s1023.") && !contains(b"m/s1024.") && !contains(b"m/s1099."));
}
