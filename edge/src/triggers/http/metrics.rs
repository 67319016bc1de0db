//! What the way in counts, for Prometheus.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StatusLabel {
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

/// The HTTP server's metrics.
#[derive(Debug, Default)]
pub struct HttpMetrics {
    /// Connections that are open.
    pub(super) connections: Gauge,
    /// Bytes of bodies that are held beyond the first 64 KiB of each.
    pub(super) body_bytes: Gauge,
    limits: Family<LimitLabel, Counter>,
    refusals: Family<StatusLabel, Counter>,
}

impl HttpMetrics {
    /// Makes them known.
    pub fn register(&self, to: &mut Registry) {
        to.register("http_connections", "Connections of HTTP that are open", self.connections.clone());
        to.register(
            "http_body_bytes",
            "Bytes of bodies in memory, without the first 64 KiB of each",
            self.body_bytes.clone(),
        );
        to.register("http_limited", "Connections and bodies that were cut off, by the limit", self.limits.clone());
        to.register(
            "http_refusals",
            "Requests answered 400 or worse without looking further, by status",
            self.refusals.clone(),
        );
    }

    /// Something that a limit cut off.
    pub(super) fn limited(&self, limit: &'static str) {
        self.limits.get_or_create(&LimitLabel { limit }).inc();
    }

    /// A request that was refused for what it is, for load, or for its pace; other answers are not counted.
    pub(super) fn answered(&self, status: u16) {
        if matches!(status, 400 | 401 | 408 | 413 | 429 | 500..) {
            self.refusals.get_or_create(&StatusLabel { status }).inc();
        }
    }
}
