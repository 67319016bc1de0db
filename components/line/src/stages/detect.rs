//! The detect stage: features to scores and anomalies.

use crate::{
    Topic, Value,
    contracts::{
        detect::{Detected, Detector},
        types::{Anomaly, Drift, DriftKind, Prognosis},
    },
    dictionary,
    error::describe_stage_error,
    events::{AlertEvent, DetectEvent},
    labels::severity_name,
    queue::QueuedEvent,
    rows::{ANOMALIES, DRIFTS, PROGNOSES, RowBatch, optional_real, optional_text, text_value},
    stage_driver::{Stage, StageOutput},
};

pub(crate) struct DetectStage(Detector);

impl Stage for DetectStage {
    const INPUT: Topic = Topic::Processed;
    const OUTPUT: Option<Topic> = Some(Topic::Anomalies);
    const NAME: &'static str = "detect";

    fn open(config: &str, snapshot: Option<&[u8]>) -> Result<Self, String> {
        let opened = match snapshot {
            None => Detector::open(config),
            Some(snapshot) => Detector::restore(config, snapshot),
        };
        opened.map(Self).map_err(|error| describe_stage_error(&error))
    }

    fn process(&self, _key: &str, event: &QueuedEvent, rows: &mut RowBatch) -> Result<StageOutput, String> {
        let processed: DetectEvent = postcard::from_bytes(&event.body).map_err(|error| error.to_string())?;
        let detected = self.0.push(&processed.features).map_err(|error| describe_stage_error(&error))?;
        let tick_output = match processed.tick {
            Some(now) => {
                let mut tick_output = self.0.tick(now).map_err(|error| describe_stage_error(&error))?;
                while tick_output.has_more {
                    let rest = self.0.resume().map_err(|error| describe_stage_error(&error))?;
                    append_output(&mut tick_output, rest);
                }
                Some(tick_output)
            }
            None => None,
        };
        for detected in std::iter::once(&detected).chain(&tick_output) {
            add_rows(detected, rows);
        }
        if processed.tick.is_none() && detected.scores.asset.is_empty() && detected.anomalies.is_empty() {
            return Ok(StageOutput::default());
        }
        let next_input = AlertEvent { detected, tick_output, tick: processed.tick };
        let next = postcard::to_allocvec(&next_input).map_err(|error| error.to_string())?;
        Ok(StageOutput { next_event: Some(next), ..StageOutput::default() })
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    fn to_dead_letter(event: &QueuedEvent) -> (Option<&'static str>, Vec<u8>, i64) {
        (None, event.body.clone(), 0)
    }
}

/// Appends the next part of an output that detect returned in several parts.
fn append_output(total: &mut Detected, rest: Detected) {
    let assets = u32::try_from(total.scores.assets.ends.len()).unwrap_or(u32::MAX);
    for asset in dictionary::iter_names(&rest.scores.assets) {
        dictionary::push(&mut total.scores.assets, asset);
    }
    total.scores.asset.extend(rest.scores.asset.into_iter().map(|asset| asset + assets));
    total.scores.start.extend(rest.scores.start);
    total.scores.end.extend(rest.scores.end);
    total.scores.score.extend(rest.scores.score);
    total.anomalies.extend(rest.anomalies);
    total.drifts.extend(rest.drifts);
    total.prognoses.extend(rest.prognoses);
    total.has_more = rest.has_more;
}

fn add_rows(detected: &Detected, rows: &mut RowBatch) {
    for anomaly in &detected.anomalies {
        rows.add(ANOMALIES, anomaly_row(anomaly));
    }
    for drift in &detected.drifts {
        rows.add(DRIFTS, drift_row(drift));
    }
    for prognosis in &detected.prognoses {
        rows.add(PROGNOSES, prognosis_row(prognosis));
    }
}

fn anomaly_row(anomaly: &Anomaly) -> Vec<Value> {
    let metadata = serde_json::json!({ "contributions": anomaly.contributions, "trend": anomaly.trend });
    vec![
        text_value(anomaly.id.as_str()),
        Value::Integer(anomaly.end),
        text_value(anomaly.sensor.as_str()),
        text_value(anomaly.asset.as_str()),
        Value::Integer(anomaly.start),
        Value::Integer(anomaly.end),
        Value::Real(anomaly.score),
        text_value(anomaly.model.as_str()),
        text_value(severity_name(anomaly.severity)),
        Value::Real(anomaly.threshold),
        Value::Real(anomaly.confidence),
        optional_text(anomaly.fault_mode.as_deref()),
        text_value(anomaly.message.as_str()),
        text_value(metadata.to_string()),
    ]
}

fn drift_row(drift: &Drift) -> Vec<Value> {
    let kind = match drift.kind {
        DriftKind::Drifted => "drifted",
        DriftKind::Kept => "kept",
        DriftKind::Switched => "switched",
    };
    vec![
        text_value(drift.id.as_str()),
        text_value(drift.asset.as_str()),
        Value::Integer(drift.time),
        text_value(kind),
        text_value(serde_json::json!(drift.sensors).to_string()),
        Value::Real(drift.p_value),
        text_value(drift.message.as_str()),
    ]
}

fn prognosis_row(prognosis: &Prognosis) -> Vec<Value> {
    vec![
        text_value(prognosis.asset.as_str()),
        Value::Integer(prognosis.time),
        Value::Real(prognosis.health),
        optional_real(prognosis.p10),
        optional_real(prognosis.p50),
        optional_real(prognosis.p90),
        text_value(prognosis.model.as_str()),
    ]
}
