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
    hub::{DRAIN_TIMEOUT, Hub, SessionAttachment},
    pending::{PendingPublish, PendingRelease, PendingVerdict, PublishOutcome},
    session::{OUTPUT_HIGH_WATER, PeerLimits},
    stats::increment,
};
use crate::codec::{self, DecodeError, Disconnect, Packet, Properties, Version, reason};

/// Output size in bytes at which output is written even if there is more to read.
const WRITE_THRESHOLD: usize = 32 << 10;
/// Output size in bytes at which reading stops, because the client does not read either.
const MAX_OUTPUT: usize = 1 << 20;
/// Read buffer size in bytes: the initial size, and the maximum for a connection that fills its buffer.
const MIN_READ_SIZE: usize = 4 << 10;
const MAX_READ_SIZE: usize = 64 << 10;

/// Minimum transfer rate in bytes per second: a packet gets one second more for each such number of received bytes.
const MIN_BYTES_PER_SECOND: usize = 16 << 10;

/// How long to wait for the client to close its side after the broker closes the connection.
const LINGER_TIMEOUT: Duration = Duration::from_millis(100);

/// Reads and discards the remaining input. Closing a socket with unread bytes makes the peer lose data that it has not
/// read yet, such as the last acknowledgements and the reason.
async fn discard<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut scratch = [0; 4 << 10];
    while matches!(stream.read(&mut scratch).await, Ok(read) if read > 0) {}
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionEnd {
    /// The network connection was lost.
    ConnectionLost,
    /// The client sent a DISCONNECT.
    Disconnected { with_will: bool },
    /// The broker closes it; an MQTT 5 client gets this reason code.
    Close(u8),
}

pub(crate) struct Connection {
    pub(crate) hub: Arc<Hub>,
    pub(crate) attachment: SessionAttachment,
    pub(crate) connection_id: u64,
    pub(crate) client_id: String,
    pub(crate) peer: PeerLimits,
    /// Whether the client accepts reason strings.
    pub(crate) problem_information: bool,
    pub(crate) input: BytesMut,
    pub(crate) output: BytesMut,
    /// Messages that wait for the sink's verdict; they are acknowledged in the order of their arrival.
    pub(crate) pending: FuturesOrdered<PendingVerdict>,
    pub(crate) pending_bytes: usize,
    /// Packet ids of the QoS 2 messages in `pending`.
    pub(crate) awaiting_verdict: HashSet<u16>,
    /// Number of QoS 1 and 2 messages that are not acknowledged yet.
    pub(crate) unacknowledged: usize,
    pub(crate) aliases: Vec<Option<Arc<str>>>,
    /// QoS 2 messages that the client has released, until the sink has stored the release.
    pub(crate) releasing: FuturesOrdered<PendingRelease>,
    /// Whether the connection is ending; nothing more is sent to the client.
    pub(crate) is_closing: bool,
    /// Whether there may be more messages to send to the client.
    pub(crate) send_due: bool,
    read_size: usize,
    needs_flush: bool,
    last_read: Instant,
    keep_alive_timeout: Option<Duration>,
    /// Start time of the incomplete packet at the end of `input`.
    incomplete_since: Option<Instant>,
    /// Time since which the client has not read any of `output`.
    stalled_since: Option<Instant>,
    /// Bytes of this connection that are counted in [`Hub::input_bytes`].
    counted_input_bytes: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.hub.input_bytes.fetch_sub(self.counted_input_bytes, Ordering::Relaxed);
    }
}

impl Connection {
    pub(crate) fn new(
        hub: Arc<Hub>,
        attachment: SessionAttachment,
        number: u64,
        peer: PeerLimits,
        keep_alive: Option<Duration>,
        problem_information: bool,
        input: BytesMut,
    ) -> Self {
        // The timeout is one and a half times the keep-alive: MQTT 5.0, section 3.1.2.10.
        let patience = keep_alive.map(|keep_alive| keep_alive * 3 / 2);
        let unacknowledged = attachment.session.lock().received_qos2.len();
        Self {
            client_id: attachment.session.client_id.to_string(),
            hub,
            attachment,
            connection_id: number,
            peer,
            problem_information,
            input,
            output: BytesMut::new(),
            pending: FuturesOrdered::new(),
            pending_bytes: 0,
            awaiting_verdict: HashSet::new(),
            unacknowledged,
            aliases: Vec::new(),
            releasing: FuturesOrdered::new(),
            is_closing: false,
            send_due: true,
            read_size: MIN_READ_SIZE,
            needs_flush: false,
            last_read: Instant::now(),
            keep_alive_timeout: patience,
            incomplete_since: None,
            stalled_since: None,
            counted_input_bytes: 0,
            timer: None,
        }
    }

    /// Serves the connection until it ends, then releases the session.
    pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut self, mut stream: S) {
        let end = poll_fn(|cx| self.poll(&mut stream, cx)).await;
        tracing::debug!(client = %self.client_id, ?end, "an MQTT connection ends");
        let (version, output) = (self.peer.version, &mut self.output);
        match end {
            ConnectionEnd::Close(code) if version == Version::V5 => {
                // With a reason string: some clients read the code only if properties follow it.
                let properties = reason::description(code)
                    .map(|words| Box::new(Properties { reason_string: Some(words.into()), ..Properties::default() }));
                codec::encode(output, version, &Packet::Disconnect(Disconnect { reason: code, properties }));
            }
            ConnectionEnd::Disconnected { with_will: false } => self.attachment.session.lock().will = None,
            _ => {}
        }
        if !matches!(end, ConnectionEnd::ConnectionLost) {
            let close = async {
                stream.write_all(&self.output).await?;
                stream.shutdown().await
            };
            let _ = tokio::time::timeout(Duration::from_secs(1), close).await;
        }
        if matches!(end, ConnectionEnd::Close(_)) {
            let _ = tokio::time::timeout(LINGER_TIMEOUT, discard(&mut stream)).await;
        }
        drop(stream);
        self.is_closing = true;
        self.drain().await;
    }

    /// Awaits the remaining verdicts of the sink: subscribers must get the stored messages, and the session must know
    /// which QoS 2 messages are already stored.
    async fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while let Ok(Some((publish, outcome))) = tokio::time::timeout_at(deadline, self.pending.next()).await {
            self.on_verdict(publish, outcome);
            self.output.clear();
        }
        // A message without a verdict by now must be accepted again when the client resends it.
        let mut state = self.attachment.session.lock();
        for id in self.awaiting_verdict.drain() {
            state.received_qos2.remove(&id);
        }
    }

    fn at_sink_limit(&self) -> bool {
        self.pending.len() >= self.hub.config.max_inflight.into()
            || self.releasing.len() >= self.hub.config.max_inflight.into()
            || self.pending_bytes >= self.hub.config.max_inflight_bytes
    }

    fn poll<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<ConnectionEnd> {
        self.attachment.link.register(cx.waker());
        for _ in 0..32 {
            if let Some(code) = self.attachment.link.requested_close() {
                return Poll::Ready(ConnectionEnd::Close(code));
            }
            let mut progress = false;
            while let Poll::Ready(Some((publish, outcome))) = self.pending.poll_next_unpin(cx) {
                progress = true;
                if let Some(end) = self.on_verdict(publish, outcome) {
                    return Poll::Ready(end);
                }
            }
            while let Poll::Ready(Some(release)) = self.releasing.poll_next_unpin(cx) {
                progress = true;
                if let Some(end) = self.on_released(&release) {
                    return Poll::Ready(end);
                }
            }
            match self.handle_packets() {
                Ok(took) => progress |= took,
                Err(end) => return Poll::Ready(end),
            }
            self.send_due |= self.attachment.link.take_has_messages();
            if self.send_due && self.output.len() < OUTPUT_HIGH_WATER {
                self.attachment.session.lock().write_pending(&mut self.output, self.peer);
                self.send_due = self.output.len() >= OUTPUT_HIGH_WATER;
            }
            if !self.at_sink_limit() && self.output.len() < MAX_OUTPUT {
                match self.poll_read(stream, cx) {
                    Poll::Ready(true) => progress = true,
                    Poll::Ready(false) => return Poll::Ready(ConnectionEnd::ConnectionLost),
                    Poll::Pending => {}
                }
            }
            if !self.output.is_empty() && (!progress || self.output.len() >= WRITE_THRESHOLD) {
                match Pin::new(&mut *stream).poll_write(cx, &self.output) {
                    Poll::Ready(Ok(written)) if written > 0 => {
                        self.output.advance(written);
                        self.stalled_since = None;
                        self.needs_flush = true;
                        progress = true;
                    }
                    Poll::Ready(_) => return Poll::Ready(ConnectionEnd::ConnectionLost),
                    Poll::Pending => {
                        self.stalled_since.get_or_insert_with(Instant::now);
                    }
                }
            }
            if self.needs_flush && self.output.is_empty() {
                match Pin::new(&mut *stream).poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.needs_flush = false,
                    Poll::Ready(Err(_)) => return Poll::Ready(ConnectionEnd::ConnectionLost),
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
                self.last_read = Instant::now();
                if read == room {
                    self.read_size = (self.read_size * 2).min(MAX_READ_SIZE);
                }
                Poll::Ready(true)
            }
            _ => Poll::Ready(false),
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionEnd> {
        if self.at_sink_limit() || self.output.len() >= MAX_OUTPUT {
            // The broker has stopped reading, so an incomplete packet is not the client's fault. A client that does not
            // read its output is detected by `stalled`.
            self.incomplete_since = self.incomplete_since.map(|_| Instant::now());
            if self.at_sink_limit() {
                self.last_read = Instant::now();
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
                if code == reason::CLIENT_TOO_SLOW {
                    increment(&self.hub.counters.slow_clients);
                }
                return Poll::Ready(ConnectionEnd::Close(code));
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }

    /// The earliest deadline of the connection, and the reason code for closing it then.
    fn deadline(&self) -> Option<(Instant, u8)> {
        let timeout = self.hub.config.packet_timeout;
        let quiet = self.keep_alive_timeout.map(|patience| (self.last_read + patience, reason::KEEP_ALIVE_TIMEOUT));
        let longer = Duration::from_secs((self.input.len() / MIN_BYTES_PER_SECOND) as u64);
        let incomplete = self.incomplete_since.map(|since| (since + timeout + longer, reason::CLIENT_TOO_SLOW));
        let stalled = self.stalled_since.map(|since| (since + timeout, reason::CLIENT_TOO_SLOW));
        [quiet, incomplete, stalled].into_iter().flatten().min_by_key(|(until, _)| *until)
    }

    /// Updates the count of bytes that an incomplete large packet takes. Fails if the limit for all connections is
    /// exceeded.
    fn count_input(&mut self) -> Result<(), ConnectionEnd> {
        let held = Some(self.input.capacity()).filter(|held| *held > MAX_READ_SIZE).unwrap_or(0);
        if held == self.counted_input_bytes {
            return Ok(());
        }
        let total = self.hub.input_bytes.fetch_add(held, Ordering::Relaxed) + held;
        self.hub.input_bytes.fetch_sub(self.counted_input_bytes, Ordering::Relaxed);
        let (before, grew) = (self.counted_input_bytes, held > self.counted_input_bytes);
        self.counted_input_bytes = held;
        if grew && total - before > self.hub.config.max_input_bytes {
            Err(ConnectionEnd::Close(reason::QUOTA_EXCEEDED))
        } else {
            Ok(())
        }
    }

    /// Handles all complete packets in the input buffer. Returns whether there was one.
    fn handle_packets(&mut self) -> Result<bool, ConnectionEnd> {
        let mut took = false;
        while !self.at_sink_limit() && self.output.len() < MAX_OUTPUT {
            let rejected = |error: DecodeError| {
                tracing::debug!(client = %self.client_id, %error, "an MQTT connection is closed after an invalid packet");
                ConnectionEnd::Close(error.reason())
            };
            let Some(frame) = codec::frame(&self.input, self.hub.config.max_packet).map_err(rejected)? else { break };
            let Some(body) = self.input.get(frame.header_length..frame.packet_length) else { break };
            let packet = codec::decode(frame.first_byte, body, self.peer.version).map_err(rejected)?;
            self.input.advance(frame.packet_length);
            took = true;
            self.handle_packet(packet)?;
        }
        if self.input.is_empty() && self.input.capacity() > 4 * MAX_READ_SIZE {
            // After a very large packet.
            self.input = BytesMut::new();
        }
        if took || self.input.is_empty() {
            self.incomplete_since = None;
        }
        if !self.input.is_empty() {
            self.incomplete_since.get_or_insert_with(Instant::now);
        }
        self.count_input()?;
        Ok(took)
    }

    /// Acknowledges and delivers the message, or ends the connection, depending on the verdict.
    pub(crate) fn on_verdict(&mut self, publish: PendingPublish, outcome: PublishOutcome) -> Option<ConnectionEnd> {
        self.pending_bytes = self.pending_bytes.saturating_sub(publish.size);
        if publish.qos == 2 {
            self.awaiting_verdict.remove(&publish.id);
        }
        self.complete_publish(publish, outcome)
    }
}
