//! One connection after its CONNACK. One task reads packets, awaits the sink's verdicts, delivers messages and writes.

use std::{
    collections::HashSet,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use futures_util::{StreamExt, stream::FuturesOrdered};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, Sleep},
};

use super::{
    hub::{Attachment, DRAIN, Hub},
    inbound::{Outcome, Releasing, Taken, Waiting},
    session::{OUTPUT_HIGH, PeerLimits},
    stats::count,
};
use crate::codec::{self, DecodeError, Disconnect, Packet, Properties, Version, reason};

/// Output size in bytes at which output is written even if there is more to read.
const WRITE_AT: usize = 32 << 10;
/// Output size in bytes at which reading stops, because the client does not read either.
const OUTPUT_MAX: usize = 1 << 20;
/// Read buffer size in bytes: the initial size, and the maximum for a connection that fills its buffer.
const READ_MIN: usize = 4 << 10;
const READ_MAX: usize = 64 << 10;

/// Minimum transfer rate in bytes per second: a packet gets one second more for each such number of received bytes.
const SLOWEST: usize = 16 << 10;

/// How long to wait for the client to close its side after the broker closes the connection.
const LINGER: Duration = Duration::from_millis(100);

/// Reads and discards the remaining input. Closing a socket with unread bytes makes the peer lose data that it has not
/// read yet, such as the last acknowledgements and the reason.
async fn discard<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut scratch = [0; 4 << 10];
    while matches!(stream.read(&mut scratch).await, Ok(read) if read > 0) {}
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The network connection was lost.
    Gone,
    /// The client sent a DISCONNECT.
    Left { with_will: bool },
    /// The broker closes it; an MQTT 5 client gets this reason code.
    Close(u8),
}

pub(crate) struct Connection {
    pub(crate) hub: Arc<Hub>,
    pub(crate) attachment: Attachment,
    pub(crate) number: u64,
    pub(crate) client_id: String,
    pub(crate) peer: PeerLimits,
    /// Whether the client accepts reason strings.
    pub(crate) problem_information: bool,
    pub(crate) input: BytesMut,
    pub(crate) output: BytesMut,
    /// Messages that wait for the sink's verdict; they are acknowledged in the order of their arrival.
    pub(crate) pending: FuturesOrdered<Waiting>,
    pub(crate) pending_bytes: usize,
    /// Packet ids of the QoS 2 messages in `pending`.
    pub(crate) awaited: HashSet<u16>,
    /// Number of QoS 1 and 2 messages that are not acknowledged yet.
    pub(crate) unacknowledged: usize,
    pub(crate) aliases: Vec<Option<Arc<str>>>,
    /// QoS 2 messages that the client has released, until the sink has stored the release.
    pub(crate) releasing: FuturesOrdered<Releasing>,
    /// Whether the connection is ending; nothing more is sent to the client.
    pub(crate) closing: bool,
    /// Whether there may be more messages to send to the client.
    pub(crate) fill_due: bool,
    read_size: usize,
    unflushed: bool,
    heard: Instant,
    patience: Option<Duration>,
    /// Start time of the incomplete packet at the end of `input`.
    incomplete: Option<Instant>,
    /// Time since which the client has not read any of `output`.
    stalled: Option<Instant>,
    /// Bytes of this connection that are counted in [`Hub::input_bytes`].
    counted: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.hub.input_bytes.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

impl Connection {
    pub(crate) fn new(
        hub: Arc<Hub>,
        attachment: Attachment,
        number: u64,
        peer: PeerLimits,
        keep_alive: Option<Duration>,
        problem_information: bool,
        input: BytesMut,
    ) -> Self {
        // The timeout is one and a half times the keep-alive: MQTT 5.0, section 3.1.2.10.
        let patience = keep_alive.map(|keep_alive| keep_alive * 3 / 2);
        let unacknowledged = attachment.session.lock().received.len();
        Self {
            client_id: attachment.session.client_id.to_string(),
            hub,
            attachment,
            number,
            peer,
            problem_information,
            input,
            output: BytesMut::new(),
            pending: FuturesOrdered::new(),
            pending_bytes: 0,
            awaited: HashSet::new(),
            unacknowledged,
            aliases: Vec::new(),
            releasing: FuturesOrdered::new(),
            closing: false,
            fill_due: true,
            read_size: READ_MIN,
            unflushed: false,
            heard: Instant::now(),
            patience,
            incomplete: None,
            stalled: None,
            counted: 0,
            timer: None,
        }
    }

    /// Serves the connection until it ends, then releases the session.
    pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut self, mut stream: S) {
        let end = poll_fn(|cx| self.poll(&mut stream, cx)).await;
        tracing::debug!(client = %self.client_id, ?end, "an MQTT connection ends");
        let (version, output) = (self.peer.version, &mut self.output);
        match end {
            End::Close(code) if version == Version::V5 => {
                // With a reason string: some clients read the code only if properties follow it.
                let properties = reason::words(code)
                    .map(|words| Box::new(Properties { reason_string: Some(words.into()), ..Properties::default() }));
                codec::encode(output, version, &Packet::Disconnect(Disconnect { reason: code, properties }));
            }
            End::Left { with_will: false } => self.attachment.session.lock().will = None,
            _ => {}
        }
        if !matches!(end, End::Gone) {
            let close = async {
                stream.write_all(&self.output).await?;
                stream.shutdown().await
            };
            let _ = tokio::time::timeout(Duration::from_secs(1), close).await;
        }
        if matches!(end, End::Close(_)) {
            let _ = tokio::time::timeout(LINGER, discard(&mut stream)).await;
        }
        drop(stream);
        self.closing = true;
        self.drain().await;
    }

    /// Awaits the remaining verdicts of the sink: subscribers must get the stored messages, and the session must know
    /// which QoS 2 messages are already stored.
    async fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN;
        while let Ok(Some((taken, outcome))) = tokio::time::timeout_at(deadline, self.pending.next()).await {
            self.settle(taken, outcome);
            self.output.clear();
        }
        // A message without a verdict by now must be accepted again when the client resends it.
        let mut state = self.attachment.session.lock();
        for id in self.awaited.drain() {
            state.received.remove(&id);
        }
    }

    fn at_sink_limit(&self) -> bool {
        self.pending.len() >= self.hub.config.max_inflight.into()
            || self.releasing.len() >= self.hub.config.max_inflight.into()
            || self.pending_bytes >= self.hub.config.max_inflight_bytes
    }

    fn poll<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<End> {
        self.attachment.link.register(cx.waker());
        for _ in 0..32 {
            if let Some(code) = self.attachment.link.kicked() {
                return Poll::Ready(End::Close(code));
            }
            let mut progress = false;
            while let Poll::Ready(Some((taken, outcome))) = self.pending.poll_next_unpin(cx) {
                progress = true;
                if let Some(end) = self.settle(taken, outcome) {
                    return Poll::Ready(end);
                }
            }
            while let Poll::Ready(Some(release)) = self.releasing.poll_next_unpin(cx) {
                progress = true;
                if let Some(end) = self.released(&release) {
                    return Poll::Ready(end);
                }
            }
            match self.take_packets() {
                Ok(took) => progress |= took,
                Err(end) => return Poll::Ready(end),
            }
            self.fill_due |= self.attachment.link.take_dirty();
            if self.fill_due && self.output.len() < OUTPUT_HIGH {
                self.attachment.session.lock().fill(&mut self.output, self.peer);
                self.fill_due = self.output.len() >= OUTPUT_HIGH;
            }
            if !self.at_sink_limit() && self.output.len() < OUTPUT_MAX {
                match self.poll_read(stream, cx) {
                    Poll::Ready(true) => progress = true,
                    Poll::Ready(false) => return Poll::Ready(End::Gone),
                    Poll::Pending => {}
                }
            }
            if !self.output.is_empty() && (!progress || self.output.len() >= WRITE_AT) {
                match Pin::new(&mut *stream).poll_write(cx, &self.output) {
                    Poll::Ready(Ok(written)) if written > 0 => {
                        self.output.advance(written);
                        self.stalled = None;
                        self.unflushed = true;
                        progress = true;
                    }
                    Poll::Ready(_) => return Poll::Ready(End::Gone),
                    Poll::Pending => {
                        self.stalled.get_or_insert_with(Instant::now);
                    }
                }
            }
            if self.unflushed && self.output.is_empty() {
                match Pin::new(&mut *stream).poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.unflushed = false,
                    Poll::Ready(Err(_)) => return Poll::Ready(End::Gone),
                    Poll::Pending => {}
                }
            }
            if !progress {
                return self.poll_timer(cx);
            }
        }
        // Yield to other tasks.
        cx.waker().wake_by_ref();
        self.poll_timer(cx)
    }

    /// Returns `false` at the end of the stream or after an error.
    fn poll_read<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<bool> {
        let room = self.input.capacity() - self.input.len();
        if room < self.read_size / 4 {
            self.input.reserve(self.read_size);
        }
        let room = self.input.capacity() - self.input.len();
        match ready!(pin!(stream.read_buf(&mut self.input)).poll(cx)) {
            Ok(read) if read > 0 => {
                self.heard = Instant::now();
                if read == room {
                    self.read_size = (self.read_size * 2).min(READ_MAX);
                }
                Poll::Ready(true)
            }
            _ => Poll::Ready(false),
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.at_sink_limit() || self.output.len() >= OUTPUT_MAX {
            // The broker has stopped reading, so an incomplete packet is not the client's fault. A client that does not
            // read its output is detected by `stalled`.
            self.incomplete = self.incomplete.map(|_| Instant::now());
            if self.at_sink_limit() {
                self.heard = Instant::now();
            }
        }
        while let Some((until, code)) = self.deadline() {
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if timer.deadline() > until {
                timer.as_mut().reset(until);
            }
            if timer.as_mut().poll(cx).is_pending() {
                break;
            }
            if until <= Instant::now() {
                if code == reason::SLOW {
                    count(&self.hub.counters.slow);
                }
                return Poll::Ready(End::Close(code));
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }

    /// The earliest deadline of the connection, and the reason code for closing it then.
    fn deadline(&self) -> Option<(Instant, u8)> {
        let timeout = self.hub.config.packet_timeout;
        let quiet = self.patience.map(|patience| (self.heard + patience, reason::KEEP_ALIVE));
        let longer = Duration::from_secs((self.input.len() / SLOWEST) as u64);
        let incomplete = self.incomplete.map(|since| (since + timeout + longer, reason::SLOW));
        let stalled = self.stalled.map(|since| (since + timeout, reason::SLOW));
        [quiet, incomplete, stalled].into_iter().flatten().min_by_key(|(until, _)| *until)
    }

    /// Updates the count of bytes that an incomplete large packet takes. Fails if the limit for all connections is
    /// exceeded.
    fn count_input(&mut self) -> Result<(), End> {
        let held = Some(self.input.capacity()).filter(|held| *held > READ_MAX).unwrap_or(0);
        if held == self.counted {
            return Ok(());
        }
        let total = self.hub.input_bytes.fetch_add(held, Ordering::Relaxed) + held;
        self.hub.input_bytes.fetch_sub(self.counted, Ordering::Relaxed);
        let (before, grew) = (self.counted, held > self.counted);
        self.counted = held;
        if grew && total - before > self.hub.config.max_input_bytes { Err(End::Close(reason::QUOTA)) } else { Ok(()) }
    }

    /// Handles all complete packets in the input buffer. Returns whether there was one.
    fn take_packets(&mut self) -> Result<bool, End> {
        let mut took = false;
        while !self.at_sink_limit() && self.output.len() < OUTPUT_MAX {
            let rejected = |error: DecodeError| {
                tracing::debug!(client = %self.client_id, %error, "an MQTT connection is closed after an invalid packet");
                End::Close(error.reason())
            };
            let Some(frame) = codec::frame(&self.input, self.hub.config.max_packet).map_err(rejected)? else { break };
            let Some(body) = self.input.get(frame.header..frame.length) else { break };
            let packet = codec::decode(frame.first, body, self.peer.version).map_err(rejected)?;
            self.input.advance(frame.length);
            took = true;
            self.take(packet)?;
        }
        if self.input.is_empty() && self.input.capacity() > 4 * READ_MAX {
            // After a very large packet.
            self.input = BytesMut::new();
        }
        if took || self.input.is_empty() {
            self.incomplete = None;
        }
        if !self.input.is_empty() {
            self.incomplete.get_or_insert_with(Instant::now);
        }
        self.count_input()?;
        Ok(took)
    }

    /// Acknowledges and delivers the message, or ends the connection, depending on the verdict.
    pub(crate) fn settle(&mut self, taken: Taken, outcome: Outcome) -> Option<End> {
        self.pending_bytes = self.pending_bytes.saturating_sub(taken.size);
        if taken.qos == 2 {
            self.awaited.remove(&taken.id);
        }
        self.conclude(taken, outcome)
    }
}
