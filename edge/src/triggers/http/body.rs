//! Reading a body up to its limit, and unpacking it up to the same.

use std::io::Read;

use axum::{body::Body, http::StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

use super::Problem;

/// The body as it was sent, at most `limit` bytes.
pub(super) async fn read(body: Body, announced: Option<usize>, limit: usize) -> Result<Bytes, Problem> {
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut body = body;
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}; send it again")))?;
        let Ok(data) = frame.into_data() else { continue };
        if rest.is_empty() && first.is_none() {
            first = Some(data);
            continue;
        }
        if rest.is_empty() {
            rest.reserve(announced.unwrap_or(0));
            rest.extend_from_slice(first.as_deref().unwrap_or_default());
        }
        rest.extend_from_slice(&data);
        if rest.len() > limit {
            return Err(too_large(limit));
        }
    }
    let whole = if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() };
    if whole.len() > limit { Err(too_large(limit)) } else { Ok(whole) }
}

/// Undoes Content-Encoding. What unpacks to more than `limit` is refused before it fills the memory.
pub(super) fn unpack(bytes: Bytes, encoding: Option<&str>, limit: usize) -> Result<Bytes, Problem> {
    let broken = |error: std::io::Error| Problem::new(StatusCode::BAD_REQUEST, format!("the body is not what Content-Encoding says: {error}"));
    match encoding.map(str::trim).unwrap_or("identity") {
        "" | "identity" => Ok(bytes),
        "gzip" | "x-gzip" => take(flate2::read::MultiGzDecoder::new(bytes.as_ref()), limit, broken),
        "zstd" => take(zstd::stream::read::Decoder::new(bytes.as_ref()).map_err(broken)?, limit, broken),
        other => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Encoding {other:?} is not known; send gzip, zstd, or the plain body"),
        )),
    }
}

fn take(from: impl Read, limit: usize, broken: impl Fn(std::io::Error) -> Problem) -> Result<Bytes, Problem> {
    let mut unpacked = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut unpacked).map_err(broken)?;
    if unpacked.len() > limit { Err(too_large(limit)) } else { Ok(unpacked.into()) }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {limit} bytes; send less at a time, or raise [http] max_body"),
    )
}
