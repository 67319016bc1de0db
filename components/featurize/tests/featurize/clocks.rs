//! Wrong clocks, late and repeated readings, and more windows than one call returns.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use wheeltapper_featurize::{Batch, Featurized, Featurizer};

const S: i64 = 1_000_000_000;
const T0: i64 = 1_700_000_000 * S;
const DAY: i64 = 86_400;
const TUMBLING: &str = r#"{"size_seconds":10,"slide_seconds":10,"lateness_seconds":5}"#;

/// A reading with this value gets a time half a second later, so that no other reading has the same time.
const HALF_SECOND_LATER: f64 = 9.0;

/// Pushes readings of one sensor as (time, arrival, value), in seconds since T0.
fn push(featurizer: &mut Featurizer, readings: &[(i64, i64, f64)]) -> Featurized {
    let time: Vec<i64> = readings
        .iter()
        .map(|&(at, _, value)| T0 + at * S + if value == HALF_SECOND_LATER { S / 2 } else { 0 })
        .collect();
    let value: Vec<f64> = readings.iter().map(|(.., value)| *value).collect();
    let arrivals: Vec<(u32, i64)> =
        (0..).zip(readings).map(|(index, (_, arrival, _))| (index, T0 + arrival * S)).collect();
    let sensor = vec![0; time.len()];
    let batch = Batch {
        sensors: &[("a/b", "a")],
        sensor: &sensor,
        time: &time,
        value: &value,
        waveforms: &[],
        arrivals: &arrivals,
    };
    let first = featurizer.push(&batch).unwrap();
    featurizer.complete(first)
}

/// Start, end (seconds since T0) and count of each window.
fn window_bounds(out: &Featurized) -> Vec<(i64, i64, u32)> {
    out.windows.iter().map(|row| ((row.start - T0) / S, (row.end - T0) / S, row.count)).collect()
}

/// One reading per second, each of which arrives at its time.
fn on_time(from: i64, to: i64) -> Vec<(i64, i64, f64)> {
    (from..to).map(|at| (at, at, 1.0)).collect()
}

#[test]
fn a_reading_from_the_future_does_not_make_later_readings_late() {
    for ahead in [6, 60, 300, 2 * DAY] {
        let mut featurizer = Featurizer::open(TUMBLING).unwrap();
        let mut windows = window_bounds(&push(&mut featurizer, &on_time(0, 33)));
        let mut readings = vec![(33 + ahead, 33, HALF_SECOND_LATER)];
        readings.extend(on_time(33, 400));
        let out = push(&mut featurizer, &readings);
        assert!(out.late.is_empty() && out.conflicts.is_empty() && out.repeated.is_empty(), "{ahead}: {:?}", out.late);
        windows.extend(window_bounds(&out));
        // Each window has its readings; the reading from the future is one more in its window.
        let expected: Vec<_> = (0..39).map(|at| (at * 10, at * 10 + 10, 10)).collect();
        let counts: Vec<_> = windows.iter().map(|&(start, end, count)| (start, end, count.min(10))).collect();
        assert_eq!(counts, expected, "{ahead}");
    }
}

#[test]
fn a_tick_does_not_close_windows_in_the_future() {
    let mut featurizer = Featurizer::open(TUMBLING).unwrap();
    push(&mut featurizer, &on_time(0, 20));
    push(&mut featurizer, &[(DAY, 20, HALF_SECOND_LATER), (27, 20, HALF_SECOND_LATER)]);
    featurizer.tick(T0 + 21 * S);
    // The sensor is silent: its windows close, except those with readings from the future.
    assert_eq!(window_bounds(&featurizer.tick(T0 + 25 * S)), [(10, 20, 10)]);
    assert_eq!(window_bounds(&featurizer.tick(T0 + 26 * S)), []);
    // It sends again; each of its readings is in a window.
    let out = push(&mut featurizer, &on_time(20, 60));
    assert!(out.late.is_empty());
    assert_eq!(window_bounds(&out), [(20, 30, 11), (30, 40, 10), (40, 50, 10)]);
}

#[test]
fn windows_close_for_a_clock_that_is_always_ahead() {
    let mut featurizer = Featurizer::open(TUMBLING).unwrap();
    let readings: Vec<_> = (0..200).map(|at| (at + 60, at, 1.0)).collect();
    let out = push(&mut featurizer, &readings);
    assert!(out.late.is_empty());
    assert_eq!(window_bounds(&out), (6..19).map(|at| (at * 10, at * 10 + 10, 10)).collect::<Vec<_>>());
}

#[test]
fn windows_of_a_recording_close_long_before_its_arrival() {
    let mut featurizer = Featurizer::open(TUMBLING).unwrap();
    let readings: Vec<_> = (0..100).map(|at| (at, DAY, 1.0)).collect();
    assert_eq!(window_bounds(&push(&mut featurizer, &readings)).len(), 9);
}

#[test]
fn readings_buffered_while_offline_are_late_and_their_repeats_are_recognised() {
    let mut featurizer = Featurizer::open(TUMBLING).unwrap();
    push(&mut featurizer, &on_time(0, 100));
    push(&mut featurizer, &on_time(1000, 1020));
    let buffered: Vec<_> = (900..1000).map(|at| (at, 1020, 2.0)).collect();
    let out = push(&mut featurizer, &buffered);
    assert_eq!((out.late.len(), out.repeated.len(), out.conflicts.len()), (100, 0, 0));
    assert!(out.windows.is_empty(), "a window behind the watermark is opened: {:?}", window_bounds(&out));
    // Sent again, and then with other values.
    let out = push(&mut featurizer, &buffered);
    assert_eq!((out.late.len(), out.repeated.len(), out.conflicts.len()), (0, 100, 0));
    let other: Vec<_> = buffered.iter().map(|&(at, arrival, value)| (at, arrival, value + 1.0)).collect();
    assert_eq!(push(&mut featurizer, &other).conflicts.len(), 100);
}

#[test]
fn a_late_reading_does_not_reopen_a_window() {
    let mut featurizer = Featurizer::open(TUMBLING).unwrap();
    let out = push(&mut featurizer, &[(100, 100, 1.0), (3, 100, 1.0), (50, 100, 1.0), (89, 100, 1.0), (93, 100, 1.0)]);
    assert_eq!((out.late.as_slice(), window_bounds(&out)), ([1, 2, 3, 4].as_slice(), vec![]));
    // 93 is late, but its window is open.
    assert_eq!(window_bounds(&featurizer.flush()), [(90, 100, 1), (100, 110, 1)]);
}

#[test]
fn the_number_of_readings_per_sensor_is_bounded() {
    let mut featurizer = Featurizer::open(TUMBLING).unwrap();
    push(&mut featurizer, &on_time(0, 100));
    // A clock that is days ahead, with very many readings.
    let ahead: Vec<_> = (0..400_000).map(|at| (2 * DAY + at, 100, 1.0)).collect();
    let out = push(&mut featurizer, &ahead);
    assert!(out.late.len() > 100_000, "{}", out.late.len());
    assert!(featurizer.snapshot().len() < 8 << 20);
    // Readings that are on time replace those that are furthest ahead.
    let out = push(&mut featurizer, &on_time(100, 400));
    assert!(out.late.is_empty(), "{:?}", out.late);
    assert_eq!(window_bounds(&out), (9..39).map(|at| (at * 10, at * 10 + 10, 10)).collect::<Vec<_>>());
}

#[test]
fn a_tick_of_very_many_sensors_is_split_over_calls() {
    let names: Vec<String> = (0..50_000).map(|index| format!("m{index}/s")).collect();
    let table: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    let sensor: Vec<u32> = (0..50_000).collect();
    let (time, value) = (vec![T0; names.len()], vec![1.0; names.len()]);
    let batch = |time| Batch { sensors: &table, sensor: &sensor, time, value: &value, waveforms: &[], arrivals: &[] };
    let mut featurizer = Featurizer::open("").unwrap();
    assert!(!featurizer.push(&batch(&time)).unwrap().has_more);
    featurizer.tick(T0 + S);
    let mut out = featurizer.tick(T0 + 60 * S);
    let (mut calls, mut rows) = (1, out.windows.len());
    let mut order: Vec<Box<str>> = out.sensors.into_iter().map(|(name, _)| name).collect();
    while out.has_more {
        assert!((1..=16_384).contains(&out.windows.len()));
        out = featurizer.resume();
        order.extend(out.sensors.into_iter().map(|(name, _)| name));
        rows += out.windows.len();
        calls += 1;
    }
    assert_eq!((rows, calls), (150_000, 10));
    order.dedup();
    assert!(order.is_sorted() && order.len() == 50_000);
    assert!(featurizer.tick(T0 + 61 * S).windows.is_empty() && featurizer.resume() == Featurized::default());

    // A push that closes as many windows.
    let mut featurizer = Featurizer::open(r#"{"follow_rate":false}"#).unwrap();
    featurizer.push(&batch(&time)).unwrap();
    let later = vec![T0 + 1000 * S; names.len()];
    let first = featurizer.push(&batch(&later)).unwrap();
    assert!(first.has_more && first.windows.len() <= 16_384);
    assert_eq!(featurizer.complete(first).windows.len(), 150_000);
    assert_eq!(featurizer.push(&batch(&later)).unwrap().repeated.len(), 50_000);
}

#[test]
fn too_many_overlapping_windows_are_rejected() {
    let error = Featurizer::open(r#"{"size_seconds":31536000,"slide_seconds":0.000001}"#).unwrap_err().to_string();
    assert!(error.contains("slide_seconds") && error.contains("3600"), "{error}");
}

/// A snapshot of version 2, which has no arrivals: sensor a/b of asset a, readings at T0 + 0 s ... 11 s.
#[test]
fn snapshots_of_the_previous_version_are_read() {
    let bytes = hex(
        "020103612f6201610c8080d0e2c6bfce972f80a8a69ccebfce972f80d0fcd5d5bfce972f80f8d28fddbfce972f80a0a9c9e4bfce972f80c8ff82ecbfce972f80f0d5bcf3bfce972f8098acf6fabfce972f80c082b082c0ce972f80e8d8e989c0ce972f8090afa391c0ce972f80b885dd98c0ce972f0c0000000000000000000000000000f03f000000000000004000000000000008400000000000001040000000000000144000000000000018400000000000001c40000000000000204000000000000022400000000000002440000000000000264080b885dd98c0ce972fffffffffffffffffff01fcf98fa20100008080d0e2c6bfce972f000000000000f87f00",
    );
    let mut featurizer = Featurizer::restore("", &bytes).unwrap();
    let readings: Vec<_> = (11..41).map(|at| (at, at, f64::from(i32::try_from(at).unwrap()))).collect();
    let out = push(&mut featurizer, &readings);
    assert_eq!(out.repeated, [0]);
    assert_eq!(window_bounds(&out), [(-20, 10, 10), (-10, 20, 20), (0, 30, 30)]);
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

proptest! {
    /// With extreme times, values and arrivals nothing panics, and the results do not depend on the batches.
    #[test]
    fn extreme_readings_are_handled(
        readings in prop::collection::vec(
            (
                prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), any::<i64>(), T0..T0 + 100 * S],
                prop_oneof![Just(f64::MAX), Just(f64::MIN), Just(5e-324), Just(-0.0), -1e308..1e308],
                prop_oneof![Just(i64::MIN), Just(i64::MAX), T0..T0 + 100 * S],
            ),
            1..60,
        ),
        cut in 0_usize..60,
    ) {
        let mut results = Vec::new();
        for cut in [0, cut.min(readings.len())] {
            let mut featurizer = Featurizer::open("").unwrap();
            let mut rows = String::new();
            let mut counts = 0;
            for (from, to) in [(0, cut), (cut, readings.len())] {
                let slice = &readings[from..to];
                let time: Vec<i64> = slice.iter().map(|(time, ..)| *time).collect();
                let value: Vec<f64> = slice.iter().map(|(_, value, _)| *value).collect();
                let arrivals: Vec<(u32, i64)> = (0..).zip(slice).map(|(index, (.., arrival))| (index, *arrival)).collect();
                let sensor = vec![0; slice.len()];
                let batch = Batch { sensors: &[("a", "a")], sensor: &sensor, time: &time, value: &value, waveforms: &[], arrivals: &arrivals };
                let first = featurizer.push(&batch).unwrap();
                let out = featurizer.complete(first);
                counts += out.late.len() * 1_000_000 + out.repeated.len() * 1000 + out.conflicts.len();
                rows += &format!("{:?}", out.windows);
                featurizer = Featurizer::restore("", &featurizer.snapshot()).unwrap();
            }
            let ticked = featurizer.tick(T0);
            let flushed = featurizer.flush();
            results.push((rows.replace("][", "").replace("[]", ""), counts, format!("{ticked:?}{flushed:?}").len()));
        }
        prop_assert_eq!(results[0].1, results[1].1);
        prop_assert_eq!(results[0].2, results[1].2);
    }
}
