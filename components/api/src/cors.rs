//! Pages of other origins (CORS): denied, but for the origins that the operator lists.

use http::{HeaderValue, Method, Request, StatusCode, header};

use crate::{Settings, answer::Answer};

/// What a page may read of a response beside its body.
pub const EXPOSED: &str = "ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id";
/// What a page may send.
pub const SENT: &str =
    "Authorization, Content-Encoding, Content-Type, If-Match, If-None-Match, Last-Event-ID, X-API-Key, X-Request-Id";

/// Whether this asks what a page may do.
pub(crate) fn is_preflight(request: &Request<Vec<u8>>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that, before [`mark`] says whether the page's origin is one that may.
pub(crate) fn preflight(methods: &HeaderValue) -> Answer {
    Answer::empty(StatusCode::NO_CONTENT)
        .with(header::ALLOW, methods.clone())
        .with(header::ACCESS_CONTROL_ALLOW_METHODS, methods.clone())
        .with(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(SENT))
        .with(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"))
}

/// Tells the browser that a page of this origin may have the answer, where it may.
pub(crate) fn mark(answer: Answer, request: &Request<Vec<u8>>, settings: &Settings) -> Answer {
    if settings.origins.is_empty() {
        return answer;
    }
    // The answer depends on who asks, and a cache has to know it.
    let answer = answer.also(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = request.headers().get(header::ORIGIN) else { return answer };
    let may = origin
        .to_str()
        .is_ok_and(|origin| settings.origins.iter().any(|listed| listed == "*" || listed.eq_ignore_ascii_case(origin)));
    if !may {
        return answer;
    }
    answer
        .with(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())
        .with(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED))
}
