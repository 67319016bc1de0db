//! Requests to the API and their responses.

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::{Event, Receipt, RejectedPart};

/// The token for ticks in the tests.
pub const TICK_TOKEN: &str = "conformance";

/// Returns path and query of the request that sends an event. The format is its Content-Type, the payload its body.
pub fn ingest_path(event: &Event) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("topic", &event.source);
    if let Some(sensor) = &event.sensor {
        query.append_pair("sensor", sensor);
    }
    format!("/api/v1/ingest?{}", query.finish())
}

/// Returns path and query of the request that advances the time. It needs [`TICK_TOKEN`].
pub fn tick_path(now: i64) -> String {
    format!("/api/v1/tick?now={now}")
}

#[derive(Deserialize)]
struct IngestResponse {
    accepted: u64,
    rejected: u64,
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    position: u64,
    reason: String,
    message: String,
}

/// Parses a response.
///
/// # Errors
/// If the status is neither 202 (accepted, at least in part) nor 422 (rejected), or the body is invalid.
pub fn parse_receipt(status: u16, body: &[u8]) -> anyhow::Result<Receipt> {
    if !matches!(status, 202 | 422) {
        bail!("expected status 202 or 422, got {status}: {}", String::from_utf8_lossy(body));
    }
    let IngestResponse { accepted, rejected, errors } = serde_json::from_slice(body)
        .with_context(|| format!("the response is invalid: {}", String::from_utf8_lossy(body)))?;
    let parts =
        errors.into_iter().map(|ErrorEntry { position, reason, message }| RejectedPart { position, reason, message });
    Ok(Receipt { accepted, rejected, rejected_parts: parts.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_formatted_and_responses_parsed() {
        let event = Event { source: "a b/ü".into(), format: None, sensor: Some("x/y".into()), payload: Vec::new() };
        assert_eq!(ingest_path(&event), "/api/v1/ingest?topic=a+b%2F%C3%BC&sensor=x%2Fy");
        let body = br#"{"type":"about:blank","accepted":0,"rejected":2,"errors":[{"position":1,"reason":"late","message":"m"}]}"#;
        assert_eq!(parse_receipt(422, body).unwrap().rejected, 2);
        assert!(parse_receipt(503, b"busy").unwrap_err().to_string().contains("503: busy"));
    }
}
