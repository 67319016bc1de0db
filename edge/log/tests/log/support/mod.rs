//! Helpers of the log's tests.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "not every test uses all; a test fails by panicking")]

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use wheeltapper_log::{
    LogError, Partition, Reader, Record,
    storage::{Storage, simulated::SimulatedStorage},
};

pub const FOLDER: &str = "/log/raw/0";

/// SplitMix64.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn chance_one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

pub fn folder() -> &'static Path {
    Path::new(FOLDER)
}

pub fn open(storage: &SimulatedStorage, segment_size: u64) -> Result<Partition, LogError> {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    Partition::open_with_storage(storage, folder(), segment_size)
}

pub fn segment_file(base: u64) -> PathBuf {
    folder().join(format!("{base:020}.log"))
}

/// The file that contains `offset`, and the position in it.
pub fn locate(storage: &SimulatedStorage, offset: u64) -> Option<(PathBuf, u64)> {
    let bases = storage.files().into_iter().filter(|path| path.parent() == Some(folder())).filter_map(|path| {
        let base: u64 = path.file_name()?.to_str()?.strip_suffix(".log")?.parse().ok()?;
        (base <= offset).then_some((base, path))
    });
    let (base, path) = bases.max()?;
    Some((path, offset - base + wheeltapper_log::SEGMENT_HEADER_LEN as u64))
}

/// The result of a reader that continues after damage.
#[derive(Debug, Default)]
pub struct ReadResult {
    pub records: Vec<Record>,
    pub damaged: Vec<Range<u64>>,
}

pub fn read_from(reader: &mut Reader, from: u64, max_bytes: usize) -> ReadResult {
    let mut result = ReadResult::default();
    let mut at = from;
    let end = reader.end();
    while at < end {
        match reader.read(at, end, max_bytes) {
            Ok(records) => {
                assert!(!records.is_empty(), "nothing at {at}, though the end is {end}");
                for record in records {
                    assert_eq!(record.offset, at, "records follow each other");
                    assert!(record.next_offset > at);
                    at = record.next_offset;
                    result.records.push(record);
                }
            }
            Err(LogError::Damaged { offset, resume, .. }) => {
                assert_eq!(offset, at);
                assert!(resume > at && resume <= end, "{at} {resume} {end}");
                match result.damaged.last_mut() {
                    Some(last) if last.end == at => last.end = resume,
                    _ => result.damaged.push(at..resume),
                }
                at = resume;
            }
            Err(error) => panic!("at {at} of {end}: {error}"),
        }
    }
    assert_eq!(at, end);
    result
}

pub fn read_all(partition: &Partition) -> ReadResult {
    let mut reader = partition.reader();
    let start = reader.start();
    read_from(&mut reader, start, 300)
}

pub fn payloads(result: &ReadResult) -> Vec<Vec<u8>> {
    result.records.iter().map(|record| record.payload.clone()).collect()
}
