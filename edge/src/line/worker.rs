//! The worker of one partition.

mod keep;
mod sift;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use wheeltapper_log::{LogError, Partition, Reader, Retention};
use wheeltapper_store::{Store, StoreError};

use super::{
    Topic, Topics,
    batch::{Batcher, Planned, Step},
    checkpoint::{CheckpointError, Checkpointer, SnapshotNote, Stored},
    effects::{Effects, Finding},
    handle::{Shared, WorkerHandle},
    questions::{Fresh, Question},
    record::RecordError,
    recovery::SnapshotFolder,
    sieve::{Sieve, Skip},
    stages::{PartitionStages, StageConfigs, StageSnapshots, StepOutput},
};
use crate::{
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
    sieve: Sieve,
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
            sieve: Sieve::new(skips(&config, partition, snapshot_offset)?),
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
            for planned in self.batcher.plan(&records, &self.sieve)? {
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

    /// Before the restart's point is reached, a batch must not reach over it.
    fn read_until(&self) -> u64 {
        if self.position < self.applied { self.applied } else { u64::MAX }
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
        match self.run_twice(&step)? {
            Ok(output) => self.take(&step, output, next),
            Err(error) => self.sift(&step, next, &error)?,
        }
        self.advance(next)
    }

    /// What the stages make of a step, on fresh ones if they are lost on it; the error when those are lost as well.
    fn run_twice(&mut self, step: &Step) -> Result<Result<StepOutput, CallError>, WorkerError> {
        match self.stages.run(step, &self.config.metrics) {
            Ok(output) => Ok(Ok(output)),
            Err(error) => {
                self.replace_stages(&error)?;
                Ok(self.stages.run(step, &self.config.metrics))
            }
        }
    }

    /// Takes what a step gave; `next` is the offset after it.
    fn take(&mut self, step: &Step, output: StepOutput, next: u64) {
        if let Step::Push(batch) = step
            && !output.anomalies.is_empty()
        {
            self.arrival = self.arrival.min(batch.arrival);
        }
        let metrics = &self.config.metrics;
        for refused in &output.refused {
            metrics.refused(crate::intake::split::reason_name(refused.rejection.reason)).inc();
        }
        metrics.readings_late.inc_by(output.late.len() as u64);
        if let Step::Push(batch) = step {
            metrics.readings_repeated.inc_by(batch.count(&output.repeated));
        }
        metrics.windows.inc_by(output.features.blocks.iter().map(|block| block.sensor.len() as u64).sum());
        // Before a restart its findings may have been committed.
        let found = next > self.applied;
        self.effects.take(self.partition, step, output, &self.config.registry, found);
    }

    fn advance(&mut self, next: u64) -> Result<(), WorkerError> {
        self.position = next;
        self.shared.position.store(next, Ordering::Release);
        if self.effects.processed.len() > 64 {
            self.write_processed()?;
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
}

/// What was given up and a replay may come by again.
fn skips(config: &WorkerConfig, partition: u16, from: u64) -> Result<Vec<Skip>, StoreError> {
    let rows = config.store.skipped(partition)?.into_iter().filter(|row| row.stop > from);
    // An asset that is unknown has no readings either.
    let asset = |name: String| config.registry.asset_number(&name).unwrap_or(u32::MAX);
    Ok(rows.map(|row| Skip { from: row.start, to: row.stop, asset: row.asset.map(asset) }).collect())
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
