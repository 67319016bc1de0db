//! The response of a route, and the headers that all responses have in common.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Serialize;

use crate::compression;

/// The header with the id of a request in the logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Maximum length in bytes of a request id sent by a client. A longer one is replaced.
const MAX_REQUEST_ID_BYTES: usize = 128;
/// Number of bytes of the body that are hashed into a generated request id.
const MAX_HASHED_BYTES: usize = 4096;

/// The response of a route.
#[derive(Debug)]
pub(crate) struct ApiResponse(Response<Vec<u8>>);

impl ApiResponse {
    pub(crate) fn new(status: StatusCode, kind: HeaderValue, body: Vec<u8>) -> Self {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Self(response)
    }

    /// A JSON response. Clients may cache it and have to revalidate it; proxies may not, as it may require a token.
    pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Self {
        // Serialisation fails only for maps with keys that are not strings; there are none here.
        let body = serde_json::to_string(body).unwrap_or_else(|_| "null".to_owned());
        Self::text(status, HeaderValue::from_static("application/json"), body)
    }

    /// A text response, with the same caching rules as JSON.
    pub(crate) fn text(status: StatusCode, kind: HeaderValue, body: String) -> Self {
        Self::new(status, kind, body.into_bytes())
            .with_header(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))
    }

    /// Forbids caching (`no-store`).
    #[must_use]
    pub(crate) fn no_store(self) -> Self {
        self.with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    /// A response without body and content type.
    pub(crate) fn empty(status: StatusCode) -> Self {
        let mut response = Response::new(Vec::new());
        *response.status_mut() = status;
        Self(response)
    }

    /// Sets a header.
    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }

    /// Appends a header, keeping those of the same name.
    #[must_use]
    pub(crate) fn append_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().append(name, value);
        self
    }

    /// Returns whether `If-Match` allows a change of this response, which is the current state: it is missing, or
    /// contains the response's tag.
    pub(crate) fn matches(&self, headers: &HeaderMap) -> bool {
        !headers.contains_key(header::IF_MATCH) || contains_etag(headers, header::IF_MATCH, &etag(self.0.body()))
    }

    /// Completes the response to `request`: adds the request id and the ETag, compresses the body, and drops it for
    /// HEAD and 304.
    pub(crate) fn finish(self, request: &Request<Vec<u8>>, id: HeaderValue) -> Response<Vec<u8>> {
        let mut response = self.0;
        response.headers_mut().insert(REQUEST_ID, id);
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads && response.status() == StatusCode::OK {
            let mut tag = etag(response.body());
            if contains_etag(request.headers(), header::IF_NONE_MATCH, &tag) {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response.headers_mut().remove(header::CONTENT_TYPE);
                response.body_mut().clear();
            }
            if compression::compress(&mut response, request.headers()) {
                // The compressed body is equivalent, but not identical byte for byte: a weak tag.
                tag.insert_str(0, "W/");
            }
            if let Ok(tag) = HeaderValue::try_from(tag) {
                response.headers_mut().insert(header::ETAG, tag);
            }
        }
        if !reads {
            compression::compress(&mut response, request.headers());
        }
        if request.method() == Method::HEAD {
            // Without Content-Length: a host may reject a length that does not match the empty body.
            response.body_mut().clear();
        } else if !matches!(response.status(), StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT) {
            let length = response.body().len();
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        }
        response
    }
}

/// Returns the ETag of a body.
fn etag(body: &[u8]) -> String {
    format!("\"{}\"", hex(&blake3::hash(body).as_bytes()[..16]))
}

/// Returns whether a header of the client contains this tag. A weak tag (`W/`), as compressed responses have it,
/// matches.
fn contains_etag(headers: &HeaderMap, header: HeaderName, tag: &str) -> bool {
    headers.get_all(header).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    })
}

/// Returns the client's id of the request, or one derived from the request and its time.
pub(crate) fn request_id(request: &Request<Vec<u8>>, now: i64) -> HeaderValue {
    let usable = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        !bytes.is_empty() && bytes.len() <= MAX_REQUEST_ID_BYTES && bytes.iter().all(u8::is_ascii_graphic)
    };
    if let Some(id) = request.headers().get(REQUEST_ID).filter(usable) {
        return id.clone();
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&now.to_le_bytes()).update(request.method().as_str().as_bytes());
    hasher.update(request.uri().to_string().as_bytes()).update(&request.body().len().to_le_bytes());
    hasher.update(&request.body()[..request.body().len().min(MAX_HASHED_BYTES)]);
    HeaderValue::try_from(hex(&hasher.finalize().as_bytes()[..16]))
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// Formats bytes as lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
