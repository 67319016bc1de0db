//! Reads request bodies within a size limit, a minimum rate and the memory reserved for bodies, and decompresses them.

use std::{
    io::Read,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{body::Body, http::StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Problem, memory::BodyPermit};

/// The number of bytes that are decompressed at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// A body that decompresses to more than this many times its size
const MAX_RATIO: usize = 500;
/// and to more than this many bytes is rejected.
const RATIO_CHECK_BYTES: usize = 4 << 20;
/// The decoder of zstd allocates a window of the size that the body names. 2^24 bytes, 16 MiB, is enough for all levels
/// but "ultra".
const MAX_WINDOW_LOG: u32 = 24;
/// The maximum number of bytes that are read of a body that was rejected as too large, and the maximum time for it.
const MAX_DRAINED_BYTES: usize = 16 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// The number of bytes of a rejected body that are kept with its dead letter.
const MAX_KEPT_BYTES: usize = 4096;

/// An error of a body that cannot be used.
#[derive(Debug)]
pub(super) struct BodyError {
    /// The response.
    pub(super) problem: Problem,
    /// The dead letter to keep; `None` if nothing was received that is worth keeping.
    pub(super) dead_letter: Option<Box<DeadLetterDraft>>,
}

/// The part of a rejected body that is kept as a dead letter.
#[derive(Debug)]
pub(super) struct DeadLetterDraft {
    /// The reason of the dead letter.
    pub(super) reason: &'static str,
    /// The beginning of the body.
    pub(super) head: Bytes,
    /// The content encoding, if the body could not be decompressed.
    pub(super) encoding: Option<String>,
}

impl From<Problem> for BodyError {
    fn from(problem: Problem) -> Self {
        Self { problem, dead_letter: None }
    }
}

/// Reads the body as it was sent, at most `limit` bytes. Its memory is charged to `permit`.
pub(super) async fn read(
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

/// Whether the body has to be decompressed.
pub(super) fn is_compressed(encoding: Option<&str>) -> bool {
    encoding.is_some_and(|name| !matches!(name.trim().to_ascii_lowercase().as_str(), "" | "identity"))
}

/// Undoes the Content-Encoding. A body that decompresses to more than `limit`, to far more than its size, or to more
/// than `permit` can take is rejected before it fills the memory.
pub(super) fn decompress(
    bytes: Bytes,
    encoding: Option<&str>,
    limit: usize,
    permit: &mut BodyPermit,
) -> Result<Bytes, BodyError> {
    let encoding = encoding.map(|name| name.trim().to_ascii_lowercase()).unwrap_or_default();
    let rejected = |status, text| BodyError {
        problem: Problem::new(status, text),
        dead_letter: Some(Box::new(DeadLetterDraft {
            reason: "malformed",
            head: head(&bytes),
            encoding: Some(encoding.clone()),
        })),
    };
    let corrupt = |error: std::io::Error| {
        let what = "compress it again, or send the plain body without Content-Encoding";
        let text = format!("the body is not the {encoding} that Content-Encoding names: {error}; {what}");
        rejected(StatusCode::BAD_REQUEST, text)
    };
    let mut from: Box<dyn Read> = match encoding.as_str() {
        "" | "identity" => return Ok(bytes.clone()),
        "gzip" | "x-gzip" => Box::new(flate2::read::MultiGzDecoder::new(bytes.as_ref())),
        "zstd" => {
            let mut decoder = zstd::stream::read::Decoder::new(bytes.as_ref()).map_err(corrupt)?;
            decoder.window_log_max(MAX_WINDOW_LOG).map_err(corrupt)?;
            Box::new(decoder)
        }
        other => {
            let text = format!("Content-Encoding {other:?} is not supported; send gzip, zstd, or the plain body");
            return Err(rejected(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
    };
    let mut decompressed = Vec::new();
    loop {
        let length = decompressed.len();
        if decompressed.capacity() < length + CHUNK_BYTES {
            let capacity = length.saturating_mul(2).clamp(CHUNK_BYTES, limit.saturating_add(CHUNK_BYTES));
            permit.grow(capacity.max(length + CHUNK_BYTES) - decompressed.capacity())?;
            decompressed.reserve_exact(capacity.max(length + CHUNK_BYTES) - length);
        }
        let read = from.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut decompressed).map_err(corrupt)?;
        if decompressed.len() > limit {
            decompressed.truncate(MAX_KEPT_BYTES);
            return Err(too_large(limit, decompressed.into()));
        }
        if decompressed.len() > RATIO_CHECK_BYTES && decompressed.len() / MAX_RATIO > bytes.len() {
            let text = format!(
                "the body decompresses to more than {MAX_RATIO} times its size, which readings do not; send them plain or less compressed"
            );
            return Err(BodyError {
                problem: Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text),
                ..rejected(StatusCode::OK, String::new())
            });
        }
        if read < CHUNK_BYTES {
            return Ok(decompressed.into());
        }
    }
}

fn too_large(limit: usize, received: Bytes) -> BodyError {
    let text = format!("the body is larger than {limit} bytes; send less at a time, or raise [http] max_body");
    let draft = DeadLetterDraft { reason: "oversize", head: head(&received), encoding: None };
    BodyError { problem: Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text), dead_letter: Some(Box::new(draft)) }
}

fn head(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len().min(MAX_KEPT_BYTES))
}

/// How fast a body has to be received.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyTimeouts {
    /// The maximum time between two frames.
    pub(super) frame_timeout: Duration,
    /// The maximum time for the whole body.
    pub(super) total_timeout: Duration,
    /// The minimum number of bytes per second, once `frame_timeout` has passed.
    pub(super) min_rate: u64,
}

impl BodyTimeouts {
    /// When a body times out that began at `began`, has received `bytes` bytes, and received its last frame at `last`.
    fn deadline(&self, began: Instant, last: Instant, bytes: u64) -> (Instant, TimeoutCause) {
        let transfer_time = Duration::from_millis(bytes.saturating_mul(1_000) / self.min_rate.max(1));
        let stalled = (last + self.frame_timeout, TimeoutCause::Stalled);
        let slow = (began + self.frame_timeout + transfer_time.min(self.total_timeout), TimeoutCause::Slow);
        let late = (began + self.total_timeout, TimeoutCause::Late);
        [stalled, slow, late].into_iter().min_by_key(|(at, _)| *at).unwrap_or(late)
    }
}

/// Why a body timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum TimeoutCause {
    Stalled = 1,
    Slow = 2,
    Late = 3,
}

/// Whether a request's body timed out, and why.
#[derive(Clone, Debug, Default)]
pub(super) struct TimeoutFlag(Arc<AtomicU8>);

impl TimeoutFlag {
    /// The response to such a request, if its body timed out.
    pub(super) fn problem(&self, pace: &BodyTimeouts) -> Option<Problem> {
        let text = match self.0.load(Ordering::Acquire) {
            0 => return None,
            1 => format!(
                "nothing more of the body was received for {:?}; send it again without a pause",
                pace.frame_timeout
            ),
            2 => format!(
                "the body was received slower than {} bytes a second; send it faster, or less at a time",
                pace.min_rate
            ),
            _ => {
                format!("the body was not received within {:?}; send it faster, or less at a time", pace.total_timeout)
            }
        };
        Some(Problem::new(StatusCode::REQUEST_TIMEOUT, text))
    }
}

/// A body that ends with an error when it is received too slowly.
#[derive(Debug)]
pub(super) struct TimedBody<B> {
    body: B,
    pace: BodyTimeouts,
    /// When it was first polled, and when the last frame was received.
    times: Option<(Instant, Instant)>,
    bytes: u64,
    sleep: Option<Pin<Box<Sleep>>>,
    timeout_flag: TimeoutFlag,
}

impl<B> TimedBody<B> {
    /// Wraps `body` with these timeouts; sets `timeout_flag` when one expires.
    pub(super) fn new(body: B, pace: BodyTimeouts, timeout_flag: TimeoutFlag) -> Self {
        Self { body, pace, times: None, bytes: 0, sleep: None, timeout_flag }
    }
}

impl<B> HttpBody for TimedBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let (began, last) = *this.times.get_or_insert_with(|| (Instant::now(), Instant::now()));
        let (deadline, cause) = this.pace.deadline(began, last, this.bytes);
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        // Frames that keep arriving do not extend the deadline.
        if let Poll::Ready(frame) = frame
            && (Instant::now() < deadline || frame.is_none())
        {
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            if let Some(data) = data.filter(|data| !data.is_empty()) {
                this.bytes = this.bytes.saturating_add(data.len() as u64);
                this.times = Some((began, Instant::now()));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        ready!(sleep.as_mut().poll(cx));
        this.timeout_flag.0.store(cause as u8, Ordering::Release);
        Poll::Ready(Some(Err("the body was received too slowly".into())))
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
    use std::{convert::Infallible, io::Write as _};

    use futures_util::{StreamExt as _, stream};
    use http_body_util::StreamBody;
    use tokio::time::sleep;

    use super::{super::memory::BodyMemory, *};

    const PACE: BodyTimeouts = BodyTimeouts {
        frame_timeout: Duration::from_secs(30),
        total_timeout: Duration::from_secs(300),
        min_rate: 1_000,
    };

    fn permit() -> BodyPermit {
        BodyMemory::new(64 << 20, Arc::default()).permit("192.0.2.1".into())
    }

    /// Reads a body of `parts` frames of `size` bytes, one every `pause`.
    async fn read_timed(
        parts: usize,
        size: usize,
        pause: Duration,
    ) -> (Result<usize, String>, Option<String>, Duration) {
        let (timeout_flag, began) = (TimeoutFlag::default(), Instant::now());
        let stream = stream::iter(0..parts).then(move |_| async move {
            sleep(pause).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; size])))
        });
        let body = Body::new(TimedBody::new(StreamBody::new(Box::pin(stream)), PACE, timeout_flag.clone()));
        let read = read(body, None, 64 << 20, &mut permit()).await;
        let detail = timeout_flag.problem(&PACE).map(|problem| problem.detail().to_owned());
        (read.map(|bytes| bytes.len()).map_err(|error| error.problem.detail().to_owned()), detail, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_times_out() {
        let second = Duration::from_secs(1);
        // Fast enough, or short.
        assert_eq!(read_timed(250, 1_000, second).await.0, Ok(250_000));
        assert_eq!(read_timed(20, 1, second).await.0, Ok(20));
        assert_eq!(read_timed(2, 100, 29 * second).await.0.map_err(|_| ()), Err(()), "two parts take a minute");
        // No more frames.
        let (read, detail, took) = read_timed(9, 1_000_000, 40 * second).await;
        assert!(
            read.unwrap_err().contains("too slowly") && detail.unwrap().contains("nothing more") && took == 30 * second
        );
        // Byte by byte.
        let (read, detail, took) = read_timed(usize::MAX, 1, second).await;
        assert!(read.is_err() && detail.unwrap().contains("slower than 1000 bytes"), "{took:?}");
        assert!(took >= 30 * second && took < 32 * second, "{took:?}");
        // At a sufficient rate, without an end.
        let (read, detail, took) = read_timed(usize::MAX, 2_000, second).await;
        assert!(read.is_err() && detail.unwrap().contains("within 300s"), "{took:?}");
        assert!(took >= 299 * second && took <= 301 * second, "{took:?}");
    }

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

    #[test]
    fn encodings_are_case_insensitive_and_rejected_bodies_are_kept() {
        let compressed: Bytes = zstd::encode_all(b"plain".as_slice(), 1).unwrap().into();
        for (encoding, sent) in [(" ZSTD ", compressed), ("Identity", Bytes::from_static(b"plain"))] {
            assert_eq!(decompress(sent, Some(encoding), 100, &mut permit()).unwrap(), "plain");
        }
        for (encoding, word) in [("GZip", "without Content-Encoding"), ("br", "send gzip")] {
            let error = decompress(Bytes::from_static(b"no such"), Some(encoding), 100, &mut permit()).unwrap_err();
            assert!(error.problem.detail().contains(word), "{}", error.problem.detail());
            let draft = error.dead_letter.unwrap();
            assert_eq!((draft.reason, draft.encoding), ("malformed", Some(encoding.to_lowercase())));
            assert_eq!(draft.head, "no such");
        }
    }

    #[test]
    fn a_decompression_bomb_is_rejected_early() {
        const LIMIT: usize = 16 << 20;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let mut zstd = zstd::Encoder::new(Vec::new(), 19).unwrap();
        for _ in 0..1_000 {
            gzip.write_all(&[b'0'; 1 << 20]).unwrap();
            zstd.write_all(&[b'0'; 1 << 20]).unwrap();
        }
        for (encoding, bomb) in [("gzip", gzip.finish().unwrap()), ("zstd", zstd.finish().unwrap())] {
            let mut permit = permit();
            let error = decompress(bomb.into(), Some(encoding), LIMIT, &mut permit).unwrap_err();
            assert!(error.dead_letter.is_some(), "{encoding}: {}", error.problem.detail());
            assert!(error.problem.detail().contains("larger") || error.problem.detail().contains("times"));
        }
        // A body of exactly the limit is accepted, also where the chunks do not end there.
        for size in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1] {
            let plain: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
            let compressed: Bytes = zstd::encode_all(plain.as_slice(), 1).unwrap().into();
            assert_eq!(decompress(compressed.clone(), Some("zstd"), size, &mut permit()).unwrap(), plain);
            if size > 0 {
                assert!(decompress(compressed, Some("zstd"), size - 1, &mut permit()).is_err());
            }
        }
        // A window that alone would take 128 MiB.
        let mut wide = zstd::Encoder::new(Vec::new(), 1).unwrap();
        wide.window_log(27).unwrap();
        wide.write_all(&vec![b'x'; 1 << 20]).unwrap();
        let error = decompress(wide.finish().unwrap().into(), Some("zstd"), LIMIT, &mut permit()).unwrap_err();
        assert!(error.problem.detail().contains("not the zstd"), "{}", error.problem.detail());
    }
}
