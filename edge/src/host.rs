//! The host: puts log, store, sandbox, intake and line together, and takes them apart again in order.

use std::{
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
use wheeltapper_log::{Append, Committer, Reader, Retention};
use wheeltapper_store::Store;

use crate::{
    clock,
    components::{Limits, Sandbox},
    courier::Courier,
    folder::DataFolder,
    intake::{Intake, IntakeContext},
    line::{Adopted, Clerk, Finding, Planner, RawRecord, Topic, Topics, Worker, WorkerConfig, WorkerHandle},
    metrics::Metrics,
    registry::Registry,
};

/// How many findings a slow listener may be behind before it misses some.
const FINDINGS_KEPT: usize = 4096;
/// How often the store's old readings are dropped.
const EXPIRE_STORE: Duration = Duration::from_secs(3600);

/// The running platform, without its triggers.
#[derive(Debug)]
pub struct Host {
    /// The way in.
    pub intake: Intake,
    /// The sensors.
    pub registry: Arc<Registry>,
    /// What is known.
    pub store: Store,
    /// Counters.
    pub metrics: Arc<Metrics>,
    findings: broadcast::Sender<Arc<Finding>>,
    committer: Arc<Committer>,
    workers: Vec<WorkerHandle>,
    raw: Vec<Reader>,
    dead_letters: Reader,
    clerk: Clerk,
    planner: Planner,
    courier: Courier,
    config: RwLock<Arc<Config>>,
    retention: Retention,
    started: Instant,
    rate: Mutex<(Instant, u64)>,
    /// The newest time that a tick was written for.
    ticked: AtomicU64,
    /// When old readings were last dropped from the store.
    expired: Mutex<Option<Instant>>,
    sandbox: Sandbox,
    /// Held for as long as the host runs.
    folder: DataFolder,
}

impl Host {
    /// Opens the data folder and starts everything but the triggers.
    ///
    /// # Errors
    /// When the folder is in use or not writable, its partition count differs, or a component cannot be loaded; each
    /// tells what to do.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        let started = Instant::now();
        let folder = DataFolder::open(&config.data)?;
        let partitions = folder.partitions(config.partitions)?;
        let metrics = Arc::new(Metrics::default());
        let store = Store::open(&folder.store_path()).context("opening the store")?;
        store.recover().context("opening the store")?;
        let limits = Limits {
            memory: usize::try_from(config.line.memory.bytes()).unwrap_or(usize::MAX),
            deadline: config.line.deadline.get(),
        };
        let sandbox = Sandbox::load(&folder.cache(), &config.line.components, limits)?;
        let registry = Arc::new(Registry::open(store.clone(), &config, partitions)?);
        let topics = Topics::new(&folder.log(), partitions, config.log.segment.bytes());

        let mut raw = Vec::new();
        let mut owned = Vec::new();
        for partition in 0..partitions {
            let partition = topics.open(Topic::Raw, partition)?;
            raw.push(partition.reader());
            owned.push(partition);
        }
        let refused = topics.open(Topic::DeadLetters, topics.ingest_dead_letters())?;
        let dead_letters = refused.reader();
        owned.push(refused);
        let committer = Arc::new(Committer::start(owned, 1024, config.log.group_commit.get())?);

        let retention = Retention { age: config.log.retention_age.get(), size: config.log.retention_size.bytes() };
        let (findings, _) = broadcast::channel(FINDINGS_KEPT);
        let [featurize, detect, alert] = stages(&config)?;
        let adopted = Adopted::of(&store).context("reading the store")?;
        let mut workers = Vec::new();
        let mut sources = Vec::new();
        for (partition, reader) in (0..partitions).zip(&raw) {
            let worker = Worker::start(
                WorkerConfig {
                    sandbox: sandbox.clone(),
                    registry: Arc::clone(&registry),
                    store: store.clone(),
                    topics: topics.clone(),
                    metrics: Arc::clone(&metrics),
                    snapshots: folder.snapshots(),
                    findings: findings.clone(),
                    max_batch: config.line.max_batch,
                    checkpoint: config.line.checkpoint.get(),
                    retention,
                    stages: [featurize.clone(), detect.clone(), adopted.tell(&alert, partition, partitions)?],
                },
                partition,
                reader.clone(),
            )
            .with_context(|| format!("starting the line of partition {partition}"))?;
            sources.push((worker.findings_reader(), worker.findings_end()));
            workers.push(worker);
        }
        let planner = Planner::start(
            sandbox.clone(),
            config.schedule_json(),
            sources.clone(),
            store.clone(),
            Arc::clone(&metrics),
            &folder.snapshots(),
        )
        .context("starting the planner")?;
        let courier = Courier::start(&config.alerts.routes, &sources, &store, &metrics)?;
        let clerk = Clerk::start(dead_letters.clone(), store.clone())?;

        let context = IntakeContext {
            sandbox: sandbox.clone(),
            registry: Arc::clone(&registry),
            store: store.clone(),
            committer: Arc::clone(&committer),
            partitions,
            metrics: Arc::clone(&metrics),
        };
        let decoders = thread::available_parallelism().map_or(1, usize::from);
        let queue = usize::try_from(config.line.queue.bytes()).unwrap_or(usize::MAX);
        let behind = usize::try_from(config.log.retention_size.bytes()).unwrap_or(usize::MAX);
        let intake =
            Intake::start(&context, &config.ingest_json(), decoders, queue, behind).context("starting ingest")?;
        tracing::info!(partitions, sensors = registry.len(), took = ?started.elapsed(), "the line is up");
        Ok(Self {
            intake,
            registry,
            store,
            metrics,
            findings,
            committer,
            workers,
            raw,
            dead_letters,
            clerk,
            planner,
            courier,
            retention,
            config: RwLock::new(Arc::new(config)),
            started,
            rate: Mutex::new((Instant::now(), 0)),
            ticked: AtomicU64::new(0),
            expired: Mutex::new(None),
            sandbox,
            folder,
        })
    }

    /// The configuration that is in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The engine and the compiled stages.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Where compiled code is kept.
    pub(crate) fn cache(&self) -> std::path::PathBuf {
        self.folder.cache()
    }

    /// The worker of a partition.
    pub(crate) fn worker(&self, partition: u16) -> Option<&WorkerHandle> {
        self.workers.get(usize::from(partition))
    }

    /// The partition that an asset belongs to.
    pub(crate) fn partition_of(&self, asset: &str) -> u16 {
        crate::line::partition_of(asset, u16::try_from(self.workers.len()).unwrap_or(u16::MAX))
    }

    /// The number of the last plan.
    pub(crate) fn plan(&self) -> u64 {
        self.planner.plan()
    }

    /// What became of what somebody asked of the planner: nothing yet, done, or why not.
    pub(crate) fn granted(&self, wish: u64) -> Option<Result<(), String>> {
        self.planner.granted(wish)
    }

    /// The workers, by partition.
    pub(crate) fn workers(&self) -> &[WorkerHandle] {
        &self.workers
    }

    /// Findings from now on, as they are committed.
    pub fn findings(&self) -> broadcast::Receiver<Arc<Finding>> {
        self.findings.subscribe()
    }

    /// How long the host has been running.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes a changed configuration: sensors, limits, windows, detectors, alerts and technicians at once; what concerns
    /// sockets, the log and the data folder from the next start.
    ///
    /// # Errors
    /// When new sensors cannot be registered; the old configuration stays in force.
    pub fn configure(&self, config: Config) -> anyhow::Result<()> {
        let stages = stages(&config)?;
        // What can fail comes first, and changes nothing.
        let routes = self.courier.prepare(&config.alerts.routes)?;
        self.registry.configure(&config)?;
        self.courier.switch(routes);
        self.intake.configure(&config.ingest_json());
        for worker in &self.workers {
            worker.configure(stages.clone());
        }
        self.planner.configure(config.schedule_json());
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }

    /// Writes a record to every partition of raw-sensor-data; returns when it is durable.
    fn broadcast_record(&self, record: &RawRecord) -> anyhow::Result<()> {
        let mut payload = Vec::new();
        record.encode(&mut payload);
        let mut framed = Vec::new();
        wheeltapper_log::frame(&payload, &mut framed);
        let (done, told) = crossbeam_channel::bounded(1);
        self.committer.append(Append {
            parts: (0..self.raw.len()).map(|partition| (partition, framed.clone())).collect(),
            done: Box::new(move |result| {
                let _ = done.send(result);
            }),
        });
        Ok(told.recv()??)
    }

    /// The timer fired: idle sensors' windows close, the planner plans anew.
    ///
    /// # Errors
    /// When the log refuses.
    pub fn tick(&self, now: i64) -> anyhow::Result<()> {
        self.broadcast_record(&RawRecord::Tick { now })?;
        self.planner.tick(now);
        self.ticked.store(u64::try_from(now).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }

    /// As [`Self::tick`], but one after the other: the planner's turn comes when all that the line found is in the store,
    /// and when this returns it has planned. So what comes of it does not depend on which thread is faster.
    ///
    /// # Errors
    /// As [`Self::settle`].
    pub fn tick_in_turn(&self, now: i64, timeout: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + timeout;
        self.broadcast_record(&RawRecord::Tick { now })?;
        self.settle(timeout)?;
        self.planner.tick(now);
        while self.planner.planned() != now {
            anyhow::ensure!(Instant::now() < deadline, "the planner did not plan within {timeout:?}");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// The recording ended: every window closes.
    ///
    /// # Errors
    /// When the log refuses.
    pub fn flush(&self) -> anyhow::Result<()> {
        self.broadcast_record(&RawRecord::Flush)
    }

    /// Once a second: tells intake how far the line is behind, measures the rate, drops old segments.
    pub fn housekeeping(&self) {
        let mut behind = 0;
        let mut needed = Vec::new();
        for (worker, reader) in self.workers.iter().zip(&self.raw) {
            behind += reader.end().saturating_sub(worker.position());
            needed.push(worker.needed());
        }
        needed.push(self.clerk.position());
        self.release_findings();
        self.intake.set_behind(usize::try_from(behind).unwrap_or(usize::MAX));
        self.metrics.queue_bytes.set(i64::try_from(self.intake.waiting()).unwrap_or(i64::MAX));
        self.committer.expire(self.retention, needed);
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let readings = self.metrics.readings_in.get();
        let seconds = rate.0.elapsed().as_secs_f64();
        if seconds > 0.0 {
            #[allow(clippy::cast_precision_loss, reason = "a rate to look at")]
            self.metrics.readings_rate().set((readings - rate.1) as f64 / seconds);
        }
        *rate = (Instant::now(), readings);
    }

    /// Tells the workers which of their findings planner and courier have taken.
    fn release_findings(&self) {
        let planned = self.planner.needed();
        for (partition, worker) in self.workers.iter().enumerate() {
            let planned = planned.get(partition).copied().unwrap_or(0);
            worker.release_findings(planned.min(self.courier.needed(partition)));
        }
    }

    /// Once an hour: drops raw readings, bursts and windows from the store that are older than `[store] retention`.
    ///
    /// # Errors
    /// When the store refuses; it is tried again with the next call.
    pub fn expire_store(&self) -> anyhow::Result<()> {
        let Some(retention) = self.config().store.retention else { return Ok(()) };
        let mut expired = self.expired.lock().unwrap_or_else(PoisonError::into_inner);
        if expired.is_some_and(|last| last.elapsed() < EXPIRE_STORE) {
            return Ok(());
        }
        let age = i64::try_from(retention.get().as_nanos()).unwrap_or(i64::MAX);
        let chunks = self.store.expire_readings(clock::now().saturating_sub(age))?;
        if chunks > 0 {
            tracing::info!(chunks, "old readings were dropped from the store");
        }
        *expired = Some(Instant::now());
        Ok(())
    }

    /// Bytes of the log that the line has not gone through.
    pub fn behind(&self) -> u64 {
        self.workers.iter().zip(&self.raw).map(|(worker, reader)| reader.end().saturating_sub(worker.position())).sum()
    }

    /// The partitions whose worker gave up.
    pub fn failed(&self) -> Vec<usize> {
        self.workers.iter().enumerate().filter(|(_, worker)| worker.failed()).map(|(index, _)| index).collect()
    }

    /// Waits until all that was taken in so far is in the store: readings, findings, plans and dead letters.
    ///
    /// # Errors
    /// When a partition's worker gave up, or `timeout` passes.
    pub fn settle(&self, timeout: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + timeout;
        let ends: Vec<u64> = self.raw.iter().map(Reader::end).collect();
        let refused = self.dead_letters.end();
        loop {
            let behind = self.workers.iter().zip(&ends).any(|(worker, &end)| worker.checkpointed() < end);
            let findings: u64 = self.workers.iter().map(|worker| worker.findings_end().load(Ordering::Acquire)).sum();
            if !behind && self.clerk.position() >= refused && self.planner.position() >= findings {
                return Ok(());
            }
            anyhow::ensure!(self.failed().is_empty(), "partition {:?} stopped; the log above tells why", self.failed());
            anyhow::ensure!(
                Instant::now() < deadline,
                "the line did not get through what was taken in within {timeout:?}"
            );
            for worker in &self.workers {
                worker.request_checkpoint();
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops in order: what was taken in is worked through and stored.
    pub fn stop(self) {
        let Self { intake, committer, mut workers, mut planner, mut clerk, courier, .. } = self;
        intake.stop();
        drop(committer);
        for worker in &mut workers {
            worker.stop();
        }
        planner.stop();
        clerk.stop();
        drop(courier);
    }
}

/// The configurations of featurize, detect and alert.
fn stages(config: &Config) -> anyhow::Result<[String; 3]> {
    Ok([config.featurize_json(), config.detect_json(&crate::lives::read(config)?), config.alert_json()])
}
