//! The alert stage: anomalies to alerts.

use crate::{
    Topic,
    contract_mapping::alert_row,
    contracts::alert::Alerter,
    error::describe_stage_error,
    events::{AlertEvent, FollowUp, PlannerCommand},
    queue::QueuedEvent,
    rows::{ALERTS, RowBatch, with_sequence},
    stage_driver::{Stage, StageOutput},
};

pub(crate) struct AlertStage(Alerter);

impl Stage for AlertStage {
    const INPUT: Topic = Topic::Anomalies;
    const OUTPUT: Option<Topic> = None;
    const NAME: &'static str = "alert";

    fn open(config: &str, snapshot: Option<&[u8]>) -> Result<Self, String> {
        let opened = match snapshot {
            None => Alerter::open(config),
            Some(snapshot) => Alerter::restore(config, snapshot),
        };
        opened.map(Self).map_err(|error| describe_stage_error(&error))
    }

    fn process(&self, key: &str, event: &QueuedEvent, rows: &mut RowBatch) -> Result<StageOutput, String> {
        let input: AlertEvent = postcard::from_bytes(&event.body).map_err(|error| error.to_string())?;
        let mut alerts = Vec::new();
        let features_output = &input.detected;
        if !(features_output.scores.asset.is_empty() && features_output.anomalies.is_empty()) {
            alerts.extend(
                self.0
                    .push(&features_output.scores, &features_output.anomalies)
                    .map_err(|error| describe_stage_error(&error))?,
            );
        }
        if let Some(tick_output) = &input.tick_output {
            alerts.extend(
                self.0
                    .push(&tick_output.scores, &tick_output.anomalies)
                    .map_err(|error| describe_stage_error(&error))?,
            );
        }
        match input.follow_up {
            FollowUp::Nothing => {}
            FollowUp::Tick(now) => alerts.extend(self.0.tick(now).map_err(|error| describe_stage_error(&error))?),
            FollowUp::ResetBaseline(now) => alerts.extend(self.0.resolve(key, now)),
        }
        for alert in &alerts {
            rows.add(ALERTS, with_sequence(alert_row(alert).into_values(), event.seq));
        }
        let command = (!alerts.is_empty()).then(|| postcard::to_allocvec(&PlannerCommand::Alerts(alerts))).transpose();
        Ok(StageOutput { planner_command: command.map_err(|error| error.to_string())?, ..StageOutput::default() })
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    fn to_dead_letter(event: &QueuedEvent) -> (Option<&'static str>, Vec<u8>, u32) {
        (None, event.body.clone(), 0)
    }
}
