//! The host: opens the log, the store, the sandbox, the intake and the line, and stops them again in order.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::sync::broadcast;
use wheeltapper_config::Config;
use wheeltapper_log::{
    Append, Committer, LogRetention, Partition, Reader,
    storage::{DiskStorage, Storage},
};
use wheeltapper_store::Store;

use crate::{
    clock,
    components::{Ingester, InstanceLimits, Sandbox},
    connections::Connections,
    data_folder::DataFolder,
    intake::{Intake, IntakeContext, exchanges::Exchanges},
    line::{
        DEAD_LETTER_OWNER, DeadLetterWriter, Finding, MIN_COMMIT_INTERVAL, OpenGate, Planner, PlannerConfig, RawRecord,
        RestoredAlerts, ScheduleFactory as _, StageConfigs, StageFactory, Topic, Topics, WorkerConfig, WorkerHandle,
        start_worker,
    },
    metrics::Metrics,
    notifier::Notifier,
    registry::Registry,
    supervisor::{Supervisor, TaskHandle},
};

/// How many findings a slow listener may lag behind before it misses some.
const FINDINGS_CAPACITY: usize = 4096;
/// Store key of the number of partitions.
pub(crate) const PARTITIONS_KEY: &str = "partitions";
/// Store key of the log's identity; it is present if the store has ever had a log.
pub(crate) const LOG_IDENTITY_KEY: &str = "log";
/// How long each component may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Waiting ends with an error when a component is broken for longer than this.
const MAX_FAULT_DURATION: Duration = Duration::from_secs(10);
/// Delay between the start and the first full check of the store for damage.
const FIRST_STORE_CHECK_DELAY: Duration = Duration::from_secs(600);
/// Interval between full checks of the store.
const STORE_CHECK_INTERVAL: Duration = Duration::from_secs(86_400);
/// Interval between full checks while the store is damaged.
const DAMAGED_STORE_CHECK_INTERVAL: Duration = Duration::from_secs(3600);
/// Interval between two drops of old readings from the store.
const EXPIRE_STORE_INTERVAL: Duration = Duration::from_secs(60);

/// The running platform, without its triggers.
#[derive(Debug)]
pub struct Host {
    /// Accepts events from the triggers.
    pub intake: Intake,
    /// The registered sensors.
    pub registry: Arc<Registry>,
    /// Stored readings and results.
    pub store: Store,
    /// Prometheus metrics.
    pub metrics: Arc<Metrics>,
    /// Connections to external servers.
    pub connections: Connections,
    /// Runs and restarts the threads of the line.
    pub supervisor: Supervisor,
    store_check: TaskHandle,
    findings: broadcast::Sender<Arc<Finding>>,
    committer: Arc<Committer>,
    exchanges: Arc<Exchanges>,
    workers: Vec<WorkerHandle>,
    raw_readers: Vec<Reader>,
    dead_letters: Reader,
    dead_letter_writer: DeadLetterWriter,
    planner: Planner,
    notifier: Notifier,
    config: RwLock<Arc<Config>>,
    retention: LogRetention,
    started_at: Instant,
    rate_sample: Mutex<(Instant, u64)>,
    /// Time of the newest tick that was written, in nanoseconds since 1970.
    last_tick: AtomicU64,
    /// When old readings were last dropped from the store.
    last_expiry: Mutex<Option<Instant>>,
    sandbox: Sandbox,
    /// The locked data folder; the lock is held for as long as the host runs.
    folder: DataFolder,
}

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
        let mut workers = Vec::new();
        let mut sources = Vec::new();
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
            sources.push((worker.findings_reader(), worker.findings_end()));
            workers.push(worker);
        }
        let planner = PlannerConfig {
            factory: Arc::new(sandbox.clone()),
            sources: sources.clone(),
            store: store.clone(),
            metrics: Arc::clone(&metrics),
            snapshots: folder.snapshots_path(),
            storage,
        };
        let planner = Planner::start(&supervisor, planner, config.schedule_json()).context("starting the planner")?;
        let notifier = Notifier::start(&config.alerts.routes, &sources, &store, &metrics, &supervisor)?;
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

    /// The active configuration.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The engine and the compiled stages.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Folder of the compiled components.
    pub(crate) fn cache_folder(&self) -> std::path::PathBuf {
        self.folder.cache_path()
    }

    /// The worker of a partition.
    pub(crate) fn worker(&self, partition: u16) -> Option<&WorkerHandle> {
        self.workers.get(usize::from(partition))
    }

    /// The partition that an asset belongs to.
    pub(crate) fn partition_of(&self, asset: &str) -> u16 {
        crate::line::partition_of(asset, u16::try_from(self.workers.len()).unwrap_or(u16::MAX))
    }

    /// Number of the newest repair plan.
    pub(crate) fn plan_number(&self) -> u64 {
        self.planner.plan_number()
    }

    /// Outcome of a planner command: `None` while it is pending, then `Ok`, or the reason why it was rejected.
    pub(crate) fn planner_command_outcome(&self, command: u64) -> Option<Result<(), String>> {
        self.planner.command_outcome(command)
    }

    /// The workers, by partition.
    pub(crate) fn workers(&self) -> &[WorkerHandle] {
        &self.workers
    }

    /// Subscribes to findings; they are sent once they are committed.
    pub fn findings(&self) -> broadcast::Receiver<Arc<Finding>> {
        self.findings.subscribe()
    }

    /// How long the host has been running.
    pub fn uptime(&self) -> Duration {
        self.started_at.elapsed()
    }

    /// Applies a changed configuration. Sensors, limits, windows, detectors, alerts and technicians change at once;
    /// settings of sockets, the log and the data folder change at the next start.
    ///
    /// # Errors
    /// When a stage rejects the configuration or new sensors cannot be registered; the old configuration stays active.
    pub fn configure(&self, config: Config) -> anyhow::Result<()> {
        // First everything that can fail; nothing of it is active yet.
        let stages = stage_configs(&config)?;
        let (ingest, schedule) = (config.ingest_json(), config.schedule_json());
        self.validate_stage_configs(&stages, &ingest, &schedule)?;
        let routes = self.notifier.prepare(&config.alerts.routes)?;
        self.registry.configure(&config)?;
        // From here on nothing fails.
        self.notifier.activate(routes);
        self.intake.configure(&ingest);
        for worker in &self.workers {
            worker.configure(stages.clone());
        }
        self.planner.configure(schedule);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }

    /// Opens new stages with a configuration, to check that they accept it.
    fn validate_stage_configs(&self, stages: &[String; 3], ingest: &str, schedule: &str) -> anyhow::Result<()> {
        Ingester::open(&self.sandbox, ingest, None)?;
        StageFactory::open(&self.sandbox, &StageConfigs::from(stages.clone()), None)?;
        self.sandbox.open_schedule(schedule, None)?;
        Ok(())
    }

    /// Writes a record to every partition of raw-sensor-data; returns when it is durable.
    fn broadcast_record(&self, record: &RawRecord) -> anyhow::Result<()> {
        let mut payload = Vec::new();
        record.encode(&mut payload);
        let mut framed = Vec::new();
        wheeltapper_log::encode_frame(&payload, &mut framed);
        let (done, result) = crossbeam_channel::bounded(1);
        self.committer.append(Append {
            batches: (0..self.raw_readers.len()).map(|partition| (partition, framed.clone())).collect(),
            on_complete: Box::new(move |result| {
                let _ = done.send(result);
            }),
        });
        Ok(result.recv()??)
    }

    /// Handles a timer tick: closes the windows of idle sensors and plans again.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn tick(&self, now: i64) -> anyhow::Result<()> {
        self.broadcast_record(&RawRecord::Tick { now })?;
        self.planner.request_tick(now);
        self.last_tick.store(u64::try_from(now).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }

    /// Like [`Self::tick`], but in a fixed order: the planner runs after all findings of the line are in the store, and
    /// this returns after it has planned. So the result does not depend on thread timing.
    ///
    /// # Errors
    /// See [`Self::wait_until_stored`].
    pub fn tick_and_wait(&self, now: i64, timeout: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + timeout;
        self.broadcast_record(&RawRecord::Tick { now })?;
        self.wait_until_stored(timeout)?;
        self.planner.request_tick(now);
        while self.planner.planned_tick() != now {
            anyhow::ensure!(Instant::now() < deadline, "the planner did not plan within {timeout:?}");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Ends a recording: closes every window.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn flush(&self) -> anyhow::Result<()> {
        self.broadcast_record(&RawRecord::Flush)
    }

    /// Runs once a second: updates the intake's backlog limit, measures the rate and drops old segments.
    pub fn housekeeping(&self) {
        let mut behind = 0;
        let mut needed = Vec::new();
        for (worker, reader) in self.workers.iter().zip(&self.raw_readers) {
            behind += reader.end().saturating_sub(worker.position());
            needed.push(worker.replay_offset());
        }
        needed.push(self.dead_letter_writer.position());
        self.release_findings();
        self.metrics.sensors.set(i64::try_from(self.registry.len()).unwrap_or(i64::MAX));
        self.update_store_metrics();
        self.intake.set_backlog(usize::try_from(behind).unwrap_or(usize::MAX));
        self.metrics.queue_bytes.set(i64::try_from(self.intake.queued_bytes()).unwrap_or(i64::MAX));
        self.committer.expire(self.retention, needed);
        let mut rate = self.rate_sample.lock().unwrap_or_else(PoisonError::into_inner);
        let readings = self.metrics.readings_in.get();
        let seconds = rate.0.elapsed().as_secs_f64();
        if seconds > 0.0 {
            #[allow(clippy::cast_precision_loss, reason = "only displayed")]
            self.metrics.readings_rate().set((readings - rate.1) as f64 / seconds);
        }
        *rate = (Instant::now(), readings);
    }

    /// Open QoS 2 exchanges of MQTT.
    pub(crate) fn exchanges(&self) -> &Arc<Exchanges> {
        &self.exchanges
    }

    /// Writes a snapshot of the QoS 2 exchanges if one is due; it bounds how much is read at the next start. Waits for
    /// the disk.
    pub fn snapshot_exchanges(&self) {
        self.metrics.mqtt("open_exchanges").set(i64::try_from(self.exchanges.count()).unwrap_or(i64::MAX));
        if let Err(error) = self.exchanges.snapshot_if_due(&self.committer) {
            tracing::warn!(
                error = format!("{error:#}"),
                "the snapshot of the QoS 2 exchanges failed; it will be retried"
            );
        }
    }

    /// Tells the workers which findings the planner and the notifier have processed.
    fn release_findings(&self) {
        let planned = self.planner.retained_offsets();
        for (partition, worker) in self.workers.iter().enumerate() {
            let planned = planned.get(partition).copied().unwrap_or(0);
            worker.release_findings(planned.min(self.notifier.min_needed_offset(partition)));
        }
    }

    /// Updates the metrics of the store's size.
    fn update_store_metrics(&self) {
        match self.store.sizes() {
            Ok(sizes) => self.metrics.set_store_sizes(&sizes),
            Err(error) => tracing::warn!(%error, "cannot read the store's sizes"),
        }
    }

    /// Drops rows that are older than the retention of `[store]`, and the oldest rows above its maximum size. Runs at
    /// most once a minute.
    ///
    /// # Errors
    /// When the store cannot be written; the next call tries again.
    pub fn expire_store(&self) -> anyhow::Result<()> {
        let mut expired = self.last_expiry.lock().unwrap_or_else(PoisonError::into_inner);
        if expired.is_some_and(|last| last.elapsed() < EXPIRE_STORE_INTERVAL) {
            return Ok(());
        }
        let dropped = self.store.expire(clock::now(), &store_retention(&self.config().store))?;
        if dropped.total_rows() > 0 {
            tracing::info!(rows = dropped.total_rows(), "old rows were deleted from the store");
        }
        *expired = Some(Instant::now());
        Ok(())
    }

    /// Bytes of the log that the line has not processed yet.
    pub fn backlog_bytes(&self) -> u64 {
        self.workers
            .iter()
            .zip(&self.raw_readers)
            .map(|(worker, reader)| reader.end().saturating_sub(worker.position()))
            .sum()
    }

    /// Current faults with name and reason; empty when the host is ready.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self
            .supervisor
            .failures()
            .into_iter()
            .map(|failure| Fault { name: failure.task, reason: failure.message, duration: failure.down_for })
            .collect();
        for (index, health) in self.committer.health().into_iter().enumerate() {
            if let Some(error) = health.error {
                let part = format!("log-{index}");
                faults.push(Fault { name: part, reason: error, duration: health.since.elapsed().unwrap_or_default() });
            }
        }
        faults
    }

    /// Whether the log has records whose readings are not in the store yet.
    pub fn has_unstored_records(&self) -> bool {
        let ends = self.raw_readers.iter().map(Reader::end);
        self.workers.iter().zip(ends).any(|(worker, end)| worker.checkpointed_offset() < end)
    }

    /// Waits until everything accepted so far is in the store: readings, findings, plans and dead letters.
    ///
    /// # Errors
    /// When a component of the host stays broken, or `timeout` passes.
    pub fn wait_until_stored(&self, timeout: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + timeout;
        let ends: Vec<u64> = self.raw_readers.iter().map(Reader::end).collect();
        let dead_letters_end = self.dead_letters.end();
        loop {
            let behind = self.workers.iter().zip(&ends).any(|(worker, &end)| worker.checkpointed_offset() < end);
            let findings: u64 = self.workers.iter().map(|worker| worker.findings_end().load(Ordering::Acquire)).sum();
            if !behind && self.dead_letter_writer.position() >= dead_letters_end && self.planner.position() >= findings
            {
                return Ok(());
            }
            let faults = self.faults();
            if let Some(fault) = faults.iter().find(|fault| fault.duration > MAX_FAULT_DURATION) {
                anyhow::bail!("{} does not work: {}", fault.name, fault.reason);
            }
            anyhow::ensure!(Instant::now() < deadline, "not everything accepted was stored within {timeout:?}");
            for worker in &self.workers {
                worker.request_checkpoint();
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops in order; everything accepted is processed and stored first. A component that hangs is abandoned after a
    /// timeout so that the others stop in order; the data it had accepted is in the log.
    pub fn stop(self) {
        let Self {
            intake,
            committer,
            mut workers,
            mut planner,
            mut dead_letter_writer,
            mut store_check,
            notifier,
            store,
            ..
        } = self;
        intake.stop_within(STOP_TIMEOUT);
        drop(committer);
        // Request all stops first, so that the workers stop in parallel.
        for worker in &workers {
            worker.request_stop();
        }
        for worker in &mut workers {
            worker.stop_within(STOP_TIMEOUT);
        }
        planner.stop_within(STOP_TIMEOUT);
        dead_letter_writer.stop_within(STOP_TIMEOUT);
        store_check.stop_within(STOP_TIMEOUT);
        drop(notifier);
        if let Err(error) = store.truncate_wal() {
            tracing::warn!(%error, "the store's write-ahead log was not checkpointed; this happens at the next start");
        }
    }
}

/// Checks the whole store for damage once a day. Damage in a page that is rarely read would otherwise go unnoticed
/// until the good backups are gone.
fn start_store_check(supervisor: &Supervisor, store: &Store) -> io::Result<TaskHandle> {
    let store = store.clone();
    supervisor.spawn("store-check", move |task| {
        // The quick check was just made at the start.
        let mut pause = FIRST_STORE_CHECK_DELAY;
        while task.sleep(pause) {
            let stop = task.clone();
            match store.check_integrity_until(false, move || stop.is_stopping()) {
                Ok(_) => {
                    task.mark_healthy();
                    pause = STORE_CHECK_INTERVAL;
                }
                Err(error) => {
                    task.report_fault(error.to_string());
                    pause = DAMAGED_STORE_CHECK_INTERVAL;
                }
            }
        }
        Ok(())
    })
}

/// A component of the host that does not work.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Name of the component, such as `line-0` or `log-1`.
    pub name: String,
    /// The error message.
    pub reason: String,
    /// How long it has been broken.
    pub duration: Duration,
}

/// Logs an error if the store had a log and the log is gone: readings that were only in the log are lost.
fn report_lost_log(store: &Store, is_new: bool) -> anyhow::Result<()> {
    // A backup has another identity and starts with an empty log on purpose.
    let identity = store.identity().as_bytes();
    let had_one = store.state_get(LOG_IDENTITY_KEY)?.is_some_and(|known| known == identity);
    if is_new && had_one {
        tracing::error!(
            "the log folder was deleted: acknowledged readings that were not in the store yet are lost; the host \
             continues with an empty log"
        );
    }
    if !had_one {
        store.state_put(LOG_IDENTITY_KEY, identity)?;
    }
    Ok(())
}

/// The partitions with several writers, and readers of them.
pub(crate) struct OpenedLog {
    pub(crate) raw: Vec<Reader>,
    dead_letters: Reader,
    /// The partitions of raw-sensor-data, then the one of ingest's dead letters.
    pub(crate) partitions: Vec<Partition>,
}

/// Opens the log, advances it to the store's offsets where it ends earlier, and reports what was lost.
pub(crate) fn open_log(topics: &Topics, store: &Store, metrics: &Metrics) -> anyhow::Result<OpenedLog> {
    let states = store.checkpoints()?;
    let stored = |owner: u16| {
        let state = states.iter().find(|state| state.partition == owner);
        state.map_or(0, |state| state.applied_offset.max(state.snapshot_offset))
    };
    let mut raw = Vec::new();
    let mut owned = Vec::new();
    for number in 0..topics.partitions() {
        let mut partition = topics.open(Topic::Raw, number)?;
        let lost = report_recovery(&format!("raw-sensor-data/{number}"), &partition);
        metrics.log_damaged_bytes(number).inc_by(lost);
        advance_to_store_offset(&mut partition, stored(number), &format!("raw-sensor-data/{number}"))?;
        raw.push(partition.reader());
        owned.push(partition);
    }
    let mut dead_letter_partition = topics.open(Topic::DeadLetters, topics.ingest_dead_letter_partition())?;
    report_recovery("dlq-sensor-data", &dead_letter_partition);
    advance_to_store_offset(&mut dead_letter_partition, stored(DEAD_LETTER_OWNER), "dlq-sensor-data")?;
    let dead_letters = dead_letter_partition.reader();
    owned.push(dead_letter_partition);
    Ok(OpenedLog { raw, dead_letters, partitions: owned })
}

/// Reports damage that was found when the log was opened; returns the number of lost bytes.
fn report_recovery(name: &str, partition: &Partition) -> u64 {
    let recovery = partition.recovery();
    for damage in &recovery.damaged {
        tracing::error!(
            partition = name, from = damage.range.start, to = damage.range.end, file = %damage.path.display(),
            "the log is damaged: acknowledged records in this range cannot be read and are lost; the intact ones around it \
             are kept. Check the disk"
        );
    }
    for missing in &recovery.missing {
        tracing::error!(
            partition = name,
            from = missing.start,
            to = missing.end,
            "files of the log are missing: the records in this range are lost; those around it are kept"
        );
    }
    if recovery.torn_bytes > 0 {
        tracing::info!(
            partition = name,
            bytes = recovery.torn_bytes,
            "a torn record that was never acknowledged was truncated"
        );
    }
    recovery.lost_bytes()
}

/// Advances the log to the store's offset where the log was deleted or its end was lost. New records must not reuse
/// offsets that the store has already passed, because no reader would see them.
fn advance_to_store_offset(partition: &mut Partition, stored: u64, name: &str) -> anyhow::Result<()> {
    let end = partition.end();
    if stored > end {
        tracing::error!(
            partition = name,
            log_end = end,
            store = stored,
            "the log ends before the offset up to which the store has it: the log was deleted, or its end was lost. \
             Acknowledged readings that were not in the store yet are lost; the log continues at the store's offset"
        );
        partition.advance_to(stored)?;
    }
    Ok(())
}

/// The store's retention according to the configuration.
fn store_retention(config: &wheeltapper_config::StoreSettings) -> wheeltapper_store::StoreRetention {
    let raw = Some(config.retention.to_std());
    wheeltapper_store::StoreRetention {
        readings: raw,
        waveforms: raw,
        windows: raw,
        hourly: Some(config.hourly_retention.to_std()),
        findings: Some(config.findings_retention.to_std()),
        dead_letters: Some(config.dead_letters_retention.to_std()),
        dead_letter_bytes: Some(config.dead_letters_size.bytes()),
        max_bytes: Some(config.max_size.bytes()),
    }
}

/// The configurations of featurize, detect and alert as JSON.
fn stage_configs(config: &Config) -> anyhow::Result<[String; 3]> {
    Ok([config.featurize_json(), config.detect_json(&crate::run_to_failure::read(config)?), config.alert_json()])
}
