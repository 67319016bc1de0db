//! The rows that only the edge host has. [`wheeltapper_domain`] has those of findings, work orders and dead letters.

use serde::Serialize;

/// A sensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SensorRow {
    /// Ids are consecutive from 0.
    pub id: u32,
    /// The sensor id that devices send.
    pub name: String,
    /// The asset it is mounted on.
    pub asset: String,
    /// Unit of its values.
    pub unit: String,
    /// The measured quantity.
    pub kind: String,
}

/// The progress of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionProgress {
    /// The partition.
    pub partition: u16,
    /// Log offset of the newest snapshot.
    pub snapshot_offset: u64,
    /// Log offset up to which findings are stored.
    pub applied_offset: u64,
    /// Description of the snapshot, defined by the host; `None` before the first one.
    pub snapshot: Option<String>,
    /// End offsets of the output topics, in a format defined by the host.
    pub topic_ends: String,
}

/// A skipped range of a partition's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedRange {
    /// First offset of the range.
    pub start: u64,
    /// First offset after the range.
    pub stop: u64,
    /// The asset whose records were skipped; `None` for all assets.
    pub asset: Option<String>,
}
