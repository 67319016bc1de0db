//! Starts the host.

use std::{
    sync::{Arc, Mutex, RwLock, atomic::AtomicU64},
    thread,
    time::Instant,
};

use anyhow::Context as _;
use tokio::sync::broadcast;
use wheeltapper_config::Config;
use wheeltapper_log::{
    Committer, LogRetention,
    storage::{DiskStorage, Storage},
};
use wheeltapper_store::Store;

use super::{
    Host,
    housekeeping::start_store_check,
    open_log::{OpenedLog, open_log, report_lost_log},
    stage_configs,
};
use crate::{
    components::{InstanceLimits, Sandbox},
    connections::Connections,
    data_folder::DataFolder,
    intake::{Intake, IntakeContext, exchanges::Exchanges},
    line::{
        DeadLetterWriter, LineSignals, MIN_COMMIT_INTERVAL, OpenGate, Planner, PlannerConfig, RestoredAlerts,
        WorkerConfig, WorkerHandle, start_worker,
    },
    metrics::Metrics,
    notifier::Notifier,
    registry::Registry,
    supervisor::Supervisor,
    topics::{PublishedTopic, Topics},
};

/// How many findings a slow listener may lag behind before it misses some.
const FINDINGS_CAPACITY: usize = 4096;
/// Store key of the number of partitions.
pub(crate) const PARTITIONS_KEY: &str = "partitions";

impl Host {
    /// Opens the data folder and starts everything but the triggers.
    ///
    /// # Errors
    /// When the folder is in use or not writable, its partition count differs, or a component cannot be loaded. Each
    /// message says what to do.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        let started = Instant::now();
        let folder = DataFolder::open(&config.data)?;
        let metrics = Arc::new(Metrics::default());
        let supervisor = Supervisor::new(Arc::clone(&metrics));
        let store = Store::open(&folder.store_path()).context("opening the store")?;
        store.check_integrity(true).with_context(|| {
            format!("checking the store {}; restore it from a backup", folder.store_path().display())
        })?;
        store.discard_all_staged().context("opening the store")?;
        report_lost_log(&store, folder.check_log_identity(store.identity())?)?;
        let recorded =
            store.state_get(PARTITIONS_KEY)?.and_then(|bytes| Some(u16::from_le_bytes(bytes.try_into().ok()?)));
        let partitions = folder.resolve_partitions(config.partitions, recorded)?;
        if recorded.is_none() {
            store.state_put(PARTITIONS_KEY, &partitions.to_le_bytes())?;
        }
        let limits = InstanceLimits {
            memory: usize::try_from(config.line.memory.bytes()).unwrap_or(usize::MAX),
            max_cpu_time: config.line.deadline.to_std(),
        };
        let sandbox = Sandbox::load(&folder.cache_path(), &config.line.components, limits)?;
        let registry = Arc::new(Registry::open(store.clone(), &config, partitions)?);
        let storage: Arc<dyn Storage> = Arc::new(DiskStorage);
        let topics = Topics::new(Arc::clone(&storage), &folder.log_path(), partitions, config.log.segment.bytes());

        let OpenedLog { raw, dead_letters, partitions: owned } = open_log(&topics, &store, &metrics)?;
        let exchanges = Arc::new(Exchanges::open(topics.open_exchanges()?, raw.clone())?);
        let committer = Arc::new(Committer::start(owned, 1024, config.log.group_commit.to_std())?);

        let retention =
            LogRetention { max_age: config.log.retention_age.to_std(), max_bytes: config.log.retention_size.bytes() };
        let (findings, _) = broadcast::channel(FINDINGS_CAPACITY);
        let [featurize, detect, alert] = stage_configs(&config)?;
        let restored_alerts = RestoredAlerts::load(&store).context("reading the store")?;
        let signals = LineSignals::default();
        let mut workers: Vec<WorkerHandle> = Vec::new();
        for (partition, reader) in (0..partitions).zip(&raw) {
            let worker = start_worker(
                &supervisor,
                WorkerConfig {
                    stage_factory: Arc::new(sandbox.clone()),
                    registry: Arc::clone(&registry),
                    store: store.clone(),
                    topics: topics.clone(),
                    metrics: Arc::clone(&metrics),
                    snapshots: folder.snapshots_path(),
                    signals: signals.clone(),
                    findings_sender: findings.clone(),
                    max_batch: config.line.max_batch,
                    checkpoint_interval: config.line.checkpoint.to_std(),
                    min_commit_interval: MIN_COMMIT_INTERVAL,
                    retention,
                    stage_configs: [
                        featurize.clone(),
                        detect.clone(),
                        restored_alerts.add_to_config(&alert, partition, partitions)?,
                    ],
                    checkpoint_gate: Arc::new(OpenGate),
                },
                partition,
                reader.clone(),
            )
            .with_context(|| format!("starting the line of partition {partition}"))?;
            workers.push(worker);
        }
        let topic = PublishedTopic::new(signals.findings, workers.iter().map(WorkerHandle::findings).collect());
        let planner = PlannerConfig {
            factory: Arc::new(sandbox.clone()),
            findings: topic.clone(),
            store: store.clone(),
            metrics: Arc::clone(&metrics),
            snapshots: folder.snapshots_path(),
            storage,
        };
        let planner = Planner::start(&supervisor, planner, config.schedule_json()).context("starting the planner")?;
        let notifier = Notifier::start(&config.alerts, &topic, &store, &metrics, &supervisor)?;
        let dead_letter_writer = DeadLetterWriter::start(&supervisor, dead_letters.clone(), store.clone())?;

        let context = IntakeContext {
            sandbox: sandbox.clone(),
            registry: Arc::clone(&registry),
            store: store.clone(),
            committer: Arc::clone(&committer),
            exchanges: Arc::clone(&exchanges),
            partitions,
            metrics: Arc::clone(&metrics),
        };
        let decoders = thread::available_parallelism().map_or(1, usize::from);
        let queue = usize::try_from(config.line.queue.bytes()).unwrap_or(usize::MAX);
        let behind = usize::try_from(config.log.retention_size.bytes()).unwrap_or(usize::MAX);
        let intake = Intake::start(&supervisor, &context, &config.ingest_json(), decoders, queue, behind)
            .context("starting ingest")?;
        let store_check = start_store_check(&supervisor, &store)?;
        tracing::info!(partitions, sensors = registry.len(), took = ?started.elapsed(), "the line has started");
        Ok(Self {
            intake,
            registry,
            store,
            connections: Connections::new(Arc::clone(&metrics)),
            metrics,
            store_check,
            supervisor,
            findings,
            findings_topic: topic,
            progress: signals.progress,
            committer,
            exchanges,
            workers,
            raw_readers: raw,
            dead_letters,
            dead_letter_writer,
            planner,
            notifier,
            retention,
            config: RwLock::new(Arc::new(config)),
            started_at: started,
            rate_sample: Mutex::new((Instant::now(), 0)),
            last_tick: AtomicU64::new(0),
            last_expiry: Mutex::new(None),
            sandbox,
            folder,
        })
    }
}
