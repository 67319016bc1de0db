//! JSON bodies. An error names the location, what was expected there and what was received.

use std::borrow::Cow;

use http::{HeaderValue, Request, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{error::Category, json};

use crate::{
    ingest::{LIMIT, is_too_large, too_large, unpack},
    problem::Problem,
    shapes::Object,
};

/// The accepted media type, for the header `Accept`.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Reads the required body.
pub(crate) fn read<T: DeserializeOwned>(request: &mut Request<Vec<u8>>) -> Result<T, Problem> {
    read_or_none(request)?.ok_or_else(|| {
        Problem::bad_request("there is no body; send a JSON object with `Content-Type: application/json`")
    })
}

/// Reads the optional body.
pub(crate) fn read_or_none<T: DeserializeOwned>(request: &mut Request<Vec<u8>>) -> Result<Option<T>, Problem> {
    if is_too_large(request) || request.body().len() > LIMIT {
        return Err(too_large("the body"));
    }
    if request.body().is_empty() {
        return Ok(None);
    }
    demand_json(request)?;
    let body = std::mem::take(request.body_mut());
    let encoding = request.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    let body = unpack(body, encoding)?;
    // The fast path first: only an error needs the path of the member.
    match serde_json::from_slice::<Object<T>>(&body) {
        Ok(Object(value)) => Ok(Some(value)),
        Err(error) => Err(wrong::<T>(&body, &error)),
    }
}

fn demand_json<T>(request: &Request<T>) -> Result<(), Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()));
    let reject = |received: &str| {
        let detail = format!("the body must be application/json in UTF-8, but Content-Type is {received}; send JSON");
        Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).header(header::ACCEPT, JSON))
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

fn wrong<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Problem {
    if error.classify() != Category::Data {
        return Problem::bad_request(format!("the body is not JSON: {error}; correct it there"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let error = match serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) {
        Err(error) => error,
        // The second parse cannot succeed where the first failed; answer with the first error anyway.
        Ok(_) => return Problem::bad_request(format!("the body cannot be read: {error}")),
    };
    let pointer = pointer(error.path());
    let location = if pointer.is_empty() { Cow::from("the body") } else { Cow::from(format!("{pointer} in the body")) };
    let reason = error.inner().to_string();
    // The pointer replaces line and column.
    let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason).to_owned();
    unfit(&format!("{location}: {reason}; correct it, /api/docs documents the body"), &pointer, &reason)
}

/// 422: the body is JSON, but does not match the schema. `pointer` is the location, `reason` what is wrong there.
pub(crate) fn unfit(detail: &str, pointer: &str, reason: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        .with("errors", json!([{ "pointer": pointer, "detail": reason }]))
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
