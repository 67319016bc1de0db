//! The simulated host and the actions on it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::sync::broadcast;
use wheeltapper_config::Config;
use wheeltapper_log::{
    Append, CommitError, CommitterCore, Job, LogRetention, Partition, PartitionHealth, Reader,
    storage::simulated::{Fault, Operation, SimulatedStorage},
};
use wheeltapper_store::{
    ActionWrite, Store, StoreOptions,
    simulated::{Faults, SimulatedDisk},
};

use super::{
    checkpoint_gate::SimulatedGate,
    expected_state::{ExpectedState, time_of},
    plain_stages::{BAD_CONFIG, FoldState, PlainFactory, PlainScheduleFactory, StageSwitches},
    random::Random,
};
use crate::{
    components::wit::schedule::Amendment,
    host::open_log,
    line::{
        PlannerCommand, RawRecord, Topics, WorkerConfig,
        planner::{PlannerConfig, PlannerShared, PlannerTask},
        stages::StageConfigs,
        worker::{RoundOutcome, Worker, WorkerTopics},
        worker_handle::WorkerShared,
    },
    metrics::Metrics,
    registry::Registry,
    supervisor,
};

const SEGMENT_SIZE: u64 = 1500;
const STORE_FILE: &str = "wheeltapper.db";
/// Rounds within which everything must be processed once the faults are cleared.
const MAX_HEALING_ROUNDS: u32 = 3_000;

/// One partition's worker, and the state that outlives it.
struct SimulatedWorker {
    config: Arc<WorkerConfig>,
    shared: Arc<WorkerShared>,
    topics: Arc<WorkerTopics>,
    gate: Arc<SimulatedGate>,
    reader: Reader,
    /// `None` while it is down.
    worker: Option<Worker>,
}

/// A running host.
struct RunningHost {
    store: Store,
    registry: Arc<Registry>,
    committer: CommitterCore,
    queue: Vec<Job>,
    workers: Vec<SimulatedWorker>,
    switches: Arc<StageSwitches>,
    planner_config: PlannerConfig,
    planner_shared: Arc<PlannerShared>,
    planner_panics: Arc<Mutex<u32>>,
    planner: Option<PlannerTask>,
}

pub(super) struct Simulation {
    random: Random,
    print: bool,
    folder: tempfile::TempDir,
    storage: SimulatedStorage,
    disk: SimulatedDisk,
    partitions: u16,
    sensors: u64,
    commit_pause: Duration,
    config: String,
    model: ExpectedState,
    next_reading: u64,
    /// Whether a fault is active that may affect any file.
    has_general_fault: bool,
    running: Option<RunningHost>,
}

/// The file of an empty store. Copying it takes a tenth of the time of creating one.
fn empty_store() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(STORE_FILE);
        drop(Store::open(&path).unwrap());
        fs::read(path).unwrap()
    })
}

impl Simulation {
    pub(super) fn new(seed: u64, print: bool) -> Self {
        supervisor::install_panic_hook();
        let mut random = Random::new(seed);
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        fs::write(folder.path().join(STORE_FILE), empty_store()).unwrap();
        let disk = SimulatedDisk::register(&format!("line-{seed}"), seed).unwrap();
        Self {
            print,
            folder,
            storage: SimulatedStorage::new(seed),
            disk,
            partitions: 1 + u16::from(random.percent(60)),
            sensors: 2 + random.below(9),
            commit_pause: if random.percent(50) { Duration::ZERO } else { Duration::MAX },
            config: "v0".to_owned(),
            model: ExpectedState::default(),
            next_reading: 1,
            has_general_fault: false,
            running: None,
            random,
        }
    }

    pub(super) fn run(mut self) -> Result<(), String> {
        let actions = 25 + self.random.below(95);
        for _ in 0..actions {
            self.storage.advance(Duration::from_millis(700));
            if self.running.is_none() {
                self.start();
            } else {
                self.perform_action()?;
            }
        }
        self.recover()?;
        self.verify()
    }

    fn print_action(&self, text: impl FnOnce() -> String) {
        if self.print {
            println!("{}", text());
        }
    }

    fn start(&mut self) {
        match self.try_start() {
            Ok(running) => {
                self.print_action(|| "the host starts".to_owned());
                self.running = Some(running);
            }
            Err(error) => self.print_action(|| format!("the host cannot start: {error:#}")),
        }
    }

    fn try_start(&self) -> anyhow::Result<RunningHost> {
        let options = StoreOptions { chunks_per_transaction: 2, ..StoreOptions::simulation(self.disk.name()) };
        let store = Store::open_with(&self.folder.path().join(STORE_FILE), options)?;
        store.discard_all_staged()?;
        let registry = Arc::new(Registry::open(store.clone(), &Config::default(), self.partitions)?);
        let storage = Arc::new(self.storage.clone());
        let metrics = Arc::new(Metrics::default());
        let topics = Topics::new(storage.clone(), Path::new("/data/log"), self.partitions, SEGMENT_SIZE);
        let opened = open_log(&topics, &store, &metrics)?;
        let switches = Arc::new(StageSwitches::default());
        let mut lines = Vec::new();
        let mut sources = Vec::new();
        for (partition, reader) in (0..self.partitions).zip(opened.raw) {
            let gate = Arc::new(SimulatedGate::default());
            let config = Arc::new(WorkerConfig {
                stage_factory: Arc::new(PlainFactory { switches: Arc::clone(&switches) }),
                registry: Arc::clone(&registry),
                store: store.clone(),
                topics: topics.clone(),
                metrics: Arc::clone(&metrics),
                snapshots: PathBuf::from("/data/snapshots"),
                findings_sender: broadcast::channel(4).0,
                max_batch: 8,
                checkpoint_interval: Duration::MAX,
                min_commit_interval: self.commit_pause,
                retention: LogRetention { max_age: Duration::MAX, max_bytes: u64::MAX },
                stage_configs: [self.config.clone(), String::new(), String::new()],
                checkpoint_gate: gate.clone(),
            });
            let shared = Arc::new(WorkerShared::new(StageConfigs::from(config.stage_configs.clone())));
            let topics = Arc::new(WorkerTopics::open(&topics, partition)?);
            let worker =
                Worker::open(Arc::clone(&config), partition, reader.clone(), Arc::clone(&topics), Arc::clone(&shared))?;
            sources.push((topics.findings_reader(), Arc::clone(&shared.findings_end)));
            lines.push(SimulatedWorker { config, shared, topics, gate, reader, worker: Some(worker) });
        }
        let planner_panics = Arc::new(Mutex::new(0));
        let planner_config = PlannerConfig {
            factory: Arc::new(PlainScheduleFactory { pending_panics: Arc::clone(&planner_panics) }),
            sources,
            store: store.clone(),
            metrics,
            snapshots: PathBuf::from("/data/snapshots"),
            storage,
        };
        let planner_shared = Arc::new(PlannerShared::new(self.config.clone()));
        let planner = PlannerTask::open(&planner_config, Arc::clone(&planner_shared))?;
        Ok(RunningHost {
            store,
            registry,
            committer: CommitterCore::new(opened.partitions),
            queue: Vec::new(),
            workers: lines,
            switches,
            planner_config,
            planner_shared,
            planner_panics,
            planner: Some(planner),
        })
    }

    fn perform_action(&mut self) -> Result<(), String> {
        match self.random.below(100) {
            0..=24 => self.append(),
            25..=39 => self.commit_log(),
            40..=61 => self.step_worker(),
            62..=69 => self.step_checkpoint(),
            70..=74 => self.request_checkpoint(),
            75..=81 => {
                self.step_planner();
            }
            82..=84 => self.amend(),
            85..=86 => self.reconfigure(),
            87..=91 => self.inject(),
            92..=94 => self.clear_faults(),
            95 if self.random.percent(25) => self.delete_log()?,
            95 => self.flip_bit()?,
            96 => self.inject_panic(),
            97 => self.tick(),
            98 => self.kill_host(false),
            _ => self.kill_host(true),
        }
        Ok(())
    }

    /// Sends a batch of readings, split by partition.
    fn append(&mut self) {
        let Some(running) = &mut self.running else { return };
        let count = 1 + self.random.below(6);
        let mut numbers = Vec::new();
        let mut columns: Vec<(Vec<u32>, Vec<i64>, Vec<f64>)> =
            (0..self.partitions).map(|_| (Vec::new(), Vec::new(), Vec::new())).collect();
        for _ in 0..count {
            let number = self.next_reading;
            self.next_reading += 1;
            let sensor = self.random.below(self.sensors);
            let name = format!("site/m{}/s{sensor}", sensor % 3);
            let Ok(located) = running.registry.locate(std::iter::once(name.as_str()), None) else { continue };
            let Some(&Some(location)) = located.locations.first() else { continue };
            self.model.sent.insert(number, name);
            numbers.push(number);
            let (sensors, times, values) = &mut columns[usize::from(location.partition)];
            sensors.push(location.sensor);
            times.push(time_of(number));
            #[allow(clippy::cast_precision_loss, reason = "numbers of readings are small")]
            values.push(number as f64);
        }
        let mut parts = Vec::new();
        for (partition, (sensor, time, value)) in columns.into_iter().enumerate().filter(|(_, (s, ..))| !s.is_empty()) {
            let mut payload = Vec::new();
            RawRecord::Readings { arrival: 1, sensor, time, value }.encode(&mut payload);
            let mut framed = Vec::new();
            wheeltapper_log::encode_frame(&payload, &mut framed);
            parts.push((partition, framed));
        }
        if parts.is_empty() {
            return;
        }
        let touched = parts.iter().fold(0, |touched, (partition, _)| touched | 1 << partition);
        let outcomes = self.model.append_outcomes.clone();
        let switches = Arc::clone(&running.switches);
        let appended = numbers.clone();
        let done = Box::new(move |result: Result<(), CommitError>| {
            outcomes.record(&appended, result.is_ok());
            let healthy = switches.healthy_partitions.load(Ordering::Acquire) & touched == touched;
            if healthy && matches!(result, Err(CommitError::Failed(_))) {
                switches.wrong_rejections.fetch_add(1, Ordering::AcqRel);
            }
        });
        running.queue.push(Append { batches: parts, on_complete: done }.into());
        self.print_action(|| format!("append {numbers:?}"));
    }

    fn commit_log(&mut self) {
        let Some(running) = &mut self.running else { return };
        running.committer.try_heal();
        // Faults of single files are only injected into the first partition.
        let healthy = |(index, health): (usize, &PartitionHealth)| {
            if index > 0 && !self.has_general_fault && health.is_healthy() { 1 << index } else { 0 }
        };
        let healthy = running.committer.health().iter().enumerate().map(healthy).fold(0, |all, one| all | one);
        running.switches.healthy_partitions.store(healthy, Ordering::Release);
        let jobs = std::mem::take(&mut running.queue);
        let count = jobs.len();
        running.committer.commit_batch(jobs);
        self.print_action(|| format!("the committer takes {count} appends"));
    }

    fn step_worker(&mut self) {
        let partitions = u64::from(self.partitions);
        let index = usize::try_from(self.random.below(partitions)).unwrap();
        self.step_worker_of(index);
    }

    /// Runs a round of a worker, or its supervisor's attempt to reopen it; returns true when there was something to do.
    fn step_worker_of(&mut self, index: usize) -> bool {
        let print = self.print;
        let Some(running) = &mut self.running else { return true };
        let Some(line) = running.workers.get_mut(index) else { return true };
        let Some(worker) = &mut line.worker else {
            let opened = supervisor::catch_panic(|| {
                Worker::open(
                    Arc::clone(&line.config),
                    u16::try_from(index).unwrap(),
                    line.reader.clone(),
                    Arc::clone(&line.topics),
                    Arc::clone(&line.shared),
                )
            });
            match opened {
                Ok(Ok(worker)) => line.worker = Some(worker),
                Ok(Err(error)) if print => println!("worker {index} cannot be opened: {error}"),
                Ok(Err(_)) => {}
                Err(panic) => panic!("worker {index} panicked when it was opened: {}", panic.message),
            }
            return true;
        };
        let outcome = supervisor::catch_panic(|| worker.run_round());
        line.gate.wait_until_held();
        if print {
            let text = match &outcome {
                Ok(Ok(round)) => format!("{round:?}"),
                Ok(Err(error)) => format!("error: {error}"),
                Err(panic) => format!("panic: {}", panic.message),
            };
            println!("worker {index}: {text}");
        }
        match outcome {
            Ok(Ok(round)) => round == RoundOutcome::Progress,
            Ok(Err(_)) | Err(_) => {
                // Its checkpoint thread finishes its write.
                line.gate.release();
                line.worker = None;
                line.gate = Arc::new(SimulatedGate::default());
                let mut config = WorkerConfig::clone(&line.config);
                config.checkpoint_gate = line.gate.clone();
                line.config = Arc::new(config);
                true
            }
        }
    }

    fn step_checkpoint(&mut self) {
        let index = usize::try_from(self.random.below(u64::from(self.partitions))).unwrap();
        if let Some(line) = self.running.as_ref().and_then(|running| running.workers.get(index)) {
            line.gate.run_one_transaction();
            self.print_action(|| format!("checkpoint of {index} makes a step"));
        }
    }

    fn request_checkpoint(&mut self) {
        if let Some(running) = &self.running {
            for line in &running.workers {
                line.shared.checkpoint_requested.store(true, Ordering::Release);
            }
            self.print_action(|| "checkpoints are requested".to_owned());
        }
    }

    /// Runs a round of the planner, or an attempt to reopen it; returns true when there was something to do.
    fn step_planner(&mut self) -> bool {
        let print = self.print;
        let Some(running) = &mut self.running else { return true };
        let Some(planner) = &mut running.planner else {
            match PlannerTask::open(&running.planner_config, Arc::clone(&running.planner_shared)) {
                Ok(planner) => running.planner = Some(planner),
                Err(error) if print => println!("the planner cannot be opened: {error:#}"),
                Err(_) => {}
            }
            return true;
        };
        let outcome = supervisor::catch_panic(|| planner.run_round());
        if print {
            let text = match &outcome {
                Ok(Ok(worked)) => format!("worked: {worked}"),
                Ok(Err(error)) => format!("error: {error:#}"),
                Err(panic) => format!("panic: {}", panic.message),
            };
            println!("planner {text}");
        }
        match outcome {
            Ok(Ok(worked)) => worked,
            Ok(Err(_)) | Err(_) => {
                running.planner = None;
                true
            }
        }
    }

    /// A user changes an existing work order.
    fn amend(&mut self) {
        let Some(running) = &self.running else { return };
        let Ok(rows) = running.store.query_rows("SELECT id FROM work_orders ORDER BY id", Vec::new()) else { return };
        if rows.is_empty() {
            return;
        }
        let row = &rows[usize::try_from(self.random.below(rows.len() as u64)).unwrap()];
        let Some(wheeltapper_store::Cell::Text(order)) = row.first() else { return };
        let amendment =
            Amendment { order: order.clone(), scheduled: None, technician: None, pinned: None, status: None };
        let command = serde_json::to_vec(&PlannerCommand::Amend { amendment, now: 1 }).unwrap();
        let recorded =
            running.store.record_action(&ActionWrite { planner_command: Some(command), ..ActionWrite::default() });
        let (confirmed, unknown) = self.model.amendments.entry(order.clone()).or_default();
        match recorded {
            Ok(_) => *confirmed += 1,
            Err(_) => *unknown += 1,
        }
        self.print_action(|| format!("{order} is amended: {recorded:?}"));
    }

    fn reconfigure(&mut self) {
        let bad = self.random.percent(30);
        let config = if bad { BAD_CONFIG.to_owned() } else { format!("v{}", self.random.below(9)) };
        if let Some(running) = &self.running {
            for line in &running.workers {
                line.shared.set_pending_configs(StageConfigs::from([config.clone(), String::new(), String::new()]));
            }
            running.planner_shared.set_pending_config(config.clone());
            self.print_action(|| format!("the configuration changes to {config}"));
        }
        if !bad {
            self.config = config;
        }
    }

    /// Injects a fault.
    fn inject(&mut self) {
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

    fn clear_faults(&mut self) {
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
    fn flip_bit(&mut self) -> Result<(), String> {
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
    fn delete_log(&mut self) -> Result<(), String> {
        self.kill_host(false);
        self.clear_faults();
        let partition = self.random.below(u64::from(self.partitions));
        let folder = PathBuf::from(format!("/data/log/raw-sensor-data/{partition}"));
        let files: Vec<PathBuf> = self.storage.files().into_iter().filter(|path| path.starts_with(&folder)).collect();
        if files.is_empty() {
            return Ok(());
        }
        let lost = self.readable_readings(&folder)?;
        for file in self.storage.files().into_iter().filter(|path| path.starts_with(&folder)) {
            self.storage.remove_behind_log(&file);
        }
        self.print_action(|| format!("the log {} is deleted", folder.display()));
        self.model.damaged.extend(lost.into_iter().map(|(_, reading)| reading));
        Ok(())
    }

    /// Readings that can be read from a partition, each with its record's offset.
    fn readable_readings(&self, folder: &Path) -> Result<BTreeSet<(u64, u64)>, String> {
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

    fn inject_panic(&mut self) {
        let Some(running) = &self.running else { return };
        match self.random.below(3) {
            0 => running.switches.panic_next_step.store(true, Ordering::Release),
            1 => *running.planner_panics.lock().unwrap_or_else(PoisonError::into_inner) = 1,
            _ => running.store_panic(),
        }
        self.print_action(|| "a thread is about to panic".to_owned());
    }

    fn tick(&mut self) {
        if let Some(running) = &self.running {
            running.planner_shared.request_tick(i64::try_from(self.next_reading).unwrap());
        }
    }

    /// Kills the process, or cuts the power.
    fn kill_host(&mut self, power: bool) {
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

    /// Clears all faults: everything must recover and be processed without help.
    fn recover(&mut self) -> Result<(), String> {
        self.clear_faults();
        for round in 0..MAX_HEALING_ROUNDS {
            self.storage.advance(Duration::from_secs(5));
            if self.running.is_none() {
                self.start();
                continue;
            }
            if round % 16 == 0 {
                self.request_checkpoint();
            }
            self.commit_log();
            let mut busy = false;
            for index in 0..usize::from(self.partitions) {
                busy |= self.step_worker_of(index);
                if let Some(line) = self.running.as_ref().and_then(|running| running.workers.get(index)) {
                    line.gate.run_one_transaction();
                }
            }
            busy |= self.step_planner();
            if !busy && self.is_everything_processed() {
                return Ok(());
            }
        }
        Err("it did not heal".to_owned())
    }

    fn is_everything_processed(&self) -> bool {
        let Some(running) = &self.running else { return false };
        let through = running.workers.iter().all(|line| {
            line.worker.is_some()
                && line.shared.checkpointed_offset.load(Ordering::Acquire) == line.reader.end()
                && line.shared.position.load(Ordering::Acquire) == line.reader.end()
        });
        let ends: u64 = running.workers.iter().map(|line| line.shared.findings_end.load(Ordering::Acquire)).sum();
        let healthy = running.committer.health().iter().all(PartitionHealth::is_healthy);
        through && healthy && running.planner.is_some() && running.planner_shared.position() == ends
    }

    fn verify(mut self) -> Result<(), String> {
        let Some(running) = &mut self.running else { return Err("the host does not run".to_owned()) };
        let wrongly_rejected = running.switches.wrong_rejections.load(Ordering::Acquire);
        if wrongly_rejected > 0 {
            return Err(format!(
                "{wrongly_rejected} appends to a healthy partition were rejected because of another partition's fault"
            ));
        }
        let mut states: Vec<FoldState> = Vec::new();
        for line in &mut running.workers {
            let worker = line.worker.as_mut().ok_or("a worker is down")?;
            states
                .push(postcard::from_bytes(&worker.snapshot_for_test().featurize).map_err(|error| error.to_string())?);
        }
        let mut findings: Vec<Reader> = running.workers.iter().map(|line| line.topics.findings_reader()).collect();
        let verified = self.model.verify(&running.store, &running.registry, &mut findings, &states);
        // Stop the threads, so that none is left behind.
        for line in &running.workers {
            line.gate.kill();
        }
        verified
    }
}

impl RunningHost {
    /// Makes the next write to the store panic half-way, like a defect in it would.
    fn store_panic(&self) {
        let _ = supervisor::catch_panic(|| self.store.panic_while_writing());
    }
}
