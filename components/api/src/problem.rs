//! Errors as RFC 9457 problem details.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::{LineApiError, api_response::ApiResponse};

/// An error response.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    body: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// Creates a problem. `detail` says what was expected, what was received and what to do.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let mut body = Map::new();
        body.insert("type".into(), json!("about:blank"));
        body.insert("title".into(), json!(status.canonical_reason().unwrap_or("error")));
        body.insert("status".into(), json!(status.as_u16()));
        body.insert("detail".into(), json!(detail.into()));
        Self { status, body, headers: Vec::new() }
    }

    /// 400.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Returns the detail text.
    pub(crate) fn detail(&self) -> &str {
        self.body.get("detail").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// Adds a member to the body.
    #[must_use]
    pub(crate) fn with_member(mut self, name: &str, value: Value) -> Self {
        self.body.insert(name.into(), value);
        self
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        self.with_header(header::RETRY_AFTER, seconds.into())
    }
}

/// Checks `If-Match` against a response, which is the current state. Answers 412 if the item has changed.
pub(crate) fn check_if_match(current: &ApiResponse, headers: &HeaderMap) -> Result<(), Problem> {
    if current.matches(headers) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "the item has changed since the ETag in If-Match was issued; GET it again, check the changes and send its new ETag, or leave If-Match out",
    ))
}

impl From<LineApiError> for Problem {
    fn from(error: LineApiError) -> Self {
        match error {
            LineApiError::Unavailable(text) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{text}; send the same request again"))
                    .retry_after(1)
            }
            LineApiError::Internal(text) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, text),
            LineApiError::NotFound(text) => Self::not_found(text),
            LineApiError::Invalid(text) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, text),
            LineApiError::Conflict(text) => Self::new(StatusCode::CONFLICT, text),
        }
    }
}

impl From<Problem> for ApiResponse {
    fn from(problem: Problem) -> Self {
        let kind = HeaderValue::from_static("application/problem+json");
        let mut answer = Self::new(problem.status, kind, Value::Object(problem.body).to_string().into_bytes());
        for (name, value) in problem.headers {
            answer = answer.with_header(name, value);
        }
        // The cause may be gone at the next request.
        answer.with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }
}
