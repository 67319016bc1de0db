//! The alert stage: anomalies to alerts.

use crate::{
    Topic, Value,
    contracts::{
        alert::Alerter,
        types::{Alert, AlertState},
    },
    error::describe_stage_error,
    events::{AlertEvent, PlannerCommand},
    labels::severity_name,
    queue::QueuedEvent,
    rows::{ALERTS, RowBatch, optional_integer, optional_text, text_value},
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

    fn process(&self, _key: &str, event: &QueuedEvent, rows: &mut RowBatch) -> Result<StageOutput, String> {
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
        if let Some(now) = input.tick {
            alerts.extend(self.0.tick(now).map_err(|error| describe_stage_error(&error))?);
        }
        for alert in &alerts {
            rows.add(ALERTS, alert_row(alert, event.seq));
        }
        let command = (!alerts.is_empty()).then(|| postcard::to_allocvec(&PlannerCommand::Alerts(alerts))).transpose();
        Ok(StageOutput { planner_command: command.map_err(|error| error.to_string())?, ..StageOutput::default() })
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    fn to_dead_letter(event: &QueuedEvent) -> (Option<&'static str>, Vec<u8>, i64) {
        (None, event.body.clone(), 0)
    }
}

fn alert_row(alert: &Alert, seq: i64) -> Vec<Value> {
    let state = match alert.state {
        AlertState::Open => "open",
        AlertState::Resolved => "resolved",
    };
    vec![
        text_value(alert.id.as_str()),
        text_value(alert.asset.as_str()),
        text_value(alert.sensor.as_str()),
        text_value(severity_name(alert.severity)),
        text_value(state),
        Value::Integer(alert.opened),
        Value::Integer(alert.updated),
        optional_integer(alert.resolved),
        Value::Integer(i64::from(alert.anomalies)),
        Value::Real(alert.peak_score),
        text_value(alert.anomaly.as_str()),
        optional_text(alert.fault_mode.as_deref()),
        text_value(alert.title.as_str()),
        text_value(alert.message.as_str()),
        text_value(alert.recommendation.as_str()),
        Value::Integer(seq),
    ]
}
