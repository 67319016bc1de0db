//! Bodies of JSON. What is wrong with one is told by its place, what was expected there and what came.

use std::borrow::Cow;

use http::{HeaderValue, Request, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{error::Category, json};

use crate::{
    ingest::{LIMIT, is_too_large, too_large, unpack},
    problem::Problem,
    shapes::Object,
};

/// What a body may be, for `Accept` and `Accept-Post` alike.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Reads the body, which has to be there.
pub(crate) fn read<T: DeserializeOwned>(request: &mut Request<Vec<u8>>) -> Result<T, Problem> {
    read_or_none(request)?.ok_or_else(|| {
        Problem::bad_request("there is no body; send a JSON object with `Content-Type: application/json`")
    })
}

/// Reads the body, if there is one.
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
    // The fast way first: where it succeeds, no place has to be told.
    match serde_json::from_slice::<Object<T>>(&body) {
        Ok(Object(value)) => Ok(Some(value)),
        Err(error) => Err(wrong::<T>(&body, &error)),
    }
}

fn demand_json<T>(request: &Request<T>) -> Result<(), Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()));
    let refuse = |came: &str| {
        let detail = format!("the body is to be application/json in UTF-8, and Content-Type says {came}; send JSON");
        Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).header(header::ACCEPT, JSON))
    };
    let Some(kind) = kind else { return refuse("nothing") };
    let mut parts = kind.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.filter(|part| !part.is_empty()).all(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || matches!(value.trim().trim_matches('"').to_ascii_lowercase().as_str(), "utf-8" | "utf8" | "us-ascii")
    });
    if is_json && is_utf8 { Ok(()) } else { refuse(&format!("{kind:?}")) }
}

fn wrong<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Problem {
    if error.classify() != Category::Data {
        return Problem::bad_request(format!("the body is no JSON: {error}; mend it there"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let error = match serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) {
        Err(error) => error,
        // Read twice with two outcomes: that cannot be, but an answer is due.
        Ok(_) => return Problem::bad_request(format!("the body cannot be read: {error}")),
    };
    let pointer = pointer(error.path());
    let place = if pointer.is_empty() { Cow::from("the body") } else { Cow::from(format!("{pointer} in the body")) };
    let why = error.inner().to_string();
    // The place says more than line and column.
    let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why).to_owned();
    unfit(&format!("{place}: {why}; mend it, /api/docs says what is taken"), &pointer, &why)
}

/// 422: the body is JSON, but not what is taken. `pointer` says where.
pub(crate) fn unfit(detail: &str, pointer: &str, why: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        .with("errors", json!([{ "pointer": pointer, "detail": why }]))
}

/// As RFC 6901 has it.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}
