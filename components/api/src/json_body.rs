//! JSON bodies. An error names the location, what was expected there and what was received.

use std::borrow::Cow;

use http::{HeaderValue, Request, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{error::Category, json};

use crate::{
    ingest::{MAX_BODY_BYTES, body_too_large, decompress, exceeds_body_limit},
    problem::Problem,
    schemas::StrictObject,
};

/// The accepted media type, for the header `Accept`.
const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Reads the required body.
pub(crate) fn read_json<T: DeserializeOwned>(request: &mut Request<Vec<u8>>) -> Result<T, Problem> {
    read_optional_json(request)?.ok_or_else(|| {
        Problem::bad_request("there is no body; send a JSON object with `Content-Type: application/json`")
    })
}

/// Reads the optional body.
pub(crate) fn read_optional_json<T: DeserializeOwned>(request: &mut Request<Vec<u8>>) -> Result<Option<T>, Problem> {
    if exceeds_body_limit(request) || request.body().len() > MAX_BODY_BYTES {
        return Err(body_too_large("the body"));
    }
    if request.body().is_empty() {
        return Ok(None);
    }
    require_json(request)?;
    let body = std::mem::take(request.body_mut());
    let encoding = request.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    let body = decompress(body, encoding)?;
    // The fast path first: only an error needs the path of the member.
    match serde_json::from_slice::<StrictObject<T>>(&body) {
        Ok(StrictObject(value)) => Ok(Some(value)),
        Err(error) => Err(parse_error::<T>(&body, &error)),
    }
}

fn require_json<T>(request: &Request<T>) -> Result<(), Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()));
    let reject = |received: &str| {
        let detail = format!("the body must be application/json in UTF-8, but Content-Type is {received}; send JSON");
        Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).with_header(header::ACCEPT, APPLICATION_JSON))
    };
    let Some(kind) = kind else { return reject("missing") };
    let mut parts = kind.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.filter(|part| !part.is_empty()).all(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || matches!(value.trim().trim_matches('"').to_ascii_lowercase().as_str(), "utf-8" | "utf8" | "us-ascii")
    });
    if is_json && is_utf8 { Ok(()) } else { reject(&format!("{kind:?}")) }
}

fn parse_error<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Problem {
    if error.classify() != Category::Data {
        return Problem::bad_request(format!("the body is not JSON: {error}; correct it there"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let error = match serde_path_to_error::deserialize::<_, StrictObject<T>>(&mut reader) {
        Err(error) => error,
        // The second parse cannot succeed where the first failed; answer with the first error anyway.
        Ok(_) => return Problem::bad_request(format!("the body cannot be read: {error}")),
    };
    let pointer = pointer(error.path());
    let location = if pointer.is_empty() { Cow::from("the body") } else { Cow::from(format!("{pointer} in the body")) };
    let reason = error.inner().to_string();
    // The pointer replaces line and column.
    let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason).to_owned();
    invalid_body(&format!("{location}: {reason}; correct it, /api/docs documents the body"), &pointer, &reason)
}

/// 422: the body is JSON, but does not match the schema. `pointer` is the location, `reason` what is wrong there.
pub(crate) fn invalid_body(detail: &str, pointer: &str, reason: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        .with_member("errors", json!([{ "pointer": pointer, "detail": reason }]))
}

/// Formats a path as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}
