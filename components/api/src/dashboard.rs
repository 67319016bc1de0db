//! `GET /`: the dashboard and its files. A component that was built without the dashboard serves the simple first page
//! `page.html` instead.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{api_response::ApiResponse, compression::accepts_gzip, problem::Problem};

/// The names and gzip-compressed contents of the dashboard's files.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));
const INDEX: &str = "index.html";

pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// The policy of the simple first page, which contains its script and its style.
const SINGLE_FILE_POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'";

/// Returns whether a path is that of one of the dashboard's files.
pub(crate) fn is_file(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|name| name != INDEX && FILES.iter().any(|(file, _)| *file == name))
}

pub(crate) fn index(headers: &HeaderMap) -> Result<ApiResponse, Problem> {
    let has_dashboard = FILES.iter().any(|(name, _)| *name == INDEX);
    let (response, policy) = if has_dashboard {
        (file(INDEX, headers)?, CONTENT_SECURITY_POLICY)
    } else {
        let page = include_str!("page.html");
        (ApiResponse::new(StatusCode::OK, content_type(INDEX), page.into()), SINGLE_FILE_POLICY)
    };
    Ok(response
        .with_header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))
        .with_header(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
}

/// Responds with a file of the dashboard. The name of an `app-` file changes with its content, so browsers may cache
/// it.
pub(crate) fn file(name: &str, headers: &HeaderMap) -> Result<ApiResponse, Problem> {
    let Some((_, compressed)) = FILES.iter().find(|(file, _)| *file == name) else {
        return Err(Problem::not_found(format!("there is no file {name}; reload the page")));
    };
    let caching = HeaderValue::from_static(if name.starts_with("app-") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    });
    let response = if accepts_gzip(headers) {
        ApiResponse::new(StatusCode::OK, content_type(name), compressed.to_vec())
            .with_header(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))
    } else {
        let mut decompressed = Vec::new();
        GzDecoder::new(*compressed).read_to_end(&mut decompressed).map_err(|error| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{name} was compressed incorrectly at build time: {error}"),
            )
        })?;
        ApiResponse::new(StatusCode::OK, content_type(name), decompressed)
    };
    Ok(response
        .with_header(header::VARY, HeaderValue::from_static("Accept-Encoding"))
        .with_header(header::CACHE_CONTROL, caching))
}

pub(crate) fn content_type(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    })
}
