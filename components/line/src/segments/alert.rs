//! The alert stage: anomalies to alerts.

use crate::{
    Topic, Value,
    contracts::{
        alert::Alerter,
        types::{Alert, AlertState},
    },
    error::words,
    events::{Found, Plan},
    names::severity,
    queue::Queued,
    rows::{ALERTS, Rows, maybe_integer, maybe_text, text},
    segment::{Output, Segment},
};

pub(crate) struct Alerts(Alerter);

impl Segment for Alerts {
    const INPUT: Topic = Topic::Anomalies;
    const OUTPUT: Option<Topic> = None;
    const NAME: &'static str = "alert";

    fn open(config: &str, snapshot: Option<&[u8]>) -> Result<Self, String> {
        let opened = match snapshot {
            None => Alerter::open(config),
            Some(snapshot) => Alerter::restore(config, snapshot),
        };
        opened.map(Self).map_err(|error| words(&error))
    }

    fn step(&self, _key: &str, event: &Queued, rows: &mut Rows) -> Result<Output, String> {
        let input: Found = postcard::from_bytes(&event.body).map_err(|error| error.to_string())?;
        let mut alerts = Vec::new();
        let features_output = &input.detected;
        if !(features_output.scores.asset.is_empty() && features_output.anomalies.is_empty()) {
            alerts.extend(
                self.0.push(&features_output.scores, &features_output.anomalies).map_err(|error| words(&error))?,
            );
        }
        if let Some(late) = &input.late {
            alerts.extend(self.0.push(&late.scores, &late.anomalies).map_err(|error| words(&error))?);
        }
        if let Some(now) = input.tick {
            alerts.extend(self.0.tick(now).map_err(|error| words(&error))?);
        }
        for alert in &alerts {
            rows.add(ALERTS, row(alert, event.seq));
        }
        let command = (!alerts.is_empty()).then(|| postcard::to_allocvec(&Plan::Alerts(alerts))).transpose();
        Ok(Output { plan: command.map_err(|error| error.to_string())?, ..Output::default() })
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    fn letter(event: &Queued) -> (Option<&'static str>, Vec<u8>, i64) {
        (None, event.body.clone(), 0)
    }
}

fn row(alert: &Alert, seq: i64) -> Vec<Value> {
    let state = match alert.state {
        AlertState::Open => "open",
        AlertState::Resolved => "resolved",
    };
    vec![
        text(alert.id.as_str()),
        text(alert.asset.as_str()),
        text(alert.sensor.as_str()),
        text(severity(alert.severity)),
        text(state),
        Value::Integer(alert.opened),
        Value::Integer(alert.updated),
        maybe_integer(alert.resolved),
        Value::Integer(i64::from(alert.anomalies)),
        Value::Real(alert.peak_score),
        text(alert.anomaly.as_str()),
        maybe_text(alert.fault_mode.as_deref()),
        text(alert.title.as_str()),
        text(alert.message.as_str()),
        text(alert.recommendation.as_str()),
        Value::Integer(seq),
    ]
}
