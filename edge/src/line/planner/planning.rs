//! Runs the stage, and isolates an alert on which it fails.

use std::time::Instant;

use wheeltapper_store::DeadLetter;

use super::{snapshots::load_snapshot, task::PlannerTask};
use crate::{
    components::{
        CallError, StageName,
        wit::types::{Alert, WorkOrder},
    },
    topics::DeadLetterEvent,
};

impl PlannerTask {
    /// Runs the stage on the alerts and the tick. If the stage fails, it is retried once on a new instance, then with
    /// one alert at a time, so that an alert on which it fails becomes a dead letter and the others are planned.
    pub(super) fn plan_with_retries(
        &mut self,
        alerts: &[Alert],
        tick: i64,
    ) -> anyhow::Result<(Vec<WorkOrder>, Vec<DeadLetter>)> {
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

    /// Runs the stage once on the alerts and, unless it is 0, the tick.
    pub(super) fn run_stage(&mut self, alerts: &[Alert], tick: i64) -> Result<Vec<WorkOrder>, CallError> {
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

    /// Replaces the stage by a new instance at the last stored plan.
    pub(super) fn reopen_stage(&mut self, error: &CallError) -> anyhow::Result<()> {
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
    event.to_row(&format!("planner|{}|{}", alert.id, alert.updated))
}
