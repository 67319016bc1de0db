//! The API's way in: how an event is asked for, and what its answer says.

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::{Event, Receipt, Refused};

/// The token of those who may let time pass, in the tests.
pub const TICK_TOKEN: &str = "conformance";

/// Path and query of the request that hands in an event. Its format is the Content-Type; the bytes are the body.
pub fn ingest(event: &Event) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("topic", &event.source);
    if let Some(sensor) = &event.sensor {
        query.append_pair("sensor", sensor);
    }
    format!("/api/v1/ingest?{}", query.finish())
}

/// Path and query of the request that lets time pass; it shows [`TICK_TOKEN`].
pub fn tick(now: i64) -> String {
    format!("/api/v1/tick?now={now}")
}

#[derive(Deserialize)]
struct Answer {
    accepted: u64,
    rejected: u64,
    errors: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    position: u64,
    reason: String,
    message: String,
}

/// What an answer says.
///
/// # Errors
/// When it is another answer than that the event was taken, in part or not at all.
pub fn receipt(status: u16, body: &[u8]) -> anyhow::Result<Receipt> {
    if !matches!(status, 202 | 422) {
        bail!("the answer was {status}: {}", String::from_utf8_lossy(body));
    }
    let Answer { accepted, rejected, errors } =
        serde_json::from_slice(body).with_context(|| format!("the answer was {}", String::from_utf8_lossy(body)))?;
    let refused = errors.into_iter().map(|Part { position, reason, message }| Refused { position, reason, message });
    Ok(Receipt { accepted, rejected, refused: refused.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers() {
        let event = Event { source: "a b/ü".into(), format: None, sensor: Some("x/y".into()), payload: Vec::new() };
        assert_eq!(ingest(&event), "/api/v1/ingest?topic=a+b%2F%C3%BC&sensor=x%2Fy");
        let told = br#"{"type":"about:blank","accepted":0,"rejected":2,"errors":[{"position":1,"reason":"late","message":"m"}]}"#;
        assert_eq!(receipt(422, told).unwrap().rejected, 2);
        assert!(receipt(503, b"busy").unwrap_err().to_string().contains("503: busy"));
    }
}
