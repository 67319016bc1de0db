//! Random histories of a partition under all faults, compared with a model of what was acknowledged.
//!
//! A failure prints its seed. `LOG_SEED=n` repeats it; `LOG_SEEDS=n` runs n seeds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use crate::support::{Random, folder, locate, open, read_from};
use wheeltapper_log::{
    FRAME_HEADER_LEN, LogRetention, Partition,
    storage::{
        Storage as _,
        simulated::{Fault, Operation, SimulatedStorage},
    },
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum RecordState {
    /// Written since the last sync.
    Pending,
    /// Synced.
    Durable,
    /// Pending when the process died.
    Uncertain,
}

#[derive(Clone, Debug)]
struct Appended {
    next: u64,
    payload: Vec<u8>,
    state: RecordState,
    flipped: bool,
}

struct Model {
    random: Random,
    storage: SimulatedStorage,
    partition: Partition,
    segment_size: u64,
    records: BTreeMap<u64, Appended>,
    start: u64,
    /// Upper bound of the log's start after a restart, because removing segments failed half-way.
    max_start: u64,
    /// Appends that failed since the last sync. After a power loss one of them may exist, instead of a later unsynced
    /// write at the same offset.
    attempts: Vec<(u64, Vec<u8>)>,
    /// Offsets that never contained a record: skipped by `advance_to`, or an unsynced write in which a power loss left
    /// holes.
    gaps: Vec<Range<u64>>,
    /// Offset of a consumer that continues after every crash.
    consumer: u64,
    /// Whether the partition may be in the failed state.
    failed: bool,
    written: u64,
    log: Vec<String>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let page = [16, 64, 512, 4096][usize::try_from(random.below(4)).unwrap()];
        let storage = SimulatedStorage::with_page_size(random.next(), page);
        let segment_size = 100 + random.below(2000);
        let partition = open(&storage, segment_size).unwrap();
        Self {
            random,
            storage,
            partition,
            segment_size,
            records: BTreeMap::new(),
            start: 0,
            max_start: 0,
            attempts: Vec::new(),
            gaps: Vec::new(),
            consumer: 0,
            failed: false,
            written: 0,
            log: Vec::new(),
        }
    }

    fn step(&mut self) {
        let choice = self.random.below(100);
        self.log.push(format!("{choice} written {} end {}", self.partition.written_end(), self.partition.end()));
        match choice {
            0..40 => self.append(),
            40..62 => self.sync(),
            62..67 => self.fault(),
            67..70 => self.clear_faults(),
            70..74 => self.reopen(),
            74..77 => self.truncate(),
            77..80 => self.expire(),
            80..84 => self.restart(false),
            84..89 => self.restart(true),
            89..91 => self.flip_random_bit(),
            91..92 => self.advance(),
            92..95 => self.consume(),
            _ => self.check(),
        }
    }

    fn append(&mut self) {
        let mut length = self.random.below(120);
        if self.random.chance_one_in(10) {
            length += self.random.below(1500);
        }
        let payload: Vec<u8> = if self.random.chance_one_in(6) {
            // A payload that looks like records.
            let mut framed = Vec::new();
            for _ in 0..=self.random.below(3) {
                wheeltapper_log::encode_frame(&self.random.next().to_le_bytes(), &mut framed);
            }
            framed
        } else {
            (0..length).map(|_| self.random.next() as u8).collect()
        };
        let offset = self.partition.written_end();
        match self.partition.append(&payload) {
            Ok(next) => {
                assert_eq!(next, offset + (FRAME_HEADER_LEN + payload.len()) as u64);
                let appended = Appended { next, payload, state: RecordState::Pending, flipped: false };
                assert!(self.records.range(offset..).next().is_none(), "offset {offset} was assigned twice");
                self.records.insert(offset, appended);
                self.written = next;
                // Starting a new segment has synced the records before.
                self.mark_durable(self.partition.end());
            }
            Err(_) => {
                self.failed = true;
                assert_eq!(self.partition.written_end(), offset);
                self.attempts.push((offset, payload.clone()));
                if self.partition.failure().is_some() && !self.records.contains_key(&offset) {
                    // All of it may have been written before the failure, and truncating it may have failed.
                    let next = offset + (FRAME_HEADER_LEN + payload.len()) as u64;
                    self.records
                        .insert(offset, Appended { next, payload, state: RecordState::Pending, flipped: false });
                }
                self.mark_durable(self.partition.end());
            }
        }
    }

    fn sync(&mut self) {
        match self.partition.sync() {
            Ok(()) => {
                assert_eq!(self.partition.end(), self.partition.written_end());
                self.mark_durable(self.partition.end());
            }
            Err(_) => self.failed = true,
        }
    }

    fn mark_durable(&mut self, end: u64) {
        self.attempts.retain(|(offset, _)| *offset >= end);
        for (_, record) in self.records.range_mut(..end) {
            if record.state == RecordState::Pending {
                record.state = RecordState::Durable;
            }
        }
    }

    fn fault(&mut self) {
        let operations = [
            Operation::Write,
            Operation::Sync,
            Operation::SetLen,
            Operation::Open,
            Operation::Remove,
            Operation::SyncDir,
        ];
        let operation = operations[usize::try_from(self.random.below(6)).unwrap()];
        match self.random.below(8) {
            0 => self.storage.set_free_bytes(Some(self.random.below(300))),
            1 => self.storage.set_read_only(true),
            _ => {
                self.log.push(format!("{operation:?} fails"));
                let short = usize::try_from(self.random.below(200)).unwrap();
                let fault = Fault::new(operation).after(self.random.below(3)).times(1 + self.random.below(3));
                self.storage.inject(fault.partial_write(short).error(ErrorKind::Other));
            }
        }
    }

    fn clear_faults(&mut self) {
        self.storage.clear_faults();
        self.storage.set_free_bytes(None);
        self.storage.set_read_only(false);
    }

    fn reopen(&mut self) {
        let end = self.partition.end();
        let healed = self.partition.heal();
        assert_eq!(self.partition.end(), end, "healing keeps durable records");
        if healed.is_ok() {
            self.failed = false;
            assert_eq!(self.partition.written_end(), end);
            self.records.retain(|_, record| record.state == RecordState::Durable);
        } else {
            // Appends must be rejected, and pending records must not come back.
            assert!(self.partition.append(b"no").is_err());
            self.records.retain(|_, record| record.state != RecordState::Pending || self.partition.failure().is_some());
            self.failed = true;
        }
    }

    fn truncate(&mut self) {
        self.clear_faults();
        if self.failed {
            self.reopen();
        }
        assert!(!self.failed, "{:?}", self.partition.failure());
        let offsets: Vec<u64> = self.records.range(self.start..).map(|(offset, _)| *offset).collect();
        let Some(&offset) = offsets.get(usize::try_from(self.random.below(offsets.len() as u64)).unwrap()) else {
            return;
        };
        if self.random.chance_one_in(3) {
            // An interrupted truncation; healing continues at one end or the other.
            let operation = if self.random.chance_one_in(2) { Operation::Remove } else { Operation::SetLen };
            self.storage.inject(Fault::new(operation));
        }
        if self.partition.truncate(offset).is_err() {
            self.clear_faults();
            self.partition.heal().unwrap();
        }
        self.clear_faults();
        self.log.push(format!("cut back to {offset}"));
        assert_eq!((self.partition.end(), self.partition.written_end()), (offset, offset));
        self.records.retain(|at, _| *at < offset);
        self.gaps.retain(|gap| gap.start < offset);
        self.mark_durable(offset);
        self.written = offset;
        self.consumer = self.consumer.min(offset);
    }

    fn expire(&mut self) {
        let retention =
            LogRetention { max_age: Duration::from_secs(self.random.below(100)), max_bytes: self.random.below(5000) };
        self.storage.advance(Duration::from_secs(self.random.below(60)));
        let needed = self.consumer.max(self.start);
        let now = self.storage.now();
        if self.partition.expire(retention, needed, now).is_err() {
            self.max_start = self.max_start.max(needed);
        }
        let start = self.partition.reader().start();
        assert!(start >= self.start && start <= needed);
        self.start = start;
        self.records.retain(|_, record| record.next > start);
    }

    fn restart(&mut self, power_loss: bool) {
        for record in self.records.values_mut() {
            if record.state == RecordState::Pending {
                record.state = RecordState::Uncertain;
            }
        }
        if power_loss {
            let mut random = Random(self.random.next());
            self.storage.lose_power(|| random.next());
        } else {
            self.storage.kill_process();
        }
        if self.random.chance_one_in(4) {
            // Opening fails as well, half-way.
            self.fault();
            if let Ok(partition) = open(&self.storage, self.segment_size) {
                self.partition = partition;
                return self.check_after_restart(power_loss);
            }
            if power_loss {
                let mut random = Random(self.random.next());
                self.storage.lose_power(|| random.next());
            }
        }
        self.clear_faults();
        self.partition = open(&self.storage, self.segment_size).unwrap();
        self.check_after_restart(power_loss);
    }

    fn check_after_restart(&mut self, power_loss: bool) {
        self.failed = false;
        let end = self.partition.end();
        let start = self.partition.reader().start();
        assert!(start >= self.start && start <= self.max_start.max(self.start), "{start}");
        self.start = start;
        self.records.retain(|_, record| record.next > start);
        // After a power loss the file `synced` may be older than the last sync, so a last record with a flipped bit is
        // taken for a torn write. A valid record must not be lost.
        let lost = self.records.range(end..).filter(|(_, record)| record.state == RecordState::Durable);
        for (offset, record) in lost {
            assert!(power_loss && record.flipped, "the log ends at {end}, before the record at {offset}");
        }
        self.records.retain(|offset, record| *offset < end || record.state != RecordState::Durable);
        // Uncertain records become certain: those that exist stay, the others never come back.
        let result = self.read_back();
        let unfinished =
            !self.attempts.is_empty() || self.records.values().any(|record| record.state == RecordState::Uncertain);
        for record in &result {
            let known = self.records.get(&record.offset);
            let same = known.is_some_and(|known| known.payload == record.payload);
            let replaced = known.is_none_or(|known| known.state == RecordState::Uncertain);
            let attempt = (record.offset, record.payload.clone());
            if !same && replaced && self.attempts.contains(&attempt) {
                self.records.retain(|offset, known| known.next <= record.offset || *offset >= record.next_offset);
                let (next, payload) = (record.next_offset, attempt.1);
                let appended = Appended { next, payload, state: RecordState::Uncertain, flipped: false };
                self.records.insert(record.offset, appended);
            }
        }
        self.attempts.clear();
        let stored: Vec<u64> = result.iter().map(|record| record.offset).collect();
        let before = self.records.clone();
        self.records.retain(|offset, record| record.state != RecordState::Uncertain || stored.contains(offset));
        for record in self.records.values_mut() {
            record.state = RecordState::Durable;
        }
        for (offset, record) in before {
            if record.state == RecordState::Uncertain && !stored.contains(&offset) && offset < end {
                // Torn between valid records.
                self.gaps.push(offset..record.next);
            }
        }
        self.log.push(format!("{:?}", self.partition.recovery()));
        let durable = self.records.values().map(|record| record.next).max().unwrap_or(self.start);
        if unfinished && durable < end {
            // Torn right after a flipped record: the bytes are kept together with it.
            self.gaps.push(durable..end);
        }
        for lost in self
            .partition
            .recovery()
            .damaged
            .iter()
            .map(|damage| &damage.range)
            .chain(&self.partition.recovery().missing)
        {
            assert!(self.is_expected_loss(lost), "{lost:?} is reported as lost, but nothing happened to it");
        }
        self.written = self.partition.written_end();
        if self.consumer > end {
            // As the host does when the store has a greater offset.
            self.clear_faults();
            self.partition.advance_to(self.consumer).unwrap();
            self.gaps.push(end..self.consumer);
        }
    }

    /// Returns whether each byte of a range reported as lost belongs to a flipped record or to a gap.
    fn is_expected_loss(&self, lost: &Range<u64>) -> bool {
        let mut at = lost.start;
        while at < lost.end {
            let flipped =
                self.records.range(..=at).next_back().filter(|(_, record)| record.flipped && record.next > at);
            let gap = self.gaps.iter().filter(|gap| gap.contains(&at)).map(|gap| gap.end).max();
            match flipped.map(|(_, record)| record.next).max(gap) {
                Some(next) => at = next,
                None => return false,
            }
        }
        true
    }

    fn flip_random_bit(&mut self) {
        let durable: Vec<u64> = self
            .records
            .range(self.start..)
            .filter(|(_, record)| record.state == RecordState::Durable && !record.flipped)
            .map(|(offset, _)| *offset)
            .collect();
        let Some(&offset) = durable.get(usize::try_from(self.random.below(durable.len() as u64)).unwrap()) else {
            return;
        };
        let record = self.records.get_mut(&offset).unwrap();
        let (path, at) = locate(&self.storage, offset).unwrap();
        let byte = self.random.below(record.next - offset);
        self.storage.flip_bit(&path, at + byte, self.random.next() as u8);
        record.flipped = true;
        self.log.push(format!("flipped {byte} of {offset} in {} at {at}", path.display()));
    }

    fn advance(&mut self) {
        self.sync();
        if self.failed {
            return;
        }
        let end = self.partition.end();
        let target = end + self.random.below(3) * self.random.below(500);
        if self.partition.advance_to(target).is_err() {
            self.failed = true;
        }
        if self.partition.end() == target && target > end {
            self.gaps.push(end..target);
            self.written = target;
        }
    }

    fn read_back(&mut self) -> Vec<wheeltapper_log::Record> {
        let quiet = self.storage.clone();
        quiet.clear_faults();
        quiet.set_read_only(false);
        let mut reader = self.partition.reader();
        let start = reader.start();
        let max_bytes = usize::try_from(self.random.below(700)).unwrap();
        read_from(&mut reader, start, max_bytes).records
    }

    /// Each durable record is read unless a bit of it was flipped, and nothing else is read.
    fn check(&mut self) {
        self.storage.clear_faults();
        self.storage.set_read_only(false);
        let max_bytes = usize::try_from(self.random.below(700)).unwrap();
        let mut reader = self.partition.reader();
        let result = read_from(&mut reader, self.start, max_bytes);
        let end = self.partition.end();
        let read: Vec<(u64, &[u8])> = result.records.iter().map(|record| (record.offset, &*record.payload)).collect();
        let expected: Vec<(u64, &[u8])> = self
            .records
            .range(self.start..end)
            .filter(|(_, record)| !record.flipped)
            .map(|(offset, record)| (*offset, &*record.payload))
            .collect();
        let offsets = |records: &[(u64, &[u8])]| records.iter().map(|(offset, _)| *offset).collect::<Vec<_>>();
        assert_eq!(offsets(&read), offsets(&expected));
        assert!(read == expected, "a record contains bytes that were not appended");
        assert!(self.records.range(..end).all(|(_, record)| record.state == RecordState::Durable));
        for lost in &result.damaged {
            assert!(self.is_expected_loss(lost), "{lost:?} is damaged, but nothing happened to it");
        }
    }

    /// A consumer that keeps its offset over crashes reads every durable record once.
    fn consume(&mut self) {
        self.storage.clear_faults();
        self.storage.set_read_only(false);
        let mut reader = self.partition.reader();
        let end = self.partition.end();
        assert!(self.consumer <= end, "the log ends before what was read");
        let result = read_from(&mut reader, self.consumer.max(self.start), 300);
        let read: Vec<u64> = result.records.iter().map(|record| record.offset).collect();
        let expected: Vec<u64> = self
            .records
            .range(self.consumer.max(self.start)..end)
            .filter(|(_, record)| !record.flipped)
            .map(|(offset, _)| *offset)
            .collect();
        assert_eq!(read, expected);
        self.consumer = end;
    }
}

fn run(seed: u64) {
    let mut model = Model::new(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..80 {
            model.step();
        }
        model.clear_faults();
        model.check();
        model.restart(true);
        model.check();
        model.append();
        model.sync();
        model.check();
    }));
    if let Err(panic) = outcome {
        eprintln!("seed {seed}; replay with LOG_SEED={seed}; last steps:");
        for line in model
            .log
            .iter()
            .rev()
            .take(std::env::var("LOG_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(8))
            .rev()
        {
            eprintln!("  {line}");
        }
        eprintln!("  files: {:?} in {}", model.storage.files(), folder().display());
        resume_unwind(panic);
    }
}

#[test]
fn synced_records_are_read_back_after_any_history() {
    if let Some(seed) = std::env::var("LOG_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return run(seed);
    }
    let seeds = std::env::var("LOG_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(4000);
    for seed in 0..seeds {
        run(seed);
    }
}
