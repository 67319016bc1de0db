//! Recovery of arbitrary bytes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ops::Range;

use crate::support::{open, segment_file};
use proptest::prelude::*;
use wheeltapper_log::{SEGMENT_HEADER_LEN, SegmentScan, scan_segment_bytes, storage::simulated::SimulatedStorage};

/// A segment's bytes, and the offsets of its records.
fn segment_bytes(payloads: &[Vec<u8>]) -> (Vec<u8>, Vec<Range<u64>>) {
    let storage = SimulatedStorage::new(1);
    let mut partition = open(&storage, 1 << 20).unwrap();
    let mut records = Vec::new();
    for payload in payloads {
        let from = partition.written_end();
        records.push(from..partition.append(payload).unwrap());
    }
    partition.sync().unwrap();
    (storage.contents(&segment_file(0)).unwrap(), records)
}

/// Checks that records and damage cover the bytes without overlap.
fn assert_covered(scan: &SegmentScan, length: usize) {
    let SegmentScan::Segment { base, records, damaged, .. } = scan else { return };
    let mut ranges: Vec<_> = records.iter().chain(damaged).cloned().collect();
    ranges.sort_by_key(|range| range.start);
    let mut at = *base;
    for range in ranges {
        assert_eq!(range.start, at);
        assert!(range.end > at);
        at = range.end;
    }
    assert_eq!(at - base, (length - SEGMENT_HEADER_LEN) as u64);
}

proptest! {
    #[test]
    fn any_bytes_are_accepted(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        assert_covered(&scan_segment_bytes(&bytes), bytes.len());
    }

    #[test]
    fn undamaged_records_are_found_after_any_change(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..30),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..5),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (mut bytes, records) = segment_bytes(&payloads);
        let mut touched = Vec::new();
        for (at, xor) in changes {
            let at = SEGMENT_HEADER_LEN + at.index(bytes.len() - SEGMENT_HEADER_LEN);
            bytes[at] ^= xor;
            touched.push((at - SEGMENT_HEADER_LEN) as u64);
        }
        if let Some(cut) = cut {
            bytes.truncate(SEGMENT_HEADER_LEN + cut.index(bytes.len() - SEGMENT_HEADER_LEN));
        }
        let scan = scan_segment_bytes(&bytes);
        assert_covered(&scan, bytes.len());
        let SegmentScan::Segment { records: found, .. } = scan else { panic!("the header is sound") };
        let end = (bytes.len() - SEGMENT_HEADER_LEN) as u64;
        let expected: Vec<_> = records
            .into_iter()
            .filter(|record| record.end <= end)
            .filter(|record| {
                // Two changes of one byte may cancel out.
                let inside: Vec<_> = touched.iter().filter(|at| record.contains(at)).collect();
                inside.is_empty() || found.contains(record)
            })
            .collect();
        prop_assert_eq!(found, expected);
    }
}
