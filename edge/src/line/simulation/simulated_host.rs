//! The simulated host: starts, performs actions at random, recovers, and is verified.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, atomic::Ordering},
    time::Duration,
};

use tokio::sync::broadcast;
use wheeltapper_config::Config;
use wheeltapper_log::{
    CommitterCore, Job, LogRetention, PartitionHealth, Reader, storage::simulated::SimulatedStorage,
};
use wheeltapper_store::{Store, StoreOptions, simulated::SimulatedDisk};

use super::{
    checkpoint_gate::SimulatedGate,
    expected_state::ExpectedState,
    plain_stages::{FoldState, PlainFactory, PlainScheduleFactory, StageSwitches},
    random::Random,
};
use crate::{
    host::open_log,
    line::{
        LineSignals, WorkerConfig,
        planner::{PlannerConfig, PlannerShared, PlannerTask},
        stages::StageConfigs,
        worker::{Worker, WorkerTopics},
        worker_handle::WorkerShared,
    },
    metrics::Metrics,
    registry::Registry,
    supervisor,
    topics::{PublishedPartition, PublishedTopic, Topics},
};

pub(super) const SEGMENT_SIZE: u64 = 1500;
const STORE_FILE: &str = "wheeltapper.db";
/// Rounds within which everything must be processed once the faults are cleared.
const MAX_HEALING_ROUNDS: u32 = 3_000;

/// One partition's worker, and the state that outlives it.
pub(super) struct SimulatedWorker {
    pub(super) config: Arc<WorkerConfig>,
    pub(super) shared: Arc<WorkerShared>,
    pub(super) topics: Arc<WorkerTopics>,
    pub(super) gate: Arc<SimulatedGate>,
    pub(super) reader: Reader,
    /// `None` while it is down.
    pub(super) worker: Option<Worker>,
}

/// A running host.
pub(super) struct RunningHost {
    pub(super) store: Store,
    pub(super) registry: Arc<Registry>,
    pub(super) committer: CommitterCore,
    pub(super) queue: Vec<Job>,
    pub(super) workers: Vec<SimulatedWorker>,
    pub(super) switches: Arc<StageSwitches>,
    pub(super) planner_config: PlannerConfig,
    pub(super) planner_shared: Arc<PlannerShared>,
    pub(super) planner_panics: Arc<Mutex<u32>>,
    pub(super) planner: Option<PlannerTask>,
}

pub(super) struct Simulation {
    pub(super) random: Random,
    pub(super) print: bool,
    pub(super) folder: tempfile::TempDir,
    pub(super) storage: SimulatedStorage,
    pub(super) disk: SimulatedDisk,
    pub(super) partitions: u16,
    pub(super) sensors: u64,
    pub(super) commit_pause: Duration,
    pub(super) config: String,
    pub(super) model: ExpectedState,
    pub(super) next_reading: u64,
    /// Whether a fault is active that may affect any file.
    pub(super) has_general_fault: bool,
    pub(super) running: Option<RunningHost>,
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

    pub(super) fn print_action(&self, text: impl FnOnce() -> String) {
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
        let signals = LineSignals::default();
        let mut lines = Vec::new();
        let mut findings = Vec::new();
        for (partition, reader) in (0..self.partitions).zip(opened.raw) {
            let gate = Arc::new(SimulatedGate::default());
            let config = Arc::new(WorkerConfig {
                stage_factory: Arc::new(PlainFactory { switches: Arc::clone(&switches) }),
                registry: Arc::clone(&registry),
                store: store.clone(),
                topics: topics.clone(),
                metrics: Arc::clone(&metrics),
                snapshots: PathBuf::from("/data/snapshots"),
                signals: signals.clone(),
                findings_sender: broadcast::channel(4).0,
                max_batch: 8,
                checkpoint_interval: Duration::MAX,
                min_commit_interval: self.commit_pause,
                retention: LogRetention { max_age: Duration::MAX, max_bytes: u64::MAX },
                stage_configs: [self.config.clone(), String::new(), String::new()],
                checkpoint_gate: gate.clone(),
            });
            let shared = Arc::new(WorkerShared::new(StageConfigs::from(config.stage_configs.clone()), &signals));
            let topics = Arc::new(WorkerTopics::open(&topics, partition)?);
            let worker =
                Worker::open(Arc::clone(&config), partition, reader.clone(), Arc::clone(&topics), Arc::clone(&shared))?;
            findings.push(PublishedPartition { reader: topics.findings_reader(), end: shared.findings_end.clone() });
            lines.push(SimulatedWorker { config, shared, topics, gate, reader, worker: Some(worker) });
        }
        let planner_panics = Arc::new(Mutex::new(0));
        let planner_config = PlannerConfig {
            factory: Arc::new(PlainScheduleFactory { pending_panics: Arc::clone(&planner_panics) }),
            findings: PublishedTopic::new(signals.findings, findings),
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
            97 if self.random.percent(50) => self.tick(),
            97 => self.reset_baseline(),
            98 => self.kill_host(false),
            _ => self.kill_host(true),
        }
        Ok(())
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
                && line.shared.position.get() == line.reader.end()
        });
        let ends: u64 = running.workers.iter().map(|line| line.shared.findings_end.get()).sum();
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
