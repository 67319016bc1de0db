//! Bodies that cannot be used.

use axum::http::StatusCode;
use bytes::Bytes;

use crate::triggers::http::problem::Problem;

/// The number of bytes of a rejected body that are kept with its dead letter.
pub(super) const MAX_KEPT_BYTES: usize = 4096;

/// An error of a body that cannot be used.
#[derive(Debug)]
pub(crate) struct BodyError {
    /// The response.
    pub(crate) problem: Problem,
    /// The dead letter to keep; `None` if nothing was received that is worth keeping.
    pub(crate) dead_letter: Option<Box<DeadLetterDraft>>,
}

/// The part of a rejected body that is kept as a dead letter.
#[derive(Debug)]
pub(crate) struct DeadLetterDraft {
    /// The reason of the dead letter.
    pub(crate) reason: &'static str,
    /// The beginning of the body.
    pub(crate) head: Bytes,
    /// The content encoding, if the body could not be decompressed.
    pub(crate) encoding: Option<String>,
}

impl From<Problem> for BodyError {
    fn from(problem: Problem) -> Self {
        Self { problem, dead_letter: None }
    }
}

/// A body that is larger than `limit`; `received` is what came of it.
pub(super) fn too_large(limit: usize, received: Bytes) -> BodyError {
    let text = format!("the body is larger than {limit} bytes; send less at a time, or raise [http] max_body");
    let draft = DeadLetterDraft { reason: "oversize", head: head(&received), encoding: None };
    BodyError { problem: Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text), dead_letter: Some(Box::new(draft)) }
}

/// The part of a body that is kept.
pub(super) fn head(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len().min(MAX_KEPT_BYTES))
}
