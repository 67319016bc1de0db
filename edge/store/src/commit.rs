//! The data of one commit of the pipeline.

use std::{thread, time::Duration};

use crate::{AlertRow, AnomalyRow, DeadLetter, DriftRow, PrognosisRow, SkippedRange, Store, StoreError, WorkOrderRow};

/// Readings of one sensor, in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SensorReadings {
    /// The sensor's id.
    pub sensor: u32,
    /// Times, in nanoseconds since 1970.
    pub times: Vec<i64>,
    /// Values, one per time.
    pub values: Vec<f64>,
}

/// A waveform.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveformRow {
    /// The sensor's id.
    pub sensor: u32,
    /// Time of the first sample, in nanoseconds since 1970.
    pub start: i64,
    /// Samples per second.
    pub rate: f64,
    /// The samples.
    pub samples: Vec<f32>,
}

/// Windows of one asset that have the same features.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowBlock {
    /// The machine.
    pub asset: String,
    /// Names of the features.
    pub features: Vec<String>,
    /// The windows.
    pub rows: Vec<WindowRow>,
    /// Values in row-major order, one per feature.
    pub values: Vec<f64>,
}

/// One window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRow {
    /// The sensor's id.
    pub sensor: u32,
    /// Start, inclusive, in nanoseconds since 1970.
    pub start: i64,
    /// End, exclusive.
    pub end: i64,
    /// Number of readings or samples in the window.
    pub count: u32,
}

/// A snapshot of the stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Offset in the partition's log.
    pub snapshot_offset: u64,
    /// Description of the snapshot, defined by the host.
    pub snapshot: String,
}

/// How far the findings of a commit extend.
#[derive(Clone, Copy, Debug)]
pub struct AppliedOffset<'a> {
    /// Offset in the partition's log.
    pub offset: u64,
    /// End offsets of the output topics, in a format defined by the host.
    pub topic_ends: &'a str,
}

/// One commit. It is written completely or not at all.
#[derive(Clone, Debug, Default)]
pub struct Commit<'a> {
    /// The partition.
    pub partition: u16,
    /// The offset that its findings reach; `None` if it has no findings.
    pub applied: Option<AppliedOffset<'a>>,
    /// The snapshot, if one was taken.
    pub checkpoint: Option<Checkpoint>,
    /// Raw scalar readings.
    pub readings: &'a [SensorReadings],
    /// Waveforms.
    pub waveforms: &'a [WaveformRow],
    /// Windows.
    pub windows: &'a [WindowBlock],
    /// Anomalies. An existing id keeps what users changed.
    pub anomalies: &'a [AnomalyRow],
    /// Complete alerts. An existing id is overwritten.
    pub alerts: &'a [AlertRow],
    /// Drifts. An existing id is overwritten.
    pub drifts: &'a [DriftRow],
    /// Prognoses of remaining life. An existing asset and time is overwritten.
    pub prognoses: &'a [PrognosisRow],
    /// Complete work orders. An existing id is overwritten.
    pub work_orders: &'a [WorkOrderRow],
    /// Dead letters.
    pub dead_letters: &'a [DeadLetter],
    /// Ranges of the log that were skipped.
    pub skipped: &'a [SkippedRange],
}

impl Store {
    /// Writes a commit. With a checkpoint, its readings are first written in small transactions, so that other commits
    /// can run in between; they become visible with the last transaction. Without a checkpoint, everything is one
    /// transaction.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of the commit is visible. If [`StoreError::is_transient`] is true, the caller repeats
    /// the same commit, which deletes what the failed one had staged.
    pub fn commit(&self, commit: &Commit<'_>) -> Result<(), StoreError> {
        let mut writer = self.begin_checkpoint(commit)?;
        while writer.step()? {
            // The lock is not fair; a pause lets other writers get it.
            thread::sleep(Duration::from_millis(1));
        }
        writer.finish()
    }
}
