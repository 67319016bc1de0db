//! Cross-origin requests (CORS): denied, except for the origins that the operator lists.

use http::{HeaderValue, Method, Request, StatusCode, header};

use crate::{Settings, api_response::ApiResponse};

/// The response headers that a page of another origin may read (`Access-Control-Expose-Headers`).
pub const EXPOSED_HEADERS: &str = "ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id";
/// The request headers that a page of another origin may send (`Access-Control-Allow-Headers`).
pub const ALLOWED_HEADERS: &str =
    "Authorization, Content-Encoding, Content-Type, If-Match, If-None-Match, Last-Event-ID, X-API-Key, X-Request-Id";

/// Returns whether this is a preflight request.
pub(crate) fn is_preflight(request: &Request<Vec<u8>>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Responds to a preflight request. Whether the page's origin is allowed is added later, as to every response.
pub(crate) fn preflight(methods: &HeaderValue) -> ApiResponse {
    ApiResponse::empty(StatusCode::NO_CONTENT)
        .with_header(header::ALLOW, methods.clone())
        .with_header(header::ACCESS_CONTROL_ALLOW_METHODS, methods.clone())
        .with_header(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS))
        .with_header(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"))
}

/// Adds the headers that let a page of an allowed origin read the response.
pub(crate) fn add_cors_headers(response: ApiResponse, request: &Request<Vec<u8>>, settings: &Settings) -> ApiResponse {
    if settings.allowed_origins.is_empty() {
        return response;
    }
    // The response depends on the origin, which caches have to know.
    let response = response.append_header(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = request.headers().get(header::ORIGIN) else { return response };
    let is_allowed = origin.to_str().is_ok_and(|origin| {
        settings.allowed_origins.iter().any(|listed| listed == "*" || listed.eq_ignore_ascii_case(origin))
    });
    if !is_allowed {
        return response;
    }
    response
        .with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())
        .with_header(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS))
}
