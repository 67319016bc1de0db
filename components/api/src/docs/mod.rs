//! `GET /api/docs`: the documentation as a page that renders the OpenAPI document. It loads nothing from other servers.

use http::{HeaderValue, StatusCode, header};

use crate::{api_response::ApiResponse, dashboard};

const FILES: [(&str, &str); 3] = [
    ("docs.html", include_str!("docs.html")),
    ("docs.css", include_str!("docs.css")),
    ("docs.js", include_str!("docs.js")),
];

/// Responds with one of the page's files.
pub(crate) fn file(name: &str) -> ApiResponse {
    let text = FILES.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
    ApiResponse::text(StatusCode::OK, dashboard::content_type(name), text.to_owned())
        .with_header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(dashboard::CONTENT_SECURITY_POLICY))
        .with_header(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))
}
