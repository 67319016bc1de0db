//! Reading a body up to its limit, and unpacking it up to the same.

use std::io::Read;

use axum::{body::Body, http::StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

use super::Problem;

/// So much of a refused body is kept with its dead letter.
const KEPT: usize = 4096;

/// A body that cannot be taken.
#[derive(Debug)]
pub(super) struct Unusable {
    /// The answer.
    pub(super) problem: Problem,
    /// The dead letter's reason and the body's beginning; none where nothing came that is worth keeping.
    pub(super) letter: Option<(&'static str, Bytes)>,
}

impl From<Problem> for Unusable {
    fn from(problem: Problem) -> Self {
        Self { problem, letter: None }
    }
}

/// The body as it was sent, at most `limit` bytes.
pub(super) async fn read(body: Body, announced: Option<usize>, limit: usize) -> Result<Bytes, Unusable> {
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit, Bytes::new()));
    }
    let mut body = body;
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}; send it again"))
        })?;
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
            return Err(too_large(limit, rest.freeze()));
        }
    }
    let whole = if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() };
    if whole.len() > limit { Err(too_large(limit, whole)) } else { Ok(whole) }
}

/// Undoes Content-Encoding. What unpacks to more than `limit` is refused before it fills the memory.
pub(super) fn unpack(bytes: Bytes, encoding: Option<&str>, limit: usize) -> Result<Bytes, Unusable> {
    let broken = |error: std::io::Error| Unusable {
        problem: Problem::new(StatusCode::BAD_REQUEST, format!("the body is not what Content-Encoding says: {error}")),
        letter: Some(("malformed", head(&bytes))),
    };
    match encoding.map(str::trim).unwrap_or("identity") {
        "" | "identity" => Ok(bytes.clone()),
        "gzip" | "x-gzip" => take(flate2::read::MultiGzDecoder::new(bytes.as_ref()), limit, broken),
        "zstd" => take(zstd::stream::read::Decoder::new(bytes.as_ref()).map_err(broken)?, limit, broken),
        other => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Encoding {other:?} is not known; send gzip, zstd, or the plain body"),
        )
        .into()),
    }
}

fn take(from: impl Read, limit: usize, broken: impl Fn(std::io::Error) -> Unusable) -> Result<Bytes, Unusable> {
    let mut unpacked = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut unpacked).map_err(broken)?;
    if unpacked.len() > limit { Err(too_large(limit, unpacked.into())) } else { Ok(unpacked.into()) }
}

fn too_large(limit: usize, came: Bytes) -> Unusable {
    let text = format!("the body is larger than {limit} bytes; send less at a time, or raise [http] max_body");
    Unusable { problem: Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text), letter: Some(("oversize", head(&came))) }
}

fn head(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len().min(KEPT))
}
