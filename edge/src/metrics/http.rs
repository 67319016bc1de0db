//! The HTTP server's metrics for Prometheus.

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
    /// The number of open connections.
    pub(crate) connections: Gauge,
    /// The memory that bodies use, without the first 64 KiB of each body, in bytes.
    pub(crate) body_bytes: Gauge,
    limits: Family<LimitLabel, Counter>,
    rejections: Family<StatusLabel, Counter>,
}

impl HttpMetrics {
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("http_connections", "Open HTTP connections", self.connections.clone());
        registry.register(
            "http_body_bytes",
            "Memory of request bodies in bytes, without the first 64 KiB of each",
            self.body_bytes.clone(),
        );
        registry.register("http_limited", "Connections and bodies that were cut off, by limit", self.limits.clone());
        registry.register(
            "http_rejections",
            "Requests answered with 400, 401, 408, 413, 429 or 5xx, by status",
            self.rejections.clone(),
        );
    }

    /// Counts a connection or body that was cut off by this limit.
    pub(crate) fn count_limited(&self, limit: &'static str) {
        self.limits.get_or_create(&LimitLabel { limit }).inc();
    }

    /// Counts a response with an error status of rejected requests or overload; other responses are not counted.
    pub(crate) fn count_response(&self, status: u16) {
        if matches!(status, 400 | 401 | 408 | 413 | 429 | 500..) {
            self.rejections.get_or_create(&StatusLabel { status }).inc();
        }
    }
}
