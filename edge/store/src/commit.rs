//! Writing: one commit of the line.

use std::{thread, time::Duration};

use crate::{AlertRow, AnomalyRow, DeadLetter, DriftRow, PrognosisRow, SkippedRow, Store, StoreError, WorkOrderRow};

/// Readings of one sensor, in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SensorColumn {
    /// Number of the sensor.
    pub sensor: u32,
    /// Times.
    pub times: Vec<i64>,
    /// Values, as many.
    pub values: Vec<f64>,
}

/// A burst.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveformRow {
    /// Number of the sensor.
    pub sensor: u32,
    /// Time of the first sample.
    pub start: i64,
    /// Samples a second.
    pub rate: f64,
    /// The samples.
    pub samples: Vec<f32>,
}

/// Windows of one asset that share a list of features.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowBlock {
    /// The machine.
    pub asset: String,
    /// Names of the features.
    pub features: Vec<String>,
    /// The windows.
    pub rows: Vec<WindowRow>,
    /// Row after row, one value a feature.
    pub values: Vec<f64>,
}

/// One window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRow {
    /// Number of the sensor.
    pub sensor: u32,
    /// Start, included.
    pub start: i64,
    /// End, excluded.
    pub end: i64,
    /// Readings or samples in it.
    pub count: u32,
}

/// That a snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Offset in the log.
    pub snapshot_offset: u64,
    /// Whatever the host wants to know about it.
    pub snapshot: String,
}

/// How far findings go.
#[derive(Clone, Copy, Debug)]
pub struct Applied<'a> {
    /// Offset in the log.
    pub offset: u64,
    /// How far the topics were written, in the host's own words.
    pub topic_ends: &'a str,
}

/// What one commit brings. All of it is written, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Commit<'a> {
    /// Whose.
    pub partition: u16,
    /// How far its findings go; none when it brings none.
    pub applied: Option<Applied<'a>>,
    /// A snapshot, if one was taken.
    pub checkpoint: Option<Checkpoint>,
    /// Raw readings.
    pub readings: &'a [SensorColumn],
    /// Bursts.
    pub waveforms: &'a [WaveformRow],
    /// Windows.
    pub windows: &'a [WindowBlock],
    /// Anomalies; a known id keeps what people wrote on it.
    pub anomalies: &'a [AnomalyRow],
    /// Alerts, whole; a known id is overwritten.
    pub alerts: &'a [AlertRow],
    /// Drifts; a known id is overwritten.
    pub drifts: &'a [DriftRow],
    /// Remaining lives; one of an asset and time that is known is overwritten.
    pub prognoses: &'a [PrognosisRow],
    /// Work orders, whole; a known id is overwritten.
    pub work_orders: &'a [WorkOrderRow],
    /// What was refused.
    pub dead_letters: &'a [DeadLetter],
    /// Stretches of the log that were given up.
    pub skipped: &'a [SkippedRow],
}

impl Store {
    /// Writes a commit. With a checkpoint its readings are written in small transactions before, so that commits of
    /// others come in between; they are seen with the last one, and count with it. Without one all of it is one
    /// transaction.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of it counts or is seen. Where [`StoreError::is_transient`] says so, the caller makes the
    /// same commit again: it takes back what the failed one had staged.
    pub fn commit(&self, commit: &Commit<'_>) -> Result<(), StoreError> {
        let mut writer = self.begin_checkpoint(commit);
        while writer.step()? {
            // The lock is not fair: who waits for it must get a chance.
            thread::sleep(Duration::from_millis(1));
        }
        writer.finish()
    }
}
