//! Answers packed with gzip, where the client takes it and it is worth it.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Response, header};

/// A smaller body fits into one packet anyway.
const LEAST: usize = 1024;
/// Fast: a body is packed once and sent once.
const LEVEL: Compression = Compression::new(1);

/// Packs the body where that is wanted; tells whether it did.
pub(crate) fn pack(response: &mut Response<Vec<u8>>, asked: &HeaderMap) -> bool {
    let headers = response.headers();
    if response.body().len() <= LEAST || headers.contains_key(header::CONTENT_ENCODING) || !is_text(headers) {
        return false;
    }
    // What is sent depends on what is taken, also where it is sent plain, and a cache has to know it.
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !takes_gzip(asked) {
        return false;
    }
    let plain = response.body();
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), LEVEL);
    let Ok(packed) = encoder.write_all(plain).and_then(|()| encoder.finish()) else { return false };
    *response.body_mut() = packed;
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    true
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // Events are sent as they come; a packer would hold them back.
    (kind.contains("json") || kind.starts_with("text/")) && !kind.starts_with("text/event-stream")
}

pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|each| {
            let (coding, weight) = each.split_once(';').unwrap_or((each, ""));
            let refused = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok()) == Some(0.0_f32);
            coding.trim().eq_ignore_ascii_case("gzip") && !refused
        })
    })
}
