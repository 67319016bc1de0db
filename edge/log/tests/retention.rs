//! Removal of old segments, also when the disk or the clock fails.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use support::{open, read_all, segment};
use wheeltapper_log::{
    Partition, Retention,
    storage::{
        Storage as _,
        simulated::{Fault, Operation, SimulatedStorage},
    },
};

const DAY: Duration = Duration::from_secs(86_400);

/// Ten segments, one per hour.
fn ten_segments(storage: &SimulatedStorage) -> Partition {
    let mut partition = open(storage, 100).unwrap();
    for _ in 0..10 {
        partition.append(&[7; 200]).unwrap();
        partition.sync().unwrap();
        storage.advance(Duration::from_secs(3600));
    }
    partition
}

const BYTES: u64 = 216;

#[test]
fn by_age_and_by_size_but_never_what_is_needed() {
    let storage = SimulatedStorage::new(1);
    let mut partition = ten_segments(&storage);
    let old = Retention { age: Duration::from_secs(3 * 3600), size: u64::MAX };
    assert_eq!(partition.expire(old, 2 * BYTES, storage.now()).unwrap(), 2 * BYTES);
    assert_eq!(partition.expire(old, u64::MAX, storage.now()).unwrap(), 5 * BYTES);
    let large = Retention { age: DAY, size: BYTES };
    assert_eq!(partition.expire(large, u64::MAX, storage.now()).unwrap(), 2 * BYTES);
    assert_eq!(read_all(&partition).records.len(), 1);
}

#[test]
fn an_age_that_cannot_be_read_is_told_and_size_goes_on_to_count() {
    let storage = SimulatedStorage::new(1);
    let mut partition = ten_segments(&storage);
    storage.inject(Fault::new(Operation::Modified).times(100));
    let retention = Retention { age: Duration::ZERO, size: 4 * BYTES };
    assert!(partition.expire(retention, u64::MAX, storage.now()).is_err());
    assert_eq!(partition.reader().start(), 6 * BYTES);
}

#[test]
fn a_clock_that_was_set_back_leaves_size_to_bound_the_log() {
    let storage = SimulatedStorage::new(1);
    let mut partition = ten_segments(&storage);
    storage.set_now(storage.now() - 10 * DAY);
    let retention = Retention { age: Duration::ZERO, size: 4 * BYTES };
    assert_eq!(partition.expire(retention, u64::MAX, storage.now()).unwrap(), 6 * BYTES);
}

#[test]
fn a_segment_that_could_not_be_removed_goes_the_next_time() {
    let storage = SimulatedStorage::new(1);
    let mut partition = ten_segments(&storage);
    storage.inject(Fault::new(Operation::Remove));
    let retention = Retention { age: Duration::ZERO, size: 4 * BYTES };
    assert!(partition.expire(retention, 3 * BYTES, storage.now()).is_err());
    assert!(storage.contents(&segment(0)).is_some());
    partition.expire(retention, 3 * BYTES, storage.now()).unwrap();
    assert!(storage.contents(&segment(0)).is_none());
    assert_eq!(read_all(&partition).records.len(), 7);
}

#[test]
fn a_loss_of_power_brings_no_dropped_segment_back_and_makes_no_gap() {
    for seed in 0..200 {
        let storage = SimulatedStorage::new(seed);
        let mut partition = ten_segments(&storage);
        let retention = Retention { age: Duration::ZERO, size: 0 };
        partition.expire(retention, 6 * BYTES, storage.now()).unwrap();
        let mut random = support::Random(seed);
        storage.crash(|| random.next());
        let partition = open(&storage, 100).unwrap();
        assert!(partition.recovery().is_sound(), "seed {seed}: {:?}", partition.recovery());
        assert_eq!(partition.reader().start(), 6 * BYTES);
        assert_eq!(read_all(&partition).records.len(), 4);
        assert!(storage.contents(&segment(0)).is_none());
    }
}
