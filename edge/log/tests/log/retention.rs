//! Removal of old segments, also when the disk or the clock fails.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use crate::support::{self, open, read_all, segment_file};
use wheeltapper_log::{
    LogRetention, Partition,
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

const SEGMENT_BYTES: u64 = 216;

#[test]
fn old_and_excess_segments_are_removed_but_needed_ones_kept() {
    let storage = SimulatedStorage::new(1);
    let mut partition = ten_segments(&storage);
    let old = LogRetention { max_age: Duration::from_secs(3 * 3600), max_bytes: u64::MAX };
    assert_eq!(partition.expire(old, 2 * SEGMENT_BYTES, storage.now()).unwrap(), 2 * SEGMENT_BYTES);
    assert_eq!(partition.expire(old, u64::MAX, storage.now()).unwrap(), 5 * SEGMENT_BYTES);
    let large = LogRetention { max_age: DAY, max_bytes: SEGMENT_BYTES };
    assert_eq!(partition.expire(large, u64::MAX, storage.now()).unwrap(), 2 * SEGMENT_BYTES);
    assert_eq!(read_all(&partition).records.len(), 1);
}

#[test]
fn an_unreadable_age_is_reported_and_the_size_limit_still_applies() {
    let storage = SimulatedStorage::new(1);
    let mut partition = ten_segments(&storage);
    storage.inject(Fault::new(Operation::Modified).times(100));
    let retention = LogRetention { max_age: Duration::ZERO, max_bytes: 4 * SEGMENT_BYTES };
    assert!(partition.expire(retention, u64::MAX, storage.now()).is_err());
    assert_eq!(partition.reader().start(), 6 * SEGMENT_BYTES);
}

#[test]
fn a_clock_that_was_set_back_leaves_size_to_bound_the_log() {
    let storage = SimulatedStorage::new(1);
    let mut partition = ten_segments(&storage);
    storage.set_now(storage.now() - 10 * DAY);
    let retention = LogRetention { max_age: Duration::ZERO, max_bytes: 4 * SEGMENT_BYTES };
    assert_eq!(partition.expire(retention, u64::MAX, storage.now()).unwrap(), 6 * SEGMENT_BYTES);
}

#[test]
fn a_segment_that_could_not_be_removed_is_removed_next_time() {
    let storage = SimulatedStorage::new(1);
    let mut partition = ten_segments(&storage);
    storage.inject(Fault::new(Operation::Remove));
    let retention = LogRetention { max_age: Duration::ZERO, max_bytes: 4 * SEGMENT_BYTES };
    assert!(partition.expire(retention, 3 * SEGMENT_BYTES, storage.now()).is_err());
    assert!(storage.contents(&segment_file(0)).is_some());
    partition.expire(retention, 3 * SEGMENT_BYTES, storage.now()).unwrap();
    assert!(storage.contents(&segment_file(0)).is_none());
    assert_eq!(read_all(&partition).records.len(), 7);
}

#[test]
fn a_power_loss_restores_no_removed_segment_and_leaves_no_gap() {
    for seed in 0..200 {
        let storage = SimulatedStorage::new(seed);
        let mut partition = ten_segments(&storage);
        let retention = LogRetention { max_age: Duration::ZERO, max_bytes: 0 };
        partition.expire(retention, 6 * SEGMENT_BYTES, storage.now()).unwrap();
        let mut random = support::Random(seed);
        storage.lose_power(|| random.next());
        let partition = open(&storage, 100).unwrap();
        assert!(partition.recovery().is_intact(), "seed {seed}: {:?}", partition.recovery());
        assert_eq!(partition.reader().start(), 6 * SEGMENT_BYTES);
        assert_eq!(read_all(&partition).records.len(), 4);
        assert!(storage.contents(&segment_file(0)).is_none());
    }
}
