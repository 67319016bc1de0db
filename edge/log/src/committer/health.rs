//! How the partitions of a committer are, for whoever asks from another thread.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::{LogError, Partition};

/// How a partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionHealth {
    /// Its folder.
    pub folder: PathBuf,
    /// Why it takes nothing; `None` when it is healthy.
    pub error: Option<String>,
    /// Whether it takes nothing because the disk is full.
    pub disk_full: bool,
    /// Since when it is as it is.
    pub since: SystemTime,
    /// How often a write, sync or attempt to heal has failed since the start.
    pub failures: u64,
    /// Why old segments could not be dropped the last time; records are taken all the same.
    pub expire_error: Option<String>,
}

impl PartitionHealth {
    /// Whether it takes records.
    pub fn is_healthy(&self) -> bool {
        self.error.is_none()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Health(Arc<Mutex<Vec<PartitionHealth>>>);

impl Health {
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

    pub(super) fn all(&self) -> Vec<PartitionHealth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut PartitionHealth)) {
        if let Some(partition) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
            change(partition);
        }
    }

    pub(super) fn failed(&self, index: usize, error: &LogError, now: SystemTime) {
        self.update(index, |partition| {
            if partition.error.is_none() {
                partition.since = now;
            }
            partition.error = Some(error.to_string());
            partition.disk_full = error.is_disk_full();
            partition.failures += 1;
        });
    }

    pub(super) fn healed(&self, index: usize, now: SystemTime) {
        self.update(index, |partition| {
            partition.error = None;
            partition.disk_full = false;
            partition.since = now;
        });
    }

    pub(super) fn expired(&self, index: usize, error: Option<&LogError>) {
        self.update(index, |partition| partition.expire_error = error.map(ToString::to_string));
    }
}
