//! Scores values that a client sends, with the same stages and state that score the sensor's own readings.

use std::sync::Arc;

use serde_json::Value as Json;
use wheeltapper_line::action_rules;

use super::{
    bindings::wheeltapper::pipeline::line_api::{DetectRequest, LineApiError, Verdict},
    caller::Caller,
    errors::{action_error, internal_error},
    query_service::QueryService,
    scorer_pool::SampleScorer,
};
use crate::{
    components::{
        CallError,
        wit::{
            detect::DryRunResult,
            ingest::Envelope,
            types::{ReadingBatch, Reason, SensorTable},
        },
    },
    line::WorkerQuery,
    name_dictionary,
};

impl QueryService {
    pub(super) async fn score_sample(
        self: &Arc<Self>,
        caller: &Caller,
        sample: DetectRequest,
    ) -> Result<Verdict, LineApiError> {
        // Checked before anything that depends on the sensor's configuration: a sensor that the caller may not see must
        // look as if it did not exist.
        if let Some(name) = sensor_names(&sample.payload).iter().find(|name| self.find_sensor(caller, name).is_none()) {
            return Err(unknown_sensor(name));
        }
        let model = Some(sample.model.clone()).filter(|model| !model.is_empty());
        let sender = caller.clone();
        let (name, features) = self
            .run_blocking(move |service| {
                let mut scorer = service.scorers.take(&service.host)?;
                let (name, batch) = service.decode_sample(&mut scorer, &sender, &sample)?;
                let features = scorer.featurizer.push(&batch).and_then(|pushed| {
                    let mut outputs = vec![pushed];
                    while outputs.last().is_some_and(|output| output.has_more) {
                        outputs.push(scorer.featurizer.resume()?);
                    }
                    outputs.push(scorer.featurizer.flush()?);
                    while outputs.last().is_some_and(|output| output.has_more) {
                        outputs.push(scorer.featurizer.resume()?);
                    }
                    // The state after one sample must not affect the next.
                    scorer.featurizer.reset(&scorer.config.featurize_json())?;
                    Ok(outputs.into_iter().map(|output| output.features).collect::<Vec<_>>())
                });
                let features = features.map_err(internal_error)?;
                service.scorers.put_back(scorer);
                Ok((name, features))
            })
            .await?;
        let Some((location, asset)) = self.find_sensor(caller, &name) else { return Err(unknown_sensor(&name)) };
        let partition = location.partition;
        let scores =
            self.query_worker(partition, |answer| WorkerQuery::DryRun(features, model, answer)).await?.ok_or_else(|| {
                LineApiError::Unavailable(format!(
                    "the line of partition {partition}, which has this machine, has stopped; see the host's log for the reason"
                ))
            })?;
        let scores = scores.map_err(|error| match error {
            // The stage does not know this detector.
            CallError::Rejected { message, .. } => LineApiError::NotFound(message),
            CallError::InstanceFailed { .. } => internal_error(error),
        })?;
        to_verdict(&asset, scores)
    }

    /// The sensor of a sample, and its decoded values.
    fn decode_sample(
        &self,
        scorer: &mut SampleScorer,
        caller: &Caller,
        sample: &DetectRequest,
    ) -> Result<(String, ReadingBatch), LineApiError> {
        let envelope = Envelope {
            source: "/api/v1/detect".into(),
            format: Some("json".into()),
            sensor: None,
            arrival: sample.now,
            payload: sample.payload.clone(),
        };
        let mut decoded = scorer.ingester.decode(std::slice::from_ref(&envelope)).map_err(internal_error)?;
        // Either the values of one sensor, which ingest takes for channels, or more values than ingest takes.
        let has_several = name_dictionary::names(&decoded.sensors).nth(1).is_some();
        if (has_several || decoded.accepted.iter().all(|&accepted| accepted == 0))
            && let Some(payload) = action_rules::array_to_readings(&envelope.payload)
        {
            decoded = scorer.ingester.decode(&[Envelope { payload, ..envelope }]).map_err(internal_error)?;
        }
        if let Some(part) = decoded.rejected.first() {
            let message = part.rejection.message.clone();
            return Err(match part.rejection.reason {
                Reason::UnknownSensor => match &part.sensor {
                    Some(name) => unknown_sensor(name),
                    None => LineApiError::NotFound(message),
                },
                // The format of the sample has been checked before: it is a sample, but one that the line would not
                // take.
                _ => LineApiError::Conflict(message),
            });
        }
        let names: Vec<&str> = name_dictionary::names(&decoded.sensors).collect();
        let [name] = names.as_slice() else {
            return Err(LineApiError::Conflict(format!(
                "a sample must have one sensor, and this one names {}; send one request per sensor",
                names.len()
            )));
        };
        let Some((_, asset)) = self.find_sensor(caller, name) else { return Err(unknown_sensor(name)) };
        let mut assets = name_dictionary::empty();
        name_dictionary::push_name(&mut assets, &asset);
        let sensors = SensorTable { names: decoded.sensors.clone(), assets, asset: vec![0] };
        let name = (*name).to_owned();
        Ok((
            name,
            ReadingBatch { sensors, readings: decoded.readings, waveforms: decoded.waveforms, arrivals: Vec::new() },
        ))
    }
}

/// The verdict of the window with the highest score.
fn to_verdict(asset: &str, scores: Vec<DryRunResult>) -> Result<Verdict, LineApiError> {
    let is_trained = |score: &DryRunResult| score.learned >= score.needed;
    let Some(highest) = action_rules::most_anomalous(scores, |window| (is_trained(window), window.score, window.start))
    else {
        return Err(LineApiError::Invalid(
            "the values do not fill a window that can be scored; send at least one value".into(),
        ));
    };
    if !is_trained(&highest) {
        return Err(action_error(action_rules::still_learning_error(asset, highest.learned, highest.needed)));
    }
    let reason = highest.anomaly.as_ref();
    Ok(Verdict {
        explanation: action_rules::explanation_json(
            reason.map_or("", |reason| reason.message.as_str()),
            reason.and_then(|reason| reason.fault_mode.as_deref()),
            &reason.map_or_else(Default::default, |reason| serde_json::json!(reason.contributions)),
        ),
        asset: highest.asset,
        sensor: highest.sensor,
        score: highest.score,
        threshold: highest.threshold,
        confidence: highest.confidence,
        model: highest.model,
    })
}

/// The sensors of a sample, named as ingest builds their names. Empty if the payload is not a sample; ingest then
/// returns the error.
fn sensor_names(payload: &[u8]) -> Vec<String> {
    let sample: Json = serde_json::from_slice(payload).unwrap_or_default();
    let Some(id) = sample.get("sensor_id").and_then(Json::as_str) else { return Vec::new() };
    match sample.get("values") {
        Some(Json::Object(channels)) => {
            channels.keys().map(|key| if key == "value" { id.to_owned() } else { format!("{id}/{key}") }).collect()
        }
        _ => vec![id.to_owned()],
    }
}

fn unknown_sensor(name: &str) -> LineApiError {
    LineApiError::NotFound(format!(
        "there is no sensor {name}; GET /api/v1/sensors lists all, and a sensor is created by its first reading"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sensors_of_a_sample_are_known_before_decoding() {
        let sensor_names = |payload: &str| sensor_names(payload.as_bytes());
        assert_eq!(sensor_names(r#"{"sensor_id":"n/m/x","timestamp":1,"values":1.5}"#), ["n/m/x"]);
        assert_eq!(sensor_names(r#"{"sensor_id":"n/m/x","values":[1,2]}"#), ["n/m/x"]);
        assert_eq!(sensor_names(r#"{"sensor_id":"n/m","values":{"value":2,"x":1}}"#), ["n/m", "n/m/x"]);
        assert!(sensor_names("[").is_empty() && sensor_names("[]").is_empty());
    }
}
