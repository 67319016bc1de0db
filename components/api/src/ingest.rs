//! `POST /api/v1/ingest`: readings in any format. Answers once they are durable.

use std::io::Read as _;

use http::{HeaderValue, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::{Front, Receipt, Submission, answer::Answer, problem::Problem, query::Query};

/// Bytes of a body, as it is sent and as it is unpacked, at most.
pub const LIMIT: usize = 16 << 20;
/// An answer lists this many refusals; all lie in the dead letters.
const LISTED: usize = 100;
/// The encodings of a body that are taken.
const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip, identity");

/// What the query's `precision` may be: what the times of line protocol count, as InfluxDB's clients write it.
pub const PRECISIONS: &[&str] = &["ns", "us", "ms", "s", "n", "u", "m", "h"];

/// The format of an event whose query says what its times count.
pub fn with_precision(format: Option<String>, precision: Option<&str>) -> Option<String> {
    let Some(precision) = precision else { return format };
    // `*/*` leaves the format to the payload.
    Some(format!("{}; precision={precision}", format.as_deref().unwrap_or("*/*")))
}

pub(crate) fn ingest(front: &impl Front, request: &mut Request<Vec<u8>>, query: &Query) -> Result<Answer, Problem> {
    let body = std::mem::take(request.body_mut());
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if body.len() > LIMIT || is_too_large(request) {
        return Err(too_large("the body"));
    }
    let receipt = front.submit(Submission {
        source: query.owned("topic").unwrap_or_else(|| "/api/v1/ingest".to_owned()),
        format: with_precision(text(header::CONTENT_TYPE).map(str::to_owned), query.get("precision")),
        sensor: query.owned("sensor"),
        payload: unpack(body, text(header::CONTENT_ENCODING))?,
    })?;
    answer(&receipt)
}

/// Whether a body says of itself that it is larger than is taken.
pub fn is_too_large<T>(request: &Request<T>) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.trim().parse::<u64>().ok()).is_some_and(|length| length > LIMIT as u64)
}

/// Undoes Content-Encoding. What unpacks to more than the limit is refused before it fills the memory.
pub(crate) fn unpack(body: Vec<u8>, encoding: Option<&str>) -> Result<Vec<u8>, Problem> {
    match encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
        None | Some("" | "identity") => Ok(body),
        Some("gzip" | "x-gzip") => {
            let mut unpacked = Vec::new();
            let most = LIMIT as u64 + 1;
            flate2::bufread::MultiGzDecoder::new(body.as_slice()).take(most).read_to_end(&mut unpacked).map_err(|error| {
                Problem::bad_request(format!(
                    "the body is not what Content-Encoding says: {error}; send gzip (RFC 1952), or leave the header out"
                ))
            })?;
            if unpacked.len() > LIMIT { Err(too_large("the unpacked body")) } else { Ok(unpacked) }
        }
        Some(other) => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Encoding {other:?} is not known here; send gzip, or the plain body"),
        )
        .header(header::ACCEPT_ENCODING, ENCODINGS)),
    }
}

pub(crate) fn too_large(what: &str) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("{what} is larger than {LIMIT} bytes; send less at a time"))
}

/// 202 with what was taken, also when a part was refused; 422 when nothing was taken.
fn answer(receipt: &Receipt) -> Result<Answer, Problem> {
    let rejected: u64 = receipt.refused.iter().map(|refused| u64::from(refused.readings)).sum();
    let listed: Vec<Value> = receipt
        .refused
        .iter()
        .take(LISTED)
        .map(|refused| {
            json!({ "position": refused.position, "reason": refused.reason.name(), "message": refused.message })
        })
        .collect();
    if receipt.accepted == 0 && rejected > 0 {
        let first = receipt.refused.first().map_or("", |refused| refused.message.as_str());
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("nothing was taken: {first}"))
            .with("accepted", json!(0))
            .with("rejected", json!(rejected))
            .with("errors", json!(listed)));
    }
    let body = json!({ "accepted": receipt.accepted, "rejected": rejected, "errors": listed });
    Ok(Answer::json(StatusCode::ACCEPTED, &body).fresh())
}
