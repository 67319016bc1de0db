//! What a worker needs of the host.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::broadcast;
use wheeltapper_log::LogRetention;
use wheeltapper_store::Store;

use crate::{
    line::{checkpoint::CheckpointGate, signals::LineSignals, stages::StageFactory},
    metrics::Metrics,
    registry::Registry,
    topics::{Finding, Topics},
};

/// Minimum interval between two commits of findings in a running host, so that many findings share a commit.
pub(crate) const MIN_COMMIT_INTERVAL: Duration = Duration::from_millis(10);

/// Configuration and dependencies of a worker.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Opens the stages.
    pub(crate) stage_factory: Arc<dyn StageFactory>,
    /// The registered sensors.
    pub registry: Arc<Registry>,
    /// The store for readings and results.
    pub store: Store,
    /// The topics of the log.
    pub topics: Topics,
    /// Prometheus metrics.
    pub metrics: Arc<Metrics>,
    /// Folder of the stages' snapshots.
    pub snapshots: PathBuf,
    /// Wakes those who follow the line.
    pub signals: LineSignals,
    /// Receives findings once they are committed.
    pub findings_sender: broadcast::Sender<Arc<Finding>>,
    /// Approximate maximum of readings per call of the stages.
    pub max_batch: usize,
    /// Interval between checkpoints.
    pub checkpoint_interval: Duration,
    /// Minimum interval between two commits of findings.
    pub min_commit_interval: Duration,
    /// Retention of the topics that the line writes.
    pub retention: LogRetention,
    /// The stages' configurations as JSON: featurize, detect, alert.
    pub stage_configs: [String; 3],
    /// Decides when a checkpoint may continue.
    pub(crate) checkpoint_gate: Arc<dyn CheckpointGate>,
}
