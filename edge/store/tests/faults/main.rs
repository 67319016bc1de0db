//! The store under faults: crashes between any two writes, a failing disk, endless reads, and damage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod checkpoints;
mod damage;
mod disk;
mod retention;
mod wal;

use wheeltapper_store::{AppliedOffset, Checkpoint, Commit, SensorReadings, Store};

const SECOND: i64 = 1_000_000_000;

/// `count` readings of each of `sensors` sensors, one per second from second `from` on.
fn columns(sensors: std::ops::Range<u32>, from: i64, count: i64) -> Vec<SensorReadings> {
    sensors
        .map(|sensor| SensorReadings {
            sensor,
            times: (from..from + count).map(|second| second * SECOND).collect(),
            values: (from..from + count).map(|second| second as f64 + f64::from(sensor)).collect(),
        })
        .collect()
}

fn checkpoint(partition: u16, readings: &[SensorReadings], offset: u64) -> Commit<'_> {
    Commit {
        partition,
        checkpoint: Some(Checkpoint { snapshot_offset: offset, snapshot: "{}".to_owned() }),
        readings,
        ..Commit::default()
    }
}

fn findings(partition: u16, offset: u64) -> Commit<'static> {
    Commit { partition, applied: Some(AppliedOffset { offset, topic_ends: "{}" }), ..Commit::default() }
}

/// Number of visible readings of all sensors.
fn visible_readings(store: &Store, sensors: std::ops::Range<u32>) -> usize {
    sensors.map(|sensor| store.readings(sensor, i64::MIN, i64::MAX).unwrap().0.len()).sum()
}
