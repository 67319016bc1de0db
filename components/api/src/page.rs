//! `GET /`: the dashboard and its files. A component that was built without the dashboard serves the simple first page
//! `page.html` instead.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{answer::Answer, pack::takes_gzip, problem::Problem};

/// The names and gzip-compressed contents of the dashboard's files.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));
const INDEX: &str = "index.html";

pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// The policy of the simple first page, which contains its script and its style.
const POLICY_OF_ONE_FILE: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'";

/// Returns whether a path is that of one of the dashboard's files.
pub(crate) fn is_file(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|name| name != INDEX && FILES.iter().any(|(file, _)| *file == name))
}

pub(crate) fn page(headers: &HeaderMap) -> Result<Answer, Problem> {
    let has_dashboard = FILES.iter().any(|(name, _)| *name == INDEX);
    let (answer, policy) = if has_dashboard {
        (file(INDEX, headers)?, POLICY)
    } else {
        let page = include_str!("page.html");
        (Answer::new(StatusCode::OK, kind(INDEX), page.into()), POLICY_OF_ONE_FILE)
    };
    Ok(answer
        .with(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))
        .with(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
}

/// Responds with a file of the dashboard. The name of an `app-` file changes with its content, so browsers may cache
/// it.
pub(crate) fn file(name: &str, headers: &HeaderMap) -> Result<Answer, Problem> {
    let Some((_, compressed)) = FILES.iter().find(|(file, _)| *file == name) else {
        return Err(Problem::not_found(format!("there is no file {name}; reload the page")));
    };
    let caching = HeaderValue::from_static(if name.starts_with("app-") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    });
    let answer = if takes_gzip(headers) {
        Answer::new(StatusCode::OK, kind(name), compressed.to_vec())
            .with(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))
    } else {
        let mut plain = Vec::new();
        GzDecoder::new(*compressed).read_to_end(&mut plain).map_err(|error| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{name} was compressed incorrectly at build time: {error}"),
            )
        })?;
        Answer::new(StatusCode::OK, kind(name), plain)
    };
    Ok(answer.with(header::VARY, HeaderValue::from_static("Accept-Encoding")).with(header::CACHE_CONTROL, caching))
}

pub(crate) fn kind(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    })
}
