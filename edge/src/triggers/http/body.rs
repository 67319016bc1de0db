//! Reading a body up to its limit, at a pace, within the memory that there is for bodies; and unpacking it.

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

/// A body is unpacked in steps of this size.
const STEP: usize = 64 << 10;
/// What unpacks to more than so many times its size,
const MOST_RATIO: usize = 500;
/// and to more than this, is no reading.
const HARMLESS: usize = 4 << 20;
/// The decoder of zstd holds a window of the size that the body names; 16 MiB is that of all levels but the "ultra" ones.
const MOST_WINDOW: u32 = 24;
/// So much of a body that is too large is read after it was refused, and for so long.
const DRAINED: usize = 16 << 20;
const DRAINING: Duration = Duration::from_secs(2);
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

/// The body as it was sent, at most `limit` bytes; what it takes is taken from `permit`.
pub(super) async fn read(
    body: Body,
    announced: Option<usize>,
    limit: usize,
    permit: &mut BodyPermit,
) -> Result<Bytes, Unusable> {
    let mut body = body;
    if announced.is_some_and(|length| length > limit) {
        drain(&mut body).await;
        return Err(too_large(limit, Bytes::new()));
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}; send it again"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if rest.is_empty() && first.is_none() {
            permit.grow(data.len())?;
            first = Some(data);
            continue;
        }
        let held = if rest.is_empty() { first.as_ref().map_or(0, Bytes::len) } else { rest.len() };
        let whole = held + data.len();
        if whole > limit {
            let head = if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() };
            drain(&mut body).await;
            return Err(too_large(limit, head));
        }
        if rest.capacity() < whole {
            // Twice as much, but no more than is to come: memory that was only announced is not taken.
            let room = announced.unwrap_or(limit).clamp(whole, whole.saturating_mul(2));
            permit.grow(room - rest.capacity())?;
            rest.reserve(room - rest.len());
        }
        if rest.is_empty() {
            rest.extend_from_slice(first.as_deref().unwrap_or_default());
        }
        rest.extend_from_slice(&data);
    }
    let whole = if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() };
    if whole.len() > limit { Err(too_large(limit, whole)) } else { Ok(whole) }
}

/// Reads on for a while and keeps nothing: a client that is still sending when its connection is closed meets a reset instead of
/// the answer.
async fn drain(body: &mut Body) {
    let mut left = DRAINED;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAINING, reading).await;
}

/// Whether there is anything to undo.
pub(super) fn is_packed(encoding: Option<&str>) -> bool {
    encoding.is_some_and(|name| !matches!(name.trim().to_ascii_lowercase().as_str(), "" | "identity"))
}

/// Undoes Content-Encoding. What unpacks to more than `limit`, to far more than it was, or to more than `permit` has, is
/// refused before it fills the memory.
pub(super) fn unpack(
    bytes: Bytes,
    encoding: Option<&str>,
    limit: usize,
    permit: &mut BodyPermit,
) -> Result<Bytes, Unusable> {
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
    let mut from: Box<dyn Read> = match encoding.as_str() {
        "" | "identity" => return Ok(bytes.clone()),
        "gzip" | "x-gzip" => Box::new(flate2::read::MultiGzDecoder::new(bytes.as_ref())),
        "zstd" => {
            let mut decoder = zstd::stream::read::Decoder::new(bytes.as_ref()).map_err(broken)?;
            decoder.window_log_max(MOST_WINDOW).map_err(broken)?;
            Box::new(decoder)
        }
        other => {
            let text = format!("Content-Encoding {other:?} is not known; send gzip, zstd, or the plain body");
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
    };
    let mut unpacked = Vec::new();
    loop {
        let held = unpacked.len();
        if unpacked.capacity() < held + STEP {
            let room = held.saturating_mul(2).clamp(STEP, limit.saturating_add(STEP));
            permit.grow(room.max(held + STEP) - unpacked.capacity())?;
            unpacked.reserve_exact(room.max(held + STEP) - held);
        }
        let read = from.by_ref().take(STEP as u64).read_to_end(&mut unpacked).map_err(broken)?;
        if unpacked.len() > limit {
            unpacked.truncate(KEPT);
            return Err(too_large(limit, unpacked.into()));
        }
        if unpacked.len() > HARMLESS && unpacked.len() / MOST_RATIO > bytes.len() {
            let text = format!(
                "the body unpacks to more than {MOST_RATIO} times its size, as no readings do; send them plain or packed less"
            );
            return Err(Unusable {
                problem: Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text),
                ..refused(StatusCode::OK, String::new())
            });
        }
        if read < STEP {
            return Ok(unpacked.into());
        }
    }
}

fn too_large(limit: usize, came: Bytes) -> Unusable {
    let text = format!("the body is larger than {limit} bytes; send less at a time, or raise [http] max_body");
    let letter = Letter { reason: "oversize", head: head(&came), encoding: None };
    Unusable { problem: Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text), letter: Some(Box::new(letter)) }
}

fn head(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len().min(KEPT))
}

/// How fast a body has to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// A part of it comes after so long at the latest.
    pub(super) part: Duration,
    /// The whole of it comes within this time.
    pub(super) whole: Duration,
    /// So many bytes come each second, once `part` is over.
    pub(super) rate: u64,
}

impl Pace {
    /// When a body is given up that began at `began`, has so many bytes, and of which the last part came at `last`.
    fn deadline(&self, began: Instant, last: Instant, bytes: u64) -> (Instant, Fault) {
        let earned = Duration::from_millis(bytes.saturating_mul(1_000) / self.rate.max(1));
        let stalled = (last + self.part, Fault::Stalled);
        let slow = (began + self.part + earned.min(self.whole), Fault::Slow);
        let late = (began + self.whole, Fault::Late);
        [stalled, slow, late].into_iter().min_by_key(|(at, _)| *at).unwrap_or(late)
    }
}

/// Why a body was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Fault {
    Stalled = 1,
    Slow = 2,
    Late = 3,
}

/// Whether a request's body was given up.
#[derive(Clone, Debug, Default)]
pub(super) struct Lag(Arc<AtomicU8>);

impl Lag {
    /// The answer to such a request, if it is one.
    pub(super) fn problem(&self, pace: &Pace) -> Option<Problem> {
        let text = match self.0.load(Ordering::Acquire) {
            0 => return None,
            1 => format!("nothing more of the body came for {:?}; send it again without a pause", pace.part),
            2 => format!("the body came slower than {} bytes a second; send it faster, or less at a time", pace.rate),
            _ => format!("the body did not come within {:?}; send it faster, or less at a time", pace.whole),
        };
        Some(Problem::new(StatusCode::REQUEST_TIMEOUT, text))
    }
}

/// A body that ends with an error when it does not keep the pace.
#[derive(Debug)]
pub(super) struct Paced<B> {
    body: B,
    pace: Pace,
    /// When it was first asked for, and when the last part came.
    times: Option<(Instant, Instant)>,
    bytes: u64,
    sleep: Option<Pin<Box<Sleep>>>,
    lag: Lag,
}

impl<B> Paced<B> {
    /// `body` at this pace; tells `lag` when it does not keep it.
    pub(super) fn new(body: B, pace: Pace, lag: Lag) -> Self {
        Self { body, pace, times: None, bytes: 0, sleep: None, lag }
    }
}

impl<B> HttpBody for Paced<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let (began, last) = *this.times.get_or_insert_with(|| (Instant::now(), Instant::now()));
        let (deadline, fault) = this.pace.deadline(began, last, this.bytes);
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        // Parts that keep coming do not hold it beyond its time.
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
        this.lag.0.store(fault as u8, Ordering::Release);
        Poll::Ready(Some(Err("it did not keep the pace".into())))
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

    const PACE: Pace = Pace { part: Duration::from_secs(30), whole: Duration::from_secs(300), rate: 1_000 };

    fn permit() -> BodyPermit {
        BodyMemory::new(64 << 20, Arc::default()).permit("192.0.2.1".into())
    }

    /// Reads a body that comes in parts of `size` bytes every `pause`; for ever without a number of them.
    async fn come(parts: usize, size: usize, pause: Duration) -> (Result<usize, String>, Option<String>, Duration) {
        let (lag, began) = (Lag::default(), Instant::now());
        let stream = stream::iter(0..parts).then(move |_| async move {
            sleep(pause).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; size])))
        });
        let body = Body::new(Paced::new(StreamBody::new(Box::pin(stream)), PACE, lag.clone()));
        let read = read(body, None, 64 << 20, &mut permit()).await;
        let told = lag.problem(&PACE).map(|problem| problem.detail().to_owned());
        (read.map(|bytes| bytes.len()).map_err(|unusable| unusable.problem.detail().to_owned()), told, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_to_keep_the_pace() {
        let second = Duration::from_secs(1);
        // Fast enough, or short.
        assert_eq!(come(250, 1_000, second).await.0, Ok(250_000));
        assert_eq!(come(20, 1, second).await.0, Ok(20));
        assert_eq!(come(2, 100, 29 * second).await.0.map_err(|_| ()), Err(()), "two parts take a minute");
        // Nothing more comes.
        let (read, told, took) = come(9, 1_000_000, 40 * second).await;
        assert!(read.unwrap_err().contains("pace") && told.unwrap().contains("nothing more") && took == 30 * second);
        // Byte by byte.
        let (read, told, took) = come(usize::MAX, 1, second).await;
        assert!(read.is_err() && told.unwrap().contains("slower than 1000 bytes"), "{took:?}");
        assert!(took >= 30 * second && took < 32 * second, "{took:?}");
        // At a fair pace for ever.
        let (read, told, took) = come(usize::MAX, 2_000, second).await;
        assert!(read.is_err() && told.unwrap().contains("within 300s"), "{took:?}");
        assert!(took >= 299 * second && took <= 301 * second, "{took:?}");
    }

    #[tokio::test]
    async fn a_body_takes_memory_as_it_comes() {
        let memory = BodyMemory::new(3 << 20, Arc::default());
        let part = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; 100 << 10])));
        let body = |parts: usize| Body::new(StreamBody::new(stream::iter((0..parts).map(move |_| part()))));
        // What was only announced takes none.
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
        let unusable = read(body(9), None, 1 << 20, &mut other).await.unwrap_err();
        assert!(unusable.letter.is_none() && unusable.problem.detail().contains("memory"));
        let unusable = read(body(20), None, 1 << 20, &mut memory.permit("192.0.2.2".into())).await.unwrap_err();
        assert!(unusable.problem.detail().contains("larger than"), "{}", unusable.problem.detail());
        assert_eq!(unusable.letter.unwrap().head.len(), KEPT);
    }

    #[test]
    fn encodings_are_known_in_any_case_and_what_is_refused_is_kept() {
        let packed: Bytes = zstd::encode_all(b"plain".as_slice(), 1).unwrap().into();
        for (encoding, sent) in [(" ZSTD ", packed), ("Identity", Bytes::from_static(b"plain"))] {
            assert_eq!(unpack(sent, Some(encoding), 100, &mut permit()).unwrap(), "plain");
        }
        for (encoding, word) in [("GZip", "without Content-Encoding"), ("br", "send gzip")] {
            let unusable = unpack(Bytes::from_static(b"no such"), Some(encoding), 100, &mut permit()).unwrap_err();
            assert!(unusable.problem.detail().contains(word), "{}", unusable.problem.detail());
            let letter = unusable.letter.unwrap();
            assert_eq!((letter.reason, letter.encoding), ("malformed", Some(encoding.to_lowercase())));
            assert_eq!(letter.head, "no such");
        }
    }

    #[test]
    fn a_bomb_is_given_up_before_it_fills_the_memory() {
        const LIMIT: usize = 16 << 20;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let mut zstd = zstd::Encoder::new(Vec::new(), 19).unwrap();
        for _ in 0..1_000 {
            gzip.write_all(&[b'0'; 1 << 20]).unwrap();
            zstd.write_all(&[b'0'; 1 << 20]).unwrap();
        }
        for (encoding, bomb) in [("gzip", gzip.finish().unwrap()), ("zstd", zstd.finish().unwrap())] {
            let mut permit = permit();
            let unusable = unpack(bomb.into(), Some(encoding), LIMIT, &mut permit).unwrap_err();
            assert!(unusable.letter.is_some(), "{encoding}: {}", unusable.problem.detail());
            assert!(unusable.problem.detail().contains("larger") || unusable.problem.detail().contains("times"));
        }
        // Exactly the limit is fine, also where the steps do not end there.
        for size in [0, 1, STEP, STEP + 1, 3 * STEP - 1] {
            let plain: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
            let packed: Bytes = zstd::encode_all(plain.as_slice(), 1).unwrap().into();
            assert_eq!(unpack(packed.clone(), Some("zstd"), size, &mut permit()).unwrap(), plain);
            if size > 0 {
                assert!(unpack(packed, Some("zstd"), size - 1, &mut permit()).is_err());
            }
        }
        // A window that alone would take 128 MiB.
        let mut wide = zstd::Encoder::new(Vec::new(), 1).unwrap();
        wide.window_log(27).unwrap();
        wide.write_all(&vec![b'x'; 1 << 20]).unwrap();
        let unusable = unpack(wide.finish().unwrap().into(), Some("zstd"), LIMIT, &mut permit()).unwrap_err();
        assert!(unusable.problem.detail().contains("not the zstd"), "{}", unusable.problem.detail());
    }
}
