//! Handles the packets of a client.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    connect::ALIASES,
    connection::{Connection, End},
    message::Message,
    stats::count,
    subscriptions::Options,
};
use crate::{
    Answer, Exchange, Released, Verdict,
    codec::{self, Ack, Disconnect, Packet, Properties, Publish, SubAck, Subscribe, Unsubscribe, Version, reason},
    topic,
};

/// Maximum length in bytes of the reason string for a rejected message.
const MAX_REASON: usize = 512;

/// Reason string for a publish that the client's rights do not allow.
const DENIED: &str = "this client may not publish to this topic: its user or key lacks the ingest right, or the topic does not belong to one of its sites";

/// Topics to which only the broker and its host publish, including all topics below them.
const RESERVED: [&str; 2] = ["$SYS", "wheeltapper"];

/// Whether only the broker and its host may publish to this topic.
pub(crate) fn is_reserved(topic: &str) -> bool {
    RESERVED.iter().any(|name| topic.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// A received PUBLISH that is not acknowledged yet.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The message, if it still has to be delivered to subscribers.
    message: Option<Message>,
    pub(crate) id: u16,
    pub(crate) qos: u8,
    pub(crate) size: usize,
}

/// The result of handling a PUBLISH.
#[derive(Debug)]
pub(crate) enum Outcome {
    Sink(Verdict),
    /// The message is not for the sink; the acknowledgement carries this reason code.
    Code(u8),
    /// The client may not publish to this topic.
    Denied,
    /// A QoS 2 message that the client sent again before its PUBREL.
    Again,
}

/// A received message and its pending verdict.
pub(crate) struct Waiting {
    taken: Option<Taken>,
    answer: Result<Answer, Option<Outcome>>,
}

impl Future for Waiting {
    type Output = (Taken, Outcome);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.answer {
            Ok(answer) => Outcome::Sink(std::task::ready!(answer.as_mut().poll(cx))),
            Err(outcome) => outcome.take().unwrap_or(Outcome::Again),
        };
        match self.taken.take() {
            Some(taken) => Poll::Ready((taken, outcome)),
            // Polled again after completion.
            None => Poll::Pending,
        }
    }
}

/// A released QoS 2 message whose release the sink has not stored yet.
pub(crate) struct Releasing {
    id: u16,
    code: u8,
    was_known: bool,
    answer: Released,
}

/// The result of a [`PendingRelease`].
#[derive(Debug)]
pub(crate) struct Release {
    id: u16,
    code: u8,
    was_known: bool,
    is_stored: bool,
}

impl Future for Releasing {
    type Output = Release;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Release> {
        let is_stored = std::task::ready!(self.answer.as_mut().poll(cx));
        Poll::Ready(Release { id: self.id, code: self.code, was_known: self.was_known, is_stored })
    }
}

impl Connection {
    pub(crate) fn take(&mut self, packet: Packet) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(publish),
            Packet::PubAck(ack) => {
                self.attachment.session.lock().acknowledged(ack.id, false);
                self.fill_due = true;
                Ok(())
            }
            Packet::PubRec(ack) => {
                self.pubrec(&ack);
                Ok(())
            }
            Packet::PubRel(ack) => self.pubrel(ack.id),
            Packet::PubComp(ack) => {
                self.attachment.session.lock().acknowledged(ack.id, true);
                self.fill_due = true;
                Ok(())
            }
            Packet::Subscribe(subscribe) => self.subscribe(subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                self.unsubscribe(unsubscribe);
                Ok(())
            }
            Packet::PingReq => {
                codec::encode(&mut self.output, self.peer.version, &Packet::PingResp);
                Ok(())
            }
            Packet::Disconnect(disconnect) => Err(self.disconnect(&disconnect)),
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp
            | Packet::Auth => Err(End::Close(reason::PROTOCOL)),
        }
    }

    fn publish(&mut self, mut publish: Publish) -> Result<(), End> {
        self.resolve_alias(&mut publish)?;
        if !topic::is_name(&publish.topic) {
            return Err(End::Close(reason::TOPIC_INVALID));
        }
        let response = publish.properties.as_ref().and_then(|properties| properties.response_topic.as_ref());
        if response.is_some_and(|topic| !topic::is_name(topic)) {
            return Err(End::Close(reason::TOPIC_INVALID));
        }
        let (id, qos) = (publish.id, publish.qos);
        if qos == 2 && self.attachment.session.lock().received.contains(&id) {
            self.enqueue(Taken { message: None, id, qos, size: 0 }, Err(Outcome::Again))?;
            return Ok(());
        }
        if qos > 0 {
            if self.peer.version == Version::V5 && self.unacknowledged >= self.hub.config.max_inflight.into() {
                return Err(End::Close(reason::RECEIVE_MAXIMUM));
            }
            self.unacknowledged += 1;
        }
        if qos == 2 {
            self.attachment.session.lock().received.insert(id);
        }
        let dup = publish.dup;
        let message = Message::new(&mut publish, self.attachment.session.key);
        let size = message.payload.len();
        let session = Arc::clone(&self.attachment.session);
        let grant = session.grant();
        if is_reserved(&message.topic) || !grant.may_publish(&message.topic) {
            count(&self.hub.counters.denied_publishes);
            tracing::debug!(client = %self.client_id, topic = %message.topic, "an MQTT client may not publish to this topic");
            return self.enqueue(Taken { message: None, id, qos, size: 0 }, Err(Outcome::Denied));
        }
        // An empty retained message removes the retained message of the topic; it has no content to store.
        let clears = message.retain && message.payload.is_empty();
        let answer = if self.hub.ingests(&message.topic) && !clears {
            let exchange =
                (qos == 2 && session.is_lasting()).then(|| Exchange { session: Arc::clone(&session.name), id, dup });
            Ok(self.hub.accept(&message, &self.client_id, self.number, (grant.owner(), grant.sites()), exchange))
        } else {
            Err(Outcome::Code(reason::SUCCESS))
        };
        let mut message = Some(message);
        if qos == 0 {
            message.take().into_iter().for_each(|message| self.hub.route(message));
        }
        self.enqueue(Taken { message, id, qos, size }, answer)
    }

    /// Resolves the topic alias of a PUBLISH, or assigns the topic to the alias.
    fn resolve_alias(&mut self, publish: &mut Publish) -> Result<(), End> {
        let properties = publish.properties.as_ref();
        if properties.is_some_and(|properties| !properties.subscription_ids.is_empty()) {
            return Err(End::Close(reason::PROTOCOL));
        }
        let Some(alias) = properties.and_then(|properties| properties.topic_alias) else {
            return if publish.topic.is_empty() && self.peer.version == Version::V5 {
                Err(End::Close(reason::PROTOCOL))
            } else {
                Ok(())
            };
        };
        if alias == 0 || alias > ALIASES {
            return Err(End::Close(reason::ALIAS_INVALID));
        }
        if self.aliases.is_empty() {
            self.aliases.resize(usize::from(ALIASES) + 1, None);
        }
        let slot = self.aliases.get_mut(usize::from(alias)).ok_or(End::Close(reason::ALIAS_INVALID))?;
        if publish.topic.is_empty() {
            publish.topic = slot.clone().ok_or(End::Close(reason::PROTOCOL))?;
        } else {
            *slot = Some(Arc::clone(&publish.topic));
        }
        Ok(())
    }

    /// Completes the message at once if its verdict is available and no earlier message is pending. Otherwise adds it
    /// to the end of the pending messages.
    fn enqueue(&mut self, taken: Taken, answer: Result<Answer, Outcome>) -> Result<(), End> {
        let mut answer = answer.map_err(Some);
        if self.pending.is_empty() {
            let outcome = match &mut answer {
                Err(outcome) => outcome.take(),
                Ok(answer) => match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(verdict) => Some(Outcome::Sink(verdict)),
                    Poll::Pending => None,
                },
            };
            if let Some(outcome) = outcome {
                return self.conclude(taken, outcome).map_or(Ok(()), Err);
            }
        }
        self.pending_bytes += taken.size;
        if taken.qos == 2 && answer.is_ok() {
            self.awaited.insert(taken.id);
        }
        self.pending.push_back(Waiting { taken: Some(taken), answer });
        Ok(())
    }

    /// Acknowledges a message and delivers it to the subscribers, depending on its outcome.
    pub(crate) fn conclude(&mut self, taken: Taken, outcome: Outcome) -> Option<End> {
        let Taken { message, id, qos, .. } = taken;
        let (code, why) = match outcome {
            Outcome::Sink(Verdict::Busy) => {
                if qos == 0 {
                    self.hub.lose(&self.client_id);
                    return None;
                }
                if qos == 2 {
                    self.attachment.session.lock().received.remove(&id);
                }
                tracing::debug!(client = %self.client_id, "an MQTT connection is closed: the sink is busy, and the client must send the message again");
                return Some(End::Close(reason::QUOTA));
            }
            Outcome::Sink(Verdict::Stored) => (reason::SUCCESS, None),
            Outcome::Sink(Verdict::Partly(why)) => (reason::SUCCESS, Some(why)),
            Outcome::Sink(Verdict::Refused(why)) => (reason::PAYLOAD_INVALID, Some(why)),
            Outcome::Code(code) => (code, None),
            Outcome::Again => (reason::SUCCESS, None),
            Outcome::Denied if qos == 0 => return None,
            Outcome::Denied if self.peer.version == Version::V3 => {
                // In 3.1.1, closing the connection is the only way to report this (section 3.3.5). A message that was
                // not accepted is never acknowledged.
                if qos == 2 {
                    self.attachment.session.lock().received.remove(&id);
                }
                return Some(End::Close(reason::NOT_AUTHORIZED));
            }
            Outcome::Denied => (reason::NOT_AUTHORIZED, Some(DENIED.to_owned())),
        };
        message.into_iter().for_each(|message| self.hub.route(message));
        if qos == 0 {
            return None;
        }
        let v5 = self.peer.version == Version::V5;
        if qos == 1 {
            self.unacknowledged = self.unacknowledged.saturating_sub(1);
        } else if v5 && code >= 0x80 && !self.closing {
            // Such a PUBREC ends the exchange: MQTT 5.0, section 4.3.3.
            self.attachment.session.lock().received.remove(&id);
            self.unacknowledged = self.unacknowledged.saturating_sub(1);
        }
        let first = if qos == 1 { 0x40 } else { 0x50 };
        match why.filter(|_| v5 && self.problem_information) {
            Some(mut why) if self.peer.max_packet > MAX_REASON + 16 => {
                why.truncate(why.floor_char_boundary(MAX_REASON));
                let properties =
                    Some(Box::new(Properties { reason_string: Some(why.replace('\0', " ")), ..Properties::default() }));
                let ack = Ack { id, reason: code, properties };
                let packet = if qos == 1 { Packet::PubAck(ack) } else { Packet::PubRec(ack) };
                codec::encode(&mut self.output, self.peer.version, &packet);
            }
            _ => codec::ack(&mut self.output, self.peer.version, first, id, code),
        }
        None
    }

    fn pubrel(&mut self, id: u16) -> Result<(), End> {
        let session = Arc::clone(&self.attachment.session);
        let was_known = session.lock().received.remove(&id);
        let code = if was_known { reason::SUCCESS } else { reason::ID_NOT_FOUND };
        if !session.is_lasting() {
            return self.released(&Release { id, code, was_known, is_stored: true }).map_or(Ok(()), Err);
        }
        // Also if the session does not know the id: it may be from before the last restart of this process.
        let mut releasing = Releasing { id, code, was_known, answer: self.hub.release(&session, id) };
        if self.releasing.is_empty()
            && let Poll::Ready(release) = Pin::new(&mut releasing).poll(&mut Context::from_waker(Waker::noop()))
        {
            return self.released(&release).map_or(Ok(()), Err);
        }
        self.releasing.push_back(releasing);
        Ok(())
    }

    /// Ends the exchange with PUBCOMP, or closes the connection if the release could not be stored.
    pub(crate) fn released(&mut self, release: &Release) -> Option<End> {
        let Release { id, code, was_known, is_stored } = *release;
        self.unacknowledged = self.unacknowledged.saturating_sub(was_known.into());
        if !is_stored {
            return Some(End::Close(reason::QUOTA));
        }
        codec::ack(&mut self.output, self.peer.version, 0x70, id, code);
        None
    }

    fn pubrec(&mut self, ack: &Ack) {
        let mut state = self.attachment.session.lock();
        if ack.reason >= 0x80 {
            state.acknowledged(ack.id, false);
            self.fill_due = true;
            return;
        }
        let code = if state.released(ack.id) { reason::SUCCESS } else { reason::ID_NOT_FOUND };
        codec::ack(&mut self.output, self.peer.version, 0x62, ack.id, code);
    }

    fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), End> {
        let v5 = self.peer.version == Version::V5;
        let identifier =
            subscribe.properties.as_ref().and_then(|properties| properties.subscription_ids.first().copied());
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let session = Arc::clone(&self.attachment.session);
        let mut retained = Vec::new();
        for request in &subscribe.filters {
            let filter = match topic::parse_filter(&request.filter) {
                Ok(filter) => filter,
                Err(error) => {
                    tracing::debug!(client = %self.client_id, %error, "an MQTT subscription is rejected");
                    codes.push(if v5 { reason::FILTER_INVALID } else { 0x80 });
                    continue;
                }
            };
            if !session.grant().may_subscribe(filter.filter) {
                count(&self.hub.counters.denied_subscriptions);
                tracing::debug!(client = %self.client_id, filter = filter.filter, "an MQTT client may not subscribe to this filter");
                codes.push(if v5 { reason::NOT_AUTHORIZED } else { 0x80 });
                continue;
            }
            if filter.group.is_some() && request.no_local {
                return Err(End::Close(reason::PROTOCOL));
            }
            let options = Options {
                qos: request.qos,
                no_local: request.no_local,
                retain_as_published: request.retain_as_published,
                id: identifier.unwrap_or(0),
            };
            match self.hub.subscribe(&session, &request.filter, filter, options) {
                None => codes.push(if v5 { reason::QUOTA } else { 0x80 }),
                Some(new) => {
                    codes.push(request.qos);
                    if filter.group.is_none() && (request.retain_handling == 0 || (request.retain_handling == 1 && new))
                    {
                        retained.push((filter.filter, options));
                    }
                }
            }
        }
        let ack = SubAck { id: subscribe.id, codes, properties: None };
        codec::encode(&mut self.output, self.peer.version, &Packet::SubAck(ack));
        for (filter, options) in retained {
            self.hub.send_retained(&session, filter, options);
        }
        self.fill_due = true;
        Ok(())
    }

    fn unsubscribe(&mut self, unsubscribe: Unsubscribe) {
        let codes = unsubscribe.filters.iter().map(|text| match topic::parse_filter(text) {
            Ok(filter) if self.hub.unsubscribe(&self.attachment.session, text, filter) => reason::SUCCESS,
            Ok(_) => reason::NO_SUBSCRIPTION,
            Err(_) => reason::FILTER_INVALID,
        });
        let ack = SubAck { id: unsubscribe.id, codes: codes.collect(), properties: None };
        codec::encode(&mut self.output, self.peer.version, &Packet::UnsubAck(ack));
    }

    fn disconnect(&mut self, disconnect: &Disconnect) -> End {
        let expiry = disconnect.properties.as_ref().and_then(|properties| properties.session_expiry);
        if let Some(seconds) = expiry {
            let mut state = self.attachment.session.lock();
            if state.expiry.is_zero() && seconds > 0 {
                return End::Close(reason::PROTOCOL);
            }
            state.expiry = Duration::from_secs(seconds.into()).min(self.hub.config.max_session_expiry);
        }
        End::Left { with_will: disconnect.reason == reason::DISCONNECT_WITH_WILL }
    }
}
