//! `GET /api/docs`: the documentation as a page that renders the OpenAPI document. It loads nothing from other servers.

use http::{HeaderValue, StatusCode, header};

use crate::{answer::Answer, page};

const FILES: [(&str, &str); 3] = [
    ("docs.html", include_str!("docs.html")),
    ("docs.css", include_str!("docs.css")),
    ("docs.js", include_str!("docs.js")),
];

/// Responds with one of the page's files.
pub(crate) fn file(name: &str) -> Answer {
    let text = FILES.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
    Answer::text(StatusCode::OK, page::kind(name), text.to_owned())
        .with(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::POLICY))
        .with(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))
}
