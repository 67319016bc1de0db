//! What the natively answered routes of the API share: bodies, pages, times.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    extract::{Path, Request, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wheeltapper_access::AccessError;

use super::{Problem, blocking};

/// The largest body: names, roles and sites are short.
const MOST: usize = 64 << 10;
/// Rows of a page, if the query does not say; and at most.
const ROWS: usize = 100;
const MOST_ROWS: usize = 1000;

/// Reads a body of JSON.
pub(super) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        let detail = format!("the body is to be application/json, and Content-Type says {kind:?}; send JSON");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body = Limited::new(request.into_body(), MOST).collect().await.map_err(|_| {
        let detail = format!("the body is larger than {MOST} bytes, or broke off; send it again, whole and shorter");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| {
        let status = match error.classify() {
            serde_json::error::Category::Data => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::BAD_REQUEST,
        };
        // What came is not repeated: it may be a password.
        let place = format!("line {} column {}", error.line(), error.column());
        let told = error.to_string();
        let why = told.split(", expected").next().unwrap_or_default();
        let why =
            if why.contains("invalid type") || why.contains("invalid value") { "a value does not fit" } else { why };
        let why = why.split(" at line").next().unwrap_or_default();
        Problem::new(status, format!("the body is not what is taken: {why}, at {place}; /api/docs says what is"))
    })
}

/// `limit` and `cursor` of a query.
pub(super) struct Place {
    pub(super) limit: usize,
    /// Where to go on.
    pub(super) cursor: Option<i64>,
}

impl Place {
    /// Reads a query.
    pub(super) fn of(query: Option<&str>) -> Result<Self, Problem> {
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
        let uri = format!("/?{}", query.unwrap_or_default());
        let asked =
            uri.parse().ok().and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
        let asked = asked.ok_or_else(|| bad("the query cannot be read; write it as name=value&name=value".into()))?.0;
        let mut seen = BTreeMap::new();
        for (name, value) in asked {
            if !["limit", "cursor"].contains(&name.as_str()) || seen.contains_key(&name) {
                return Err(bad(format!("the query names {name:?}; this route takes limit and cursor, each once")));
            }
            // Forms send what was left empty.
            if !value.is_empty() {
                seen.insert(name, value);
            }
        }
        let limit = match seen.get("limit") {
            None => ROWS,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST_ROWS).contains(limit) && text.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| bad(format!("limit={text:?} is no number from 1 to {MOST_ROWS}")))?,
        };
        let cursor = match seen.get("cursor") {
            None => None,
            Some(text) => Some(cursor(text).ok_or_else(|| {
                bad(format!("cursor={text:?} is none that was given out; follow `next` of the page before"))
            })?),
        };
        Ok(Self { limit, cursor })
    }
}

/// Eight hexadecimal digits, as the cursors of the component are.
fn cursor(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits && text.len() == 8 { i64::from_str_radix(text, 16).ok() } else { None }
}

/// What stands in the place of a template's `{…}`.
pub(super) fn part(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    path.map(|Path(part)| part).map_err(|_| {
        let detail = "the path is not UTF-8 once its percent signs are undone; encode it as UTF-8";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

/// A page of rows, and the way to those that follow.
pub(super) fn page(headers: &HeaderMap, path: &str, items: Vec<Value>, limit: usize, next: Option<i64>) -> Response {
    let next = next.map(|next| format!("{path}?limit={limit}&cursor={next:08x}"));
    let mut response = found(headers, &json!({ "items": items, "next": next }));
    if let Some(link) = next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// 200, or 304 where the client has it.
pub(super) fn found(headers: &HeaderMap, body: &Value) -> Response {
    let body = body.to_string();
    let hash = blake3::hash(body.as_bytes()).to_hex();
    // Weak: packed it is the same, but not byte for byte.
    let tag = format!("W/\"{}\"", hash.get(..32).unwrap_or_default());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let known = known.is_some_and(|tags| {
        tags.split(',').any(|one| one.trim() == "*" || one.trim().trim_start_matches("W/") == &tag[2..])
    });
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => with_body(StatusCode::OK, body),
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    private(response)
}

/// An answer of JSON that nobody keeps: it may hold a password or a key.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = with_body(status, body.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn with_body(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(body)).into_response()
}

/// Who may do what is nobody's business but the browser's that asked.
fn private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// A time as the API writes it.
pub(super) fn time(time: i64) -> Value {
    jiff::Timestamp::from_nanosecond(i128::from(time)).map_or(Value::Null, |instant| json!(instant.to_string()))
}

/// What this host's own routes answer to a method that they do not take.
pub(super) async fn other_method(request: Request) -> Response {
    let path = request.uri().path();
    let mut methods: Vec<&str> = [Method::GET, Method::POST, Method::PATCH, Method::DELETE]
        .iter()
        .filter(|method| wheeltapper_api::route_of(method, path).is_some())
        .map(Method::as_str)
        .collect();
    if path == "/metrics" {
        // Not of the API.
        methods.push("GET");
    }
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    let methods = methods.join(", ");
    let allow = HeaderValue::from_str(&methods).unwrap_or(HeaderValue::from_static("OPTIONS"));
    if request.method() == Method::OPTIONS {
        return (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]).into_response();
    }
    let detail = format!("{path} does not take {}; it takes {methods}", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).header(header::ALLOW, allow).into_response()
}

/// An error of the door as a problem.
pub(super) fn problem(error: AccessError) -> Problem {
    let status = match &error {
        AccessError::Missing { .. } => StatusCode::NOT_FOUND,
        AccessError::Exists(_) | AccessError::LastAdmin(_) | AccessError::Over => StatusCode::CONFLICT,
        AccessError::Password(_) | AccessError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => {
            tracing::error!(%error, "access.db does not do what is asked");
            let detail = "that cannot be done now; the host's log tells why";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(5);
        }
    };
    Problem::new(status, error.to_string())
}

/// Runs what waits for the disk on a thread of its own.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    blocking::ROUTES.run(work).await
}
