//! The health of a committer's partitions, readable from other threads.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::{LogError, Partition};

/// The health of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionHealth {
    /// The partition's folder.
    pub folder: PathBuf,
    /// Why the partition rejects appends; `None` when it is healthy.
    pub error: Option<String>,
    /// Whether it rejects appends because the disk is full.
    pub disk_full: bool,
    /// Time of the last change between healthy and failed.
    pub since: SystemTime,
    /// Number of failed writes, syncs and attempts to heal since the start.
    pub failures: u64,
    /// Why the last removal of old segments failed. This does not affect appends.
    pub expire_error: Option<String>,
}

impl PartitionHealth {
    /// Returns whether the partition accepts appends.
    pub fn is_healthy(&self) -> bool {
        self.error.is_none()
    }
}

#[derive(Clone, Debug)]
pub(super) struct SharedHealth(Arc<Mutex<Vec<PartitionHealth>>>);

impl SharedHealth {
    pub(super) fn new(partitions: &[Partition]) -> Self {
        let healthy = |partition: &Partition| PartitionHealth {
            folder: partition.folder().to_owned(),
            error: None,
            disk_full: false,
            since: partition.storage().now(),
            failures: 0,
            expire_error: None,
        };
        Self(Arc::new(Mutex::new(partitions.iter().map(healthy).collect())))
    }

    pub(super) fn snapshot(&self) -> Vec<PartitionHealth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut PartitionHealth)) {
        if let Some(partition) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
            change(partition);
        }
    }

    pub(super) fn record_failure(&self, index: usize, error: &LogError, now: SystemTime) {
        self.update(index, |partition| {
            if partition.error.is_none() {
                partition.since = now;
            }
            partition.error = Some(error.to_string());
            partition.disk_full = error.is_disk_full();
            partition.failures += 1;
        });
    }

    pub(super) fn record_healed(&self, index: usize, now: SystemTime) {
        self.update(index, |partition| {
            partition.error = None;
            partition.disk_full = false;
            partition.since = now;
        });
    }

    pub(super) fn record_expire_result(&self, index: usize, error: Option<&LogError>) {
        self.update(index, |partition| partition.expire_error = error.map(ToString::to_string));
    }
}
