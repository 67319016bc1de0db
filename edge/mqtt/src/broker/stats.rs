//! Statistics: current resource use of the broker, and counters of rejections.

use std::sync::atomic::{AtomicU64, Ordering};

/// Rejections since the broker started.
#[derive(Debug, Default)]
pub(crate) struct RejectionCounters {
    /// Connections rejected because a connection limit was reached.
    pub(crate) rejected_connections: AtomicU64,
    /// CONNECTs whose login failed or was throttled after failed logins.
    pub(crate) rejected_logins: AtomicU64,
    pub(crate) denied_publishes: AtomicU64,
    pub(crate) denied_subscriptions: AtomicU64,
    /// Connections closed because the client did not complete a packet or did not read in time.
    pub(crate) slow_clients: AtomicU64,
}

/// Increments the counter by one.
pub(crate) fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Current resource use of a broker, and its rejections since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Open connections.
    pub connections: usize,
    /// Sessions of connected and disconnected clients.
    pub sessions: usize,
    /// Subscriptions of all sessions.
    pub subscriptions: usize,
    /// Number of retained messages.
    pub retained: usize,
    /// Size of the retained messages in bytes.
    pub retained_bytes: usize,
    /// Bytes of messages queued for subscribers.
    pub queued_bytes: usize,
    /// Bytes of large packets that are still incomplete.
    pub input_bytes: usize,
    /// Messages dropped because the queue of a subscriber was full; counts only sessions that still exist.
    pub dropped_messages: u64,
    /// QoS 0 messages lost because the sink was busy.
    pub lost_qos0_messages: u64,
    /// Connections rejected because of too many connections, in total or from one address.
    pub rejected_connections: u64,
    /// Logins that failed or were throttled after failed logins.
    pub rejected_logins: u64,
    /// Publishes, including wills, to topics that the client may not publish to.
    pub denied_publishes: u64,
    /// Subscriptions rejected because the client may not read any matching topic.
    pub denied_subscriptions: u64,
    /// Connections closed because the client did not complete a packet or did not read in time.
    pub slow_clients: u64,
}
