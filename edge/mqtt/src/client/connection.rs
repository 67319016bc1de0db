//! One connection to an external broker.

use std::{collections::HashSet, convert::Infallible, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{StreamExt, stream::FuturesOrdered};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::{
    error::ClientError,
    observer::{ClientEvent, Observer},
    transport::BrokerStream,
};
use crate::{
    ClientConfig, Exchange, Sink, SinkMessage, Verdict, VerdictFuture,
    codec::{self, Connect, Packet, Properties, Subscribe, SubscribeFilter, Version, reason},
};

/// Time to wait for an answer of the broker.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// Maximum number of messages that wait for the sink; also the receive maximum of this client.
const MAX_PENDING: u16 = 1_024;
/// Maximum payload in bytes that waits for the sink; beyond it, reading pauses.
const MAX_PENDING_BYTES: usize = 8 << 20;
/// Maximum packet size in bytes.
const MAX_PACKET: usize = 16 << 20;
/// Delays before a message is offered to a busy sink again.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(50);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);
/// How long the messages of a lost connection may still wait for the sink.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// State that is kept across reconnects.
#[derive(Debug, Default)]
pub(crate) struct ResumeState {
    /// Packet ids of QoS 2 messages that are stored and not yet released by the broker.
    received_qos2: HashSet<u16>,
}

struct ReceivedMessage {
    id: u16,
    qos: u8,
    size: usize,
}

type OfferFuture = Pin<Box<dyn Future<Output = (ReceivedMessage, Verdict)> + Send>>;

/// The end of an exchange: packet id, reason code of the PUBCOMP, and whether the sink has stored the release.
type ExchangeEndFuture = Pin<Box<dyn Future<Output = (u16, u8, bool)> + Send>>;

pub(crate) struct BrokerConnection<'a> {
    config: &'a ClientConfig,
    sink: &'a Arc<dyn Sink>,
    resume_state: &'a mut ResumeState,
    connection_id: u64,
    observe: Observer<'a>,
    version: Version,
    /// Whether the connection is ending; nothing more is sent to the broker.
    is_closing: bool,
    input: BytesMut,
    output: BytesMut,
    pending: FuturesOrdered<OfferFuture>,
    pending_bytes: usize,
    /// QoS 2 exchanges whose release the sink has not stored yet.
    releasing: FuturesOrdered<ExchangeEndFuture>,
    /// Name of this client's session at the broker, for the sink.
    session_name: Arc<str>,
    /// Packet ids of QoS 2 messages that wait for the sink.
    awaiting_verdict: std::collections::HashSet<u16>,
}

/// Offers a message to the sink until the sink accepts or rejects it. The first offer is made immediately, so that the
/// sink gets the messages in order.
fn offer_until_accepted(sink: &Arc<dyn Sink>, publish: SinkMessage, received: ReceivedMessage) -> OfferFuture {
    let mut answer: VerdictFuture = sink.accept(publish.clone());
    let sink = Arc::clone(sink);
    Box::pin(async move {
        let mut pause = FIRST_RETRY_DELAY;
        loop {
            match answer.await {
                Verdict::Busy => tracing::debug!(topic = %publish.topic, "the sink is busy; an MQTT message waits"),
                verdict => return (received, verdict),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_RETRY_DELAY);
            answer = sink.accept(publish.clone());
        }
    })
}

impl<'a> BrokerConnection<'a> {
    pub(crate) fn new(
        config: &'a ClientConfig,
        sink: &'a Arc<dyn Sink>,
        memory: &'a mut ResumeState,
        number: u64,
        observe: Observer<'a>,
    ) -> Self {
        Self {
            config,
            sink,
            resume_state: memory,
            connection_id: number,
            observe,
            version: if config.version == 5 { Version::V5 } else { Version::V3 },
            is_closing: false,
            input: BytesMut::new(),
            output: BytesMut::new(),
            pending: FuturesOrdered::new(),
            releasing: FuturesOrdered::new(),
            session_name: format!("broker:{}\0{}", config.redacted_url(), config.client_id).into(),
            pending_bytes: 0,
            awaiting_verdict: std::collections::HashSet::new(),
        }
    }

    /// Connects, subscribes and handles messages until an error occurs.
    pub(crate) async fn serve(&mut self, mut stream: Box<dyn BrokerStream>) -> Result<Infallible, ClientError> {
        self.connect(&mut stream).await?;
        self.subscribe();
        let mut last_received = Instant::now();
        let mut pinged = false;
        let mut ping = tokio::time::interval_at(last_received + KEEP_ALIVE_INTERVAL / 2, KEEP_ALIVE_INTERVAL / 2);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut reader, mut writer) = tokio::io::split(stream);
        loop {
            while let Some(packet) = self.next_packet()? {
                self.handle_packet(packet)?;
            }
            let has_room = self.has_room();
            self.input.reserve(if self.input.is_empty() { 64 << 10 } else { 4 << 10 });
            tokio::select! {
                biased;
                Some((received, verdict)) = self.pending.next(), if !self.pending.is_empty() => {
                    self.on_verdict(&received, &verdict);
                }
                Some((id, code, stored)) = self.releasing.next(), if !self.releasing.is_empty() => {
                    if !stored {
                        return Err(ClientError::ReleaseNotStored);
                    }
                    codec::encode_ack(&mut self.output, self.version, 0x70, id, code);
                }
                read = reader.read_buf(&mut self.input), if has_room && self.output.len() < 64 << 10 => {
                    if read? == 0 {
                        return Err(ClientError::Closed);
                    }
                    last_received = Instant::now();
                    pinged = false;
                }
                written = writer.write(&self.output), if !self.output.is_empty() => {
                    let written = written?;
                    if written == 0 {
                        return Err(ClientError::Closed);
                    }
                    self.output.advance(written);
                    if self.output.is_empty() {
                        writer.flush().await?;
                    }
                }
                _ = ping.tick() => {
                    if !has_room {
                        last_received = Instant::now();
                    } else if pinged && last_received.elapsed() > KEEP_ALIVE_INTERVAL {
                        return Err(ClientError::NoAnswer);
                    }
                    codec::encode(&mut self.output, self.version, &Packet::PingReq);
                    pinged = true;
                }
            }
        }
    }

    async fn connect(&mut self, stream: &mut Box<dyn BrokerStream>) -> Result<(), ClientError> {
        let v5 = self.version == Version::V5;
        let properties = v5.then(|| {
            Box::new(Properties {
                session_expiry: Some(u32::MAX),
                receive_maximum: Some(MAX_PENDING),
                maximum_packet_size: Some(MAX_PACKET as u32),
                ..Properties::default()
            })
        });
        let connect = Connect {
            version: self.version,
            clean_start: false,
            keep_alive: u16::try_from(KEEP_ALIVE_INTERVAL.as_secs()).unwrap_or(u16::MAX),
            client_id: self.config.client_id.clone(),
            will: None,
            // 3.1.1 does not allow a password without a user name.
            user_name: self.config.user_name.clone().or_else(|| self.config.password.as_ref().map(|_| String::new())),
            password: self.config.password.clone().map(Bytes::from),
            properties,
        };
        codec::encode(&mut self.output, self.version, &Packet::Connect(Box::new(connect)));
        stream.write_all(&self.output).await?;
        stream.flush().await?;
        self.output.clear();
        let answer = async {
            loop {
                if let Some(packet) = self.next_packet()? {
                    return Ok::<_, ClientError>(packet);
                }
                if stream.read_buf(&mut self.input).await? == 0 {
                    return Err(ClientError::Closed);
                }
            }
        };
        match tokio::time::timeout(RESPONSE_TIMEOUT, answer).await.map_err(|_| ClientError::NoAnswer)?? {
            Packet::ConnAck(ack) if ack.code != 0 => Err(ClientError::ConnectionRejected(ack.code)),
            Packet::ConnAck(ack) => {
                if !ack.session_present {
                    self.resume_state.received_qos2.clear();
                    self.sink.end_session(&self.session_name);
                }
                tracing::info!(url = %self.config.redacted_url(), resumed = ack.session_present, "connected to the MQTT broker");
                Ok(())
            }
            _ => Err(ClientError::UnexpectedPacket),
        }
    }

    fn subscribe(&mut self) {
        let filters: Vec<_> = self
            .config
            .topics
            .iter()
            .map(|filter| SubscribeFilter {
                filter: filter.clone(),
                qos: self.config.qos.min(2),
                no_local: false,
                retain_as_published: true,
                // Retained messages were received with the first subscription.
                retain_handling: 1,
            })
            .collect();
        if !filters.is_empty() {
            let subscribe = Packet::Subscribe(Subscribe { id: 1, filters, properties: None });
            codec::encode(&mut self.output, self.version, &subscribe);
        }
    }

    fn exchange(&self, id: u16, dup: bool) -> Exchange {
        Exchange { session: Arc::clone(&self.session_name), packet_id: id, dup }
    }

    fn has_room(&self) -> bool {
        self.pending.len() < MAX_PENDING.into()
            && self.releasing.len() < MAX_PENDING.into()
            && self.pending_bytes < MAX_PENDING_BYTES
    }

    fn next_packet(&mut self) -> Result<Option<Packet>, ClientError> {
        if !self.has_room() {
            return Ok(None);
        }
        let Some(frame) = codec::frame(&self.input, MAX_PACKET)? else { return Ok(None) };
        let Some(body) = self.input.get(frame.header_length..frame.packet_length) else { return Ok(None) };
        let packet = codec::decode(frame.first_byte, body, self.version)?;
        self.input.advance(frame.packet_length);
        Ok(Some(packet))
    }

    fn handle_packet(&mut self, packet: Packet) -> Result<(), ClientError> {
        match packet {
            Packet::Publish(publish) => self.publish(publish),
            Packet::PubRel(ack) => {
                let known = self.resume_state.received_qos2.remove(&ack.id);
                let code = if known { reason::SUCCESS } else { reason::PACKET_ID_NOT_FOUND };
                let released = self.sink.release(self.exchange(ack.id, false));
                self.releasing.push_back(Box::pin(async move { (ack.id, code, released.await) }));
            }
            Packet::SubAck(ack) => {
                if let Some((_, topic)) = ack.codes.iter().zip(&self.config.topics).find(|(code, _)| **code >= 0x80) {
                    return Err(ClientError::SubscriptionRejected(topic.clone()));
                }
                (self.observe)(ClientEvent::Subscribed);
            }
            Packet::PingResp => {}
            Packet::Disconnect(disconnect) => return Err(ClientError::Disconnected(disconnect.reason)),
            _ => return Err(ClientError::UnexpectedPacket),
        }
        Ok(())
    }

    fn publish(&mut self, publish: codec::Publish) {
        let codec::Publish { dup, qos, retain, topic, id, payload, properties } = publish;
        let received = ReceivedMessage { id, qos, size: payload.len() };
        self.pending_bytes += received.size;
        if qos == 2 && !self.resume_state.received_qos2.insert(id) {
            // The message is already stored; only the PUBREC was lost.
            self.pending_bytes -= received.size;
            let again = ReceivedMessage { id, qos, size: 0 };
            self.pending.push_back(Box::pin(std::future::ready((again, Verdict::Stored))));
            return;
        }
        if qos == 2 {
            self.awaiting_verdict.insert(id);
        }
        let publish = SinkMessage {
            topic,
            payload,
            qos,
            retain,
            connection_id: self.connection_id,
            client_id: self.config.client_id.clone(),
            content_type: properties.and_then(|properties| properties.content_type),
            owner: String::new(),
            sites: None,
            exchange: (qos == 2).then(|| self.exchange(id, dup)),
        };
        self.pending.push_back(offer_until_accepted(self.sink, publish, received));
    }

    fn on_verdict(&mut self, received: &ReceivedMessage, verdict: &Verdict) {
        self.pending_bytes -= received.size;
        self.awaiting_verdict.remove(&received.id);
        let code = match verdict {
            Verdict::Rejected(why) => {
                tracing::debug!(why, "an MQTT message was rejected");
                reason::PAYLOAD_FORMAT_INVALID
            }
            _ => reason::SUCCESS,
        };
        if received.qos == 2 && code != reason::SUCCESS && self.version == Version::V5 && !self.is_closing {
            // Such a PUBREC ends the exchange: MQTT 5.0, section 4.3.3.
            self.resume_state.received_qos2.remove(&received.id);
        }
        match received.qos {
            0 => {}
            1 => codec::encode_ack(&mut self.output, self.version, 0x40, received.id, code),
            _ => codec::encode_ack(&mut self.output, self.version, 0x50, received.id, code),
        }
    }

    /// Awaits the remaining verdicts after the connection has ended, so that a stored QoS 2 message is not stored twice
    /// when the broker resends it.
    pub(crate) async fn drain(&mut self) {
        self.is_closing = true;
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while let Ok(Some((received, verdict))) = tokio::time::timeout_at(deadline, self.pending.next()).await {
            self.on_verdict(&received, &verdict);
        }
        for id in self.awaiting_verdict.drain() {
            self.resume_state.received_qos2.remove(&id);
        }
    }
}
