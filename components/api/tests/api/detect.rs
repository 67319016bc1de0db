//! Scoring of values.

use http::{Method, Response};
use serde_json::{Value, json};
use wheeltapper_api::LineApiError;

use crate::memory::{Memory, NOW, body, invalid_body, plant, problem, send};

const SENSOR: &str = "north/hall-1/pump-1/vibration";

fn detect(line: &Memory, payload: &Value) -> Response<Vec<u8>> {
    send(line, Method::POST, "/api/v1/detect", &payload.to_string())
}

fn sample(values: Value) -> Value {
    json!({ "sensor_data": { "sensor_id": SENSOR, "timestamp": "2026-01-01T00:00:00Z", "values": values } })
}

#[test]
fn values_are_scored() {
    let line = plant();
    let mut payload = sample(json!([1.5, -2]));
    payload["sensor_data"]["metadata"] = json!({ "sampling_hz": 100 });
    let response = detect(&line, &payload);
    assert_eq!(response.status(), 200, "{}", body(&response));
    let mut result = body(&response);
    assert!(result["processing_time_ms"].take().as_f64().is_some_and(|time| time >= 0.0));
    assert_eq!(
        result,
        json!({
            "anomaly_score": 0.96, "is_anomaly": true, "confidence": 0.7, "model_used": "ensemble",
            "processing_time_ms": null,
            "explanation": {
                "message": "rms is 7.1 mm/s, 1.2 mm/s is normal", "fault_mode": null,
                "contributions": [{ "feature": "rms", "share": 0.7 }], "line_threshold": 0.9,
            },
        })
    );
    let received = line.detect_requests.borrow()[0].clone();
    assert_eq!((received.model.as_str(), received.now), ("ensemble", NOW));
    assert_eq!(
        serde_json::from_slice::<Value>(&received.payload).unwrap(),
        json!({
            "sensor_id": SENSOR, "timestamp": 1_767_225_600_000_000_000_i64, "values": [1.5, -2.0],
            "metadata": { "sampling_hz": 100 },
        })
    );
    for values in [json!(1), json!(1.5), json!({ "x": 1, "y": 2.5 })] {
        assert_eq!(detect(&line, &sample(values)).status(), 200);
    }
}

#[test]
fn the_request_sets_the_threshold() {
    let line = plant();
    for (threshold, is_anomaly) in [(json!(0.96), true), (json!(0.97), false), (json!(0), true), (json!(1), false)] {
        let mut payload = sample(json!(1));
        payload["threshold"] = threshold;
        assert_eq!(body(&detect(&line, &payload))["is_anomaly"], is_anomaly);
    }
}

#[test]
fn invalid_samples_are_rejected() {
    let line = plant();
    let with = |pointer: &str, value: Value| {
        let mut payload = sample(json!(1));
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        payload.pointer_mut(parent).unwrap()[name] = value;
        payload
    };
    for (expected_pointer, value, expected_detail) in [
        ("/threshold", json!(1.01), "the number 1.01, expected one from 0 to 1"),
        ("/threshold", json!("high"), "invalid type: string \"high\", expected f64"),
        ("/threshold", Value::Null, "expected f64"),
        ("/model_name", json!(7), "invalid type: integer `7`, expected a string"),
        ("/model_name", json!("m".repeat(65)), "a text of 65 characters, expected 1 to 64"),
        ("/modelname", json!("x"), "unknown field `modelname`"),
        ("/sensor_data", json!([SENSOR, "2026-01-01T00:00:00Z", 1]), "expected an object"),
        ("/sensor_data/sensor_id", json!(""), "a text of 0 characters, expected 1 to 256"),
        ("/sensor_data/timestamp", json!("2026-01-01 00:00:00Z"), "expected a time as RFC 3339"),
        ("/sensor_data/timestamp", json!(true), "expected a time as RFC 3339"),
        ("/sensor_data/values", json!("7"), "expected a number, an object of numbers, or an array of numbers"),
        ("/sensor_data/values", json!([]), "an empty array, expected at least one number"),
        ("/sensor_data/values", json!({}), "an empty object, expected at least one number"),
        ("/sensor_data/values/x", json!({}), ""),
        ("/sensor_data/metadata", json!([]), "expected a map"),
        ("/sensor_data/unit", json!("mm/s"), "unknown field `unit`"),
    ] {
        if expected_pointer == "/sensor_data/values/x" {
            let (pointer, detail) = invalid_body(&detect(&line, &sample(json!({ "x": "1" }))));
            assert!(
                pointer.starts_with("/sensor_data/values") && detail.contains("expected f64"),
                "{pointer} {detail}"
            );
            continue;
        }
        let (pointer, detail) = invalid_body(&detect(&line, &with(expected_pointer, value)));
        assert_eq!(pointer, expected_pointer, "{detail}");
        assert!(detail.contains(expected_detail), "{expected_pointer}: {detail}");
    }
    let (pointer, detail) = invalid_body(&detect(&line, &json!({})));
    assert_eq!((pointer.as_str(), detail.as_str()), ("", "missing field `sensor_data`"));
    assert!(line.detect_requests.take().is_empty());
}

#[test]
fn line_errors_map_to_statuses() {
    for (failure, status) in [
        (LineApiError::NotFound("no such sensor".into()), 404),
        (LineApiError::Conflict("it is still learnt".into()), 409),
        (LineApiError::Invalid("of no use".into()), 422),
        (LineApiError::Unavailable("locked".into()), 503),
        (LineApiError::Internal("b".into()), 500),
    ] {
        let line = Memory { failure: Some(failure), ..Memory::default() };
        problem(&detect(&line, &sample(json!(1))), status);
    }
}
