//! From what a route gives to the response that is sent: what all responses have in common.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Serialize;

use crate::{pack, problem::Problem};

/// The id by which a request is found in logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer id is not echoed.
const LONGEST_ID: usize = 128;
/// So much of a body goes into the id that is made for a request.
const HASHED: usize = 4096;

/// What a route gives.
#[derive(Debug)]
pub(crate) struct Answer(Response<Vec<u8>>);

impl Answer {
    pub(crate) fn new(status: StatusCode, kind: HeaderValue, body: Vec<u8>) -> Self {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Self(response)
    }

    /// JSON. Clients may keep it, but have to ask whether it still stands; proxies may not, for it may take a token.
    pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Self {
        // What cannot be written is a map whose keys are no texts, of which there is none here.
        let body = serde_json::to_string(body).unwrap_or_else(|_| "null".to_owned());
        Self::text(status, HeaderValue::from_static("application/json"), body)
    }

    /// A text of a type, kept as JSON is.
    pub(crate) fn text(status: StatusCode, kind: HeaderValue, body: String) -> Self {
        Self::new(status, kind, body.into_bytes())
            .with(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))
    }

    /// What no one may keep.
    #[must_use]
    pub(crate) fn fresh(self) -> Self {
        self.with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    /// Neither body nor type.
    pub(crate) fn empty(status: StatusCode) -> Self {
        let mut response = Response::new(Vec::new());
        *response.status_mut() = status;
        Self(response)
    }

    /// Sets a header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }

    /// Sets one more header of this name.
    #[must_use]
    pub(crate) fn also(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().append(name, value);
        self
    }

    /// Refuses to go on where the client names what it has seen (`If-Match`), and this, which is what there is, is another.
    pub(crate) fn as_seen(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if !headers.contains_key(header::IF_MATCH) || names(headers, header::IF_MATCH, &tag(self.0.body())) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "it is not what If-Match says any more: somebody changed it meanwhile; GET it anew, look, and send the ETag of that, or leave If-Match out",
        ))
    }

    /// The response to `request`: with its id and its tag, and without a body where none is wanted.
    pub(crate) fn seal(self, request: &Request<Vec<u8>>, id: HeaderValue) -> Response<Vec<u8>> {
        let mut response = self.0;
        response.headers_mut().insert(REQUEST_ID, id);
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads && response.status() == StatusCode::OK {
            let mut tag = tag(response.body());
            if names(request.headers(), header::IF_NONE_MATCH, &tag) {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response.headers_mut().remove(header::CONTENT_TYPE);
                response.body_mut().clear();
            }
            if pack::pack(&mut response, request.headers()) {
                // Packed it is the same, but not byte for byte.
                tag.insert_str(0, "W/");
            }
            if let Ok(tag) = HeaderValue::try_from(tag) {
                response.headers_mut().insert(header::ETAG, tag);
            }
        }
        if !reads {
            pack::pack(&mut response, request.headers());
        }
        if request.method() == Method::HEAD {
            // Without a length: a host may hold a length against the bytes that follow, which are none.
            response.body_mut().clear();
        } else if !matches!(response.status(), StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT) {
            let length = response.body().len();
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        }
        response
    }
}

/// The tag of a body.
fn tag(body: &[u8]) -> String {
    format!("\"{}\"", hex(&blake3::hash(body).as_bytes()[..16]))
}

/// Whether a header of the client names this tag. What was packed bears it with `W/` before it, and is the same all the same.
fn names(headers: &HeaderMap, header: HeaderName, tag: &str) -> bool {
    headers.get_all(header).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    })
}

/// The client's own id for the request, or one made of the request and its moment.
pub(crate) fn request_id(request: &Request<Vec<u8>>, now: i64) -> HeaderValue {
    let usable = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        !bytes.is_empty() && bytes.len() <= LONGEST_ID && bytes.iter().all(u8::is_ascii_graphic)
    };
    if let Some(id) = request.headers().get(REQUEST_ID).filter(usable) {
        return id.clone();
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&now.to_le_bytes()).update(request.method().as_str().as_bytes());
    hasher.update(request.uri().to_string().as_bytes()).update(&request.body().len().to_le_bytes());
    hasher.update(&request.body()[..request.body().len().min(HASHED)]);
    HeaderValue::try_from(hex(&hasher.finalize().as_bytes()[..16]))
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// As hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
