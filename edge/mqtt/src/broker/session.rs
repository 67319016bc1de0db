//! A client's session: the state that outlives a connection.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::BytesMut;
use futures_util::task::AtomicWaker;
use tokio::sync::watch;

use super::message::Message;
use crate::{
    codec::{self, OutgoingPublish, Version},
    rights::Grant,
};

/// A message to be delivered to one subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) subscription_ids: Vec<u32>,
}

/// State of a QoS 1 or 2 delivery.
#[derive(Debug)]
enum DeliveryStage {
    AwaitingAck(Delivery),
    /// PUBREC was received; PUBCOMP is awaited.
    AwaitingPubComp,
}

#[derive(Debug)]
struct InflightDelivery {
    sequence: u64,
    stage: DeliveryStage,
}

/// A will that is not published yet: the client is still connected, or the requested delay is not over.
#[derive(Clone, Debug)]
pub(crate) struct PendingWill {
    pub(crate) message: Message,
    pub(crate) delay: Duration,
    /// How long the message stays valid after it is published.
    pub(crate) expiry: Option<Duration>,
    pub(crate) client_id: String,
    pub(crate) connection_id: u64,
    pub(crate) owner: String,
    pub(crate) sites: Option<Arc<[String]>>,
}

/// Wakes or closes the connection that is attached to a session.
#[derive(Debug, Default)]
pub(crate) struct ConnectionLink {
    waker: AtomicWaker,
    has_messages: AtomicBool,
    close_reason: AtomicU8,
}

impl ConnectionLink {
    /// Signals that there are messages to send.
    pub(crate) fn wake(&self) {
        if !self.has_messages.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Asks the connection to close with this reason code.
    pub(crate) fn close(&self, reason: u8) {
        self.close_reason.store(reason, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    pub(crate) fn requested_close(&self) -> Option<u8> {
        Some(self.close_reason.load(Ordering::Acquire)).filter(|reason| *reason != 0)
    }

    pub(crate) fn take_has_messages(&self) -> bool {
        self.has_messages.swap(false, Ordering::AcqRel)
    }
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client_id: Arc<str>,
    /// Owner and client id. Clients of different owners with the same client id have different sessions.
    pub(crate) name: Arc<str>,
    /// The current rights of the client.
    grant: RwLock<Arc<dyn Grant>>,
    /// Whether the session outlives its connection, as the last CONNECT requested.
    persistent: AtomicBool,
    /// Unique among all sessions, including earlier sessions of the same client.
    pub(crate) key: u64,
    connected: AtomicBool,
    state: Mutex<SessionState>,
}

#[derive(Debug, Default)]
pub(crate) struct SessionState {
    pub(crate) link: Option<(Arc<ConnectionLink>, watch::Receiver<()>)>,
    /// How long the session is kept after its connection has ended.
    pub(crate) expiry_interval: Duration,
    pub(crate) expires_at: Option<Instant>,
    pub(crate) will: Option<PendingWill>,
    pub(crate) will_due_at: Option<Instant>,
    /// Filters as the client sent them.
    pub(crate) filters: HashSet<String>,
    pub(crate) filter_bytes: usize,
    /// Packet ids of QoS 2 messages received from the client and not yet released by it.
    pub(crate) received_qos2: HashSet<u16>,
    queue: VecDeque<Delivery>,
    /// Retained messages for new subscriptions; they are sent before `queue`.
    retained: VecDeque<Delivery>,
    queued_bytes: usize,
    /// Bytes queued for all sessions together; shared by all sessions.
    total: Arc<AtomicUsize>,
    dropped: u64,
    inflight: HashMap<u16, InflightDelivery>,
    /// Packet ids of the in-flight deliveries that must be resent on this connection.
    resend_queue: VecDeque<u16>,
    last_id: u16,
    sequence: u64,
}

/// Limits for the queue of a subscriber.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// Limit in bytes for the queues of all sessions together.
    pub(crate) total_bytes: usize,
}

/// Protocol version and limits of the connected client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerLimits {
    pub(crate) version: Version,
    pub(crate) receive_maximum: usize,
    pub(crate) max_packet: usize,
}

/// Output size in bytes above which no more messages are added until some output is written.
pub(crate) const OUTPUT_HIGH_WATER: usize = 128 << 10;

impl Session {
    pub(crate) fn new(
        name: Arc<str>,
        client_id: Arc<str>,
        key: u64,
        grant: Arc<dyn Grant>,
        total: Arc<AtomicUsize>,
    ) -> Self {
        let mut state = SessionState::default();
        state.total = total;
        Self {
            client_id,
            name,
            grant: RwLock::new(grant),
            persistent: AtomicBool::new(false),
            key,
            connected: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn grant(&self) -> Arc<dyn Grant> {
        Arc::clone(&self.grant.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn may_read(&self, topic: &str) -> bool {
        self.grant.read().unwrap_or_else(PoisonError::into_inner).may_read(topic)
    }

    /// Applies changed rights. Queued messages that the client may no longer read are dropped.
    pub(crate) fn set_grant(&self, grant: &Arc<dyn Grant>) {
        {
            let mut held = self.grant.write().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&held, grant) {
                return;
            }
            *held = Arc::clone(grant);
        }
        let connected = self.is_connected();
        self.lock().drop_unreadable(&**grant, connected);
    }

    pub(crate) fn set_persistent(&self, lasting: bool) {
        self.persistent.store(lasting, Ordering::Release);
    }

    /// Whether the session outlives its connection.
    pub(crate) fn is_persistent(&self) -> bool {
        self.persistent.load(Ordering::Acquire)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    pub(crate) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Release);
    }

    /// Queues a message for the client. Drops it if the queue is full, or if it has QoS 0 and the client is not
    /// connected.
    pub(crate) fn enqueue(&self, delivery: Delivery, limits: QueueLimits) {
        let mut state = self.lock();
        let connected = self.is_connected();
        let size = delivery.message.size();
        // Checked while the state is locked: a concurrent change of rights is stored before the queue is filtered.
        if !self.may_read(&delivery.message.topic) {
            return;
        }
        if !connected && (delivery.qos == 0 || state.expiry_interval.is_zero()) {
            return;
        }
        // Half of the capacity is reserved for QoS 1 and 2.
        let share = if delivery.qos == 0 { 2 } else { 1 };
        let full = state.queue.len() >= limits.messages / share
            || state.queued_bytes.saturating_add(size) > limits.bytes / share
            || state.total.load(Ordering::Relaxed).saturating_add(size) > limits.total_bytes / share;
        if full {
            state.dropped += 1;
            if state.dropped.is_power_of_two() {
                tracing::warn!(client = %self.client_id, dropped = state.dropped, "the queue of a slow or disconnected MQTT subscriber is full; messages for it are dropped");
            }
            return;
        }
        let queued = state.queued_bytes + size;
        state.set_queued_bytes(queued);
        state.queue.push_back(delivery);
        if let Some((link, _)) = state.link.as_ref().filter(|_| connected) {
            link.wake();
        }
    }
}

impl Drop for SessionState {
    fn drop(&mut self) {
        self.set_queued_bytes(0);
    }
}

impl SessionState {
    fn set_queued_bytes(&mut self, bytes: usize) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_sub(self.queued_bytes, Ordering::Relaxed);
        self.queued_bytes = bytes;
    }

    fn recount_queued_bytes(&mut self) {
        let bytes = self.queue.iter().map(|delivery| delivery.message.size()).sum();
        self.set_queued_bytes(bytes);
    }

    /// Drops queued messages that the client may not read. Messages already sent to a connected client are kept, so
    /// that it can acknowledge them.
    fn drop_unreadable(&mut self, grant: &dyn Grant, connected: bool) {
        let readable = |delivery: &Delivery| grant.may_read(&delivery.message.topic);
        self.queue.retain(readable);
        self.retained.retain(readable);
        self.recount_queued_bytes();
        let again: HashSet<u16> = self.resend_queue.iter().copied().collect();
        self.inflight.retain(|id, inflight| match &inflight.stage {
            DeliveryStage::AwaitingAck(delivery) if !connected || again.contains(id) => readable(delivery),
            DeliveryStage::AwaitingAck(_) | DeliveryStage::AwaitingPubComp => true,
        });
    }

    /// Number of messages that were dropped because the queue was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Queues a retained message for a new subscription.
    pub(crate) fn push_retained(&mut self, delivery: Delivery, max: usize) {
        if self.retained.len() < max {
            self.retained.push_back(delivery);
        }
    }

    /// Prepares a new connection of the client: all in-flight deliveries are resent in their original order.
    pub(crate) fn prepare_resend(&mut self) {
        let mut ids: Vec<(u64, u16)> = self.inflight.iter().map(|(id, inflight)| (inflight.sequence, *id)).collect();
        ids.sort_unstable();
        self.resend_queue = ids.into_iter().map(|(_, id)| id).collect();
    }

    /// Drops queued QoS 0 messages; they are not kept for a disconnected client.
    pub(crate) fn drop_qos0(&mut self) {
        self.queue.retain(|delivery| delivery.qos > 0);
        self.retained.retain(|delivery| delivery.qos > 0);
        self.recount_queued_bytes();
    }

    /// Completes the delivery with this packet id after PUBACK, or after PUBCOMP if `released`. Returns whether such a
    /// delivery was in flight.
    pub(crate) fn complete_delivery(&mut self, id: u16, released: bool) -> bool {
        let known = match self.inflight.get(&id) {
            Some(inflight) => matches!(inflight.stage, DeliveryStage::AwaitingPubComp) == released,
            None => false,
        };
        if known {
            self.inflight.remove(&id);
        }
        known
    }

    /// Handles a PUBREC: drops the message but keeps its packet id. Returns whether the id is known.
    pub(crate) fn mark_released(&mut self, id: u16) -> bool {
        match self.inflight.get_mut(&id) {
            Some(inflight) => {
                inflight.stage = DeliveryStage::AwaitingPubComp;
                true
            }
            None => false,
        }
    }

    fn next_id(&mut self) -> Option<u16> {
        for _ in 0..=u16::MAX {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.inflight.contains_key(&self.last_id) {
                return Some(self.last_id);
            }
        }
        None
    }

    /// Writes the messages that may be sent now, until `out` reaches its high-water mark.
    pub(crate) fn write_pending(&mut self, out: &mut BytesMut, peer: PeerLimits) {
        let now = Instant::now();
        while out.len() < OUTPUT_HIGH_WATER {
            let open = self.inflight.len().saturating_sub(self.resend_queue.len()) < peer.receive_maximum;
            if !self.resend_queue.is_empty() {
                if !open {
                    return;
                }
                self.resend_next(out, peer, now);
                continue;
            }
            let from_retained = !self.retained.is_empty();
            let queue = if from_retained { &mut self.retained } else { &mut self.queue };
            let Some(head) = queue.front() else { return };
            if head.qos > 0 && !open {
                return;
            }
            let Some(delivery) = queue.pop_front() else { return };
            if !from_retained {
                let left = self.queued_bytes.saturating_sub(delivery.message.size());
                self.set_queued_bytes(left);
            }
            if delivery.message.is_expired(now) {
                continue;
            }
            let id = if delivery.qos > 0 { self.next_id() } else { Some(0) };
            let Some(id) = id else { return };
            if !write_delivery(out, peer, &delivery, id, false, now) {
                tracing::debug!(topic = %delivery.message.topic, "a message is not delivered: it exceeds the maximum packet size of the subscriber");
                continue;
            }
            if delivery.qos > 0 {
                self.sequence += 1;
                self.inflight.insert(
                    id,
                    InflightDelivery { sequence: self.sequence, stage: DeliveryStage::AwaitingAck(delivery) },
                );
            }
        }
    }

    fn resend_next(&mut self, out: &mut BytesMut, peer: PeerLimits, now: Instant) {
        let Some(id) = self.resend_queue.pop_front() else { return };
        let written = match self.inflight.get(&id).map(|inflight| &inflight.stage) {
            Some(DeliveryStage::AwaitingAck(delivery)) => write_delivery(out, peer, delivery, id, true, now),
            Some(DeliveryStage::AwaitingPubComp) => {
                codec::encode_ack(out, peer.version, 0x62, id, 0);
                true
            }
            None => true,
        };
        if !written {
            self.inflight.remove(&id);
        }
    }
}

fn write_delivery(out: &mut BytesMut, peer: PeerLimits, delivery: &Delivery, id: u16, dup: bool, now: Instant) -> bool {
    let message = &delivery.message;
    let outgoing = OutgoingPublish {
        dup,
        qos: delivery.qos,
        retain: delivery.retain,
        topic: &message.topic,
        id,
        payload: &message.payload,
        properties: message.properties.as_deref(),
        message_expiry: message.remaining_seconds(now),
        subscription_ids: &delivery.subscription_ids,
    };
    codec::encode_publish(out, peer.version, &outgoing, peer.max_packet)
}
