//! Helpers of the API routes that the host answers itself: bodies, pages, times.

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

use super::{blocking, problem::Problem};

/// The maximum body size in bytes: names, roles and sites are short.
const MAX_BODY_BYTES: usize = 64 << 10;
/// The default number of rows of a page, and the maximum.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Reads a JSON body.
pub(crate) async fn read_json<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        let detail = format!("the body must be application/json, but Content-Type is {kind:?}; send JSON");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await.map_err(|_| {
        let detail = format!(
            "the body is larger than {MAX_BODY_BYTES} bytes, or ended early; send it again, complete and shorter"
        );
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| {
        let status = match error.classify() {
            serde_json::error::Category::Data => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::BAD_REQUEST,
        };
        // The received value is not repeated: it may be a password.
        let position = format!("line {} column {}", error.line(), error.column());
        let text = error.to_string();
        let why = text.split(", expected").next().unwrap_or_default();
        let why =
            if why.contains("invalid type") || why.contains("invalid value") { "a value does not fit" } else { why };
        let why = why.split(" at line").next().unwrap_or_default();
        Problem::new(status, format!("the body is not what this route expects: {why}, at {position}; see /api/docs"))
    })
}

/// The parameters `limit` and `cursor` of a query.
pub(crate) struct PageParams {
    pub(crate) limit: usize,
    /// The first row of the page; `None`: the first of all.
    pub(crate) cursor: Option<i64>,
}

impl PageParams {
    /// Parses a query.
    pub(crate) fn from_query(query: Option<&str>) -> Result<Self, Problem> {
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
        let uri = format!("/?{}", query.unwrap_or_default());
        let pairs =
            uri.parse().ok().and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
        let pairs = pairs.ok_or_else(|| bad("the query cannot be read; write it as name=value&name=value".into()))?.0;
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            if !["limit", "cursor"].contains(&name.as_str()) || params.contains_key(&name) {
                return Err(bad(format!("the query names {name:?}; this route takes limit and cursor, each once")));
            }
            // Forms send fields that were left empty.
            if !value.is_empty() {
                params.insert(name, value);
            }
        }
        let limit = match params.get("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit) && text.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| bad(format!("limit={text:?} is not a number from 1 to {MAX_LIMIT}")))?,
        };
        let cursor = match params.get("cursor") {
            None => None,
            Some(text) => Some(parse_cursor(text).ok_or_else(|| {
                bad(format!("cursor={text:?} is not a cursor of this API; use `next` of the previous page"))
            })?),
        };
        Ok(Self { limit, cursor })
    }
}

/// Eight hexadecimal digits, the format of the component's cursors.
fn parse_cursor(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits && text.len() == 8 { i64::from_str_radix(text, 16).ok() } else { None }
}

/// The part of a path that a template's `{…}` stands for.
pub(crate) fn path_param(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    path.map(|Path(part)| part).map_err(|_| {
        let detail = "the path is not UTF-8 after percent-decoding; encode it as UTF-8";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

/// A page of rows, with a link to the next page.
pub(crate) fn page_response(
    headers: &HeaderMap,
    path: &str,
    items: Vec<Value>,
    limit: usize,
    next: Option<i64>,
) -> Response {
    let next = next.map(|next| format!("{path}?limit={limit}&cursor={next:08x}"));
    let mut response = json_with_etag(headers, &json!({ "items": items, "next": next }));
    if let Some(link) = next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// 200, or 304 if the client has this version.
pub(crate) fn json_with_etag(headers: &HeaderMap, body: &Value) -> Response {
    let body = body.to_string();
    let hash = blake3::hash(body.as_bytes()).to_hex();
    // Weak: a compressed response is equivalent, but not the same bytes.
    let tag = format!("W/\"{}\"", hash.get(..32).unwrap_or_default());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let known = known.is_some_and(|tags| {
        tags.split(',')
            .any(|candidate| candidate.trim() == "*" || candidate.trim().trim_start_matches("W/") == &tag[2..])
    });
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => json_response(StatusCode::OK, body),
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    set_private(response)
}

/// A JSON response that must not be stored: it may hold a password or a key.
pub(crate) fn no_store_json(status: StatusCode, body: &Value) -> Response {
    let mut response = json_response(status, body.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(body)).into_response()
}

/// Only the browser that sent the request may store what a user is allowed to see.
fn set_private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// A time in the API's format.
pub(crate) fn time_json(time: i64) -> Value {
    jiff::Timestamp::from_nanosecond(i128::from(time)).map_or(Value::Null, |instant| json!(instant.to_string()))
}

/// The response of this host's own routes to a method that they do not support.
pub(crate) async fn method_not_allowed(request: Request) -> Response {
    let path = request.uri().path();
    let mut methods: Vec<&str> = [Method::GET, Method::POST, Method::PATCH, Method::DELETE]
        .iter()
        .filter(|method| wheeltapper_api::find_route(method, path).is_some())
        .map(Method::as_str)
        .collect();
    if path == "/metrics" {
        // This route is not in the API's table.
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

/// An access error as a problem.
pub(crate) fn access_problem(error: AccessError) -> Problem {
    let status = match &error {
        AccessError::NotFound { .. } => StatusCode::NOT_FOUND,
        AccessError::UserExists(_) | AccessError::LastAdmin(_) | AccessError::ExpiryInPast => StatusCode::CONFLICT,
        AccessError::Password(_) | AccessError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => {
            tracing::error!(%error, "access.db cannot be read or written");
            let detail = "the request failed; try again, and see the host's log for the reason";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(5);
        }
    };
    Problem::new(status, error.to_string())
}

/// Runs work that waits for the disk on a thread of its own.
pub(crate) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    blocking::ROUTES.run(work).await
}
