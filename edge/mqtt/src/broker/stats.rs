//! What the broker holds, and what it has refused.

use std::sync::atomic::{AtomicU64, Ordering};

use super::hub::{Hub, lock};

/// What was refused since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Connections beyond the limits.
    pub(crate) refused_connections: AtomicU64,
    /// CONNECTs whose login failed, or came too soon after others that failed.
    pub(crate) refused_logins: AtomicU64,
    pub(crate) denied_publishes: AtomicU64,
    pub(crate) denied_subscriptions: AtomicU64,
    /// Connections that were closed because they neither sent nor took.
    pub(crate) slow: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What a broker holds now, and what it has refused since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Open connections.
    pub connections: usize,
    /// Sessions of connected and absent clients.
    pub sessions: usize,
    /// Subscriptions of all sessions.
    pub subscriptions: usize,
    /// Retained messages.
    pub retained: usize,
    /// Their bytes.
    pub retained_bytes: usize,
    /// Bytes of messages that wait for subscribers.
    pub queued_bytes: usize,
    /// Bytes of large packets that are not complete yet.
    pub input_bytes: usize,
    /// Messages dropped because a subscriber's queue was full, of the sessions that are there now.
    pub dropped: u64,
    /// Messages of QoS 0 that the sink was too busy for.
    pub lost: u64,
    /// Connections refused because there were too many, in all or from one address.
    pub refused_connections: u64,
    /// Logins that failed, or came too soon after others that failed.
    pub refused_logins: u64,
    /// Publishes, wills included, to topics that the client may not publish to.
    pub denied_publishes: u64,
    /// Subscriptions to filters that match nothing that the client may read.
    pub denied_subscriptions: u64,
    /// Connections closed because a packet was not complete in time, or nothing was taken.
    pub slow: u64,
}

impl Hub {
    /// What is held now, and what was refused since the start.
    pub(crate) fn stats(&self) -> BrokerStats {
        let (retained, retained_bytes) = lock(&self.retained).held();
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (sessions, dropped) = {
            let sessions = lock(&self.sessions);
            (sessions.len(), sessions.values().map(|session| session.lock().dropped()).sum())
        };
        BrokerStats {
            connections: 0,
            sessions,
            subscriptions: self.subscribed.load(Ordering::Relaxed),
            retained,
            retained_bytes,
            queued_bytes: self.queued_bytes.load(Ordering::Relaxed),
            input_bytes: self.input_bytes.load(Ordering::Relaxed),
            dropped,
            lost: counted(&self.lost),
            refused_connections: counted(&self.counters.refused_connections),
            refused_logins: counted(&self.counters.refused_logins),
            denied_publishes: counted(&self.counters.denied_publishes),
            denied_subscriptions: counted(&self.counters.denied_subscriptions),
            slow: counted(&self.counters.slow),
        }
    }
}
