//! Handles the packets of a client.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    connection::{Connection, ConnectionEnd},
    message::Message,
    pending::{PendingPublish, PendingRelease, PendingVerdict, PublishOutcome, ReleaseOutcome},
    reserved_topics::is_reserved,
    stats::increment,
    subscriptions::SubscriptionOptions,
};
use crate::{
    Exchange, Verdict, VerdictFuture,
    codec::{self, Ack, Disconnect, Packet, Properties, Publish, SubAck, Subscribe, Unsubscribe, Version, reason},
    topic,
};

/// Number of topic aliases that a client may set (topic alias maximum).
pub(crate) const TOPIC_ALIAS_MAXIMUM: u16 = 64;

/// Maximum length in bytes of the reason string for a rejected message.
const MAX_REASON: usize = 512;

/// Reason string for a publish that the client's rights do not allow.
const PUBLISH_DENIED: &str = "this client may not publish to this topic: its user or key lacks the ingest right, or the topic does not belong to one of its sites";

impl Connection {
    pub(crate) fn handle_packet(&mut self, packet: Packet) -> Result<(), ConnectionEnd> {
        match packet {
            Packet::Publish(publish) => self.publish(publish),
            Packet::PubAck(ack) => {
                self.attachment.session.lock().complete_delivery(ack.id, false);
                self.send_due = true;
                Ok(())
            }
            Packet::PubRec(ack) => {
                self.pubrec(&ack);
                Ok(())
            }
            Packet::PubRel(ack) => self.pubrel(ack.id),
            Packet::PubComp(ack) => {
                self.attachment.session.lock().complete_delivery(ack.id, true);
                self.send_due = true;
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
            | Packet::Auth => Err(ConnectionEnd::Close(reason::PROTOCOL_ERROR)),
        }
    }

    fn publish(&mut self, mut publish: Publish) -> Result<(), ConnectionEnd> {
        self.resolve_alias(&mut publish)?;
        if !topic::is_valid_name(&publish.topic) {
            return Err(ConnectionEnd::Close(reason::TOPIC_NAME_INVALID));
        }
        let response = publish.properties.as_ref().and_then(|properties| properties.response_topic.as_ref());
        if response.is_some_and(|topic| !topic::is_valid_name(topic)) {
            return Err(ConnectionEnd::Close(reason::TOPIC_NAME_INVALID));
        }
        let (id, qos) = (publish.id, publish.qos);
        if qos == 2 && self.attachment.session.lock().received_qos2.contains(&id) {
            self.enqueue(PendingPublish { message: None, id, qos, size: 0 }, Err(PublishOutcome::Duplicate))?;
            return Ok(());
        }
        if qos > 0 {
            if self.peer.version == Version::V5 && self.unacknowledged >= self.hub.config.max_inflight.into() {
                return Err(ConnectionEnd::Close(reason::RECEIVE_MAXIMUM_EXCEEDED));
            }
            self.unacknowledged += 1;
        }
        if qos == 2 {
            self.attachment.session.lock().received_qos2.insert(id);
        }
        let dup = publish.dup;
        let message = Message::new(&mut publish, self.attachment.session.key);
        let size = message.payload.len();
        let session = Arc::clone(&self.attachment.session);
        let grant = session.grant();
        if is_reserved(&message.topic) || !grant.may_publish(&message.topic) {
            increment(&self.hub.counters.denied_publishes);
            tracing::debug!(client = %self.client_id, topic = %message.topic, "an MQTT client may not publish to this topic");
            return self.enqueue(PendingPublish { message: None, id, qos, size: 0 }, Err(PublishOutcome::Denied));
        }
        // An empty retained message removes the retained message of the topic; it has no content to store.
        let clears = message.retain && message.payload.is_empty();
        let answer = if self.hub.is_ingested(&message.topic) && !clears {
            let exchange = (qos == 2 && session.is_persistent()).then(|| Exchange {
                session: Arc::clone(&session.name),
                packet_id: id,
                dup,
            });
            Ok(self.hub.accept(&message, &self.client_id, self.connection_id, (grant.owner(), grant.sites()), exchange))
        } else {
            Err(PublishOutcome::ReasonCode(reason::SUCCESS))
        };
        let mut message = Some(message);
        if qos == 0 {
            message.take().into_iter().for_each(|message| self.hub.route(message));
        }
        self.enqueue(PendingPublish { message, id, qos, size }, answer)
    }

    /// Resolves the topic alias of a PUBLISH, or assigns the topic to the alias.
    fn resolve_alias(&mut self, publish: &mut Publish) -> Result<(), ConnectionEnd> {
        let properties = publish.properties.as_ref();
        if properties.is_some_and(|properties| !properties.subscription_ids.is_empty()) {
            return Err(ConnectionEnd::Close(reason::PROTOCOL_ERROR));
        }
        let Some(alias) = properties.and_then(|properties| properties.topic_alias) else {
            return if publish.topic.is_empty() && self.peer.version == Version::V5 {
                Err(ConnectionEnd::Close(reason::PROTOCOL_ERROR))
            } else {
                Ok(())
            };
        };
        if alias == 0 || alias > TOPIC_ALIAS_MAXIMUM {
            return Err(ConnectionEnd::Close(reason::TOPIC_ALIAS_INVALID));
        }
        if self.aliases.is_empty() {
            self.aliases.resize(usize::from(TOPIC_ALIAS_MAXIMUM) + 1, None);
        }
        let slot = self.aliases.get_mut(usize::from(alias)).ok_or(ConnectionEnd::Close(reason::TOPIC_ALIAS_INVALID))?;
        if publish.topic.is_empty() {
            publish.topic = slot.clone().ok_or(ConnectionEnd::Close(reason::PROTOCOL_ERROR))?;
        } else {
            *slot = Some(Arc::clone(&publish.topic));
        }
        Ok(())
    }

    /// Completes the message at once if its verdict is available and no earlier message is pending. Otherwise adds it
    /// to the end of the pending messages.
    fn enqueue(
        &mut self,
        publish: PendingPublish,
        answer: Result<VerdictFuture, PublishOutcome>,
    ) -> Result<(), ConnectionEnd> {
        let mut answer = answer.map_err(Some);
        if self.pending.is_empty() {
            let outcome = match &mut answer {
                Err(outcome) => outcome.take(),
                Ok(answer) => match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(verdict) => Some(PublishOutcome::SinkVerdict(verdict)),
                    Poll::Pending => None,
                },
            };
            if let Some(outcome) = outcome {
                return self.complete_publish(publish, outcome).map_or(Ok(()), Err);
            }
        }
        self.pending_bytes += publish.size;
        if publish.qos == 2 && answer.is_ok() {
            self.awaiting_verdict.insert(publish.id);
        }
        self.pending.push_back(PendingVerdict { publish: Some(publish), verdict: answer });
        Ok(())
    }

    /// Acknowledges a message and delivers it to the subscribers, depending on its outcome.
    pub(crate) fn complete_publish(
        &mut self,
        publish: PendingPublish,
        outcome: PublishOutcome,
    ) -> Option<ConnectionEnd> {
        let PendingPublish { message, id, qos, .. } = publish;
        let (code, why) = match outcome {
            PublishOutcome::SinkVerdict(Verdict::Busy) => {
                if qos == 0 {
                    self.hub.count_lost_qos0(&self.client_id);
                    return None;
                }
                if qos == 2 {
                    self.attachment.session.lock().received_qos2.remove(&id);
                }
                tracing::debug!(client = %self.client_id, "an MQTT connection is closed: the sink is busy, and the client must send the message again");
                return Some(ConnectionEnd::Close(reason::QUOTA_EXCEEDED));
            }
            PublishOutcome::SinkVerdict(Verdict::Stored) => (reason::SUCCESS, None),
            PublishOutcome::SinkVerdict(Verdict::PartlyStored(why)) => (reason::SUCCESS, Some(why)),
            PublishOutcome::SinkVerdict(Verdict::Rejected(why)) => (reason::PAYLOAD_FORMAT_INVALID, Some(why)),
            PublishOutcome::ReasonCode(code) => (code, None),
            PublishOutcome::Duplicate => (reason::SUCCESS, None),
            PublishOutcome::Denied if qos == 0 => return None,
            PublishOutcome::Denied if self.peer.version == Version::V3 => {
                // In 3.1.1, closing the connection is the only way to report this (section 3.3.5). A message that was
                // not accepted is never acknowledged.
                if qos == 2 {
                    self.attachment.session.lock().received_qos2.remove(&id);
                }
                return Some(ConnectionEnd::Close(reason::NOT_AUTHORIZED));
            }
            PublishOutcome::Denied => (reason::NOT_AUTHORIZED, Some(PUBLISH_DENIED.to_owned())),
        };
        message.into_iter().for_each(|message| self.hub.route(message));
        if qos == 0 {
            return None;
        }
        let v5 = self.peer.version == Version::V5;
        if qos == 1 {
            self.unacknowledged = self.unacknowledged.saturating_sub(1);
        } else if v5 && code >= 0x80 && !self.is_closing {
            // Such a PUBREC ends the exchange: MQTT 5.0, section 4.3.3.
            self.attachment.session.lock().received_qos2.remove(&id);
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
            _ => codec::encode_ack(&mut self.output, self.peer.version, first, id, code),
        }
        None
    }

    fn pubrel(&mut self, id: u16) -> Result<(), ConnectionEnd> {
        let session = Arc::clone(&self.attachment.session);
        let was_known = session.lock().received_qos2.remove(&id);
        let code = if was_known { reason::SUCCESS } else { reason::PACKET_ID_NOT_FOUND };
        if !session.is_persistent() {
            return self.on_released(&ReleaseOutcome { id, code, was_known, is_stored: true }).map_or(Ok(()), Err);
        }
        // Also if the session does not know the id: it may be from before the last restart of this process.
        let mut releasing = PendingRelease { id, code, was_known, stored: self.hub.release(&session, id) };
        if self.releasing.is_empty()
            && let Poll::Ready(release) = Pin::new(&mut releasing).poll(&mut Context::from_waker(Waker::noop()))
        {
            return self.on_released(&release).map_or(Ok(()), Err);
        }
        self.releasing.push_back(releasing);
        Ok(())
    }

    /// Ends the exchange with PUBCOMP, or closes the connection if the release could not be stored.
    pub(crate) fn on_released(&mut self, release: &ReleaseOutcome) -> Option<ConnectionEnd> {
        let ReleaseOutcome { id, code, was_known, is_stored } = *release;
        self.unacknowledged = self.unacknowledged.saturating_sub(was_known.into());
        if !is_stored {
            return Some(ConnectionEnd::Close(reason::QUOTA_EXCEEDED));
        }
        codec::encode_ack(&mut self.output, self.peer.version, 0x70, id, code);
        None
    }

    fn pubrec(&mut self, ack: &Ack) {
        let mut state = self.attachment.session.lock();
        if ack.reason >= 0x80 {
            state.complete_delivery(ack.id, false);
            self.send_due = true;
            return;
        }
        let code = if state.mark_released(ack.id) { reason::SUCCESS } else { reason::PACKET_ID_NOT_FOUND };
        codec::encode_ack(&mut self.output, self.peer.version, 0x62, ack.id, code);
    }

    fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), ConnectionEnd> {
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
                    codes.push(if v5 { reason::TOPIC_FILTER_INVALID } else { 0x80 });
                    continue;
                }
            };
            if !session.grant().may_subscribe(filter.filter) {
                increment(&self.hub.counters.denied_subscriptions);
                tracing::debug!(client = %self.client_id, filter = filter.filter, "an MQTT client may not subscribe to this filter");
                codes.push(if v5 { reason::NOT_AUTHORIZED } else { 0x80 });
                continue;
            }
            if filter.group.is_some() && request.no_local {
                return Err(ConnectionEnd::Close(reason::PROTOCOL_ERROR));
            }
            let options = SubscriptionOptions {
                qos: request.qos,
                no_local: request.no_local,
                retain_as_published: request.retain_as_published,
                subscription_id: identifier.unwrap_or(0),
            };
            match self.hub.subscribe(&session, &request.filter, filter, options) {
                None => codes.push(if v5 { reason::QUOTA_EXCEEDED } else { 0x80 }),
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
        self.send_due = true;
        Ok(())
    }

    fn unsubscribe(&mut self, unsubscribe: Unsubscribe) {
        let codes = unsubscribe.filters.iter().map(|text| match topic::parse_filter(text) {
            Ok(filter) if self.hub.unsubscribe(&self.attachment.session, text, filter) => reason::SUCCESS,
            Ok(_) => reason::NO_SUBSCRIPTION_EXISTED,
            Err(_) => reason::TOPIC_FILTER_INVALID,
        });
        let ack = SubAck { id: unsubscribe.id, codes: codes.collect(), properties: None };
        codec::encode(&mut self.output, self.peer.version, &Packet::UnsubAck(ack));
    }

    fn disconnect(&mut self, disconnect: &Disconnect) -> ConnectionEnd {
        let expiry = disconnect.properties.as_ref().and_then(|properties| properties.session_expiry);
        if let Some(seconds) = expiry {
            let mut state = self.attachment.session.lock();
            if state.expiry_interval.is_zero() && seconds > 0 {
                return ConnectionEnd::Close(reason::PROTOCOL_ERROR);
            }
            state.expiry_interval = Duration::from_secs(seconds.into()).min(self.hub.config.max_session_expiry);
        }
        ConnectionEnd::Disconnected { with_will: disconnect.reason == reason::DISCONNECT_WITH_WILL }
    }
}
