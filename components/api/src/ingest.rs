//! `POST /api/v1/ingest`: ingests readings in any format. Responds once they are durable.

use std::io::Read as _;

use http::{HeaderValue, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::{LineApi, Receipt, Submission, api_response::ApiResponse, problem::Problem, query_params::QueryParams};

/// Maximum size of a body in bytes, both as sent and decompressed.
pub const MAX_BODY_BYTES: usize = 16 << 20;
/// Maximum number of rejections listed in a response. All of them are kept as dead letters.
const MAX_LISTED_REJECTIONS: usize = 100;
/// The supported content encodings of a body.
const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip, identity");

/// The values of the query parameter `precision`, the unit of times in line protocol, as InfluxDB clients write it.
pub const PRECISIONS: &[&str] = &["ns", "us", "ms", "s", "n", "u", "m", "h"];

/// Returns the format of an event, with the `precision` of the query added as a media type parameter.
pub fn format_with_precision(format: Option<String>, precision: Option<&str>) -> Option<String> {
    let Some(precision) = precision else { return format };
    // `*/*` leaves the format to the payload.
    Some(format!("{}; precision={precision}", format.as_deref().unwrap_or("*/*")))
}

pub(crate) fn ingest(
    line: &impl LineApi,
    request: &mut Request<Vec<u8>>,
    query: &QueryParams,
) -> Result<ApiResponse, Problem> {
    let body = std::mem::take(request.body_mut());
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if body.len() > MAX_BODY_BYTES || exceeds_body_limit(request) {
        return Err(body_too_large("the body"));
    }
    let receipt = line.submit(Submission {
        source: query.get_owned("topic").unwrap_or_else(|| "/api/v1/ingest".to_owned()),
        format: format_with_precision(text(header::CONTENT_TYPE).map(str::to_owned), query.get("precision")),
        sensor: query.get_owned("sensor"),
        payload: decompress(body, text(header::CONTENT_ENCODING))?,
    })?;
    ingest_response(&receipt)
}

/// Returns whether the `Content-Length` exceeds the limit.
pub fn exceeds_body_limit<T>(request: &Request<T>) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.trim().parse::<u64>().ok()).is_some_and(|length| length > MAX_BODY_BYTES as u64)
}

/// Decodes `Content-Encoding`. Decompression stops once the output exceeds the limit, so that it cannot fill the
/// memory.
pub(crate) fn decompress(body: Vec<u8>, encoding: Option<&str>) -> Result<Vec<u8>, Problem> {
    match encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
        None | Some("" | "identity") => Ok(body),
        Some("gzip" | "x-gzip") => {
            let mut decompressed = Vec::new();
            let limit = MAX_BODY_BYTES as u64 + 1;
            flate2::bufread::MultiGzDecoder::new(body.as_slice()).take(limit).read_to_end(&mut decompressed).map_err(|error| {
                Problem::bad_request(format!(
                    "the body does not match Content-Encoding: {error}; send gzip (RFC 1952), or leave the header out"
                ))
            })?;
            if decompressed.len() > MAX_BODY_BYTES {
                Err(body_too_large("the decompressed body"))
            } else {
                Ok(decompressed)
            }
        }
        Some(other) => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Encoding {other:?} is not supported; send gzip, or an uncompressed body"),
        )
        .with_header(header::ACCEPT_ENCODING, ENCODINGS)),
    }
}

pub(crate) fn body_too_large(what: &str) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("{what} is larger than {MAX_BODY_BYTES} bytes; send less at a time"),
    )
}

/// Responds 202 with the counts, also if a part was rejected; 422 if nothing was accepted.
fn ingest_response(receipt: &Receipt) -> Result<ApiResponse, Problem> {
    let rejected: u64 = receipt.rejections.iter().map(|rejection| u64::from(rejection.readings)).sum();
    let listed: Vec<Value> = receipt
        .rejections
        .iter()
        .take(MAX_LISTED_REJECTIONS)
        .map(|rejection| {
            json!({ "position": rejection.position, "reason": rejection.reason.name(), "message": rejection.message })
        })
        .collect();
    if receipt.accepted == 0 && rejected > 0 {
        let first = receipt.rejections.first().map_or("", |rejection| rejection.message.as_str());
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("nothing was accepted: {first}"))
            .with_member("accepted", json!(0))
            .with_member("rejected", json!(rejected))
            .with_member("errors", json!(listed)));
    }
    let body = json!({ "accepted": receipt.accepted, "rejected": rejected, "errors": listed });
    Ok(ApiResponse::json(StatusCode::ACCEPTED, &body).no_store())
}
