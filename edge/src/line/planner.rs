//! The planner: one schedule instance for the plant, which reads the alerts of all partitions.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use wheeltapper_log::{Reader, storage::Storage};
use wheeltapper_store::{AppliedOffset, Checkpoint, Commit, DeadLetter, Store};

use super::{
    pending_output::{Finding, dead_letter_row, work_order_row},
    planner_commands::PlannerCommand,
    record::DeadLetterEvent,
    snapshot_folder::SnapshotFolder,
    topic_reader::{ReadOutcome, read_or_skip},
    what_if::{self, WhatIfRequest},
};
use crate::{
    components::{
        CallError, Sandbox, Scheduler, StageName,
        wit::{
            schedule::Amendment,
            types::{Alert, WorkOrder},
        },
    },
    metrics::Metrics,
    supervisor::{Supervisor, TaskContext, TaskHandle},
};

/// The planner's row in the store's table of checkpoints.
const PLANNER_OWNER: u16 = u16::MAX;
/// The planner's checkpoint row and the key of its snapshot. In the store the snapshot is under `planner/<plan>`, in a
/// backup under the key itself. A backup must include it, because only the snapshot relates open work orders to their
/// alerts.
pub(crate) const PLANNER_SNAPSHOT: (u16, &str) = (PLANNER_OWNER, "planner");
const READ_BYTES: usize = 1 << 20;
/// Maximum number of rejection reasons that are kept for callers.
const MAX_KEPT_REJECTIONS: usize = 1_000;
/// Panics on one command before it is rejected.
const MAX_PANICS_PER_COMMAND: u32 = 3;
/// Interval at which the planner looks for new alerts.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The planner's checkpoint, as JSON in the store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct PlannerCheckpoint {
    /// Offset in each partition's anomaly-events.
    offsets: Vec<u64>,
    /// Number of the plan, part of the snapshot's key.
    plan: u64,
    /// Number of the last command that was processed.
    #[serde(default, alias = "wish")]
    command: u64,
}

#[derive(Debug, Default)]
pub(super) struct PlannerShared {
    stop: AtomicBool,
    /// The newest tick that was not planned for yet; 0 when there is none.
    pending_tick: AtomicI64,
    /// The newest tick that was planned for.
    planned_tick: AtomicI64,
    /// The active configuration (JSON).
    config: Mutex<String>,
    /// A changed configuration that the stage has not applied yet.
    pending_config: Mutex<Option<String>>,
    /// Sum of the offsets, so that others can see whether the planner has caught up.
    position: AtomicU64,
    /// The offsets from which a restart would read.
    durable_offsets: Mutex<Vec<u64>>,
    /// Number of the newest plan.
    plan: AtomicU64,
    /// Number of the last command that was processed.
    last_command: AtomicU64,
    /// Commands that were rejected, with the reason.
    rejections: Mutex<BTreeMap<u64, String>>,
    /// Number of the current command, and how often it ended in a panic.
    attempts: Mutex<(u64, u32)>,
}

impl PlannerShared {
    /// Creates the state with the stage's configuration.
    pub(super) fn new(config: String) -> Self {
        Self { config: Mutex::new(config), ..Self::default() }
    }

    /// Sum of the offsets up to which alerts have been planned for.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Sets a configuration for the stage to apply.
    pub(super) fn set_pending_config(&self, config: String) {
        *lock(&self.pending_config) = Some(config);
    }

    /// Requests a new plan from `now`.
    pub(super) fn request_tick(&self, now: i64) {
        self.pending_tick.store(now, Ordering::Release);
    }
}

/// The stage schedule: a component in the host, a plain function in a simulation.
pub(crate) trait ScheduleStage: std::fmt::Debug + Send {
    /// Adds alerts; returns the work orders that changed.
    fn push(&mut self, alerts: &[Alert]) -> Result<Vec<WorkOrder>, CallError>;
    /// Plans again from `now` (nanoseconds since 1970); returns the work orders that changed.
    fn tick(&mut self, now: i64) -> Result<Vec<WorkOrder>, CallError>;
    /// Applies users' changes to work orders; returns the work orders that changed.
    fn amend(&mut self, amendments: &[Amendment]) -> Result<Vec<WorkOrder>, CallError>;
    /// Returns all work orders of the plan.
    fn orders(&mut self) -> Result<Vec<WorkOrder>, CallError>;
    /// The state of the stage as bytes.
    fn snapshot(&mut self) -> Result<Vec<u8>, CallError>;
}

/// Opens the stage schedule.
pub(crate) trait ScheduleFactory: std::fmt::Debug + Send + Sync {
    /// Opens a new stage, or with a snapshot one that continues from it.
    fn open_schedule(&self, config: &str, snapshot: Option<&[u8]>) -> Result<Box<dyn ScheduleStage>, CallError>;
}

impl ScheduleStage for Scheduler {
    fn push(&mut self, alerts: &[Alert]) -> Result<Vec<WorkOrder>, CallError> {
        Self::push(self, alerts)
    }
    fn tick(&mut self, now: i64) -> Result<Vec<WorkOrder>, CallError> {
        Self::tick(self, now)
    }
    fn amend(&mut self, amendments: &[Amendment]) -> Result<Vec<WorkOrder>, CallError> {
        Self::amend(self, amendments)
    }
    fn orders(&mut self) -> Result<Vec<WorkOrder>, CallError> {
        Self::orders(self)
    }
    fn snapshot(&mut self) -> Result<Vec<u8>, CallError> {
        Self::snapshot(self)
    }
}

impl ScheduleFactory for Sandbox {
    fn open_schedule(&self, config: &str, snapshot: Option<&[u8]>) -> Result<Box<dyn ScheduleStage>, CallError> {
        Ok(Box::new(Scheduler::open(self, config, snapshot)?))
    }
}

/// Handle of the planner's thread.
#[derive(Debug)]
pub struct Planner {
    shared: Arc<PlannerShared>,
    task: TaskHandle,
}

/// The anomaly-events of one partition, and their committed end.
type FindingsSource = (Reader, Arc<AtomicU64>);

/// Dependencies of the planner.
#[derive(Clone, Debug)]
pub(crate) struct PlannerConfig {
    /// Opens the stage.
    pub(crate) factory: Arc<dyn ScheduleFactory>,
    /// The findings of each partition.
    pub(crate) sources: Vec<FindingsSource>,
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
pub(super) struct PlannerTask {
    shared: Arc<PlannerShared>,
    factory: Arc<dyn ScheduleFactory>,
    config: String,
    sources: Vec<FindingsSource>,
    store: Store,
    metrics: Arc<Metrics>,
    scheduler: Box<dyn ScheduleStage>,
    snapshots: SnapshotFolder,
    checkpoint: PlannerCheckpoint,
    /// Whether the newest plan has a snapshot.
    has_snapshot: bool,
}

impl Planner {
    /// Starts the planner at the checkpoint in the store. `stage` is the stage's configuration as JSON.
    ///
    /// # Errors
    /// When the store or the snapshot cannot be read, or the stage rejects its configuration.
    pub(crate) fn start(supervisor: &Supervisor, config: PlannerConfig, stage: String) -> anyhow::Result<Self> {
        let shared = Arc::new(PlannerShared::new(stage));
        let mut first = Some(PlannerTask::open(&config, Arc::clone(&shared))?);
        let own = Arc::clone(&shared);
        let task = supervisor.spawn("planner", move |context| {
            let mut task = match first.take() {
                Some(task) => task,
                None => {
                    let task = PlannerTask::open(&config, Arc::clone(&own))?;
                    // Reads succeed on a full disk; only a write shows that the store has recovered.
                    task.store.state_put("write_test/planner", &task.checkpoint.plan.to_le_bytes())?;
                    task
                }
            };
            task.run(context)
        })?;
        Ok(Self { shared, task })
    }

    /// Requests a new plan from `now` (nanoseconds since 1970).
    pub fn request_tick(&self, now: i64) {
        self.shared.request_tick(now);
    }

    /// The newest tick that has been planned for; 0 when there is none.
    pub fn planned_tick(&self) -> i64 {
        self.shared.planned_tick.load(Ordering::Acquire)
    }

    /// Sum of the offsets up to which alerts have been planned for.
    pub fn position(&self) -> u64 {
        self.shared.position()
    }

    /// Number of the newest plan.
    pub fn plan_number(&self) -> u64 {
        self.shared.plan.load(Ordering::Acquire)
    }

    /// Outcome of a command: `None` while it is pending, then `Ok`, or the reason why it was rejected.
    pub fn command_outcome(&self, command: u64) -> Option<Result<(), String>> {
        if self.shared.last_command.load(Ordering::Acquire) < command {
            return None;
        }
        let rejected = lock(&self.shared.rejections).remove(&command);
        Some(rejected.map_or(Ok(()), Err))
    }

    /// The first offset in each partition's anomaly-events that a restart would read; retention keeps everything from
    /// there.
    pub fn retained_offsets(&self) -> Vec<u64> {
        lock(&self.shared.durable_offsets).clone()
    }

    /// Sets a changed configuration, which the planner applies before its next plan.
    pub fn configure(&self, config: String) {
        self.shared.set_pending_config(config);
    }

    /// Plans for the remaining alerts and stops the thread; returns false when it does not stop within `limit`.
    pub fn stop_within(&mut self, limit: Duration) -> bool {
        self.shared.stop.store(true, Ordering::Release);
        self.task.stop_within(limit)
    }
}

impl PlannerTask {
    pub(super) fn open(config: &PlannerConfig, shared: Arc<PlannerShared>) -> anyhow::Result<Self> {
        let PlannerConfig { factory, sources, store, metrics, snapshots, storage } = config.clone();
        let state = store.checkpoints()?.into_iter().find(|state| state.partition == PLANNER_OWNER);
        let mut checkpoint: PlannerCheckpoint = match &state {
            Some(state) => serde_json::from_str(&state.topic_ends)?,
            // A restored backup holds work orders without a checkpoint; plan numbers continue after theirs.
            None => PlannerCheckpoint { plan: store.newest_plan()?, ..PlannerCheckpoint::default() },
        };
        checkpoint.offsets.resize(sources.len(), 0);
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
            Self { shared, factory, config, sources, store, metrics, scheduler, snapshots, checkpoint, has_snapshot };
        task.publish_position();
        Ok(task)
    }

    fn run(&mut self, context: &TaskContext) -> anyhow::Result<()> {
        loop {
            let stopping = self.shared.stop.load(Ordering::Acquire);
            let worked = self.run_round()?;
            context.mark_healthy();
            if !worked {
                if stopping {
                    return Ok(());
                }
                context.sleep(POLL_INTERVAL);
            }
        }
    }

    /// Plans for new commands, alerts and ticks; returns whether there were any. After an error the task must be
    /// reopened, as the stage may know of a plan that is not in the store.
    pub(super) fn run_round(&mut self) -> anyhow::Result<bool> {
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
        for ((reader, end), offset) in self.sources.iter_mut().zip(&mut offsets) {
            let records = match read_or_skip(reader, *offset, end.load(Ordering::Acquire), READ_BYTES)? {
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

    /// Processes the next command, if there is one.
    fn process_command(&mut self) -> anyhow::Result<bool> {
        let Some((number, body)) = self.store.planner_command_after(self.checkpoint.command)? else { return Ok(false) };
        let granted = match self.count_attempt(number) {
            Ok(()) => self.execute(&body)?,
            Err(reason) => Err((reason, None)),
        };
        let orders = match granted {
            Ok(orders) => orders,
            Err((reason, error)) => {
                if let Some(error) = error.filter(|error| matches!(error, CallError::InstanceFailed { .. })) {
                    self.reopen_stage(&error)?;
                }
                tracing::warn!(number, %reason, "a planner command was rejected");
                let mut rejections = lock(&self.shared.rejections);
                rejections.insert(number, reason);
                // Callers of old commands no longer wait.
                while rejections.len() > MAX_KEPT_REJECTIONS {
                    rejections.pop_first();
                }
                Vec::new()
            }
        };
        *lock(&self.shared.attempts) = (0, 0);
        self.checkpoint.command = number;
        self.commit(self.checkpoint.offsets.clone(), &orders, &[])?;
        self.store.delete_planner_commands(number)?;
        self.shared.last_command.store(number, Ordering::Release);
        Ok(true)
    }

    /// Counts the attempts at a command that ended in a panic, so that a command that always panics cannot stop the
    /// planner.
    fn count_attempt(&self, number: u64) -> Result<(), String> {
        let mut attempts = lock(&self.shared.attempts);
        if attempts.0 != number {
            *attempts = (number, 0);
        }
        if attempts.1 >= MAX_PANICS_PER_COMMAND {
            return Err("the planner failed on it several times; see the host's log for the reason".to_owned());
        }
        attempts.1 += 1;
        Ok(())
    }

    /// Executes a command; the inner error is the reason why it is rejected.
    #[allow(clippy::type_complexity, reason = "an outcome in a fallible call")]
    fn execute(&mut self, body: &[u8]) -> anyhow::Result<Result<Vec<WorkOrder>, (String, Option<CallError>)>> {
        Ok(match serde_json::from_slice(body) {
            Ok(PlannerCommand::Repair(alert)) => {
                self.run_stage(&[alert], 0).map_err(|error| (error.to_string(), Some(error)))
            }
            Ok(PlannerCommand::Amend { amendment, now }) => {
                self.amend(&amendment, now).map_err(|error| (error.to_string(), Some(error)))
            }
            Ok(PlannerCommand::Plan { task, now, request, assets }) => {
                self.answer_what_if(&task, now, &request, assets.as_deref())?;
                Ok(Vec::new())
            }
            Err(error) => Err((format!("the command cannot be read: {error}"), None)),
        })
    }

    /// Amends before the tick: when the amendment is rejected, the state must be unchanged.
    fn amend(&mut self, amendment: &Amendment, now: i64) -> Result<Vec<WorkOrder>, CallError> {
        let mut changed = self.scheduler.amend(std::slice::from_ref(amendment))?;
        changed.extend(self.scheduler.tick(now)?);
        Ok(changed)
    }

    /// Computes a what-if plan and stores it as the result of the task.
    fn answer_what_if(&mut self, task: &str, now: i64, request: &str, assets: Option<&[String]>) -> anyhow::Result<()> {
        let snapshot = self.scheduler.snapshot()?;
        let what_if_request = WhatIfRequest { now, request, assets };
        match what_if::compute_what_if(self.factory.as_ref(), &self.config, &snapshot, &what_if_request) {
            Ok(plan) => self.store.finish_task(task, "done", &plan, now)?,
            Err(error) => {
                let reason = serde_json::json!({ "error": error.to_string() }).to_string();
                self.store.finish_task(task, "failed", &reason, now)?;
            }
        }
        Ok(())
    }

    /// Runs the stage on the alerts and the tick. If the stage fails, it is retried once on a new instance, then with
    /// one alert at a time, so that an alert on which it fails becomes a dead letter and the others are planned.
    fn plan_with_retries(&mut self, alerts: &[Alert], tick: i64) -> anyhow::Result<(Vec<WorkOrder>, Vec<DeadLetter>)> {
        for _ in 0..2 {
            match self.run_stage(alerts, tick) {
                Ok(orders) => return Ok((orders, Vec::new())),
                Err(error) => self.reopen_stage(&error)?,
            }
        }
        let mut orders = Vec::new();
        let mut good: Vec<Alert> = Vec::new();
        let mut rejected = Vec::new();
        for alert in alerts {
            match self.run_stage(std::slice::from_ref(alert), 0) {
                Ok(changed) => {
                    orders.extend(changed);
                    good.push(alert.clone());
                }
                Err(error) => {
                    self.reopen_stage(&error)?;
                    self.run_stage(&good, 0)?;
                    rejected.push(dead_letter(alert, &error));
                }
            }
        }
        if tick != 0 {
            match self.run_stage(&[], tick) {
                Ok(changed) => orders.extend(changed),
                Err(error) => {
                    // The next tick plans again.
                    self.reopen_stage(&error)?;
                    self.run_stage(&good, 0)?;
                }
            }
        }
        Ok((orders, rejected))
    }

    fn run_stage(&mut self, alerts: &[Alert], tick: i64) -> Result<Vec<WorkOrder>, CallError> {
        let mut orders = Vec::new();
        if !alerts.is_empty() {
            let began = Instant::now();
            orders.extend(self.scheduler.push(alerts)?);
            self.metrics.stage(StageName::Schedule).observe(began.elapsed().as_secs_f64());
            self.metrics.items(StageName::Schedule).inc_by(alerts.len() as u64);
        }
        if tick != 0 {
            let began = Instant::now();
            orders.extend(self.scheduler.tick(tick)?);
            self.metrics.stage(StageName::Schedule).observe(began.elapsed().as_secs_f64());
        }
        Ok(orders)
    }

    fn commit(&mut self, offsets: Vec<u64>, orders: &[WorkOrder], rejected: &[DeadLetter]) -> anyhow::Result<()> {
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
        Ok(())
    }

    fn publish_position(&self) {
        self.shared.position.store(self.checkpoint.offsets.iter().sum(), Ordering::Release);
        self.shared.plan.store(self.checkpoint.plan, Ordering::Release);
    }

    fn reopen_stage(&mut self, error: &CallError) -> anyhow::Result<()> {
        tracing::warn!(%error, "schedule is reopened");
        self.metrics.restarts(StageName::Schedule).inc();
        let snapshot = if self.has_snapshot {
            Some(load_snapshot(&self.store, &self.snapshots, self.checkpoint.plan)?)
        } else {
            None
        };
        self.scheduler = self.factory.open_schedule(&self.config, snapshot.as_deref())?;
        Ok(())
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Store key of the snapshot of a plan.
fn snapshot_key(plan: impl std::fmt::Display) -> String {
    format!("{}/{plan}", PLANNER_SNAPSHOT.1)
}

/// The snapshot of a plan. Earlier versions kept it in a file.
fn load_snapshot(store: &Store, files: &SnapshotFolder, plan: u64) -> anyhow::Result<Vec<u8>> {
    match store.state_get(&snapshot_key(plan))? {
        Some(snapshot) => Ok(snapshot),
        None => Ok(files.read_stage(plan, "schedule")?),
    }
}

/// The dead letter of an alert on which the stage fails.
fn dead_letter(alert: &Alert, error: &CallError) -> DeadLetter {
    let event = DeadLetterEvent {
        time: alert.updated,
        source: "planner".to_owned(),
        reason: "stage-failure".to_owned(),
        message: format!("{error}; the alert {} of {} has no work order", alert.id, alert.asset),
        payload: serde_json::to_vec(alert).unwrap_or_default(),
        readings: 0,
        sensor: Some(alert.sensor.clone()),
        format: None,
    };
    dead_letter_row(format!("planner|{}|{}", alert.id, alert.updated), &event)
}
