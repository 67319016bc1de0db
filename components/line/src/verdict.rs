//! Scores samples that a user sends: ingest and featurize run on the side, and detect on a copy of its state.

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

/// Scores a sample.
pub(crate) async fn detect<P: Ports>(line: &Line<P>, sample: &Sample) -> Result<Verdict, LineError> {
    let (sensor, batch) = decode(line, sample).await?;
    let filter = Filter { id: Some(sensor.clone()), limit: 1, ..Filter::default() };
    let (statement, parameters) = look::question(Table::Sensors, &filter, None);
    if store::run(&line.ports, &statement, &parameters).await?.is_empty() {
        return Err(Refusal::Absent(format!("there is no sensor {sensor:?}: it has not sent any readings yet")).into());
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
    let mut windows = Vec::new();
    for features in &features {
        match detector.probe(features, model) {
            Ok(scored) => windows.extend(scored),
            // Detect rejects the batch if it has no detector of that name.
            Err(StageError::Batch(text)) => return Err(Refusal::Absent(text).into()),
            Err(other) => return Err(broken(other)),
        }
    }
    Ok(judged(asset, windows)?)
}

/// Decodes the sample to its sensor and readings. Known Sparkplug births are used, and none is saved.
async fn decode<P: Ports>(line: &Line<P>, sample: &Sample) -> Result<(String, ReadingBatch), LineError> {
    let envelope = Envelope {
        source: "detect".to_owned(),
        format: Some("application/json".to_owned()),
        sensor: None,
        arrival: sample.now,
        payload: sample.payload.clone(),
    };
    let mut decoded = intake::decode_aside(line, &envelope).await?;
    // The array holds values of one sensor, but ingest took them as channels, or rejected them because there are too
    // many.
    let has_channels = dictionary::names(&decoded.sensors).nth(1).is_some();
    if (has_channels || decoded.accepted.iter().all(|&accepted| accepted == 0))
        && let Some(payload) = acts::series(&envelope.payload)
    {
        decoded = intake::decode_aside(line, &Envelope { payload, ..envelope }).await?;
    }
    let rejected = decoded.refusals.first();
    let names: Vec<String> = dictionary::names(&decoded.sensors).map(str::to_owned).collect();
    let has_values = !decoded.readings.sensor.is_empty() || !decoded.waveforms.is_empty();
    match (names.as_slice(), rejected) {
        ([name], _) if has_values => {
            let name = name.clone();
            let batch = intake::split(line, decoded).into_values().next();
            let batch =
                batch.ok_or_else(|| Refusal::Invalid("the sample has no values; send at least one".to_owned()))?;
            Ok((name, batch))
        }
        ([_, _, ..], _) => {
            Err(Refusal::Conflict(format!("the sample has values of {}; send one sensor at a time", names.join(", ")))
                .into())
        }
        (_, Some(rejected)) if rejected.rejection.reason == Reason::UnknownSensor => {
            Err(Refusal::Absent(rejected.rejection.message.clone()).into())
        }
        (_, Some(rejected)) => {
            // The API has checked the format before: the sample is well-formed, but the line would reject its values.
            Err(Refusal::Conflict(rejected.rejection.message.clone()).into())
        }
        _ => Err(Refusal::Invalid("the sample has no values; send at least one".to_owned()).into()),
    }
}

/// Computes the windows of the readings alone, without any readings before or after them.
fn featurize<P>(line: &Line<P>, batch: &ReadingBatch) -> Result<Vec<FeatureBatch>, LineError> {
    let broken = |error: StageError| LineError::Broken(format!("featurize: {}", words(&error)));
    let featurizer = Featurizer::open(&line.plant.stage("featurize")).map_err(broken)?;
    let mut outputs = vec![featurizer.push(batch).map_err(broken)?];
    while outputs.last().is_some_and(|output| output.more) {
        outputs.push(featurizer.resume().map_err(broken)?);
    }
    outputs.push(featurizer.flush().map_err(broken)?);
    while outputs.last().is_some_and(|output| output.more) {
        outputs.push(featurizer.resume().map_err(broken)?);
    }
    Ok(outputs.into_iter().map(|output| output.features).collect())
}

fn judged(asset: &str, windows: Vec<Probed>) -> Result<Verdict, Refusal> {
    let is_ready = |window: &Probed| window.learned >= window.needed;
    let Some(worst) = acts::foremost(windows, |window| (is_ready(window), window.score, window.start)) else {
        return Err(Refusal::Invalid("the values fill no window that can be scored; send more values".to_owned()));
    };
    if !is_ready(&worst) {
        return Err(acts::still_learning(asset, worst.learned, worst.needed));
    }
    let anomaly = worst.anomaly.as_ref();
    let contributions = anomaly.map_or(Json::Null, |anomaly| serde_json::json!(anomaly.contributions));
    Ok(Verdict {
        explanation: acts::explanation(
            anomaly.map_or("", |anomaly| anomaly.message.as_str()),
            anomaly.and_then(|anomaly| anomaly.fault_mode.as_deref()),
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
