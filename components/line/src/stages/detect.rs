//! The detect stage: features to scores and anomalies.

use crate::{
    Topic,
    contract_mapping::{anomaly_row, drift_row, prognosis_row},
    contracts::detect::{Detected, Detector},
    dictionary,
    error::describe_stage_error,
    events::{AlertEvent, DetectEvent, FollowUp},
    queue::QueuedEvent,
    rows::{ANOMALIES, DRIFTS, PROGNOSES, RowBatch},
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

    fn process(&self, key: &str, event: &QueuedEvent, rows: &mut RowBatch) -> Result<StageOutput, String> {
        let processed: DetectEvent = postcard::from_bytes(&event.body).map_err(|error| error.to_string())?;
        let detected = self.0.push(&processed.features).map_err(|error| describe_stage_error(&error))?;
        let tick_output = match processed.follow_up {
            FollowUp::Tick(now) => {
                let mut tick_output = self.0.tick(now).map_err(|error| describe_stage_error(&error))?;
                while tick_output.has_more {
                    let rest = self.0.resume().map_err(|error| describe_stage_error(&error))?;
                    append_output(&mut tick_output, rest);
                }
                Some(tick_output)
            }
            FollowUp::ResetBaseline(_) => {
                self.0.reset_baseline(key);
                None
            }
            FollowUp::Nothing => None,
        };
        for detected in std::iter::once(&detected).chain(&tick_output) {
            add_rows(detected, rows);
        }
        let has_findings = !(detected.scores.asset.is_empty() && detected.anomalies.is_empty());
        if processed.follow_up == FollowUp::Nothing && !has_findings {
            return Ok(StageOutput::default());
        }
        let next_input = AlertEvent { detected, tick_output, follow_up: processed.follow_up };
        let next = postcard::to_allocvec(&next_input).map_err(|error| error.to_string())?;
        Ok(StageOutput { next_event: Some(next), ..StageOutput::default() })
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    fn to_dead_letter(event: &QueuedEvent) -> (Option<&'static str>, Vec<u8>, u32) {
        (None, event.body.clone(), 0)
    }
}

/// Appends the next part of an output that detect returned in several parts.
fn append_output(total: &mut Detected, rest: Detected) {
    let assets = u32::try_from(total.scores.assets.ends.len()).unwrap_or(u32::MAX);
    for asset in dictionary::names(&rest.scores.assets) {
        dictionary::push_name(&mut total.scores.assets, asset);
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
        rows.add(ANOMALIES, anomaly_row(anomaly).into_values());
    }
    for drift in &detected.drifts {
        rows.add(DRIFTS, drift_row(drift).into_values());
    }
    for prognosis in &detected.prognoses {
        rows.add(PROGNOSES, prognosis_row(prognosis).into_values());
    }
}
