//! Executes users' commands, one at a time and in their order.

use std::sync::atomic::Ordering;

use super::{
    command::PlannerCommand,
    shared::lock,
    task::PlannerTask,
    what_if::{self, WhatIfRequest},
};
use crate::components::{
    CallError,
    wit::{schedule::Amendment, types::WorkOrder},
};

/// Maximum number of rejection reasons that are kept for callers.
const MAX_KEPT_REJECTIONS: usize = 1_000;
/// Panics on one command before it is rejected.
const MAX_PANICS_PER_COMMAND: u32 = 3;

impl PlannerTask {
    /// Processes the next command, if there is one.
    pub(super) fn process_command(&mut self) -> anyhow::Result<bool> {
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
}
