//! The statistics of the hub.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    hub::{Hub, lock},
    stats::BrokerStats,
};

impl Hub {
    /// Returns the statistics, except for the number of connections, which the caller fills in.
    pub(crate) fn stats(&self) -> BrokerStats {
        let (retained, retained_bytes) = lock(&self.retained).count_and_bytes();
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (sessions, dropped) = {
            let sessions = lock(&self.sessions);
            (sessions.len(), sessions.values().map(|session| session.lock().dropped()).sum())
        };
        BrokerStats {
            connections: 0,
            sessions,
            subscriptions: self.subscription_count.load(Ordering::Relaxed),
            retained,
            retained_bytes,
            queued_bytes: self.queued_bytes.load(Ordering::Relaxed),
            input_bytes: self.input_bytes.load(Ordering::Relaxed),
            dropped_messages: dropped,
            lost_qos0_messages: counted(&self.lost_qos0_messages),
            rejected_connections: counted(&self.counters.rejected_connections),
            rejected_logins: counted(&self.counters.rejected_logins),
            denied_publishes: counted(&self.counters.denied_publishes),
            denied_subscriptions: counted(&self.counters.denied_subscriptions),
            slow_clients: counted(&self.counters.slow_clients),
        }
    }
}
