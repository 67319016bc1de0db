//! Compression of responses with gzip, if the client accepts it and the body is large enough.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Response, header};

/// Bodies up to this size in bytes are not compressed: they fit into one packet anyway.
const MAX_UNCOMPRESSED_BYTES: usize = 1024;
/// The fastest level: each body is compressed once and sent once.
const LEVEL: Compression = Compression::new(1);

/// Compresses the body if the client accepts it and it is worth it. Returns whether it did.
pub(crate) fn compress(response: &mut Response<Vec<u8>>, request_headers: &HeaderMap) -> bool {
    let headers = response.headers();
    if response.body().len() <= MAX_UNCOMPRESSED_BYTES
        || headers.contains_key(header::CONTENT_ENCODING)
        || !is_text(headers)
    {
        return false;
    }
    // The response depends on Accept-Encoding even if it is sent uncompressed, which caches have to know.
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !accepts_gzip(request_headers) {
        return false;
    }
    let body = response.body();
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), LEVEL);
    let Ok(compressed) = encoder.write_all(body).and_then(|()| encoder.finish()) else { return false };
    *response.body_mut() = compressed;
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    true
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // Events are sent at once; compression would buffer them.
    (kind.contains("json") || kind.starts_with("text/")) && !kind.starts_with("text/event-stream")
}

pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding_and_weight| {
            let (coding, weight) = coding_and_weight.split_once(';').unwrap_or((coding_and_weight, ""));
            let is_excluded = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok()) == Some(0.0_f32);
            coding.trim().eq_ignore_ascii_case("gzip") && !is_excluded
        })
    })
}
