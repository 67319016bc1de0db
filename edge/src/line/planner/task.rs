//! The planner's task: reads alerts, plans, and stores the plan.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use serde::{Deserialize, Serialize};
use wheeltapper_log::storage::Storage;
use wheeltapper_store::{AppliedOffset, Checkpoint, Commit, DeadLetter, Store};

use super::{
    schedule_stage::{ScheduleFactory, ScheduleStage},
    shared::{PlannerShared, lock},
    snapshots::{PLANNER_OWNER, PLANNER_SNAPSHOT, load_snapshot, snapshot_key},
};
use crate::{
    components::wit::types::{Alert, WorkOrder},
    line::snapshot_folder::SnapshotFolder,
    metrics::Metrics,
    rows::work_order_row,
    supervisor::TaskContext,
    topics::{Finding, NextStep, PublishedTopic, ReadOutcome, follow},
};

/// Bytes of a partition per read.
const READ_BYTES: usize = 1 << 20;

/// The planner's checkpoint, as JSON in the store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct PlannerCheckpoint {
    /// Offset in each partition's anomaly-events.
    pub(super) offsets: Vec<u64>,
    /// Number of the plan, part of the snapshot's key.
    pub(super) plan: u64,
    /// Number of the last command that was processed.
    #[serde(default, alias = "wish")]
    pub(super) command: u64,
}

/// Dependencies of the planner.
#[derive(Clone, Debug)]
pub(crate) struct PlannerConfig {
    /// Opens the stage.
    pub(crate) factory: Arc<dyn ScheduleFactory>,
    /// The findings of all partitions.
    pub(crate) findings: PublishedTopic,
    /// The store for work orders.
    pub(crate) store: Store,
    /// Prometheus metrics.
    pub(crate) metrics: Arc<Metrics>,
    /// Folder of snapshot files of earlier versions.
    pub(crate) snapshots: PathBuf,
    /// File system of that folder.
    pub(crate) storage: Arc<dyn Storage>,
}

/// The planner's state until the next fault. After a fault it is reopened from the store, so that the stage never knows
/// of a plan that is not in the store.
#[derive(Debug)]
pub(crate) struct PlannerTask {
    pub(super) shared: Arc<PlannerShared>,
    pub(super) factory: Arc<dyn ScheduleFactory>,
    pub(super) config: String,
    pub(super) findings: PublishedTopic,
    pub(super) store: Store,
    pub(super) metrics: Arc<Metrics>,
    pub(super) scheduler: Box<dyn ScheduleStage>,
    pub(super) snapshots: SnapshotFolder,
    pub(super) checkpoint: PlannerCheckpoint,
    /// Whether the newest plan has a snapshot.
    pub(super) has_snapshot: bool,
}

impl PlannerTask {
    /// Opens the planner at the checkpoint in the store.
    pub(crate) fn open(config: &PlannerConfig, shared: Arc<PlannerShared>) -> anyhow::Result<Self> {
        let PlannerConfig { factory, findings, store, metrics, snapshots, storage } = config.clone();
        let state = store.checkpoints()?.into_iter().find(|state| state.partition == PLANNER_OWNER);
        let mut checkpoint: PlannerCheckpoint = match &state {
            Some(state) => serde_json::from_str(&state.topic_ends)?,
            // A restored backup holds work orders without a checkpoint; plan numbers continue after theirs.
            None => PlannerCheckpoint { plan: store.newest_plan()?, ..PlannerCheckpoint::default() },
        };
        checkpoint.offsets.resize(findings.partitions(), 0);
        let snapshots = SnapshotFolder::open(storage, &snapshots, "planner")?;
        let snapshot = match &state {
            Some(_) => Some(load_snapshot(&store, &snapshots, checkpoint.plan)?),
            // The snapshot of a backup, if the store was restored from one.
            None => store.state_get(PLANNER_SNAPSHOT.1)?,
        };
        if let Some(snapshot) = snapshot.as_ref().filter(|_| state.is_none()) {
            store.state_put(&snapshot_key(checkpoint.plan), snapshot)?;
        }
        let config = lock(&shared.config).clone();
        let scheduler = factory.open_schedule(&config, snapshot.as_deref())?;
        lock(&shared.durable_offsets).clone_from(&checkpoint.offsets);
        shared.last_command.store(checkpoint.command, Ordering::Release);
        let has_snapshot = snapshot.is_some();
        let task =
            Self { shared, factory, config, findings, store, metrics, scheduler, snapshots, checkpoint, has_snapshot };
        task.publish_position();
        Ok(task)
    }

    /// Plans until the task is stopped and all that was committed before is planned for.
    pub(super) fn run(&mut self, context: &TaskContext) -> anyhow::Result<()> {
        let signal = self.findings.signal().clone();
        follow(context, &signal, || Ok(if self.run_round()? { NextStep::Now } else { NextStep::WhenSignalled }))
    }

    /// Plans for new commands, alerts and ticks; returns whether there were any. After an error the task must be
    /// reopened, as the stage may know of a plan that is not in the store.
    pub(crate) fn run_round(&mut self) -> anyhow::Result<bool> {
        self.apply_pending_config()?;
        let executed = self.process_command()?;
        let tick = self.shared.pending_tick.load(Ordering::Acquire);
        let (offsets, alerts) = self.read_alerts()?;
        let moved = offsets != self.checkpoint.offsets;
        if !moved && tick == 0 {
            return Ok(executed);
        }
        let (orders, rejected) = self.plan_with_retries(&alerts, tick)?;
        if alerts.is_empty() && orders.is_empty() && tick == 0 {
            // Only anomalies were read: they are read again after a restart, which has no effect.
            self.checkpoint.offsets = offsets;
            self.publish_position();
            return Ok(true);
        }
        self.commit(offsets, &orders, &rejected)?;
        if tick != 0 {
            // A newer tick stays for the next round.
            let _ = self.shared.pending_tick.compare_exchange(tick, 0, Ordering::AcqRel, Ordering::Acquire);
            self.shared.planned_tick.store(tick, Ordering::Release);
        }
        Ok(true)
    }

    /// The alerts that were committed since the last plan, and the offsets after them.
    fn read_alerts(&mut self) -> anyhow::Result<(Vec<u64>, Vec<Alert>)> {
        let mut offsets = self.checkpoint.offsets.clone();
        let mut alerts: Vec<Alert> = Vec::new();
        for (partition, offset) in offsets.iter_mut().enumerate() {
            let records = match self.findings.read(partition, *offset, u64::MAX, READ_BYTES)? {
                ReadOutcome::Records(records) => records,
                ReadOutcome::Lost(resume) => {
                    tracing::error!(
                        from = *offset,
                        to = resume,
                        "findings in the log are damaged or missing and are skipped; they are in the store"
                    );
                    *offset = resume;
                    continue;
                }
            };
            for record in records {
                match serde_json::from_slice(&record.payload) {
                    Ok(Finding::Alert(alert)) => alerts.push(alert),
                    Ok(_) => {}
                    // It will not become readable; the planner must not wait for it forever.
                    Err(error) => {
                        tracing::error!(%error, offset = record.offset, "a finding cannot be read and is skipped")
                    }
                }
                *offset = record.next_offset;
            }
        }
        Ok((offsets, alerts))
    }

    /// Stores a plan with its snapshot and offsets.
    pub(super) fn commit(
        &mut self,
        offsets: Vec<u64>,
        orders: &[WorkOrder],
        rejected: &[DeadLetter],
    ) -> anyhow::Result<()> {
        let checkpoint =
            PlannerCheckpoint { offsets, plan: self.checkpoint.plan + 1, command: self.checkpoint.command };
        self.store.state_put(&snapshot_key(checkpoint.plan), &self.scheduler.snapshot()?)?;
        let rows: Vec<_> = orders.iter().map(work_order_row).collect();
        self.store.commit(&Commit {
            partition: PLANNER_OWNER,
            applied: Some(AppliedOffset { offset: checkpoint.plan, topic_ends: &serde_json::to_string(&checkpoint)? }),
            checkpoint: Some(Checkpoint { snapshot_offset: checkpoint.plan, snapshot: "files".to_owned() }),
            work_orders: &rows,
            dead_letters: rejected,
            ..Commit::default()
        })?;
        self.store.delete_other_states(&snapshot_key(""), &snapshot_key(checkpoint.plan))?;
        self.snapshots.keep_only(checkpoint.plan);
        lock(&self.shared.durable_offsets).clone_from(&checkpoint.offsets);
        self.checkpoint = checkpoint;
        self.has_snapshot = true;
        self.metrics.work_orders.inc_by(rows.len() as u64);
        self.publish_position();
        // The streams send the orders of the new plan.
        self.findings.signal().wake_all();
        Ok(())
    }

    fn publish_position(&self) {
        self.shared.position.store(self.checkpoint.offsets.iter().sum(), Ordering::Release);
        self.shared.plan.store(self.checkpoint.plan, Ordering::Release);
    }

    fn apply_pending_config(&mut self) -> anyhow::Result<()> {
        let pending = lock(&self.shared.pending_config).take();
        let Some(config) = pending else { return Ok(()) };
        let snapshot = self.scheduler.snapshot()?;
        match self.factory.open_schedule(&config, Some(&snapshot)) {
            Ok(scheduler) => {
                self.scheduler = scheduler;
                lock(&self.shared.config).clone_from(&config);
                self.config = config;
            }
            Err(error) => {
                tracing::error!(%error, "the new configuration cannot be used; schedule keeps the previous one")
            }
        }
        Ok(())
    }
}
