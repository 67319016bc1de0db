//! Values that somebody wants judged: through ingest and featurize on the side, and before a copy of what detect knows.

use serde_json::Value as Json;
use wheeltapper_front::{Sample, Verdict};

use crate::{
    Filter, Line, LineError, Ports, Table,
    acts::{self, Refusal},
    contracts::{
        detect::{Detector, Probed},
        featurize::Featurizer,
        ingest::Envelope,
        types::{FeatureBatch, ReadingBatch, Reason, StageError},
    },
    dictionary,
    error::words,
    intake, look, segment,
    segments::detect::Detection,
    store,
};

/// Judges a sample.
pub(crate) async fn detect<P: Ports>(line: &Line<P>, sample: &Sample) -> Result<Verdict, LineError> {
    let (sensor, batch) = decode(line, sample).await?;
    let filter = Filter { id: Some(sensor.clone()), limit: 1, ..Filter::default() };
    let (statement, parameters) = look::question(Table::Sensors, &filter, None);
    if store::run(&line.ports, &statement, &parameters).await?.is_empty() {
        return Err(
            Refusal::Absent(format!("there is no sensor {sensor:?}: none of that name has sent anything yet")).into()
        );
    }
    let features = featurize(line, &batch)?;
    let asset = line.plant.asset(&sensor);
    let config = line.plant.stage("detect");
    let broken = |error: StageError| LineError::Broken(format!("detect: {}", words(&error)));
    let detector = match segment::snapshot::<Detection, P>(line, asset).await? {
        None => Detector::open(&config),
        Some(snapshot) => Detector::restore(&config, &snapshot),
    }
    .map_err(broken)?;
    let model = Some(sample.model.as_str()).filter(|model| !model.is_empty());
    let mut probed = Vec::new();
    for features in &features {
        match detector.probe(features, model) {
            Ok(some) => probed.extend(some),
            // It knows no such detector.
            Err(StageError::Batch(text)) => return Err(Refusal::Absent(text).into()),
            Err(other) => return Err(broken(other)),
        }
    }
    Ok(judged(asset, probed)?)
}

/// The sensor, and its readings; the births that ingest knows are used, and none is kept.
async fn decode<P: Ports>(line: &Line<P>, sample: &Sample) -> Result<(String, ReadingBatch), LineError> {
    let envelope = Envelope {
        source: "detect".to_owned(),
        format: Some("application/json".to_owned()),
        sensor: None,
        arrival: sample.now,
        payload: sample.payload.clone(),
    };
    let mut decoded = intake::decode_aside(line, &envelope).await?;
    // Values of one sensor, which are channels to ingest, or too many for that.
    let several = dictionary::names(&decoded.sensors).nth(1).is_some();
    if (several || decoded.accepted.iter().all(|&accepted| accepted == 0))
        && let Some(payload) = acts::series(&envelope.payload)
    {
        decoded = intake::decode_aside(line, &Envelope { payload, ..envelope }).await?;
    }
    let refused = decoded.refusals.first();
    let names: Vec<String> = dictionary::names(&decoded.sensors).map(str::to_owned).collect();
    let some = !decoded.readings.sensor.is_empty() || !decoded.waveforms.is_empty();
    match (names.as_slice(), refused) {
        ([name], _) if some => {
            let name = name.clone();
            let batch = intake::split(line, decoded).into_values().next();
            let batch = batch.ok_or_else(|| Refusal::Invalid("there is nothing to judge".to_owned()))?;
            Ok((name, batch))
        }
        ([_, _, ..], _) => {
            Err(Refusal::Conflict(format!("one sensor is judged at a time, but {} came", names.join(", "))).into())
        }
        (_, Some(refused)) if refused.rejection.reason == Reason::UnknownSensor => {
            Err(Refusal::Absent(refused.rejection.message.clone()).into())
        }
        (_, Some(refused)) => {
            // What a sample looks like has been looked at before: this is one, but none that the line would take.
            Err(Refusal::Conflict(refused.rejection.message.clone()).into())
        }
        _ => Err(Refusal::Invalid("there is no value to judge; give at least one".to_owned()).into()),
    }
}

/// The windows of the readings, as if nothing had come before and nothing came after.
fn featurize<P>(line: &Line<P>, batch: &ReadingBatch) -> Result<Vec<FeatureBatch>, LineError> {
    let broken = |error: StageError| LineError::Broken(format!("featurize: {}", words(&error)));
    let featurizer = Featurizer::open(&line.plant.stage("featurize")).map_err(broken)?;
    let mut parts = vec![featurizer.push(batch).map_err(broken)?];
    while parts.last().is_some_and(|part| part.more) {
        parts.push(featurizer.resume().map_err(broken)?);
    }
    parts.push(featurizer.flush().map_err(broken)?);
    while parts.last().is_some_and(|part| part.more) {
        parts.push(featurizer.resume().map_err(broken)?);
    }
    Ok(parts.into_iter().map(|part| part.features).collect())
}

fn judged(asset: &str, probed: Vec<Probed>) -> Result<Verdict, Refusal> {
    let known = |probed: &Probed| probed.learned >= probed.needed;
    let Some(worst) = acts::foremost(probed, |window| (known(window), window.score, window.start)) else {
        return Err(Refusal::Invalid("the values make no window that can be judged".to_owned()));
    };
    if !known(&worst) {
        return Err(acts::still_learning(asset, worst.learned, worst.needed));
    }
    let reason = worst.anomaly.as_ref();
    let contributions = reason.map_or(Json::Null, |reason| serde_json::json!(reason.contributions));
    Ok(Verdict {
        explanation: acts::explanation(
            reason.map_or("", |reason| reason.message.as_str()),
            reason.and_then(|reason| reason.fault_mode.as_deref()),
            &contributions,
        ),
        asset: worst.asset,
        sensor: worst.sensor,
        score: worst.score,
        threshold: worst.threshold,
        confidence: worst.confidence,
        model: worst.model,
    })
}
