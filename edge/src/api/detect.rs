//! Judging values that somebody sends, by the very stages and the state that judge the sensor's own readings.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use wheeltapper_config::Config;
use wheeltapper_line::acts;

use super::{
    act::refused,
    desk::Desk,
    guest::{
        Caller,
        bindings::wheeltapper::pipeline::front::{FrontError, Sample, Verdict},
    },
};
use crate::{
    components::{
        CallError, Featurizer, Ingester,
        wit::{
            detect::Probed,
            ingest::Envelope,
            types::{ReadingBatch, Reason, SensorTable},
        },
    },
    dictionary,
    line::Question,
};

/// Stages that wait for the next sample.
const IDLE: usize = 4;

/// Instances of ingest and featurize that are no part of the line.
struct Judge {
    config: Arc<Config>,
    ingester: Ingester,
    featurizer: Featurizer,
}

/// Those that are not in use.
#[derive(Default)]
pub(super) struct Judges(Mutex<Vec<Judge>>);

impl Desk {
    pub(super) async fn detect(self: &Arc<Self>, caller: &Caller, sample: Sample) -> Result<Verdict, FrontError> {
        // Before anything that depends on how the sensor is configured: what is there for others is as if it were not.
        if let Some(name) = named(&sample.payload).iter().find(|name| self.sensor(caller, name).is_none()) {
            return Err(unknown(name));
        }
        let model = Some(sample.model.clone()).filter(|model| !model.is_empty());
        let sender = caller.clone();
        let (name, features) = self
            .apart(move |desk| {
                let mut judge = desk.judge()?;
                let (name, batch) = desk.decoded(&mut judge, &sender, &sample)?;
                let features = judge.featurizer.push(&batch).and_then(|pushed| {
                    let mut parts = vec![pushed];
                    while parts.last().is_some_and(|part| part.more) {
                        parts.push(judge.featurizer.resume()?);
                    }
                    parts.push(judge.featurizer.flush()?);
                    while parts.last().is_some_and(|part| part.more) {
                        parts.push(judge.featurizer.resume()?);
                    }
                    // The state of a sample is nothing to the next.
                    judge.featurizer.renew(&judge.config.featurize_json())?;
                    Ok(parts.into_iter().map(|part| part.features).collect::<Vec<_>>())
                });
                let features = features.map_err(broken)?;
                desk.keep(judge);
                Ok((name, features))
            })
            .await?;
        let Some((place, asset)) = self.sensor(caller, &name) else { return Err(unknown(&name)) };
        let partition = place.partition;
        let probed =
            self.ask(partition, |answer| Question::Probe(features, model, answer)).await?.ok_or_else(|| {
                FrontError::Unavailable(format!(
                    "the line of partition {partition}, which has this machine, stopped; the host's log tells why"
                ))
            })?;
        let probed = probed.map_err(|error| match error {
            // The stage knows no such detector.
            CallError::Refused { message, .. } => FrontError::Absent(message),
            CallError::Lost { .. } => broken(error),
        })?;
        verdict(&asset, probed)
    }

    /// The sensor that a sample is of, and its values.
    fn decoded(
        &self,
        judge: &mut Judge,
        caller: &Caller,
        sample: &Sample,
    ) -> Result<(String, ReadingBatch), FrontError> {
        let envelope = Envelope {
            source: "/api/v1/detect".into(),
            format: Some("json".into()),
            sensor: None,
            arrival: sample.now,
            payload: sample.payload.clone(),
        };
        let mut decoded = judge.ingester.decode(std::slice::from_ref(&envelope)).map_err(broken)?;
        // Values of one sensor, which are channels to ingest, or too many for that.
        let several = dictionary::names(&decoded.sensors).nth(1).is_some();
        if (several || decoded.accepted.iter().all(|&accepted| accepted == 0))
            && let Some(payload) = acts::series(&envelope.payload)
        {
            decoded = judge.ingester.decode(&[Envelope { payload, ..envelope }]).map_err(broken)?;
        }
        if let Some(refusal) = decoded.refusals.first() {
            let message = refusal.rejection.message.clone();
            return Err(match refusal.rejection.reason {
                Reason::UnknownSensor => match &refusal.sensor {
                    Some(name) => unknown(name),
                    None => FrontError::Absent(message),
                },
                // What a sample looks like has been looked at before: this is one, but none that the line would take.
                _ => FrontError::Conflict(message),
            });
        }
        let names: Vec<&str> = dictionary::names(&decoded.sensors).collect();
        let [name] = names.as_slice() else {
            return Err(FrontError::Conflict(format!(
                "a sample is of one sensor, this one names {}: send one request a sensor",
                names.len()
            )));
        };
        let Some((_, asset)) = self.sensor(caller, name) else { return Err(unknown(name)) };
        let mut assets = dictionary::empty();
        dictionary::push(&mut assets, &asset);
        let sensors = SensorTable { names: decoded.sensors.clone(), assets, asset: vec![0] };
        let name = (*name).to_owned();
        Ok((
            name,
            ReadingBatch { sensors, readings: decoded.readings, waveforms: decoded.waveforms, arrivals: Vec::new() },
        ))
    }

    fn judge(&self) -> Result<Judge, FrontError> {
        let config = self.host.config();
        let mut idle = self.judges.0.lock().unwrap_or_else(PoisonError::into_inner);
        // After a change of the configuration the old ones are of no use.
        idle.retain(|judge| Arc::ptr_eq(&judge.config, &config));
        if let Some(judge) = idle.pop() {
            return Ok(judge);
        }
        drop(idle);
        let sandbox = self.host.sandbox();
        Ok(Judge {
            ingester: Ingester::open(sandbox, &config.ingest_json(), None).map_err(broken)?,
            featurizer: Featurizer::open(sandbox, &config.featurize_json(), None).map_err(broken)?,
            config,
        })
    }

    fn keep(&self, judge: Judge) {
        let mut idle = self.judges.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(judge);
        }
    }
}

/// Of several windows the one that stands out most.
fn verdict(asset: &str, probed: Vec<Probed>) -> Result<Verdict, FrontError> {
    let known = |probed: &Probed| probed.learned >= probed.needed;
    let Some(worst) = acts::foremost(probed, |window| (known(window), window.score, window.start)) else {
        return Err(FrontError::Invalid(
            "the values make no window that can be judged; send one value at least".into(),
        ));
    };
    if !known(&worst) {
        return Err(refused(acts::still_learning(asset, worst.learned, worst.needed)));
    }
    let reason = worst.anomaly.as_ref();
    Ok(Verdict {
        explanation: acts::explanation(
            reason.map_or("", |reason| reason.message.as_str()),
            reason.and_then(|reason| reason.fault_mode.as_deref()),
            &reason.map_or_else(Default::default, |reason| serde_json::json!(reason.contributions)),
        ),
        asset: worst.asset,
        sensor: worst.sensor,
        score: worst.score,
        threshold: worst.threshold,
        confidence: worst.confidence,
        model: worst.model,
    })
}

/// The sensors that a sample is of, as ingest puts their names together. None where it is no sample: ingest tells what it is.
fn named(payload: &[u8]) -> Vec<String> {
    let sample: Json = serde_json::from_slice(payload).unwrap_or_default();
    let Some(id) = sample.get("sensor_id").and_then(Json::as_str) else { return Vec::new() };
    match sample.get("values") {
        Some(Json::Object(parts)) => {
            parts.keys().map(|key| if key == "value" { id.to_owned() } else { format!("{id}/{key}") }).collect()
        }
        _ => vec![id.to_owned()],
    }
}

fn unknown(name: &str) -> FrontError {
    FrontError::Absent(format!(
        "there is no sensor {name}; GET /api/v1/sensors lists those there are, and a sensor comes to be with its first reading"
    ))
}

fn broken(error: CallError) -> FrontError {
    FrontError::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_tells_its_sensors_before_it_is_decoded() {
        let named = |payload: &str| named(payload.as_bytes());
        assert_eq!(named(r#"{"sensor_id":"n/m/x","timestamp":1,"values":1.5}"#), ["n/m/x"]);
        assert_eq!(named(r#"{"sensor_id":"n/m/x","values":[1,2]}"#), ["n/m/x"]);
        assert_eq!(named(r#"{"sensor_id":"n/m","values":{"value":2,"x":1}}"#), ["n/m", "n/m/x"]);
        assert!(named("[").is_empty() && named("[]").is_empty());
    }
}
