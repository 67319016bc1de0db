//! Scores samples that a user sends: ingest and featurize run on the side, and detect on a copy of its state.

use serde_json::Value as Json;
use wheeltapper_line_api::{DetectRequest, Verdict};

use crate::{
    Filter, Line, LineError, Ports, Table,
    action_rules::{self, ActionError},
    contracts::{
        detect::{Detector, DryRunResult},
        featurize::Featurizer,
        ingest::Envelope,
        types::{FeatureBatch, ReadingBatch, Reason, StageError},
    },
    dictionary,
    error::describe_stage_error,
    intake, query, stage_driver,
    stages::detect::DetectStage,
    store,
};

/// Scores a sample.
pub(crate) async fn score<P: Ports>(line: &Line<P>, sample: &DetectRequest) -> Result<Verdict, LineError> {
    let (sensor, batch) = decode_sample(line, sample).await?;
    let filter = Filter { id: Some(sensor.clone()), limit: 1, ..Filter::default() };
    let (statement, parameters) = query::select_statement(Table::Sensors, &filter, None);
    if store::execute(&line.ports, &statement, &parameters).await?.is_empty() {
        return Err(
            ActionError::NotFound(format!("there is no sensor {sensor:?}: it has not sent any readings yet")).into()
        );
    }
    let features = featurize(line, &batch)?;
    let asset = line.plant.asset_of(&sensor);
    let config = line.plant.stage_config("detect");
    let broken = |error: StageError| LineError::Broken(format!("detect: {}", describe_stage_error(&error)));
    let detector = match stage_driver::load_snapshot::<DetectStage, P>(line, asset).await? {
        None => Detector::open(&config),
        Some(snapshot) => Detector::restore(&config, &snapshot),
    }
    .map_err(broken)?;
    let model = Some(sample.model.as_str()).filter(|model| !model.is_empty());
    let mut windows = Vec::new();
    for features in &features {
        match detector.dry_run(features, model) {
            Ok(scored) => windows.extend(scored),
            // Detect rejects the batch if it has no detector of that name.
            Err(StageError::Batch(text)) => return Err(ActionError::NotFound(text).into()),
            Err(other) => return Err(broken(other)),
        }
    }
    Ok(to_verdict(asset, windows)?)
}

/// Decodes the sample to its sensor and readings. Known Sparkplug births are used, and none is saved.
async fn decode_sample<P: Ports>(line: &Line<P>, sample: &DetectRequest) -> Result<(String, ReadingBatch), LineError> {
    let envelope = Envelope {
        source: "detect".to_owned(),
        format: Some("application/json".to_owned()),
        sensor: None,
        arrival: sample.now,
        payload: sample.payload.clone(),
    };
    let mut decoded = intake::decode_without_saving(line, &envelope).await?;
    // The array holds values of one sensor, but ingest took them as channels, or rejected them because there are too
    // many.
    let has_channels = dictionary::names(&decoded.sensors).nth(1).is_some();
    if (has_channels || decoded.accepted.iter().all(|&accepted| accepted == 0))
        && let Some(payload) = action_rules::array_to_readings(&envelope.payload)
    {
        decoded = intake::decode_without_saving(line, &Envelope { payload, ..envelope }).await?;
    }
    let rejected = decoded.rejected.first();
    let names: Vec<String> = dictionary::names(&decoded.sensors).map(str::to_owned).collect();
    let has_values = !decoded.readings.sensor.is_empty() || !decoded.waveforms.is_empty();
    match (names.as_slice(), rejected) {
        ([name], _) if has_values => {
            let name = name.clone();
            let batch = intake::split_by_asset(line, decoded).into_values().next();
            let batch =
                batch.ok_or_else(|| ActionError::Invalid("the sample has no values; send at least one".to_owned()))?;
            Ok((name, batch))
        }
        ([_, _, ..], _) => Err(ActionError::Conflict(format!(
            "the sample has values of {}; send one sensor at a time",
            names.join(", ")
        ))
        .into()),
        (_, Some(rejected)) if rejected.rejection.reason == Reason::UnknownSensor => {
            Err(ActionError::NotFound(rejected.rejection.message.clone()).into())
        }
        (_, Some(rejected)) => {
            // The API has checked the format before: the sample is well-formed, but the line would reject its values.
            Err(ActionError::Conflict(rejected.rejection.message.clone()).into())
        }
        _ => Err(ActionError::Invalid("the sample has no values; send at least one".to_owned()).into()),
    }
}

/// Computes the windows of the readings alone, without any readings before or after them.
fn featurize<P>(line: &Line<P>, batch: &ReadingBatch) -> Result<Vec<FeatureBatch>, LineError> {
    let broken = |error: StageError| LineError::Broken(format!("featurize: {}", describe_stage_error(&error)));
    let featurizer = Featurizer::open(&line.plant.stage_config("featurize")).map_err(broken)?;
    let mut outputs = vec![featurizer.push(batch).map_err(broken)?];
    while outputs.last().is_some_and(|output| output.has_more) {
        outputs.push(featurizer.resume().map_err(broken)?);
    }
    outputs.push(featurizer.flush().map_err(broken)?);
    while outputs.last().is_some_and(|output| output.has_more) {
        outputs.push(featurizer.resume().map_err(broken)?);
    }
    Ok(outputs.into_iter().map(|output| output.features).collect())
}

fn to_verdict(asset: &str, windows: Vec<DryRunResult>) -> Result<Verdict, ActionError> {
    let is_ready = |window: &DryRunResult| window.learned >= window.needed;
    let Some(worst) = action_rules::most_anomalous(windows, |window| (is_ready(window), window.score, window.start))
    else {
        return Err(ActionError::Invalid("the values fill no window that can be scored; send more values".to_owned()));
    };
    if !is_ready(&worst) {
        return Err(action_rules::still_learning_error(asset, worst.learned, worst.needed));
    }
    let anomaly = worst.anomaly.as_ref();
    let contributions = anomaly.map_or(Json::Null, |anomaly| serde_json::json!(anomaly.contributions));
    Ok(Verdict {
        explanation: action_rules::explanation_json(
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
