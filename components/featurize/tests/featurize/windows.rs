//! The readings that belong to each window, and when windows close.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use wheeltapper_featurize::{Batch, Featurized, Featurizer, Waveform};

const S: i64 = 1_000_000_000;
const T0: i64 = 1_700_000_000 * S;

/// Pushes readings of one sensor, given as (seconds since T0, value).
fn push(featurizer: &mut Featurizer, readings: &[(f64, f64)]) -> Featurized {
    let time: Vec<i64> = readings.iter().map(|(at, _)| T0 + (at * 1e9) as i64).collect();
    let value: Vec<f64> = readings.iter().map(|(_, value)| *value).collect();
    let sensor = vec![0; time.len()];
    featurizer
        .push(&Batch {
            sensors: &[("a/b", "a")],
            sensor: &sensor,
            time: &time,
            value: &value,
            waveforms: &[],
            arrivals: &[],
        })
        .unwrap()
}

/// Start, end (seconds since T0) and count of each window.
fn window_bounds(out: &Featurized) -> Vec<(i64, i64, u32)> {
    out.windows.iter().map(|row| ((row.start - T0) / S, (row.end - T0) / S, row.count)).collect()
}

fn every_second(from: i32, to: i32) -> Vec<(f64, f64)> {
    (from..to).map(|at| (f64::from(at), f64::from(at))).collect()
}

#[test]
fn windows_slide_and_close_at_the_watermark() {
    let mut featurizer = Featurizer::open("").unwrap();
    // T0 is a multiple of 10 s; the first windows start before it.
    assert!(push(&mut featurizer, &every_second(0, 20)).windows.is_empty());
    assert_eq!(
        window_bounds(&push(&mut featurizer, &every_second(20, 41))),
        [(-20, 10, 10), (-10, 20, 20), (0, 30, 30)]
    );
    assert_eq!(window_bounds(&push(&mut featurizer, &every_second(41, 51))), [(10, 40, 30)]);
    assert_eq!(window_bounds(&featurizer.flush()), [(20, 50, 30), (30, 60, 21), (40, 70, 11), (50, 80, 1)]);
    assert!(featurizer.flush().windows.is_empty());
}

#[test]
fn tumbling_windows_and_gaps() {
    let mut featurizer = Featurizer::open(r#"{"size_seconds":10,"slide_seconds":10,"lateness_seconds":0}"#).unwrap();
    let out = push(&mut featurizer, &[(1.0, 1.0), (1_000_001.0, 2.0), (1_000_010.0, 3.0)]);
    assert_eq!(window_bounds(&out), [(0, 10, 1), (1_000_000, 1_000_010, 1)]);
    assert!(
        Featurizer::open(r#"{"size_seconds":10,"slide_seconds":20}"#)
            .unwrap_err()
            .to_string()
            .contains("slide_seconds")
    );
}

#[test]
fn late_repeated_and_conflicting_readings_are_reported() {
    let mut featurizer = Featurizer::open("").unwrap();
    let readings =
        [(100.0, 1.0), (95.0, 1.0), (100.0, 1.0), (100.0, 2.0), (95.0, 3.0), (90.0, 1.0), (89.0, 1.0), (89.0, 1.0)];
    let out = push(&mut featurizer, &readings);
    assert_eq!((out.repeated, out.conflicts, out.late), (vec![2, 7], vec![3, 4], vec![6]));
    // The late reading is in the windows that are still open.
    let windows = featurizer.flush().windows;
    assert_eq!(windows.iter().map(|row| row.count).max(), Some(4));
}

#[test]
fn a_tick_closes_the_windows_of_silent_sensors() {
    let mut featurizer = Featurizer::open("").unwrap();
    push(&mut featurizer, &every_second(0, 5));
    assert!(featurizer.tick(T0 + 10 * S).windows.is_empty());
    assert_eq!(window_bounds(&featurizer.tick(T0 + 20 * S)), [(-20, 10, 5), (-10, 20, 5), (0, 30, 5)]);
    // It sends again within the closed windows: the reading is accepted, but no window is returned twice.
    let out = push(&mut featurizer, &[(6.0, 1.0), (40.0, 1.0)]);
    assert!(out.conflicts.is_empty() && out.repeated.is_empty() && out.late.is_empty());
    assert_eq!(window_bounds(&featurizer.flush()), [(20, 50, 1), (30, 60, 1), (40, 70, 1)]);
}

#[test]
fn waveforms_are_windows_of_their_own() {
    let mut featurizer = Featurizer::open("").unwrap();
    let samples: Vec<f32> = (0..1000).map(|at| (at as f32 * 0.1).sin()).collect();
    let waveform = Waveform { sensor: 0, start: T0, rate: 1000.0, samples: &samples };
    let batch = Batch { sensors: &[("v", "m")], waveforms: &[waveform, waveform], ..Batch::default() };
    let out = featurizer.push(&batch).unwrap();
    let row = &out.waveforms[0];
    assert_eq!((out.waveforms.len(), row.count, row.end - row.start), (1, 1000, S));
    assert!((row.values[9] - 16.0).abs() < 0.01 && (row.values[17] - 1.0).abs() < 1e-3);
    assert_eq!((out.repeated.as_slice(), out.conflicts.as_slice()), ([1].as_slice(), [].as_slice()));
    let other: Vec<f32> = samples.iter().rev().copied().collect();
    let again = [Waveform { samples: &other, ..waveform }, Waveform { rate: 999.0, ..waveform }, waveform];
    let out = featurizer.push(&Batch { sensors: &[("v", "m")], waveforms: &again, ..Batch::default() }).unwrap();
    assert_eq!((out.repeated, out.conflicts, out.waveforms.len()), (vec![2], vec![0, 1], 0));
    let invalid = Waveform { rate: 0.0, ..waveform };
    assert!(featurizer.push(&Batch { waveforms: &[invalid], ..batch }).is_err());
}

#[test]
fn invalid_batches_and_snapshots_are_rejected() {
    let mut featurizer = Featurizer::open("").unwrap();
    let unequal =
        Batch { sensors: &[("a", "a")], sensor: &[0], time: &[], value: &[1.0], waveforms: &[], arrivals: &[] };
    let unknown =
        Batch { sensors: &[("a", "a")], sensor: &[1], time: &[1], value: &[1.0], waveforms: &[], arrivals: &[] };
    assert!(featurizer.push(&unequal).unwrap_err().to_string().contains("equal lengths"));
    assert!(featurizer.push(&unknown).unwrap_err().to_string().contains("table of 1"));
    for snapshot in [b"".as_slice(), b"\x01", b"\x02\xff\xff"] {
        assert!(Featurizer::restore("", snapshot).unwrap_err().to_string().contains("snapshot of featurize"));
    }
}

proptest! {
    /// The windows depend neither on the batches nor on where the state is saved and restored.
    #[test]
    fn windows_do_not_depend_on_batches(
        readings in prop::collection::vec((0.0..200.0, -1.0..1.0), 1..150),
        cuts in prop::collection::vec(1_usize..30, 1..20),
    ) {
        let mut readings: Vec<(f64, f64)> = readings;
        // Mostly in order, as those of sensors.
        readings.sort_by(|a, b| ((a.0 / 8.0).floor()).total_cmp(&(b.0 / 8.0).floor()));
        let mut one_batch = Featurizer::open("").unwrap();
        let expected = push(&mut one_batch, &readings);
        let mut many_batches = Featurizer::open("").unwrap();
        let (mut windows, mut dropped, mut late, mut rest) = (Vec::new(), 0, 0, readings.as_slice());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (current, remaining) = rest.split_at((*cut).min(rest.len()));
            rest = remaining;
            let out = push(&mut many_batches, current);
            windows.extend(out.windows);
            dropped += out.conflicts.len() + out.repeated.len();
            late += out.late.len();
            many_batches = Featurizer::restore("", &many_batches.snapshot()).unwrap();
        }
        prop_assert_eq!(format!("{:?}", windows), format!("{:?}", expected.windows));
        prop_assert_eq!((dropped, late), (expected.conflicts.len() + expected.repeated.len(), expected.late.len()));
        prop_assert_eq!(format!("{:?}", many_batches.flush()), format!("{:?}", one_batch.flush()));
    }

    /// Each reading that is not a repeat is in three windows.
    #[test]
    fn every_reading_is_in_its_windows(readings in prop::collection::vec(0_u32..100, 1..100)) {
        let mut featurizer = Featurizer::open(r#"{"size_seconds":30,"slide_seconds":10,"lateness_seconds":1000}"#).unwrap();
        let readings: Vec<_> = readings.iter().map(|&at| (f64::from(at), 1.0)).collect();
        let out = push(&mut featurizer, &readings);
        let accepted = readings.len() - out.repeated.len();
        let counted: u32 = featurizer.flush().windows.iter().map(|row| row.count).sum();
        prop_assert_eq!(counted as usize, 3 * accepted);
    }
}
