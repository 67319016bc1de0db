//! What the decoders need of the host.

use std::sync::Arc;

use wheeltapper_log::Committer;
use wheeltapper_store::Store;

use super::exchanges::Exchanges;
use crate::{components::Sandbox, metrics::Metrics, registry::Registry};

/// Dependencies of the decoders.
#[derive(Clone, Debug)]
pub struct IntakeContext {
    /// The compiled stages.
    pub sandbox: Sandbox,
    /// The registered sensors.
    pub registry: Arc<Registry>,
    /// The store, for Sparkplug births and new sensors.
    pub store: Store,
    /// Appends to the log: the partitions of the raw topic, followed by ingest's partition of the dead letters.
    pub committer: Arc<Committer>,
    /// Number of partitions of the line.
    pub partitions: u16,
    /// Open QoS 2 exchanges of MQTT.
    pub(crate) exchanges: Arc<Exchanges>,
    /// Prometheus metrics.
    pub metrics: Arc<Metrics>,
}
