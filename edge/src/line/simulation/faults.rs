//! Faults of the disk, the threads and the host.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use wheeltapper_log::{
    Partition,
    storage::simulated::{Fault, Operation},
};
use wheeltapper_store::simulated::Faults;

use super::{
    random::Random,
    simulated_host::{RunningHost, SEGMENT_SIZE, Simulation},
};
use crate::{supervisor, topics::RawRecord};

impl Simulation {
    /// Injects a fault.
    pub(super) fn inject(&mut self) {
        let mut description = String::new();
        let raw = Path::new("/data/log/raw-sensor-data/0");
        match self.random.below(9) {
            0 | 1 => {
                let operations = [
                    Operation::Write,
                    Operation::Sync,
                    Operation::SetLen,
                    Operation::Open,
                    Operation::SyncDir,
                    Operation::Remove,
                    Operation::List,
                ];
                let operation = operations[usize::try_from(self.random.below(7)).unwrap()];
                let short = usize::try_from(self.random.below(40)).unwrap();
                let times = 1 + self.random.below(3);
                let fault = Fault::new(operation).after(self.random.below(4)).times(times).partial_write(short);
                self.storage.inject(fault);
                self.has_general_fault = true;
                description = format!("{operation:?} fails {times} times");
            }
            2 => {
                // Only the first partition fails; the others must not be affected.
                let operation = if self.random.percent(50) { Operation::Sync } else { Operation::Write };
                self.storage.inject(Fault::new(operation).under(raw).times(1 + self.random.below(3)).partial_write(5));
                description = format!("{operation:?} of the first partition fails");
            }
            3 => {
                self.storage.set_free_bytes(Some(self.random.below(600)));
                self.disk.set_full(true);
                self.has_general_fault = true;
                description = "the disk is full".to_owned();
            }
            4 => {
                self.storage.set_read_only(true);
                self.disk.set_read_only(true);
                self.has_general_fault = true;
                description = "the disk is read-only".to_owned();
            }
            5 => {
                self.disk.set_full(true);
                self.has_general_fault = true;
                description = "the store's disk is full".to_owned();
            }
            _ => {
                let rate = |random: &mut Random| {
                    if random.percent(40) { u32::try_from(random.below(300_000)).unwrap() } else { 0 }
                };
                let faults = Faults {
                    write_full: rate(&mut self.random),
                    write_error: rate(&mut self.random),
                    sync_error: rate(&mut self.random),
                    busy: rate(&mut self.random),
                    ..Faults::default()
                };
                self.disk.set_faults(faults);
                self.has_general_fault = true;
                description.push_str("the store's files fail at random");
            }
        }
        self.print_action(|| description);
    }

    pub(super) fn clear_faults(&mut self) {
        self.storage.clear_faults();
        self.storage.set_free_bytes(None);
        self.storage.set_read_only(false);
        self.disk.set_faults(Faults::default());
        self.disk.set_full(false);
        self.disk.set_read_only(false);
        self.has_general_fault = false;
        self.print_action(|| "the faults are cleared".to_owned());
    }

    /// Flips a bit of the log of readings while the host is down.
    pub(super) fn flip_bit(&mut self) -> Result<(), String> {
        self.kill_host(false);
        self.clear_faults();
        let raw = PathBuf::from("/data/log/raw-sensor-data");
        let segments: Vec<PathBuf> = self
            .storage
            .files()
            .into_iter()
            .filter(|path| path.starts_with(&raw) && path.extension().is_some_and(|end| end == "log"))
            .collect();
        if segments.is_empty() {
            return Ok(());
        }
        let path = &segments[usize::try_from(self.random.below(segments.len() as u64)).unwrap()];
        let length = self.storage.contents(path).map_or(0, |bytes| bytes.len() as u64);
        if length <= wheeltapper_log::SEGMENT_HEADER_LEN as u64 {
            return Ok(());
        }
        let folder = path.parent().unwrap().to_owned();
        let before = self.readable_readings(&folder)?;
        // A damaged segment header costs the whole segment; the tests of the log cover that.
        let header = wheeltapper_log::SEGMENT_HEADER_LEN as u64;
        let (byte, bit) = (header + self.random.below(length - header), u8::try_from(self.random.below(8)).unwrap());
        self.storage.flip_bit(path, byte, bit);
        self.model.is_log_damaged = true;
        let after = self.readable_readings(&folder)?;
        let lost: Vec<_> = before.difference(&after).collect();
        let records: BTreeSet<u64> = lost.iter().map(|(offset, _)| *offset).collect();
        if records.len() > 1 {
            return Err(format!("one flipped bit costs the records at {records:?}"));
        }
        self.print_action(|| format!("bit {bit} of byte {byte} of {} flips: readings {lost:?}", path.display()));
        self.model.damaged.extend(lost.into_iter().map(|(_, reading)| *reading));
        Ok(())
    }

    /// Deletes the log of a partition's readings while the host is down.
    pub(super) fn delete_log(&mut self) -> Result<(), String> {
        self.kill_host(false);
        self.clear_faults();
        let partition = self.random.below(u64::from(self.partitions));
        let folder = PathBuf::from(format!("/data/log/raw-sensor-data/{partition}"));
        let files: Vec<PathBuf> = self.storage.files().into_iter().filter(|path| path.starts_with(&folder)).collect();
        if files.is_empty() {
            return Ok(());
        }
        let lost = self.readable_readings(&folder)?;
        self.model.is_log_damaged = true;
        for file in self.storage.files().into_iter().filter(|path| path.starts_with(&folder)) {
            self.storage.remove_behind_log(&file);
        }
        self.print_action(|| format!("the log {} is deleted", folder.display()));
        self.model.damaged.extend(lost.into_iter().map(|(_, reading)| reading));
        Ok(())
    }

    /// Readings that can be read from a partition, each with its record's offset.
    pub(super) fn readable_readings(&self, folder: &Path) -> Result<BTreeSet<(u64, u64)>, String> {
        let partition = Partition::open_with_storage(Arc::new(self.storage.clone()), folder, SEGMENT_SIZE);
        let partition = partition.map_err(|error| format!("opening the log: {error}"))?;
        let mut reader = partition.reader();
        let mut at = reader.start();
        let mut readings = BTreeSet::new();
        while at < reader.end() {
            match reader.read(at, u64::MAX, 1 << 20) {
                Ok(records) => {
                    for record in records {
                        if let Ok(RawRecord::Readings { value, .. }) = RawRecord::decode(&record.payload) {
                            #[allow(
                                clippy::cast_possible_truncation,
                                clippy::cast_sign_loss,
                                reason = "readings are whole numbers"
                            )]
                            readings.extend(value.iter().map(|&value| (record.offset, value as u64)));
                        }
                        at = record.next_offset;
                    }
                }
                Err(wheeltapper_log::LogError::Damaged { resume, .. }) if resume > at => at = resume,
                Err(error) => return Err(format!("reading the log: {error}")),
            }
        }
        Ok(readings)
    }

    pub(super) fn inject_panic(&mut self) {
        let Some(running) = &self.running else { return };
        match self.random.below(3) {
            0 => running.switches.panic_next_step.store(true, Ordering::Release),
            1 => *running.planner_panics.lock().unwrap_or_else(PoisonError::into_inner) = 1,
            _ => running.store_panic(),
        }
        self.print_action(|| "a thread is about to panic".to_owned());
    }

    /// Kills the process, or cuts the power.
    pub(super) fn kill_host(&mut self, power: bool) {
        let Some(running) = self.running.take() else { return };
        self.print_action(|| if power { "the power is lost" } else { "the process dies" }.to_owned());
        for line in &running.workers {
            line.gate.kill();
        }
        self.disk.kill();
        self.storage.kill_process();
        drop(running);
        if power {
            let random = &mut self.random;
            self.storage.lose_power(|| random.next());
        }
        self.disk.revive();
    }
}

impl RunningHost {
    /// Makes the next write to the store panic half-way, like a defect in it would.
    fn store_panic(&self) {
        let _ = supervisor::catch_panic(|| self.store.panic_while_writing());
    }
}
