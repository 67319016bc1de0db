//! Reading a body up to its limit, and unpacking it up to the same; and that one that does not come on is not waited for.

use std::{
    io::Read,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{body::Body, http::StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::Problem;

/// So much of a refused body is kept with its dead letter.
const KEPT: usize = 4096;

/// A body that cannot be taken.
#[derive(Debug)]
pub(super) struct Unusable {
    /// The answer.
    pub(super) problem: Problem,
    /// None where nothing came that is worth keeping.
    pub(super) letter: Option<Box<Letter>>,
}

/// What is kept of it.
#[derive(Debug)]
pub(super) struct Letter {
    /// The dead letter's reason.
    pub(super) reason: &'static str,
    /// The body's beginning.
    pub(super) head: Bytes,
    /// What it is packed with, where that could not be undone.
    pub(super) encoding: Option<String>,
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
    let encoding = encoding.map(|name| name.trim().to_ascii_lowercase()).unwrap_or_default();
    let refused = |status, text| Unusable {
        problem: Problem::new(status, text),
        letter: Some(Box::new(Letter { reason: "malformed", head: head(&bytes), encoding: Some(encoding.clone()) })),
    };
    let broken = |error: std::io::Error| {
        let what = "pack it again, or send the plain body without Content-Encoding";
        let text = format!("the body is not the {encoding} that Content-Encoding says: {error}; {what}");
        refused(StatusCode::BAD_REQUEST, text)
    };
    match encoding.as_str() {
        "" | "identity" => Ok(bytes.clone()),
        "gzip" | "x-gzip" => take(flate2::read::MultiGzDecoder::new(bytes.as_ref()), limit, broken),
        "zstd" => take(zstd::stream::read::Decoder::new(bytes.as_ref()).map_err(broken)?, limit, broken),
        other => {
            let text = format!("Content-Encoding {other:?} is not known; send gzip, zstd, or the plain body");
            Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
        }
    }
}

fn take(from: impl Read, limit: usize, broken: impl Fn(std::io::Error) -> Unusable) -> Result<Bytes, Unusable> {
    let mut unpacked = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut unpacked).map_err(broken)?;
    if unpacked.len() > limit { Err(too_large(limit, unpacked.into())) } else { Ok(unpacked.into()) }
}

fn too_large(limit: usize, came: Bytes) -> Unusable {
    let text = format!("the body is larger than {limit} bytes; send less at a time, or raise [http] max_body");
    let letter = Letter { reason: "oversize", head: head(&came), encoding: None };
    Unusable { problem: Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text), letter: Some(Box::new(letter)) }
}

fn head(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len().min(KEPT))
}

/// Whether a request's body did not come on.
#[derive(Clone, Debug, Default)]
pub(super) struct Stalled(Arc<AtomicBool>);

impl Stalled {
    /// The answer to such a request, if it is one.
    pub(super) fn problem(&self, after: Duration) -> Option<Problem> {
        let text = format!("nothing more of the body came for {} s; send it again without a pause", after.as_secs());
        self.0.load(Ordering::Acquire).then(|| Problem::new(StatusCode::REQUEST_TIMEOUT, text))
    }
}

/// A body that ends with an error when the next part of it takes too long.
#[derive(Debug)]
pub(super) struct Awaited<B> {
    body: B,
    most: Duration,
    /// Runs while a part is waited for.
    left: Option<Pin<Box<Sleep>>>,
    stalled: Stalled,
}

impl<B> Awaited<B> {
    /// Parts of `body` may be `most` apart; tells `stalled` when they are further.
    pub(super) fn new(body: B, most: Duration, stalled: Stalled) -> Self {
        Self { body, most, left: None, stalled }
    }
}

impl<B> HttpBody for Awaited<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.left = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let most = this.most;
        ready!(this.left.get_or_insert_with(|| Box::pin(sleep(most))).as_mut().poll(cx));
        this.stalled.0.store(true, Ordering::Release);
        Poll::Ready(Some(Err("it did not come on".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{convert::Infallible, future::Future};

    use futures_util::{StreamExt as _, stream};
    use http_body_util::StreamBody;

    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn part() -> Result<Frame<Bytes>, Infallible> {
        Ok(Frame::data(Bytes::from_static(b"x")))
    }

    #[test]
    fn a_body_that_stops_coming_ends_and_a_slow_one_does_not() {
        let most = Duration::from_millis(200);
        run(async {
            let stalled = Stalled::default();
            let stream = stream::iter([part()]).chain(stream::pending());
            let body = Body::new(Awaited::new(StreamBody::new(stream), most, stalled.clone()));
            assert!(stalled.problem(most).is_none());
            let unusable = read(body, None, 100).await.unwrap_err();
            assert!(unusable.letter.is_none() && unusable.problem.detail().contains("did not come on"));
            assert!(stalled.problem(Duration::from_secs(30)).unwrap().detail().contains("30 s"));

            let stalled = Stalled::default();
            let slow = stream::iter(0..8).then(|_| async {
                sleep(Duration::from_millis(50)).await;
                part()
            });
            let body = Body::new(Awaited::new(StreamBody::new(Box::pin(slow)), most, stalled.clone()));
            assert_eq!(read(body, None, 100).await.unwrap().len(), 8);
            assert!(stalled.problem(most).is_none());
        });
    }

    #[test]
    fn encodings_are_known_in_any_case_and_what_is_refused_is_kept() {
        let packed: Bytes = zstd::encode_all(b"plain".as_slice(), 1).unwrap().into();
        for (encoding, sent) in [(" ZSTD ", packed), ("Identity", Bytes::from_static(b"plain"))] {
            assert_eq!(unpack(sent, Some(encoding), 100).unwrap(), "plain");
        }
        for (encoding, word) in [("GZip", "without Content-Encoding"), ("br", "send gzip")] {
            let unusable = unpack(Bytes::from_static(b"no such"), Some(encoding), 100).unwrap_err();
            assert!(unusable.problem.detail().contains(word), "{}", unusable.problem.detail());
            let letter = unusable.letter.unwrap();
            assert_eq!((letter.reason, letter.encoding), ("malformed", Some(encoding.to_lowercase())));
            assert_eq!(letter.head, "no such");
        }
    }
}
