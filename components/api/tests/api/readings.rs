//! The readings of a sensor.

use proptest::prelude::*;
use serde_json::{Value, json};
use wheeltapper_api::{Table, downsample};

use crate::memory::{Memory, SECOND, T0, body, get, problem, sensor};

fn chunk(times: &[i64], vals: &[f64]) -> Value {
    json!({
        "sensor": "a/b", "start_time": times[0], "end_time": times[times.len() - 1], "count": times.len(),
        "times": times, "vals": vals,
    })
}

fn line(chunks: Vec<Value>) -> Memory {
    Memory { rows: [(Table::Readings, chunks), (Table::Sensors, vec![sensor("a/b")])].into(), ..Memory::default() }
}

#[test]
fn chunks_are_merged() {
    // Newest first, overlapping, one reading twice.
    let at = |second| T0 + second * SECOND;
    let line = line(vec![chunk(&[at(2), at(4)], &[2.0, 4.0]), chunk(&[at(0), at(2), at(3)], &[0.0, 2.0, 3.0])]);
    let response_body = body(&get(&line, "/api/v1/sensors/a/b/readings"));
    assert_eq!(
        response_body,
        json!({ "sensor": "a/b", "count": 4, "next": null, "items": [
            { "time": "2026-01-01T00:00:00Z", "value": 0.0 }, { "time": "2026-01-01T00:00:02Z", "value": 2.0 },
            { "time": "2026-01-01T00:00:03Z", "value": 3.0 }, { "time": "2026-01-01T00:00:04Z", "value": 4.0 }] })
    );
    let uri = "/api/v1/sensors/a%2Fb/readings?from=2026-01-01T00:00:02Z&to=2026-01-01T00:00:04Z";
    let cut = body(&get(&line, uri));
    assert_eq!(cut["items"], json!([response_body["items"][1], response_body["items"][2]]));
}

#[test]
fn long_series_are_downsampled_and_paged() {
    let chunks = |count: i64, length: i64| {
        let one = |index| {
            let times: Vec<i64> = (0..length).map(|reading| T0 + (index * length + reading) * SECOND).collect();
            chunk(&times, &vec![1.0; times.len()])
        };
        (0..count).rev().map(one).collect()
    };
    let response_body = body(&get(&line(chunks(600, 10)), "/api/v1/sensors/a/b/readings?points=50"));
    assert_eq!((response_body["items"].as_array().unwrap().len(), response_body["count"].as_i64()), (50, Some(6_000)));
    assert_eq!(response_body["next"], Value::Null);

    let long = line(chunks(300, 2_500));
    let mut uri = "/api/v1/sensors/a/b/readings?points=10".to_owned();
    let mut count = 0;
    loop {
        let page = body(&get(&long, &uri));
        count += page["count"].as_i64().unwrap();
        let Some(next) = page["next"].as_str() else { break };
        uri = next.to_owned();
    }
    assert!(uri.starts_with("/api/v1/sensors/a/b/readings?points=10&cursor="));
    assert_eq!(count, 300 * 2_500);
}

#[test]
fn a_sensor_without_readings_is_not_a_404() {
    let line = line(vec![]);
    assert_eq!(body(&get(&line, "/api/v1/sensors/a/b/readings"))["items"], json!([]));
    let missing = problem(&get(&line, "/api/v1/sensors/a/c/readings"), 404);
    assert_eq!(missing, "there is no sensor \"a/c\"; GET /api/v1/sensors lists the existing ones");
    for points in ["1", "10001", "x"] {
        let detail = problem(&get(&line, &format!("/api/v1/sensors/a/b/readings?points={points}")), 400);
        assert!(detail.contains("is not a whole number from 2 to 10000"), "{detail}");
    }
}

#[test]
fn a_sensor_may_be_called_readings() {
    let line = Memory::with(Table::Sensors, vec![sensor("a/readings")]);
    assert_eq!(body(&get(&line, "/api/v1/sensors/a%2Freadings"))["name"], "a/readings");
    assert_eq!(body(&get(&line, "/api/v1/sensors/a%2Freadings/readings"))["sensor"], "a/readings");
    problem(&get(&line, "/api/v1/sensors/readings"), 404);
}

/// Points whose selection can be verified by hand: the peak of each bucket of three.
#[test]
fn downsampling_preserves_peaks() {
    let values = [0.0, 0.1, 9.0, 0.0, 0.1, -7.0, 0.0, 0.0, 0.1, 5.0, 0.0];
    let readings: Vec<(i64, f64)> = (0..).zip(values).map(|(second, value)| (T0 + second * SECOND, value)).collect();
    let sampled: Vec<f64> = downsample(&readings, 5).into_iter().map(|(_, value)| value).collect();
    assert_eq!(sampled, [0.0, 9.0, -7.0, 5.0, 0.0]);
}

fn reading() -> impl Strategy<Value = (i64, f64)> {
    (any::<i64>(), prop_oneof![4 => -1e3..1e3, 1 => proptest::num::f64::NORMAL])
}

proptest! {
    /// The result is a subsequence of the readings that includes the first and the last.
    #[test]
    fn downsampling_selects_readings_in_order(mut readings in prop::collection::vec(reading(), 0..400), points in 2_usize..50) {
        readings.sort_by_key(|&(time, _)| time);
        let sampled = downsample(&readings, points);
        prop_assert_eq!(sampled.len(), readings.len().min(points));
        prop_assert_eq!(sampled.first(), readings.first());
        prop_assert_eq!(sampled.last(), readings.last());
        let mut rest = readings.iter();
        for point in &sampled {
            prop_assert!(rest.any(|reading| reading == point), "{:?} is out of order or not a reading", point);
        }
    }

    /// Each bucket contributes one point: no part of the series is left out.
    #[test]
    fn downsampling_leaves_no_gap(count in 3_usize..2_000, points in 3_usize..50, seed in any::<u32>()) {
        let readings: Vec<(i64, f64)> =
            (0..count).map(|index| (index as i64, f64::from((index as u32).wrapping_mul(seed) >> 16))).collect();
        let widest = 2 * count.div_ceil(points.min(count) - 2) as i64 + 1;
        for pair in downsample(&readings, points).windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 <= widest);
        }
    }

    /// The selection depends neither on the start time nor on the unit.
    #[test]
    fn downsampling_does_not_depend_on_unit_or_start(values in prop::collection::vec(-1e3..1e3, 3..200), points in 3_usize..20, later in 0_i64..1 << 40) {
        let at = |shift: i64, scale: f64| -> Vec<(i64, f64)> {
            (0..).zip(&values).map(|(index, value)| (index * SECOND + shift, value * scale)).collect()
        };
        let sampled: Vec<i64> = downsample(&at(0, 1.0), points).into_iter().map(|(time, _)| time).collect();
        // Scaled by a power of two, which is exact.
        let shifted: Vec<i64> = downsample(&at(later, 8.0), points).into_iter().map(|(time, _)| time - later).collect();
        prop_assert_eq!(sampled, shifted);
    }
}
