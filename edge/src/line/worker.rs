//! The worker of one partition.

mod bisect;
mod commit;
mod config;
mod error;
mod queries;
mod start;
mod topics;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use wheeltapper_log::Reader;
use wheeltapper_store::StoreError;

use super::{
    batch::{Batcher, PlannedStep, Step},
    checkpoint::{CheckpointData, Checkpointer, SnapshotMetadata},
    pending_output::PendingOutput,
    replay_filter::{QuarantinedRange, ReplayFilter},
    snapshot_folder::SnapshotFolder,
    stages::{StageConfigs, StageFactory, StageSnapshots, Stages, StepOutput},
    worker_handle::WorkerShared,
};
use crate::{
    components::{CallError, StageName},
    rows::reason_name,
    supervisor::TaskContext,
    topics::{ReadOutcome, read_or_skip},
};
pub(crate) use config::MIN_COMMIT_INTERVAL;
pub use config::WorkerConfig;
use error::WorkerError;
pub use start::start_worker;
use topics::TopicEnds;
pub(super) use topics::WorkerTopics;

/// Bytes of the log per read.
const READ_BYTES: usize = 1 << 20;
/// A checkpoint is made when this many readings are pending, to bound memory.
const MAX_PENDING_READINGS: u64 = 4_000_000;
/// Feature batches that are buffered before they are written to processed-data.
const MAX_PROCESSED_BATCHES: usize = 64;
/// How long to wait for records at a time.
const IDLE_WAIT: Duration = Duration::from_millis(50);
/// How long to wait while a checkpoint is being written.
const CHECKPOINT_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Result of a round of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoundOutcome {
    /// It processed records.
    Progress,
    /// There were no records.
    Idle,
    /// It was asked to stop, and everything it has processed is in the store.
    Stopped,
}

/// The worker of one partition.
#[derive(Debug)]
pub(super) struct Worker {
    config: Arc<WorkerConfig>,
    configs: StageConfigs,
    partition: u16,
    shared: Arc<WorkerShared>,
    reader: Reader,
    batcher: Batcher,
    stages: Box<dyn Stages>,
    snapshots: SnapshotFolder,
    checkpointer: Checkpointer,
    /// The data of the checkpoint that is being written.
    checkpoint_data: Option<Arc<CheckpointData>>,
    topics: Arc<WorkerTopics>,
    /// End of processed-data at the last checkpoint.
    processed_end: u64,
    topic_ends: TopicEnds,
    output: PendingOutput,
    /// Offset up to which the stages have processed records.
    position: u64,
    /// Offset up to which findings were committed before the restart.
    applied_offset: u64,
    /// Offset of the last checkpoint.
    snapshot_offset: u64,
    has_snapshot: bool,
    filter: ReplayFilter,
    last_checkpoint: Instant,
    last_commit: Instant,
    /// The earliest arrival time of the readings whose findings are not committed.
    earliest_arrival: i64,
}

impl Worker {
    /// Opens the worker at the partition's offset in the store.
    pub(super) fn open(
        config: Arc<WorkerConfig>,
        partition: u16,
        reader: Reader,
        topics: Arc<WorkerTopics>,
        shared: Arc<WorkerShared>,
    ) -> Result<Self, WorkerError> {
        // A commit that failed may still be complete in the store's write-ahead log, and would become valid after a
        // crash. Only a successful write overwrites it; until then the topics must not be truncated to an earlier end.
        // On a full disk this write fails, while a read would not.
        config.store.state_put(&format!("write_test/{partition}"), &reader.end().to_le_bytes())?;
        // An earlier attempt may have left a partial checkpoint.
        config.store.discard_staged(partition)?;
        let state = config.store.checkpoints()?.into_iter().find(|state| state.partition == partition);
        let ends: TopicEnds =
            state.as_ref().and_then(|state| serde_json::from_str(&state.topic_ends).ok()).unwrap_or_default();
        let note: SnapshotMetadata =
            state.as_ref().and_then(|state| serde_json::from_str(state.snapshot.as_deref()?).ok()).unwrap_or_default();
        topics.lock().rewind_to_commit(note.processed, ends)?;
        let snapshots = SnapshotFolder::open(config.topics.storage(), &config.snapshots, &partition.to_string())?;
        let configs = shared.active_configs();
        let mut snapshot_offset = reader.start();
        let mut has_snapshot = false;
        let mut applied = snapshot_offset;
        if let Some(state) = &state {
            applied = state.applied_offset;
            has_snapshot = state.snapshot.is_some();
            snapshot_offset = if has_snapshot { state.snapshot_offset } else { snapshot_offset };
        }
        let stages =
            open_stages(config.stage_factory.as_ref(), &configs, &snapshots, has_snapshot.then_some(snapshot_offset))?;
        shared.findings_end.publish(topics.lock().anomalies.end());
        shared.position.publish(snapshot_offset);
        shared.replay_offset.store(snapshot_offset, Ordering::Release);
        shared.checkpointed_offset.store(if has_snapshot { snapshot_offset } else { 0 }, Ordering::Release);
        let gate = Arc::clone(&config.checkpoint_gate);
        let checkpointer = Checkpointer::start(partition, config.store.clone(), snapshots.clone(), gate)?;
        Ok(Self {
            batcher: Batcher::new(Arc::clone(&config.registry), config.max_batch),
            filter: ReplayFilter::new(load_skipped_ranges(&config, partition, snapshot_offset)?),
            config,
            configs,
            partition,
            shared,
            reader,
            stages,
            checkpointer,
            checkpoint_data: None,
            snapshots,
            topics,
            processed_end: note.processed,
            topic_ends: ends,
            output: PendingOutput::default(),
            position: snapshot_offset,
            applied_offset: applied,
            snapshot_offset,
            has_snapshot,
            last_checkpoint: Instant::now(),
            last_commit: Instant::now(),
            earliest_arrival: i64::MAX,
        })
    }

    /// The stages' state.
    #[cfg(test)]
    pub(super) fn snapshot_for_test(&mut self) -> StageSnapshots {
        self.stages.snapshot().unwrap()
    }

    fn run(&mut self, context: &TaskContext) -> Result<(), WorkerError> {
        loop {
            let wakes = self.reader.signal().count();
            match self.run_round()? {
                RoundOutcome::Stopped => return Ok(()),
                RoundOutcome::Progress => context.mark_healthy(),
                RoundOutcome::Idle => {
                    context.mark_healthy();
                    let pause = if self.checkpointer.is_writing() { CHECKPOINT_POLL_INTERVAL } else { IDLE_WAIT };
                    self.reader.wait_interruptible(self.position, pause, wakes);
                }
            }
        }
    }

    /// Processes the next records of the log, and commits and stores what is due.
    pub(super) fn run_round(&mut self) -> Result<RoundOutcome, WorkerError> {
        self.apply_pending_config()?;
        self.answer_queries()?;
        let until = self.read_limit();
        let records = read_or_skip(&mut self.reader, self.position, until, READ_BYTES)?;
        self.config
            .metrics
            .lag(self.partition)
            .set(i64::try_from(self.reader.end().saturating_sub(self.position)).unwrap_or(i64::MAX));
        self.collect_checkpoint(false)?;
        let records = match records {
            ReadOutcome::Records(records) if records.is_empty() => return self.idle_round(),
            ReadOutcome::Records(records) => records,
            ReadOutcome::Lost(resume) => {
                self.report_lost_records(resume);
                self.advance(resume)?;
                return Ok(RoundOutcome::Progress);
            }
        };
        for planned in self.batcher.plan_steps(&records, &self.filter)? {
            self.step(planned)?;
            self.answer_queries()?;
        }
        if self.last_commit.elapsed() >= self.config.min_commit_interval {
            self.commit()?;
        }
        if self.checkpoint_due() {
            self.begin_checkpoint()?;
        }
        Ok(RoundOutcome::Progress)
    }

    /// A round without records.
    fn idle_round(&mut self) -> Result<RoundOutcome, WorkerError> {
        if self.shared.stop.load(Ordering::Acquire) {
            self.checkpoint_and_wait()?;
            return Ok(RoundOutcome::Stopped);
        }
        self.commit()?;
        if self.shared.checkpoint_requested.swap(false, Ordering::AcqRel) || self.checkpoint_due() {
            self.begin_checkpoint()?;
        }
        Ok(RoundOutcome::Idle)
    }

    /// Reports that acknowledged readings are lost. They cannot be recovered, and later readings must not wait for
    /// them.
    fn report_lost_records(&self, resume: u64) {
        let bytes = resume.saturating_sub(self.position);
        self.config.metrics.log_lost_bytes(self.partition).inc_by(bytes);
        tracing::error!(
            partition = self.partition,
            from = self.position,
            to = resume,
            bytes,
            "a range of the log is damaged or missing: the readings in it are lost; the line continues after it. \
             Check the disk, and restore the data folder from a backup if these readings matter"
        );
    }

    /// End offset of the next read: a batch must not span the offset that was committed before the restart.
    fn read_limit(&self) -> u64 {
        if self.position < self.applied_offset { self.applied_offset } else { u64::MAX }
    }

    fn checkpoint_due(&self) -> bool {
        // One checkpoint at a time, unless the pending readings would fill the memory.
        let full = self.output.pending_readings >= MAX_PENDING_READINGS;
        self.position > self.snapshot_offset
            && (full || !self.checkpointer.is_writing())
            && (full || self.last_checkpoint.elapsed() >= self.config.checkpoint_interval)
    }

    fn step(&mut self, planned: PlannedStep) -> Result<(), WorkerError> {
        let PlannedStep { step, next } = planned;
        match self.run_with_retry(&step)? {
            Ok(output) => self.accept_output(&step, output, next),
            Err(error) => self.bisect(&step, next, &error)?,
        }
        self.advance(next)
    }

    /// Runs a step; if the stages fail, runs it again on new stages and returns their error if they fail too.
    fn run_with_retry(&mut self, step: &Step) -> Result<Result<StepOutput, CallError>, WorkerError> {
        match self.stages.run(step, &self.config.metrics) {
            Ok(output) => Ok(Ok(output)),
            Err(error) => {
                self.replace_stages(&error)?;
                Ok(self.stages.run(step, &self.config.metrics))
            }
        }
    }

    /// Adds the output of a step; `next` is the offset after the step.
    fn accept_output(&mut self, step: &Step, output: StepOutput, next: u64) {
        if let Step::Push(batch) = step
            && !output.anomalies.is_empty()
        {
            self.earliest_arrival = self.earliest_arrival.min(batch.arrival);
        }
        let metrics = &self.config.metrics;
        if let Step::Push(batch) = step {
            for rejected in &output.rejected {
                let reason = reason_name(rejected.rejection.reason);
                metrics.rejected(reason).inc_by(batch.value_count_of(&[rejected.index]));
            }
        }
        metrics.readings_late.inc_by(output.late.len() as u64);
        if let Step::Push(batch) = step {
            metrics.readings_duplicate.inc_by(batch.value_count_of(&output.repeated));
        }
        metrics.windows.inc_by(output.features.blocks.iter().map(|block| block.sensor.len() as u64).sum());
        // Findings up to `applied_offset` were committed before the restart.
        let found = next > self.applied_offset;
        self.output.add_step_output(self.partition, step, output, &self.config.registry, found);
    }

    fn advance(&mut self, next: u64) -> Result<(), WorkerError> {
        self.position = next;
        self.shared.position.publish(next);
        if self.output.processed.len() > MAX_PROCESSED_BATCHES {
            self.write_processed()?;
        }
        Ok(())
    }

    /// Applies a changed configuration. During a replay up to the offset that was committed before the restart it must
    /// wait: no checkpoint can be made there, so reopened stages would miss the records after the last checkpoint.
    fn apply_pending_config(&mut self) -> Result<(), WorkerError> {
        if self.position < self.applied_offset {
            return Ok(());
        }
        let Some(configs) = self.shared.take_pending_configs() else { return Ok(()) };
        // From here on a replay must use the new configuration, so everything processed with the old one is stored
        // first.
        if let Err(error) = self.checkpoint_and_wait() {
            self.shared.restore_pending_configs(configs);
            return Err(error);
        }
        let snapshot = self.has_snapshot.then_some(self.snapshot_offset);
        match open_stages(self.config.stage_factory.as_ref(), &configs, &self.snapshots, snapshot) {
            Ok(stages) => {
                self.stages = stages;
                self.configs = configs.clone();
                self.shared.set_active_configs(configs);
            }
            Err(error) => {
                tracing::error!(%error, "the new configuration cannot be used; the line keeps the previous one")
            }
        }
        Ok(())
    }
}

/// The ranges that were quarantined and that a replay may read again.
fn load_skipped_ranges(config: &WorkerConfig, partition: u16, from: u64) -> Result<Vec<QuarantinedRange>, StoreError> {
    let rows = config.store.skipped_ranges(partition)?.into_iter().filter(|row| row.stop > from);
    // An unknown asset has no readings.
    let asset = |name: String| config.registry.asset_number(&name).unwrap_or(u32::MAX);
    Ok(rows.map(|row| QuarantinedRange { from: row.start, to: row.stop, asset: row.asset.map(asset) }).collect())
}

fn open_stages(
    factory: &dyn StageFactory,
    configs: &StageConfigs,
    folder: &SnapshotFolder,
    snapshot: Option<u64>,
) -> Result<Box<dyn Stages>, CallError> {
    let snapshots: Option<StageSnapshots> = match snapshot.map(|offset| folder.read(offset)) {
        Some(Ok(snapshots)) => Some(snapshots),
        Some(Err(error)) => {
            return Err(CallError::Rejected {
                stage: StageName::Featurize,
                message: format!("the snapshot files cannot be read: {error}; restore the data folder from a backup"),
            });
        }
        None => None,
    };
    factory.open(configs, snapshots.as_ref())
}
