//! `POST /api/v1/ingest`: ingests readings in any format. Responds once they are durable.

use std::io::Read as _;

use http::{HeaderValue, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::{Front, Receipt, Submission, answer::Answer, problem::Problem, query::Query};

/// Maximum size of a body in bytes, both as sent and decompressed.
pub const LIMIT: usize = 16 << 20;
/// Maximum number of rejections listed in a response. All of them are kept as dead letters.
const LISTED: usize = 100;
/// The supported content encodings of a body.
const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip, identity");

/// The values of the query parameter `precision`, the unit of times in line protocol, as InfluxDB clients write it.
pub const PRECISIONS: &[&str] = &["ns", "us", "ms", "s", "n", "u", "m", "h"];

/// Returns the format of an event, with the `precision` of the query added as a media type parameter.
pub fn with_precision(format: Option<String>, precision: Option<&str>) -> Option<String> {
    let Some(precision) = precision else { return format };
    // `*/*` leaves the format to the payload.
    Some(format!("{}; precision={precision}", format.as_deref().unwrap_or("*/*")))
}

pub(crate) fn ingest(line: &impl Front, request: &mut Request<Vec<u8>>, query: &Query) -> Result<Answer, Problem> {
    let body = std::mem::take(request.body_mut());
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if body.len() > LIMIT || is_too_large(request) {
        return Err(too_large("the body"));
    }
    let receipt = line.submit(Submission {
        source: query.owned("topic").unwrap_or_else(|| "/api/v1/ingest".to_owned()),
        format: with_precision(text(header::CONTENT_TYPE).map(str::to_owned), query.get("precision")),
        sensor: query.owned("sensor"),
        payload: unpack(body, text(header::CONTENT_ENCODING))?,
    })?;
    answer(&receipt)
}

/// Returns whether the `Content-Length` exceeds the limit.
pub fn is_too_large<T>(request: &Request<T>) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.trim().parse::<u64>().ok()).is_some_and(|length| length > LIMIT as u64)
}

/// Decodes `Content-Encoding`. Decompression stops once the output exceeds the limit, so that it cannot fill the
/// memory.
pub(crate) fn unpack(body: Vec<u8>, encoding: Option<&str>) -> Result<Vec<u8>, Problem> {
    match encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
        None | Some("" | "identity") => Ok(body),
        Some("gzip" | "x-gzip") => {
            let mut plain = Vec::new();
            let limit = LIMIT as u64 + 1;
            flate2::bufread::MultiGzDecoder::new(body.as_slice()).take(limit).read_to_end(&mut plain).map_err(|error| {
                Problem::bad_request(format!(
                    "the body does not match Content-Encoding: {error}; send gzip (RFC 1952), or leave the header out"
                ))
            })?;
            if plain.len() > LIMIT { Err(too_large("the decompressed body")) } else { Ok(plain) }
        }
        Some(other) => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Encoding {other:?} is not supported; send gzip, or an uncompressed body"),
        )
        .header(header::ACCEPT_ENCODING, ENCODINGS)),
    }
}

pub(crate) fn too_large(what: &str) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("{what} is larger than {LIMIT} bytes; send less at a time"))
}

/// Responds 202 with the counts, also if a part was rejected; 422 if nothing was accepted.
fn answer(receipt: &Receipt) -> Result<Answer, Problem> {
    let rejected: u64 = receipt.refused.iter().map(|rejection| u64::from(rejection.readings)).sum();
    let listed: Vec<Value> = receipt
        .refused
        .iter()
        .take(LISTED)
        .map(|rejection| {
            json!({ "position": rejection.position, "reason": rejection.reason.name(), "message": rejection.message })
        })
        .collect();
    if receipt.accepted == 0 && rejected > 0 {
        let first = receipt.refused.first().map_or("", |rejection| rejection.message.as_str());
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("nothing was accepted: {first}"))
            .with("accepted", json!(0))
            .with("rejected", json!(rejected))
            .with("errors", json!(listed)));
    }
    let body = json!({ "accepted": receipt.accepted, "rejected": rejected, "errors": listed });
    Ok(Answer::json(StatusCode::ACCEPTED, &body).fresh())
}
