//! The host: opens the log, the store, the sandbox, the intake and the line, and stops them again in order.

mod housekeeping;
mod open_log;
mod start;

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::broadcast;
use wheeltapper_config::Config;
use wheeltapper_log::{Append, Committer, LogRetention, Reader, WakeSignal};
use wheeltapper_store::Store;

use crate::{
    components::{Ingester, Sandbox},
    connections::Connections,
    data_folder::DataFolder,
    intake::{Intake, exchanges::Exchanges},
    line::{DeadLetterWriter, Planner, ScheduleFactory as _, StageConfigs, StageFactory, WorkerHandle},
    metrics::Metrics,
    notifier::Notifier,
    registry::Registry,
    supervisor::{Supervisor, TaskHandle},
    topics::{Finding, PublishedTopic, RawRecord, partition_of},
};
pub(crate) use open_log::LOG_IDENTITY_KEY;
#[cfg(test)]
pub(crate) use open_log::open_log;
pub(crate) use start::PARTITIONS_KEY;

/// How long each component may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Waiting ends with an error when a component is broken for longer than this.
const MAX_FAULT_DURATION: Duration = Duration::from_secs(10);
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
    /// The committed anomaly-events.
    findings_topic: PublishedTopic,
    /// Given when a worker has processed records.
    progress: WakeSignal,
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
        partition_of(asset, u16::try_from(self.workers.len()).unwrap_or(u16::MAX))
    }

    /// Number of the newest repair plan.
    pub(crate) fn plan_number(&self) -> u64 {
        self.planner.plan_number()
    }

    /// Tells the planner that a command is in the store.
    pub(crate) fn wake_planner(&self) {
        self.planner.wake();
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

    /// The committed anomaly-events of all partitions. Their signal is also given for a new plan.
    pub(crate) fn findings_topic(&self) -> &PublishedTopic {
        &self.findings_topic
    }

    /// The signal that a worker has processed records.
    pub(crate) fn progress(&self) -> &WakeSignal {
        &self.progress
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
        self.append_record(record, 0..self.raw_readers.len())
    }

    /// Writes a record to these partitions of raw-sensor-data; returns when it is durable.
    fn append_record(&self, record: &RawRecord, partitions: Range<usize>) -> anyhow::Result<()> {
        let mut payload = Vec::new();
        record.encode(&mut payload);
        let mut framed = Vec::new();
        wheeltapper_log::encode_frame(&payload, &mut framed);
        let (done, result) = crossbeam_channel::bounded(1);
        self.committer.append(Append {
            batches: partitions.map(|partition| (partition, framed.clone())).collect(),
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

    /// Resets the baseline of an asset at `time` (nanoseconds since 1970): what was learnt about it is forgotten, and its
    /// alerts resolve. Returns when the reset is durable in the log; the asset's worker executes it after the readings
    /// that were accepted before.
    ///
    /// # Errors
    /// When the log cannot be written. The reset may have been written nevertheless.
    pub(crate) fn reset_baseline(&self, asset: &str, time: i64) -> anyhow::Result<()> {
        let partition = usize::from(self.partition_of(asset));
        let record = RawRecord::ResetBaseline { asset: asset.to_owned(), time };
        self.append_record(&record, partition..partition + 1)
    }

    /// Open QoS 2 exchanges of MQTT.
    pub(crate) fn exchanges(&self) -> &Arc<Exchanges> {
        &self.exchanges
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

    /// The offsets after the last accepted records.
    fn raw_ends(&self) -> Vec<u64> {
        self.raw_readers.iter().map(Reader::end).collect()
    }

    /// Whether readings before these offsets are not in the store yet.
    fn is_behind(&self, ends: &[u64]) -> bool {
        self.workers.iter().zip(ends).any(|(worker, &end)| worker.checkpointed_offset() < end)
    }

    /// Whether the log has records whose readings are not in the store yet.
    pub fn has_unstored_records(&self) -> bool {
        self.is_behind(&self.raw_ends())
    }

    /// Waits until everything accepted so far is in the store: readings, findings, plans and dead letters.
    ///
    /// # Errors
    /// When a component of the host stays broken, or `timeout` passes.
    pub fn wait_until_stored(&self, timeout: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + timeout;
        let ends = self.raw_ends();
        let dead_letters_end = self.dead_letters.end();
        loop {
            let behind = self.is_behind(&ends);
            let findings: u64 = self.findings_topic.ends().iter().sum();
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

/// The configurations of featurize, detect and alert as JSON.
fn stage_configs(config: &Config) -> anyhow::Result<[String; 3]> {
    Ok([config.featurize_json(), config.detect_json(&crate::run_to_failure::read(config)?), config.alert_json()])
}
