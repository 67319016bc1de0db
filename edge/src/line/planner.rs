//! The planner: one schedule instance for the plant, fed with the alerts of all partitions.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use wheeltapper_log::Reader;
use wheeltapper_store::{Applied, Checkpoint, Commit, DeadLetter, Store};

use super::{
    effects::{Finding, letter, work_order_row},
    proposal::{self, Proposal},
    record::DeadLetterEvent,
    recovery::SnapshotFolder,
    wishes::Wish,
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
};

/// The planner's row among the partitions' in the store.
const OWNER: u16 = u16::MAX;
/// Whose snapshot a backup has to keep, and under which key: it lies under `planner/<plan>` in the store, and in a backup
/// under the key itself. Without it nobody would know what the open orders are for.
pub(crate) const SNAPSHOT: (u16, &str) = (OWNER, "planner");
const READ_BYTES: usize = 1 << 20;
/// Reasons that are kept for those who wait for them.
const REFUSALS: usize = 1_000;

/// Where the planner stands, as it lies in the store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Standing {
    /// Offset in each partition's anomaly-events.
    offsets: Vec<u64>,
    /// Counts the plans; names the snapshot.
    plan: u64,
    /// The last wish that was taken.
    #[serde(default)]
    wish: u64,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// The newest tick that was not planned for; 0 when none.
    tick: AtomicI64,
    /// The newest tick that was planned for.
    planned: AtomicI64,
    config: Mutex<Option<String>>,
    /// Sum of the offsets, so that others can see whether it has caught up.
    position: AtomicU64,
    /// The offsets that a restart would go on from.
    durable: Mutex<Vec<u64>>,
    /// The number of the last plan.
    plan: AtomicU64,
    /// The last wish that was taken.
    wish: AtomicU64,
    /// Wishes that could not be granted, and why.
    refusals: Mutex<BTreeMap<u64, String>>,
}

/// Runs the planner's thread.
#[derive(Debug)]
pub struct Planner {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

/// The anomaly-events of one partition, and how far they are committed.
type Source = (Reader, Arc<AtomicU64>);

struct Plan {
    shared: Arc<Shared>,
    sandbox: Sandbox,
    config: String,
    sources: Vec<Source>,
    store: Store,
    metrics: Arc<Metrics>,
    scheduler: Scheduler,
    snapshots: SnapshotFolder,
    standing: Standing,
    /// Whether there is one of the last plan.
    has_snapshot: bool,
}

impl Planner {
    /// Starts the planner where the store says that it left off.
    ///
    /// # Errors
    /// When the store or the snapshot cannot be read, or the stage refuses its configuration.
    pub fn start(
        sandbox: Sandbox,
        config: String,
        sources: Vec<Source>,
        store: Store,
        metrics: Arc<Metrics>,
        snapshots: &Path,
    ) -> anyhow::Result<Self> {
        let state = store.checkpoints()?.into_iter().find(|state| state.partition == OWNER);
        let mut standing: Standing = match &state {
            Some(state) => serde_json::from_str(&state.topic_ends)?,
            // A store that came from a backup holds orders all the same, and plans are told apart by their number.
            None => Standing { plan: store.newest_plan()?, ..Standing::default() },
        };
        standing.offsets.resize(sources.len(), 0);
        let snapshots = SnapshotFolder::open(snapshots, "planner")?;
        let snapshot = match &state {
            Some(_) => Some(snapshot(&store, &snapshots, standing.plan)?),
            // That of a backup, if this is one.
            None => store.state_get(SNAPSHOT.1)?,
        };
        if let Some(snapshot) = snapshot.as_ref().filter(|_| state.is_none()) {
            store.state_put(&key(standing.plan), snapshot)?;
        }
        let scheduler = Scheduler::open(&sandbox, &config, snapshot.as_deref())?;
        let shared = Arc::new(Shared { durable: Mutex::new(standing.offsets.clone()), ..Shared::default() });
        let plan = Plan {
            shared: Arc::clone(&shared),
            sandbox,
            config,
            sources,
            store,
            metrics,
            scheduler,
            snapshots,
            standing,
            has_snapshot: snapshot.is_some(),
        };
        let thread = thread::Builder::new().name("planner".into()).spawn(move || plan.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The timer fired: plan anew from `now`.
    pub fn tick(&self, now: i64) {
        self.shared.tick.store(now, Ordering::Release);
    }

    /// The newest tick that has been planned for; 0 when none.
    pub fn planned(&self) -> i64 {
        self.shared.planned.load(Ordering::Acquire)
    }

    /// The sum of the offsets up to which alerts have been planned for.
    pub fn position(&self) -> u64 {
        self.shared.position.load(Ordering::Acquire)
    }

    /// The number of the last plan.
    pub fn plan(&self) -> u64 {
        self.shared.plan.load(Ordering::Acquire)
    }

    /// What became of a wish: nothing yet, it was granted, or why it could not be.
    pub fn granted(&self, wish: u64) -> Option<Result<(), String>> {
        if self.shared.wish.load(Ordering::Acquire) < wish {
            return None;
        }
        let refused = self.shared.refusals.lock().unwrap_or_else(PoisonError::into_inner).remove(&wish);
        Some(refused.map_or(Ok(()), Err))
    }

    /// The first offset in each partition's anomaly-events that a restart would read; retention keeps what follows it.
    pub fn needed(&self) -> Vec<u64> {
        self.shared.durable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a changed configuration.
    pub fn configure(&self, config: String) {
        *self.shared.config.lock().unwrap_or_else(PoisonError::into_inner) = Some(config);
    }

    /// Plans for what is there and ends the thread.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Planner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Plan {
    fn run(mut self) {
        self.shared.wish.store(self.standing.wish, Ordering::Release);
        self.tell_position();
        loop {
            let stopping = self.shared.stop.load(Ordering::Acquire);
            match self.round() {
                Ok(true) => {}
                Ok(false) if stopping => return,
                Ok(false) => thread::sleep(Duration::from_millis(20)),
                Err(error) => {
                    tracing::error!(%error, "the planner could not plan; it tries again");
                    if stopping {
                        return;
                    }
                    thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }

    /// Plans for what is new; tells whether there was anything.
    fn round(&mut self) -> anyhow::Result<bool> {
        self.take_new_config()?;
        let wished = self.take_wish()?;
        let tick = self.shared.tick.swap(0, Ordering::AcqRel);
        let mut offsets = self.standing.offsets.clone();
        let mut alerts: Vec<Alert> = Vec::new();
        for ((reader, end), offset) in self.sources.iter_mut().zip(&mut offsets) {
            for record in reader.read(*offset, end.load(Ordering::Acquire), READ_BYTES)? {
                match serde_json::from_slice(&record.payload) {
                    Ok(Finding::Alert(alert)) => alerts.push(alert),
                    Ok(_) => {}
                    // It will not become readable; the plan must not wait for it for ever.
                    Err(error) => {
                        tracing::error!(%error, offset = record.offset, "a finding cannot be read and is passed over")
                    }
                }
                *offset = record.next;
            }
        }
        let moved = offsets != self.standing.offsets;
        if !moved && tick == 0 {
            return Ok(wished);
        }
        let (orders, refused) = self.plan(&alerts, tick)?;
        if alerts.is_empty() && orders.is_empty() && tick == 0 {
            // Only anomalies went by: they are read again after a restart, which costs nothing.
            self.standing.offsets = offsets;
            self.tell_position();
            return Ok(true);
        }
        self.commit(offsets, &orders, &refused)?;
        if tick != 0 {
            self.shared.planned.store(tick, Ordering::Release);
        }
        Ok(true)
    }

    /// Takes one thing that somebody asked for, if there is one.
    fn take_wish(&mut self) -> anyhow::Result<bool> {
        let Some((number, body)) = self.store.wish_after(self.standing.wish)? else { return Ok(false) };
        let granted = match serde_json::from_slice(&body) {
            Ok(Wish::Repair(alert)) => self.attempt(&[alert], 0).map_err(|error| (error.to_string(), Some(error))),
            Ok(Wish::Amend { amendment, now }) => {
                self.amend(&amendment, now).map_err(|error| (error.to_string(), Some(error)))
            }
            Ok(Wish::Plan { task, now, request, assets }) => {
                self.propose(&task, now, &request, assets.as_deref())?;
                Ok(Vec::new())
            }
            Err(error) => Err((format!("the wish cannot be read: {error}"), None)),
        };
        let orders = match granted {
            Ok(orders) => orders,
            Err((reason, error)) => {
                if let Some(error) = error.filter(|error| matches!(error, CallError::Lost { .. })) {
                    self.reopen(&error)?;
                }
                tracing::warn!(number, %reason, "what somebody asked of the planner could not be done");
                let mut refusals = self.shared.refusals.lock().unwrap_or_else(PoisonError::into_inner);
                refusals.insert(number, reason);
                // Nobody asks after an old one any more.
                while refusals.len() > REFUSALS {
                    refusals.pop_first();
                }
                Vec::new()
            }
        };
        self.standing.wish = number;
        self.commit(self.standing.offsets.clone(), &orders, &[])?;
        self.store.forget_wishes(number)?;
        self.shared.wish.store(number, Ordering::Release);
        Ok(true)
    }

    /// The amendment first: when it is refused, all has to be as before.
    fn amend(&mut self, amendment: &Amendment, now: i64) -> Result<Vec<WorkOrder>, CallError> {
        let mut changed = self.scheduler.amend(std::slice::from_ref(amendment))?;
        changed.extend(self.scheduler.tick(now)?);
        Ok(changed)
    }

    /// Says what a plan would look like, to the task that asked.
    fn propose(&mut self, task: &str, now: i64, request: &str, assets: Option<&[String]>) -> anyhow::Result<()> {
        let snapshot = self.scheduler.snapshot()?;
        let proposal = Proposal { now, request, assets };
        match proposal::propose(&self.sandbox, &self.config, &snapshot, &proposal) {
            Ok(plan) => self.store.finish_task(task, "done", &plan, now)?,
            Err(error) => {
                let reason = serde_json::json!({ "error": error.to_string() }).to_string();
                self.store.finish_task(task, "failed", &reason, now)?;
            }
        }
        Ok(())
    }

    /// What the stage makes of the alerts and the tick. When it is lost on them it gets them once more on a fresh
    /// instance; then the alerts one by one, so that the one it cannot plan for is a dead letter and the others are
    /// planned.
    fn plan(&mut self, alerts: &[Alert], tick: i64) -> anyhow::Result<(Vec<WorkOrder>, Vec<DeadLetter>)> {
        for _ in 0..2 {
            match self.attempt(alerts, tick) {
                Ok(orders) => return Ok((orders, Vec::new())),
                Err(error) => self.reopen(&error)?,
            }
        }
        let mut orders = Vec::new();
        let mut good: Vec<Alert> = Vec::new();
        let mut refused = Vec::new();
        for alert in alerts {
            match self.attempt(std::slice::from_ref(alert), 0) {
                Ok(placed) => {
                    orders.extend(placed);
                    good.push(alert.clone());
                }
                Err(error) => {
                    self.reopen(&error)?;
                    self.attempt(&good, 0)?;
                    refused.push(dead_letter(alert, &error));
                }
            }
        }
        if tick != 0 {
            match self.attempt(&[], tick) {
                Ok(placed) => orders.extend(placed),
                Err(error) => {
                    // The next tick plans anew.
                    self.reopen(&error)?;
                    self.attempt(&good, 0)?;
                }
            }
        }
        Ok((orders, refused))
    }

    fn attempt(&mut self, alerts: &[Alert], tick: i64) -> Result<Vec<WorkOrder>, CallError> {
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

    fn commit(&mut self, offsets: Vec<u64>, orders: &[WorkOrder], refused: &[DeadLetter]) -> anyhow::Result<()> {
        let standing = Standing { offsets, plan: self.standing.plan + 1, wish: self.standing.wish };
        self.store.state_put(&key(standing.plan), &self.scheduler.snapshot()?)?;
        let rows: Vec<_> = orders.iter().map(work_order_row).collect();
        self.store.commit(&Commit {
            partition: OWNER,
            applied: Some(Applied { offset: standing.plan, topic_ends: &serde_json::to_string(&standing)? }),
            checkpoint: Some(Checkpoint { snapshot_offset: standing.plan, snapshot: "files".to_owned() }),
            work_orders: &rows,
            dead_letters: refused,
            ..Commit::default()
        })?;
        self.store.state_keep_only(&key(""), &key(standing.plan))?;
        self.snapshots.keep_only(standing.plan);
        self.shared.durable.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&standing.offsets);
        self.standing = standing;
        self.has_snapshot = true;
        self.metrics.work_orders.inc_by(rows.len() as u64);
        self.tell_position();
        Ok(())
    }

    fn tell_position(&self) {
        self.shared.position.store(self.standing.offsets.iter().sum(), Ordering::Release);
        self.shared.plan.store(self.standing.plan, Ordering::Release);
    }

    fn reopen(&mut self, error: &CallError) -> anyhow::Result<()> {
        tracing::warn!(%error, "schedule is opened anew");
        self.metrics.restarts(StageName::Schedule).inc();
        let snapshot =
            if self.has_snapshot { Some(snapshot(&self.store, &self.snapshots, self.standing.plan)?) } else { None };
        self.scheduler = Scheduler::open(&self.sandbox, &self.config, snapshot.as_deref())?;
        Ok(())
    }

    fn take_new_config(&mut self) -> anyhow::Result<()> {
        let wanted = self.shared.config.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(config) = wanted else { return Ok(()) };
        let snapshot = self.scheduler.snapshot()?;
        match Scheduler::open(&self.sandbox, &config, Some(&snapshot)) {
            Ok(scheduler) => {
                self.scheduler = scheduler;
                self.config = config;
            }
            Err(error) => tracing::error!(%error, "schedule goes on with the configuration it had"),
        }
        Ok(())
    }
}

/// Where the snapshot of a plan lies in the store.
fn key(plan: impl std::fmt::Display) -> String {
    format!("{}/{plan}", SNAPSHOT.1)
}

/// The snapshot of a plan. It lay in a file once.
fn snapshot(store: &Store, files: &SnapshotFolder, plan: u64) -> anyhow::Result<Vec<u8>> {
    match store.state_get(&key(plan))? {
        Some(snapshot) => Ok(snapshot),
        None => Ok(files.read_one(plan, "schedule")?),
    }
}

/// An alert that the stage is lost on.
fn dead_letter(alert: &Alert, error: &CallError) -> DeadLetter {
    let event = DeadLetterEvent {
        time: alert.updated,
        source: "planner".to_owned(),
        reason: "stage-failure".to_owned(),
        message: format!("{error}; the alert {} of {} stands without a work order", alert.id, alert.asset),
        payload: serde_json::to_vec(alert).unwrap_or_default(),
        readings: 0,
        sensor: Some(alert.sensor.clone()),
        format: None,
    };
    letter(format!("planner|{}|{}", alert.id, alert.updated), &event)
}
