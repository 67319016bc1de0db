//! Reads bodies into memory.

use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

use super::{
    error::{BodyError, too_large},
    memory::BodyPermit,
};
use crate::triggers::http::problem::Problem;

/// The maximum number of bytes that are read of a body that was rejected as too large, and the maximum time for it.
const MAX_DRAINED_BYTES: usize = 16 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads the body as it was sent, at most `limit` bytes. Its memory is charged to `permit`.
pub(crate) async fn read(
    body: Body,
    content_length: Option<usize>,
    limit: usize,
    permit: &mut BodyPermit,
) -> Result<Bytes, BodyError> {
    let mut body = body;
    if content_length.is_some_and(|length| length > limit) {
        drain(&mut body).await;
        return Err(too_large(limit, Bytes::new()));
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, format!("the body ended early: {error}; send it again"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if rest.is_empty() && first.is_none() {
            permit.grow(data.len())?;
            first = Some(data);
            continue;
        }
        let received = if rest.is_empty() { first.as_ref().map_or(0, Bytes::len) } else { rest.len() };
        let total = received + data.len();
        if total > limit {
            let head = if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() };
            drain(&mut body).await;
            return Err(too_large(limit, head));
        }
        if rest.capacity() < total {
            // Doubles the capacity, but reserves no more than is still to come: memory is not reserved for bytes that
            // are only announced.
            let capacity = content_length.unwrap_or(limit).clamp(total, total.saturating_mul(2));
            permit.grow(capacity - rest.capacity())?;
            rest.reserve(capacity - rest.len());
        }
        if rest.is_empty() {
            rest.extend_from_slice(first.as_deref().unwrap_or_default());
        }
        rest.extend_from_slice(&data);
    }
    let total = if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() };
    if total.len() > limit { Err(too_large(limit, total)) } else { Ok(total) }
}

/// Reads and discards the rest for a while. A client that is still sending when its connection is closed gets a reset
/// instead of the response.
async fn drain(body: &mut Body) {
    let mut remaining = MAX_DRAINED_BYTES;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            remaining = remaining.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if remaining == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, reading).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{convert::Infallible, sync::Arc};

    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::{
        super::{error::MAX_KEPT_BYTES, memory::BodyMemory},
        *,
    };

    #[tokio::test]
    async fn memory_is_reserved_as_bytes_arrive() {
        let memory = BodyMemory::new(3 << 20, Arc::default());
        let part = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; 100 << 10])));
        let body = |parts: usize| Body::new(StreamBody::new(stream::iter((0..parts).map(move |_| part()))));
        // Announced bytes reserve no memory.
        let mut permits = Vec::new();
        for _ in 0..50 {
            let mut permit = memory.permit("192.0.2.1".into());
            read(body(1), Some(500 << 10), 1 << 20, &mut permit).await.unwrap();
            drop(permit);
            permits.push(memory.permit("192.0.2.1".into()));
        }
        let mut permit = memory.permit("192.0.2.1".into());
        assert_eq!(read(body(5), Some(500 << 10), 1 << 20, &mut permit).await.unwrap().len(), 500 << 10);
        let mut other = memory.permit("192.0.2.1".into());
        let error = read(body(9), None, 1 << 20, &mut other).await.unwrap_err();
        assert!(error.dead_letter.is_none() && error.problem.detail().contains("memory"));
        let error = read(body(20), None, 1 << 20, &mut memory.permit("192.0.2.2".into())).await.unwrap_err();
        assert!(error.problem.detail().contains("larger than"), "{}", error.problem.detail());
        assert_eq!(error.dead_letter.unwrap().head.len(), MAX_KEPT_BYTES);
    }
}
