//! The cost of making records durable, of reading them, and of scanning a segment after a crash.
//!
//! `cargo bench -p wheeltapper-log`. `TMPDIR` selects the disk. On `/dev/shm` the disk costs nothing, so the result is
//! the log's own work.

#![expect(clippy::unwrap_used, reason = "a bench ends by panicking")]

use divan::{Bencher, black_box, counter::BytesCount, counter::ItemsCount};
use wheeltapper_log::{FRAME_HEADER_LEN, Partition, encode_frame, scan_segment_bytes};

fn main() {
    divan::main();
}

const SEGMENT_SIZE: u64 = 64 << 20;
const RECORDS_PER_BATCH: usize = 1000;

/// The framed records of one commit.
fn batch(length: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..length).map(|byte| (byte * 31 % 251) as u8).collect();
    let mut framed = Vec::new();
    for _ in 0..RECORDS_PER_BATCH {
        encode_frame(&payload, &mut framed);
    }
    framed
}

#[divan::bench(args = [60, 1000])]
fn frame_records(bencher: Bencher<'_, '_>, length: usize) {
    bencher.counter(ItemsCount::new(RECORDS_PER_BATCH)).bench(|| batch(black_box(length)));
}

#[divan::bench(args = [60, 1000])]
fn append_and_sync(bencher: Bencher<'_, '_>, length: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut partition = Partition::open(folder.path(), SEGMENT_SIZE).unwrap();
    let mut framed = batch(length);
    bencher.counter(ItemsCount::new(RECORDS_PER_BATCH)).bench_local(|| {
        partition.append_framed(&mut framed).unwrap();
        partition.sync().unwrap();
    });
}

#[divan::bench(args = [60, 1000])]
fn append_without_sync(bencher: Bencher<'_, '_>, length: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut partition = Partition::open(folder.path(), SEGMENT_SIZE).unwrap();
    let mut framed = batch(length);
    bencher.counter(ItemsCount::new(RECORDS_PER_BATCH)).bench_local(|| {
        partition.append_framed(&mut framed).unwrap();
        if partition.written_end() > SEGMENT_SIZE / 2 {
            partition.truncate(0).unwrap();
        }
    });
}

#[divan::bench(args = [60, 1000])]
fn read(bencher: Bencher<'_, '_>, length: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut partition = Partition::open(folder.path(), SEGMENT_SIZE).unwrap();
    let mut framed = batch(length);
    partition.append_framed(&mut framed).unwrap();
    partition.sync().unwrap();
    let mut reader = partition.reader();
    bencher.counter(ItemsCount::new(RECORDS_PER_BATCH)).bench_local(|| reader.read(0, u64::MAX, usize::MAX).unwrap());
}

/// Opening after a crash reads the newest segment. In the worst case none of it is valid.
#[divan::bench(args = [true, false])]
fn scan(bencher: Bencher<'_, '_>, sound: bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut partition = Partition::open(folder.path(), SEGMENT_SIZE).unwrap();
    let mut framed = batch(1000);
    for _ in 0..16 {
        partition.append_framed(&mut framed).unwrap();
    }
    partition.sync().unwrap();
    let mut bytes = std::fs::read(folder.path().join(format!("{:020}.log", 0))).unwrap();
    if !sound {
        for at in (wheeltapper_log::SEGMENT_HEADER_LEN..bytes.len()).step_by(FRAME_HEADER_LEN) {
            bytes[at] ^= 1;
        }
    }
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| scan_segment_bytes(black_box(&bytes)));
}
