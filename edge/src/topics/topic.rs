//! The topics on disk, and who may write to which.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use wheeltapper_log::{LogError, Partition, storage::Storage};

/// Segment size of the log of exchanges, in bytes.
const EXCHANGE_SEGMENT_SIZE: u64 = 1 << 20;

/// A named stream of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Decoded readings, ticks and resets of baselines.
    Raw,
    /// Features of closed windows.
    Processed,
    /// Anomalies and changes of alerts.
    Anomalies,
    /// Rejected events and readings with the reason.
    DeadLetters,
    /// Ends of QoS 2 exchanges of MQTT.
    Exchanges,
}

impl fmt::Display for Topic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Raw => "raw-sensor-data",
            Self::Processed => "processed-data",
            Self::Anomalies => "anomaly-events",
            Self::DeadLetters => "dlq-sensor-data",
            Self::Exchanges => "mqtt-exchanges",
        })
    }
}

/// The folder with all topics; each has one folder per partition.
#[derive(Clone, Debug)]
pub struct Topics {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    segment_size: u64,
    partitions: u16,
}

impl Topics {
    /// Topics under `folder`, with `partitions` partitions each.
    pub fn new(storage: Arc<dyn Storage>, folder: &Path, partitions: u16, segment_size: u64) -> Self {
        Self { storage, folder: folder.to_owned(), segment_size, partitions }
    }

    /// The file system of the topics.
    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }

    /// Number of partitions of the line.
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// The partition of dlq-sensor-data that ingest writes to; the line's workers write to the partitions before it.
    pub fn ingest_dead_letter_partition(&self) -> u16 {
        self.partitions
    }

    /// Opens the log of QoS 2 exchanges of MQTT for writing. It is small and has small segments.
    ///
    /// # Errors
    /// [`LogError::Io`] when the files cannot be opened.
    pub(crate) fn open_exchanges(&self) -> Result<Partition, LogError> {
        let folder = self.folder.join(Topic::Exchanges.to_string()).join("0");
        Partition::open_with_storage(Arc::clone(&self.storage), &folder, EXCHANGE_SEGMENT_SIZE)
    }

    /// Opens a partition for writing. A partition may have only one writer.
    ///
    /// # Errors
    /// [`LogError::Io`] when the files cannot be opened.
    pub fn open(&self, topic: Topic, partition: u16) -> Result<Partition, LogError> {
        let folder = self.folder.join(topic.to_string()).join(partition.to_string());
        Partition::open_with_storage(Arc::clone(&self.storage), &folder, self.segment_size)
    }
}

/// The partition of an asset: from the FNV-1a hash of its name, so that it never changes.
pub(crate) fn partition_of(asset: &str, partitions: u16) -> u16 {
    let hash = asset
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The low bits of FNV depend on few input bits; the high half of the product depends on all.
    u16::try_from((u128::from(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)) * u128::from(partitions)) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    #[test]
    fn assets_spread_evenly_and_stay_where_they_are() {
        let mut assets_per_partition = [0; 4];
        for asset in 0..4000 {
            assets_per_partition[usize::from(partition_of(&format!("site/area/machine-{asset}"), 4))] += 1;
        }
        assert!(assets_per_partition.iter().all(|&count| (800..1200).contains(&count)), "{assets_per_partition:?}");
        assert_eq!(partition_of("site/area/machine-1", 1), 0);
    }
}
