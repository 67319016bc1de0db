//! `POST /api/v1/detect`: scores values against the model of the machine.

use std::time::Instant;

use http::{Request, StatusCode};
use serde_json::{Map, Value};

use crate::{
    DetectRequest, LineApi, Verdict,
    api_response::ApiResponse,
    json_body,
    problem::Problem,
    schemas::{DetectBody, DetectExplanation, DetectResult, JsonObject, StrictObject},
};

pub(crate) fn detect(line: &impl LineApi, now: i64, request: &mut Request<Vec<u8>>) -> Result<ApiResponse, Problem> {
    let started = Instant::now();
    let DetectBody { sensor_data: StrictObject(sensor_data), model_name, threshold } = json_body::read_json(request)?;
    let time = to_nanoseconds(sensor_data.timestamp.0);
    if time < 0 {
        let detail = "the sample's time is before 1970, which is not accepted; give the time of the measurement";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let payload = serde_json::to_value(&sensor_data).and_then(|mut sample| {
        if let Some(members) = sample.as_object_mut() {
            members.insert("timestamp".to_owned(), time.into());
        }
        serde_json::to_vec(&sample)
    });
    let payload = payload.map_err(|error| {
        json_body::invalid_body(
            &format!("sensor_data cannot be serialised: {error}"),
            "/sensor_data",
            "not serialisable",
        )
    })?;
    let verdict = line.detect(&DetectRequest { payload, model: model_name.0, now })?;
    let result = detect_result(verdict, threshold.0, started.elapsed().as_secs_f64() * 1e3);
    Ok(ApiResponse::json(StatusCode::OK, &result).no_store())
}

/// Converts to nanoseconds. The size of the number decides whether it is seconds, milliseconds, microseconds or
/// nanoseconds, as in ingest.
fn to_nanoseconds(time: i64) -> i64 {
    match time.unsigned_abs() {
        0..100_000_000_000 => time.saturating_mul(1_000_000_000),
        100_000_000_000..100_000_000_000_000 => time.saturating_mul(1_000_000),
        100_000_000_000_000..100_000_000_000_000_000 => time.saturating_mul(1_000),
        _ => time,
    }
}

fn detect_result(verdict: Verdict, threshold: f64, milliseconds: f64) -> DetectResult {
    let Verdict { score, threshold: line_threshold, confidence, model, explanation, .. } = verdict;
    // An explanation that cannot be parsed is left empty.
    let mut members: Map<String, Value> = serde_json::from_str(&explanation).unwrap_or_default();
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    DetectResult {
        anomaly_score: score,
        is_anomaly: score >= threshold,
        confidence,
        model_used: model,
        processing_time_ms: (milliseconds * 1e3).round() / 1e3,
        explanation: DetectExplanation {
            message: text(members.remove("message")).unwrap_or_default(),
            fault_mode: text(members.remove("fault_mode")),
            contributions: match members.remove("contributions") {
                Some(Value::Array(list)) => list.into_iter().map(JsonObject).collect(),
                _ => Vec::new(),
            },
            line_threshold,
        },
    }
}
