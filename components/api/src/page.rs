//! `GET /`: the first page, the same as the edge host's.

use http::{HeaderValue, StatusCode, header};

use crate::answer::Answer;

const POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn page() -> Answer {
    let page = include_str!("../../../edge/src/triggers/http/page.html");
    Answer::new(StatusCode::OK, HeaderValue::from_static("text/html; charset=utf-8"), page.into())
        .with(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .with(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}
