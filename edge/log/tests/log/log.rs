//! The log's guarantees: durability, order, and removal of old records.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::mpsc,
    time::{Duration, SystemTime},
};

use crate::support::open;
use proptest::prelude::*;
use wheeltapper_log::{
    Append, Committer, LogError, LogRetention, Partition, Record, encode_frame, storage::simulated::SimulatedStorage,
};

fn read_all(partition: &Partition) -> Vec<Record> {
    let mut reader = partition.reader();
    let mut at = reader.start();
    let mut records = Vec::new();
    while at < reader.end() {
        let more = reader.read(at, u64::MAX, 100).unwrap();
        at = more.last().unwrap().next_offset;
        records.extend(more);
    }
    records
}

#[test]
fn a_record_is_visible_only_when_it_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let mut partition = Partition::open(folder.path(), 1 << 20).unwrap();
    partition.append(b"one").unwrap();
    assert!(read_all(&partition).is_empty());
    partition.sync().unwrap();
    assert_eq!(read_all(&partition)[0].payload, b"one");
}

#[test]
fn retention_removes_whole_segments_but_keeps_needed_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut partition = Partition::open(folder.path(), 100).unwrap();
    for _ in 0..50 {
        partition.append(&[7; 50]).unwrap();
    }
    partition.sync().unwrap();
    let nothing = LogRetention { max_age: Duration::MAX, max_bytes: 0 };
    let needed = partition.end() / 2;
    assert!(partition.expire(nothing, needed, SystemTime::now()).unwrap() > 0);
    let kept = read_all(&partition);
    assert!(kept[0].offset <= needed && kept[0].offset > 0);
    let reader_start = partition.reader().start();
    let error = partition.reader().read(reader_start - 1, u64::MAX, 10).unwrap_err();
    assert!(matches!(error, LogError::OutOfRange { .. }), "{error}");
}

#[test]
fn group_commit_keeps_the_order_and_acknowledges_every_append() {
    let folder = tempfile::tempdir().unwrap();
    let partition = Partition::open(folder.path(), 1 << 20).unwrap();
    let reader = partition.reader();
    let committer = Committer::start(vec![partition], 16, Duration::ZERO).unwrap();
    let (done, results) = mpsc::channel();
    for number in 0u32..500 {
        let mut framed = Vec::new();
        encode_frame(&number.to_le_bytes(), &mut framed);
        let done = done.clone();
        committer.append(Append {
            batches: vec![(0, framed)],
            on_complete: Box::new(move |result| done.send((number, result.is_ok())).unwrap()),
        });
    }
    let results: Vec<_> = results.iter().take(500).collect();
    assert_eq!(results, (0..500).map(|number| (number, true)).collect::<Vec<_>>());
    assert!(reader.wait(499 * 20, Duration::from_secs(1)));
    assert_eq!(reader.end(), 500 * 20);
}

proptest! {
    #[test]
    fn appended_records_are_read_back_after_reopening(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40),
        segment in 1u64..500,
        keep in any::<prop::sample::Index>(),
    ) {
        let storage = SimulatedStorage::new(1);
        let mut ends = vec![0];
        {
            let mut partition = open(&storage, segment).unwrap();
            for payload in &payloads {
                ends.push(partition.append(payload).unwrap());
            }
            partition.sync().unwrap();
        }
        let mut partition = open(&storage, segment).unwrap();
        let read: Vec<_> = read_all(&partition).into_iter().map(|record| record.payload).collect();
        prop_assert_eq!(&read, &payloads);
        let keep = keep.index(ends.len());
        partition.truncate(ends[keep]).unwrap();
        partition.append(b"after").unwrap();
        partition.sync().unwrap();
        let read: Vec<_> = read_all(&partition).into_iter().map(|record| record.payload).collect();
        let mut expected = payloads[..keep].to_vec();
        expected.push(b"after".to_vec());
        prop_assert_eq!(read, expected);
    }
}
