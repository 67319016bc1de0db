//! The worker of one partition.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, atomic::Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use wheeltapper_log::{LogError, Partition, Reader, Retention};
use wheeltapper_store::{Applied, Commit, Store, StoreError};

use super::{
    Topic, Topics,
    batch::{Batcher, Planned, Step},
    checkpoint::{CheckpointError, Checkpointer, Job, SnapshotNote, Stored},
    effects::{Effects, Finding, alert_row, anomaly_row, drift_row, prognosis_row},
    handle::{Shared, WorkerHandle},
    questions::{Fresh, Question},
    record::RecordError,
    recovery::SnapshotFolder,
    stages::{PartitionStages, StageConfigs, StageSnapshots},
};
use crate::{
    clock,
    components::{CallError, Sandbox, StageName},
    metrics::Metrics,
    registry::Registry,
};

/// How much of the log is read at once.
const READ_BYTES: usize = 1 << 20;
/// A checkpoint is made when this many readings wait for it, so that they do not fill the memory.
const PENDING_READINGS: u64 = 4_000_000;
/// The shortest time between two commits of findings, so that a storm of them is grouped.
const COMMIT_PAUSE: Duration = Duration::from_millis(10);
/// How long to wait for records at a time,
const IDLE: Duration = Duration::from_millis(50);
/// and while a checkpoint is being written.
const CHECKPOINT_POLL: Duration = Duration::from_millis(2);

/// What a worker needs.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The compiled stages.
    pub sandbox: Sandbox,
    /// The sensors.
    pub registry: Arc<Registry>,
    /// Where results go.
    pub store: Store,
    /// The topics.
    pub topics: Topics,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where snapshots lie.
    pub snapshots: PathBuf,
    /// Findings, once they are committed.
    pub findings: broadcast::Sender<Arc<Finding>>,
    /// Readings a call of the stages takes, at most about.
    pub max_batch: usize,
    /// Time between checkpoints.
    pub checkpoint: Duration,
    /// How much of the topics that the line writes is kept.
    pub retention: Retention,
    /// The stages' configurations, as JSON: featurize, detect, alert.
    pub stages: [String; 3],
}

/// Why a worker stops.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("the line's own files: {0}; check that the disk has room")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Stage(#[from] CallError),
}

/// How far the other topics were written when the store was last committed. What lies behind was not committed; the
/// replay writes it again.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct TopicEnds {
    anomalies: u64,
    dead_letters: u64,
}

/// One partition's line.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    configs: StageConfigs,
    partition: u16,
    shared: Arc<Shared>,
    reader: Reader,
    batcher: Batcher,
    stages: PartitionStages,
    snapshots: SnapshotFolder,
    checkpointer: Checkpointer,
    /// What the checkpoint that is under way stores.
    storing: Option<Arc<Stored>>,
    processed: Partition,
    /// End of processed-data at the last checkpoint.
    processed_end: u64,
    anomalies: Partition,
    dead_letters: Partition,
    ends: TopicEnds,
    effects: Effects,
    /// Offset up to which the stages have gone.
    position: u64,
    /// Offset up to which findings were committed before the restart.
    applied: u64,
    /// Offset of the last checkpoint.
    snapshot_offset: u64,
    has_snapshot: bool,
    skipped: Vec<(u64, u64)>,
    last_checkpoint: Instant,
    last_commit: Instant,
    /// The earliest arrival among the readings whose findings are not committed.
    arrival: i64,
}

impl Worker {
    /// Starts the worker of `partition`, which reads with `reader`, where the store says that it left off.
    ///
    /// # Errors
    /// When the topics, the store or the snapshots cannot be read, or a stage refuses its configuration.
    pub fn start(config: WorkerConfig, partition: u16, reader: Reader) -> anyhow::Result<WorkerHandle> {
        let worker = Self::open(config, partition, reader)?;
        let shared = Arc::clone(&worker.shared);
        let (findings, raw) = (worker.anomalies.reader(), worker.reader.clone());
        let thread = thread::Builder::new().name(format!("line-{partition}")).spawn(move || worker.run())?;
        Ok(WorkerHandle { shared, findings, raw, thread: Some(thread) })
    }

    fn open(config: WorkerConfig, partition: u16, reader: Reader) -> Result<Self, WorkerError> {
        let state = config.store.checkpoints()?.into_iter().find(|state| state.partition == partition);
        let mut processed = config.topics.open(Topic::Processed, partition)?;
        let mut anomalies = config.topics.open(Topic::Anomalies, partition)?;
        let mut dead_letters = config.topics.open(Topic::DeadLetters, partition)?;
        let ends: TopicEnds =
            state.as_ref().and_then(|state| serde_json::from_str(&state.topic_ends).ok()).unwrap_or_default();
        let note: SnapshotNote =
            state.as_ref().and_then(|state| serde_json::from_str(state.snapshot.as_deref()?).ok()).unwrap_or_default();
        processed.truncate(note.processed.min(processed.end()))?;
        anomalies.truncate(ends.anomalies.min(anomalies.end()))?;
        dead_letters.truncate(ends.dead_letters.min(dead_letters.end()))?;
        let snapshots = SnapshotFolder::open(&config.snapshots, &partition.to_string())?;
        let [featurize, detect, alert] = config.stages.clone();
        let configs = StageConfigs { featurize, detect, alert };
        let mut snapshot_offset = reader.start();
        let mut has_snapshot = false;
        let mut applied = snapshot_offset;
        if let Some(state) = &state {
            applied = state.applied_offset;
            has_snapshot = state.snapshot.is_some();
            snapshot_offset = if has_snapshot { state.snapshot_offset } else { snapshot_offset };
        }
        let stages = open_stages(&config.sandbox, &configs, &snapshots, has_snapshot.then_some(snapshot_offset))?;
        let shared = Arc::new(Shared::default());
        shared.findings_end.store(anomalies.end(), Ordering::Release);
        shared.position.store(snapshot_offset, Ordering::Release);
        shared.needed.store(snapshot_offset, Ordering::Release);
        shared.checkpointed.store(snapshot_offset, Ordering::Release);
        let checkpointer = Checkpointer::start(partition, config.store.clone(), snapshots.clone())?;
        Ok(Self {
            batcher: Batcher::new(Arc::clone(&config.registry), config.max_batch),
            skipped: config.store.skipped(partition)?,
            config,
            configs,
            partition,
            shared,
            reader,
            stages,
            checkpointer,
            storing: None,
            snapshots,
            processed,
            processed_end: note.processed,
            anomalies,
            dead_letters,
            ends,
            effects: Effects::default(),
            position: snapshot_offset,
            applied,
            snapshot_offset,
            has_snapshot,
            last_checkpoint: Instant::now(),
            last_commit: Instant::now(),
            arrival: i64::MAX,
        })
    }

    fn run(mut self) {
        let result = self.work();
        if let Err(error) = result {
            self.shared.failed.store(true, Ordering::Release);
            tracing::error!(partition = self.partition, %error, "the line stopped; readings go on being kept in the log");
        }
    }

    fn work(&mut self) -> Result<(), WorkerError> {
        loop {
            let wakes = self.reader.wakes();
            self.take_new_config()?;
            self.answer_questions()?;
            let records = self.reader.read(self.position, self.read_until(), READ_BYTES)?;
            self.config
                .metrics
                .lag(self.partition)
                .set(i64::try_from(self.reader.end() - self.position).unwrap_or(i64::MAX));
            self.take_written(false)?;
            if records.is_empty() {
                if self.shared.stop.load(Ordering::Acquire) {
                    return self.checkpoint_now();
                }
                self.commit()?;
                if self.shared.checkpoint_wanted.swap(false, Ordering::AcqRel) || self.checkpoint_due() {
                    self.checkpoint()?;
                }
                let pause = if self.checkpointer.under_way() { CHECKPOINT_POLL } else { IDLE };
                self.reader.wait_or_wake(self.position, pause, wakes);
                continue;
            }
            for planned in self.batcher.plan(&records)? {
                self.step(planned)?;
                self.answer_questions()?;
            }
            if self.last_commit.elapsed() >= COMMIT_PAUSE {
                self.commit()?;
            }
            if self.checkpoint_due() {
                self.checkpoint()?;
            }
        }
    }

    /// Before the restart's point is reached, a batch must not reach over it; and never into what was given up.
    fn read_until(&self) -> u64 {
        let limit = if self.position < self.applied { self.applied } else { u64::MAX };
        self.skipped.iter().map(|&(from, _)| from).filter(|&from| from > self.position).fold(limit, u64::min)
    }

    fn checkpoint_due(&self) -> bool {
        // One at a time, unless what waits would fill the memory.
        let full = self.effects.pending_readings >= PENDING_READINGS;
        self.position > self.snapshot_offset
            && (full || !self.checkpointer.under_way())
            && (full || self.last_checkpoint.elapsed() >= self.config.checkpoint)
    }

    fn step(&mut self, planned: Planned) -> Result<(), WorkerError> {
        let Planned { step, next } = planned;
        let from = self.position;
        if self.skipped.iter().any(|&(skip, to)| skip <= from && next <= to) {
            return self.advance(next);
        }
        let output = match self.stages.run(&step, &self.config.metrics) {
            Ok(output) => Some(output),
            Err(error) => {
                self.replace_stages(&error)?;
                match self.stages.run(&step, &self.config.metrics) {
                    Ok(output) => Some(output),
                    Err(error) => {
                        self.replace_stages(&error)?;
                        self.give_up(&step, from, next, &error);
                        None
                    }
                }
            }
        };
        if let Some(output) = output {
            let found = next > self.applied;
            if let Step::Push(batch) = &step
                && !output.anomalies.is_empty()
            {
                self.arrival = self.arrival.min(batch.arrival);
            }
            for refused in &output.refused {
                self.config.metrics.refused(crate::intake::split::reason_name(refused.rejection.reason)).inc();
            }
            self.config
                .metrics
                .windows
                .inc_by(output.features.blocks.iter().map(|block| block.sensor.len() as u64).sum());
            self.effects.take(self.partition, &step, output, &self.config.registry, found);
        }
        self.advance(next)
    }

    fn advance(&mut self, next: u64) -> Result<(), WorkerError> {
        self.position = next;
        self.shared.position.store(next, Ordering::Release);
        if self.effects.processed.len() > 64 {
            self.write_processed()?;
        }
        Ok(())
    }

    fn give_up(&mut self, step: &Step, from: u64, to: u64, error: &CallError) {
        let message = format!("{error}; the readings are kept here: replay them once the component is mended");
        self.skipped.push((from, to));
        match step {
            Step::Push(batch) => {
                self.config.metrics.refused("stage-failure").inc_by(batch.len());
                self.effects.give_up(self.partition, batch, from, to, &message);
            }
            Step::Tick(_) | Step::Flush => self.effects.skipped.push((from, to)),
        }
        tracing::error!(partition = self.partition, from, to, %error, "a batch was given up and lies among the dead letters");
    }

    /// Fresh instances with the state that the lost ones had before the step: the last snapshot and what came since.
    fn replace_stages(&mut self, error: &CallError) -> Result<(), WorkerError> {
        tracing::warn!(partition = self.partition, %error, "the stages are opened anew");
        let stage = match error {
            CallError::Lost { stage, .. } | CallError::Refused { stage, .. } => *stage,
        };
        self.config.metrics.restarts(stage).inc();
        let snapshot = self.has_snapshot.then_some(self.snapshot_offset);
        self.stages = open_stages(&self.config.sandbox, &self.configs, &self.snapshots, snapshot)?;
        let target = self.position;
        let mut at = self.snapshot_offset;
        while at < target {
            let limit = self.skipped.iter().map(|&(from, _)| from).filter(|&from| from > at).fold(target, u64::min);
            let records = self.reader.read(at, limit, READ_BYTES)?;
            if records.is_empty() {
                break;
            }
            for Planned { step, next } in self.batcher.plan(&records)? {
                if !self.skipped.iter().any(|&(from, to)| from <= at && next <= to) {
                    self.stages.run(&step, &self.config.metrics)?;
                }
                at = next;
            }
        }
        Ok(())
    }

    fn take_new_config(&mut self) -> Result<(), WorkerError> {
        let wanted = self.shared.configs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some([featurize, detect, alert]) = wanted else { return Ok(()) };
        let configs = StageConfigs { featurize, detect, alert };
        // From here on a replay has to use the new configuration, so the old one's part of the log is settled first.
        self.checkpoint_now()?;
        match open_stages(&self.config.sandbox, &configs, &self.snapshots, Some(self.snapshot_offset)) {
            Ok(stages) => {
                self.stages = stages;
                self.configs = configs;
            }
            Err(error) => tracing::error!(%error, "the line goes on with the configuration it had"),
        }
        Ok(())
    }

    fn write_processed(&mut self) -> Result<(), WorkerError> {
        for batch in self.effects.processed.drain(..) {
            self.processed.append(&batch)?;
        }
        Ok(())
    }

    /// Answers what was asked since the last step. Who asked and went away does no harm.
    fn answer_questions(&mut self) -> Result<(), WorkerError> {
        let questions = std::mem::take(&mut *self.shared.questions.lock().unwrap_or_else(PoisonError::into_inner));
        for question in questions {
            match question {
                Question::Fresh(wanted, answer) => {
                    let mut fresh = Fresh::default();
                    if let Some(storing) = &self.storing {
                        fresh.gather_stored(&wanted, storing);
                    }
                    self.effects.fresh(&wanted, &mut fresh);
                    let _ = answer.send(fresh);
                }
                Question::Probe(batches, model, answer) => {
                    let judged = self.stages.probe(&batches, model.as_deref());
                    let lost = judged.as_ref().err().filter(|error| matches!(error, CallError::Lost { .. })).cloned();
                    let _ = answer.send(judged);
                    if let Some(error) = lost {
                        self.replace_stages(&error)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts what was found so far into the topics and the store.
    fn commit(&mut self) -> Result<(), WorkerError> {
        if !self.effects.urgent() {
            return Ok(());
        }
        let started = Instant::now();
        for finding in &self.effects.findings {
            let event = serde_json::to_vec(finding).map_err(io::Error::from)?;
            self.anomalies.append(&event)?;
        }
        for (_, event) in &self.effects.dead_letters {
            let event = serde_json::to_vec(event).map_err(io::Error::from)?;
            self.dead_letters.append(&event)?;
        }
        self.anomalies.sync()?;
        self.dead_letters.sync()?;
        self.ends = TopicEnds { anomalies: self.anomalies.end(), dead_letters: self.dead_letters.end() };
        self.store()?;
        self.config.metrics.store_seconds.observe(started.elapsed().as_secs_f64());
        self.announce();
        self.last_commit = Instant::now();
        Ok(())
    }

    /// Begins to store the readings, the windows and a snapshot; once that is done, the log before this point is not
    /// needed. What was found before it is committed first, as nothing will find it again.
    fn checkpoint(&mut self) -> Result<(), WorkerError> {
        self.take_written(true)?;
        self.commit()?;
        if (self.position <= self.snapshot_offset && self.has_snapshot) || self.position < self.applied {
            return Ok(());
        }
        self.write_processed()?;
        self.processed.sync()?;
        let job = Job {
            offset: self.position,
            note: SnapshotNote { processed: self.processed.end() },
            snapshots: self.stages.snapshot()?,
            stored: Arc::new(self.effects.take_stored()),
        };
        self.storing = Some(Arc::clone(&job.stored));
        self.checkpointer.begin(job);
        self.last_checkpoint = Instant::now();
        Ok(())
    }

    /// A checkpoint, written when this returns.
    fn checkpoint_now(&mut self) -> Result<(), WorkerError> {
        self.checkpoint()?;
        self.take_written(true)
    }

    /// Takes note of a checkpoint that was written; with `wait`, waits for the one that is under way.
    fn take_written(&mut self, wait: bool) -> Result<(), WorkerError> {
        let Some(written) = self.checkpointer.written(wait)? else { return Ok(()) };
        self.storing = None;
        self.config.metrics.readings_stored.inc_by(written.count);
        self.snapshot_offset = written.offset;
        self.has_snapshot = true;
        self.processed_end = written.note.processed;
        self.snapshots.keep_only(written.offset);
        self.expire();
        self.shared.needed.store(written.offset, Ordering::Release);
        self.shared.checkpointed.store(written.offset, Ordering::Release);
        Ok(())
    }

    /// Drops old segments of the topics that the line writes. What cannot be dropped now is dropped next time.
    fn expire(&mut self) {
        let (retention, now) = (self.config.retention, SystemTime::now());
        let needed = self.shared.findings_needed.load(Ordering::Acquire);
        for (topic, needed) in [
            (&mut self.processed, self.processed_end),
            (&mut self.anomalies, self.ends.anomalies.min(needed)),
            (&mut self.dead_letters, self.ends.dead_letters),
        ] {
            if let Err(error) = topic.expire(retention, needed, now) {
                tracing::warn!(partition = self.partition, %error, "old segments could not be dropped");
            }
        }
    }

    fn store(&mut self) -> Result<(), WorkerError> {
        let (mut anomalies, mut alerts, mut drifts, mut prognoses) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for finding in &self.effects.findings {
            match finding {
                Finding::Anomaly(anomaly) => anomalies.push(anomaly_row(anomaly)),
                Finding::Alert(alert) => alerts.push(alert_row(alert)),
                Finding::Drift(drift) => drifts.push(drift_row(drift)),
                Finding::Prognosis(prognosis) => prognoses.push(prognosis_row(prognosis)),
            }
        }
        let dead_letters: Vec<_> = self.effects.dead_letters.iter().map(|(row, _)| row.clone()).collect();
        let topic_ends = serde_json::to_string(&self.ends).map_err(io::Error::from)?;
        let skipped = std::mem::take(&mut self.effects.skipped);
        self.config.store.commit(&Commit {
            partition: self.partition,
            applied: Some(Applied { offset: self.position.max(self.applied), topic_ends: &topic_ends }),
            checkpoint: None,
            readings: &[],
            waveforms: &[],
            windows: &[],
            anomalies: &anomalies,
            alerts: &alerts,
            drifts: &drifts,
            prognoses: &prognoses,
            work_orders: &[],
            dead_letters: &dead_letters,
            skipped: &skipped,
        })?;
        Ok(())
    }

    /// Tells the world what has just been committed.
    fn announce(&mut self) {
        self.shared.findings_end.store(self.ends.anomalies, Ordering::Release);
        let metrics = &self.config.metrics;
        let waited = (clock::now().saturating_sub(self.arrival)).max(0);
        for finding in self.effects.findings.drain(..) {
            match &finding {
                Finding::Anomaly(_) => {
                    metrics.anomalies.inc();
                    if self.arrival < i64::MAX {
                        #[allow(clippy::cast_precision_loss, reason = "nanoseconds of a wait, for a histogram")]
                        metrics.reading_to_anomaly_seconds.observe(waited as f64 / 1e9);
                    }
                }
                Finding::Alert(_) => {
                    metrics.alerts.inc();
                }
                Finding::Drift(_) => {
                    metrics.drifts.inc();
                }
                Finding::Prognosis(_) => {}
            }
            // Nobody listening is fine.
            let _ = self.config.findings.send(Arc::new(finding));
        }
        self.effects.dead_letters.clear();
        self.arrival = i64::MAX;
    }
}

fn open_stages(
    sandbox: &Sandbox,
    configs: &StageConfigs,
    folder: &SnapshotFolder,
    snapshot: Option<u64>,
) -> Result<PartitionStages, CallError> {
    let snapshots: Option<StageSnapshots> = match snapshot.map(|offset| folder.read(offset)) {
        Some(Ok(snapshots)) => Some(snapshots),
        Some(Err(error)) => {
            return Err(CallError::Refused {
                stage: StageName::Featurize,
                message: format!("the snapshot files cannot be read: {error}; restore the data folder from a backup"),
            });
        }
        None => None,
    };
    PartitionStages::open(sandbox, configs, snapshots.as_ref())
}
