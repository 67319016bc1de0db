//! A client's session: what outlives its connection.

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
    codec::{self, Outgoing, Version},
    rights::Grant,
};

/// A message for one subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) ids: Vec<u32>,
}

/// How far a delivery of QoS 1 or 2 has come.
#[derive(Debug)]
enum Stage {
    Published(Delivery),
    /// PUBREC has come; PUBCOMP is awaited.
    Released,
}

#[derive(Debug)]
struct Inflight {
    sequence: u64,
    stage: Stage,
}

/// A will that waits, because the client is connected or because it asked for a delay.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    pub(crate) message: Message,
    pub(crate) delay: Duration,
    /// How long subscribers may still get it once it is published.
    pub(crate) expiry: Option<Duration>,
    pub(crate) client_id: String,
    pub(crate) connection: u64,
    pub(crate) owner: String,
    pub(crate) sites: Option<Arc<[String]>>,
}

/// The session's tie to the connection that has it.
#[derive(Debug, Default)]
pub(crate) struct Link {
    waker: AtomicWaker,
    dirty: AtomicBool,
    kicked: AtomicU8,
}

impl Link {
    /// Says that there is something to send.
    pub(crate) fn wake(&self) {
        if !self.dirty.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Makes the connection close with this reason.
    pub(crate) fn kick(&self, reason: u8) {
        self.kicked.store(reason, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    pub(crate) fn kicked(&self) -> Option<u8> {
        Some(self.kicked.load(Ordering::Acquire)).filter(|reason| *reason != 0)
    }

    pub(crate) fn take_dirty(&self) -> bool {
        self.dirty.swap(false, Ordering::AcqRel)
    }
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client_id: Arc<str>,
    /// Owner and client id: distinct from the session of another owner's client of the same id.
    pub(crate) name: Arc<str>,
    /// What its client may do now.
    grant: RwLock<Arc<dyn Grant>>,
    /// It outlasts its connection, as the last CONNECT asked.
    lasting: AtomicBool,
    /// Distinct from every other session's, also from an earlier one of the same client.
    pub(crate) key: u64,
    connected: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) link: Option<(Arc<Link>, watch::Receiver<()>)>,
    /// How long it is kept after the connection.
    pub(crate) expiry: Duration,
    pub(crate) expires: Option<Instant>,
    pub(crate) will: Option<Will>,
    pub(crate) will_due: Option<Instant>,
    /// Filters as the client wrote them.
    pub(crate) filters: HashSet<String>,
    pub(crate) filter_bytes: usize,
    /// Packet ids of QoS 2 messages taken from the client and not yet released by it.
    pub(crate) received: HashSet<u16>,
    queue: VecDeque<Delivery>,
    /// Retained messages for new subscriptions go before the queue.
    retained: VecDeque<Delivery>,
    queued_bytes: usize,
    /// Bytes queued for all sessions together.
    total: Arc<AtomicUsize>,
    dropped: u64,
    inflight: HashMap<u16, Inflight>,
    /// Ids of in-flight deliveries to be sent again on this connection.
    resend: VecDeque<u16>,
    last_id: u16,
    sequence: u64,
}

/// Bounds of what waits for a subscriber.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// Bytes of all sessions together.
    pub(crate) total: usize,
}

/// What the connected client takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerLimits {
    pub(crate) version: Version,
    pub(crate) receive_maximum: usize,
    pub(crate) max_packet: usize,
}

/// Bytes of output at which filling stops until some are written.
pub(crate) const OUTPUT_HIGH: usize = 128 << 10;

impl Session {
    pub(crate) fn new(
        name: Arc<str>,
        client_id: Arc<str>,
        key: u64,
        grant: Arc<dyn Grant>,
        total: Arc<AtomicUsize>,
    ) -> Self {
        let mut state = State::default();
        state.total = total;
        Self {
            client_id,
            name,
            grant: RwLock::new(grant),
            lasting: AtomicBool::new(false),
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

    /// Takes changed rights: what waits and may no longer be read is dropped.
    pub(crate) fn set_grant(&self, grant: &Arc<dyn Grant>) {
        {
            let mut held = self.grant.write().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&held, grant) {
                return;
            }
            *held = Arc::clone(grant);
        }
        let connected = self.is_connected();
        self.lock().keep_readable(&**grant, connected);
    }

    pub(crate) fn set_lasting(&self, lasting: bool) {
        self.lasting.store(lasting, Ordering::Release);
    }

    /// Whether the session outlasts its connection.
    pub(crate) fn is_lasting(&self) -> bool {
        self.lasting.load(Ordering::Acquire)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    pub(crate) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Release);
    }

    /// Queues a message for the client; drops it when its queue is full, or at QoS 0 when it is not connected.
    pub(crate) fn push(&self, delivery: Delivery, limits: QueueLimits) {
        let mut state = self.lock();
        let connected = self.is_connected();
        let size = delivery.message.size();
        // Looked at under the lock of the state: rights that change meanwhile are set before the queue is gone through.
        if !self.may_read(&delivery.message.topic) {
            return;
        }
        if !connected && (delivery.qos == 0 || state.expiry.is_zero()) {
            return;
        }
        // Half of the room is kept for the messages that must not be lost.
        let share = if delivery.qos == 0 { 2 } else { 1 };
        let full = state.queue.len() >= limits.messages / share
            || state.queued_bytes.saturating_add(size) > limits.bytes / share
            || state.total.load(Ordering::Relaxed).saturating_add(size) > limits.total / share;
        if full {
            state.dropped += 1;
            if state.dropped.is_power_of_two() {
                tracing::warn!(client = %self.client_id, dropped = state.dropped, "the queue of a slow or absent MQTT subscriber is full; messages for it are dropped");
            }
            return;
        }
        let queued = state.queued_bytes + size;
        state.set_queued(queued);
        state.queue.push_back(delivery);
        if let Some((link, _)) = state.link.as_ref().filter(|_| connected) {
            link.wake();
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.set_queued(0);
    }
}

impl State {
    fn set_queued(&mut self, bytes: usize) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_sub(self.queued_bytes, Ordering::Relaxed);
        self.queued_bytes = bytes;
    }

    fn count_queued(&mut self) {
        let bytes = self.queue.iter().map(|delivery| delivery.message.size()).sum();
        self.set_queued(bytes);
    }

    /// Drops what waits and may not be read. What a connected client has been sent already it may acknowledge.
    fn keep_readable(&mut self, grant: &dyn Grant, connected: bool) {
        let readable = |delivery: &Delivery| grant.may_read(&delivery.message.topic);
        self.queue.retain(readable);
        self.retained.retain(readable);
        self.count_queued();
        let again: HashSet<u16> = self.resend.iter().copied().collect();
        self.inflight.retain(|id, inflight| match &inflight.stage {
            Stage::Published(delivery) if !connected || again.contains(id) => readable(delivery),
            Stage::Published(_) | Stage::Released => true,
        });
    }

    /// Messages that were dropped because the queue was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Queues a retained message for a new subscription.
    pub(crate) fn push_retained(&mut self, delivery: Delivery, max: usize) {
        if self.retained.len() < max {
            self.retained.push_back(delivery);
        }
    }

    /// What a new connection of the client begins with: all in flight is sent again, in its order.
    pub(crate) fn resume(&mut self) {
        let mut ids: Vec<(u64, u16)> = self.inflight.iter().map(|(id, inflight)| (inflight.sequence, *id)).collect();
        ids.sort_unstable();
        self.resend = ids.into_iter().map(|(_, id)| id).collect();
    }

    /// Messages of QoS 0 do not wait for an absent client.
    pub(crate) fn forget_unassured(&mut self) {
        self.queue.retain(|delivery| delivery.qos > 0);
        self.retained.retain(|delivery| delivery.qos > 0);
        self.count_queued();
    }

    /// Whether the client has acknowledged a PUBLISH (`released`: a PUBREC'd one) of this id, which ends here.
    pub(crate) fn acknowledged(&mut self, id: u16, released: bool) -> bool {
        let known = match self.inflight.get(&id) {
            Some(inflight) => matches!(inflight.stage, Stage::Released) == released,
            None => false,
        };
        if known {
            self.inflight.remove(&id);
        }
        known
    }

    /// PUBREC has come: the message may be forgotten, its id not yet.
    pub(crate) fn released(&mut self, id: u16) -> bool {
        match self.inflight.get_mut(&id) {
            Some(inflight) => {
                inflight.stage = Stage::Released;
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

    /// Writes what may be sent now, until `out` is well filled.
    pub(crate) fn fill(&mut self, out: &mut BytesMut, peer: PeerLimits) {
        let now = Instant::now();
        while out.len() < OUTPUT_HIGH {
            let open = self.inflight.len().saturating_sub(self.resend.len()) < peer.receive_maximum;
            if !self.resend.is_empty() {
                if !open {
                    return;
                }
                self.send_again(out, peer, now);
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
                self.set_queued(left);
            }
            if delivery.message.expired(now) {
                continue;
            }
            let id = if delivery.qos > 0 { self.next_id() } else { Some(0) };
            let Some(id) = id else { return };
            if !write(out, peer, &delivery, id, false, now) {
                tracing::debug!(topic = %delivery.message.topic, "a message is larger than an MQTT subscriber takes");
                continue;
            }
            if delivery.qos > 0 {
                self.sequence += 1;
                self.inflight.insert(id, Inflight { sequence: self.sequence, stage: Stage::Published(delivery) });
            }
        }
    }

    fn send_again(&mut self, out: &mut BytesMut, peer: PeerLimits, now: Instant) {
        let Some(id) = self.resend.pop_front() else { return };
        let written = match self.inflight.get(&id).map(|inflight| &inflight.stage) {
            Some(Stage::Published(delivery)) => write(out, peer, delivery, id, true, now),
            Some(Stage::Released) => {
                codec::ack(out, peer.version, 0x62, id, 0);
                true
            }
            None => true,
        };
        if !written {
            self.inflight.remove(&id);
        }
    }
}

fn write(out: &mut BytesMut, peer: PeerLimits, delivery: &Delivery, id: u16, dup: bool, now: Instant) -> bool {
    let message = &delivery.message;
    let outgoing = Outgoing {
        dup,
        qos: delivery.qos,
        retain: delivery.retain,
        topic: &message.topic,
        id,
        payload: &message.payload,
        properties: message.properties.as_deref(),
        expiry: message.expiry(now),
        subscription_ids: &delivery.ids,
    };
    codec::publish(out, peer.version, &outgoing, peer.max_packet)
}
