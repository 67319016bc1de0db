//! The API: routes, queries, bodies and GraphQL, with an empty line.

use http::{Method, Request, StatusCode};
use wheeltapper_api::{
    ActionRequest, DetectRequest, Filter, LineApi, LineApiError, Receipt, Settings, Submission, Table, Verdict, respond,
};

use crate::{NOW, bounds, byte, slice};

/// A line without data.
struct EmptyLine;

impl LineApi for EmptyLine {
    fn submit(&self, _: Submission) -> Result<Receipt, LineApiError> {
        Ok(Receipt { accepted: 1, rejections: Vec::new() })
    }

    fn query(&self, _: Table, filter: &Filter) -> Result<String, LineApiError> {
        assert!(filter.limit <= Filter::MAX_ROWS, "the API requests more rows than the maximum");
        Ok("[]".into())
    }

    fn tick(&self, _: i64) -> Result<(), LineApiError> {
        Ok(())
    }

    fn perform_action(&self, _: &ActionRequest) -> Result<String, LineApiError> {
        Err(LineApiError::NotFound("the line is empty".into()))
    }

    fn detect(&self, _: &DetectRequest) -> Result<Verdict, LineApiError> {
        Err(LineApiError::NotFound("the line is empty".into()))
    }
}

/// Sends the input as a GraphQL document.
///
/// # Panics
/// If the response takes longer than the length allows, is a server error, or is not valid JSON.
pub fn graphql(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let body = serde_json::json!({ "query": text }).to_string().into_bytes();
    send(Request::post("/graphql").header("content-type", "application/json").body(body));
}

/// Sends a request. The input is the method, the target and the media type, the latter two with their lengths before
/// them, and the body.
///
/// # Panics
/// As [`graphql`].
pub fn request(mut bytes: &[u8]) {
    const METHODS: [Method; 7] =
        [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS, Method::HEAD, Method::PUT];
    let method = &METHODS[usize::from(byte(&mut bytes)) % METHODS.len()];
    let (target, media_type) = (slice(&mut bytes), slice(&mut bytes));
    send(Request::builder().method(method).uri(target).header("content-type", media_type).body(bytes.to_vec()));
}

fn send(request: http::Result<Request<Vec<u8>>>) {
    // The HTTP server rejects invalid targets before the API receives them.
    let Ok(request) = request else { return };
    let length = request.body().len() + request.uri().to_string().len();
    let settings = Settings { is_edge_host: true, ..Settings::default() };
    let response = bounds::measured(length, || respond(&EmptyLine, &settings, NOW, request));
    assert!(response.status() < StatusCode::INTERNAL_SERVER_ERROR, "{response:?}");
    let is_json = response.headers().get("content-type").is_some_and(|value| value.as_bytes().ends_with(b"json"));
    if is_json && !response.body().is_empty() {
        let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(response.body());
        assert!(parsed.is_ok(), "the response is not JSON: {}", String::from_utf8_lossy(response.body()));
    }
}
