//! The planner: one schedule instance for the plant, which reads the alerts of all partitions.

mod command;
mod execute;
mod planning;
mod schedule_stage;
mod shared;
mod snapshots;
mod task;
mod what_if;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use wheeltapper_log::WakeSignal;

use crate::supervisor::{Supervisor, TaskHandle};
pub(crate) use command::PlannerCommand;
pub(crate) use schedule_stage::ScheduleFactory;
#[cfg(test)]
pub(crate) use schedule_stage::ScheduleStage;
pub(crate) use shared::PlannerShared;
use shared::lock;
pub(crate) use snapshots::PLANNER_SNAPSHOT;
pub(crate) use task::{PlannerConfig, PlannerTask};

/// Handle of the planner's thread.
#[derive(Debug)]
pub struct Planner {
    shared: Arc<PlannerShared>,
    signal: WakeSignal,
    task: TaskHandle,
}

impl Planner {
    /// Starts the planner at the checkpoint in the store. `stage` is the stage's configuration as JSON.
    ///
    /// # Errors
    /// When the store or the snapshot cannot be read, or the stage rejects its configuration.
    pub(crate) fn start(supervisor: &Supervisor, config: PlannerConfig, stage: String) -> anyhow::Result<Self> {
        let shared = Arc::new(PlannerShared::new(stage));
        let signal = config.findings.signal().clone();
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
        Ok(Self { shared, signal, task })
    }

    /// Requests a new plan from `now` (nanoseconds since 1970).
    pub fn request_tick(&self, now: i64) {
        self.shared.request_tick(now);
        self.wake();
    }

    /// Tells the planner that a command is in the store.
    pub fn wake(&self) {
        self.signal.wake_all();
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
        self.wake();
    }

    /// Plans for the remaining alerts and stops the thread; returns false when it does not stop within `limit`.
    pub fn stop_within(&mut self, limit: Duration) -> bool {
        self.task.stop_within(limit)
    }
}
