//! Bodies that are received too slowly.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::StatusCode;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::triggers::http::problem::Problem;

/// How fast a body has to be received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyTimeouts {
    /// The maximum time between two frames.
    pub(crate) frame_timeout: Duration,
    /// The maximum time for the whole body.
    pub(crate) total_timeout: Duration,
    /// The minimum number of bytes per second, once `frame_timeout` has passed.
    pub(crate) min_rate: u64,
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
pub(crate) struct TimeoutFlag(Arc<AtomicU8>);

impl TimeoutFlag {
    /// The response to such a request, if its body timed out.
    pub(crate) fn problem(&self, pace: &BodyTimeouts) -> Option<Problem> {
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
pub(crate) struct TimedBody<B> {
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
    pub(crate) fn new(body: B, pace: BodyTimeouts, timeout_flag: TimeoutFlag) -> Self {
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
    use std::convert::Infallible;

    use axum::body::Body;
    use futures_util::{StreamExt as _, stream};
    use http_body_util::StreamBody;
    use tokio::time::sleep;

    use super::{
        super::{memory::BodyMemory, read::read},
        *,
    };

    const PACE: BodyTimeouts = BodyTimeouts {
        frame_timeout: Duration::from_secs(30),
        total_timeout: Duration::from_secs(300),
        min_rate: 1_000,
    };

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
        let read =
            read(body, None, 64 << 20, &mut BodyMemory::new(64 << 20, Arc::default()).permit("192.0.2.1".into())).await;
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
}
