//! The API: routes, queries, bodies and GraphQL, over a line that is empty.

use http::{Method, Request, StatusCode};
use wheeltapper_api::{
    ActionRequest, DetectRequest, Filter, LineApi, LineApiError, Receipt, Settings, Submission, Table, Verdict, respond,
};

use crate::{NOW, bounds, byte, piece};

/// A line in which there is nothing.
struct Nothing;

impl LineApi for Nothing {
    fn submit(&self, _: Submission) -> Result<Receipt, LineApiError> {
        Ok(Receipt { accepted: 1, rejections: Vec::new() })
    }

    fn query(&self, _: Table, filter: &Filter) -> Result<String, LineApiError> {
        assert!(filter.limit <= Filter::MAX_ROWS, "more rows are asked for than one answer may hold");
        Ok("[]".into())
    }

    fn tick(&self, _: i64) -> Result<(), LineApiError> {
        Ok(())
    }

    fn perform_action(&self, _: &ActionRequest) -> Result<String, LineApiError> {
        Err(LineApiError::NotFound("there is nothing".into()))
    }

    fn detect(&self, _: &DetectRequest) -> Result<Verdict, LineApiError> {
        Err(LineApiError::NotFound("there is nothing".into()))
    }
}

/// A document of GraphQL.
///
/// # Panics
/// When it takes longer than its length allows, or is answered with an error of the server.
pub fn graphql(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let body = serde_json::json!({ "query": text }).to_string().into_bytes();
    ask(Request::post("/graphql").header("content-type", "application/json").body(body));
}

/// A request: the method, the target, the media type, and the body, with lengths before them.
///
/// # Panics
/// As [`graphql`].
pub fn request(mut bytes: &[u8]) {
    const METHODS: [Method; 7] =
        [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS, Method::HEAD, Method::PUT];
    let method = &METHODS[usize::from(byte(&mut bytes)) % METHODS.len()];
    let (target, kind) = (piece(&mut bytes), piece(&mut bytes));
    ask(Request::builder().method(method).uri(target).header("content-type", kind).body(bytes.to_vec()));
}

fn ask(request: http::Result<Request<Vec<u8>>>) {
    // What is no target never gets past the server.
    let Ok(request) = request else { return };
    let length = request.body().len() + request.uri().to_string().len();
    let settings = Settings { is_edge_host: true, ..Settings::default() };
    let response = bounds::measured(length, || respond(&Nothing, &settings, NOW, request));
    assert!(response.status() < StatusCode::INTERNAL_SERVER_ERROR, "{response:?}");
    let json = response.headers().get("content-type").is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
    if json && !response.body().is_empty() {
        let read = serde_json::from_slice::<serde::de::IgnoredAny>(response.body());
        assert!(read.is_ok(), "an answer that is no JSON: {}", String::from_utf8_lossy(response.body()));
    }
}
