//! Queries to a running worker: data that it has processed but not stored yet, and dry runs of the detector.

use std::sync::Arc;

use tokio::sync::oneshot;
use wheeltapper_store::{SensorReadings, WaveformRow, WindowBlock, WindowFilter};

use super::checkpoint::CheckpointData;
use crate::components::{
    CallError,
    wit::{detect::DryRunResult, types::FeatureBatch},
};

/// A query with the channel for its reply.
#[derive(Debug)]
pub enum WorkerQuery {
    /// Data that is not in the store yet.
    Unstored(UnstoredQuery, oneshot::Sender<Unstored>),
    /// Scores windows with the detector without learning from them.
    DryRun(Vec<FeatureBatch>, Option<String>, oneshot::Sender<Result<Vec<DryRunResult>, CallError>>),
}

/// Selects data that is not in the store yet.
#[derive(Clone, Debug, Default)]
pub struct UnstoredQuery {
    /// Readings of these sensors (numbers) later than these times (ns since 1970).
    pub readings: Vec<(u32, i64)>,
    /// Waveforms: `Some(None)` of all sensors, `Some(Some(_))` of this sensor.
    pub waveforms: Option<Option<u32>>,
    /// Windows of this asset; the empty name selects all assets.
    pub windows: Option<String>,
}

/// Data that was not in the store when the worker replied. It may be stored meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Unstored {
    /// Readings by sensor, in order of arrival.
    pub readings: Vec<SensorReadings>,
    /// Waveforms, in order of arrival.
    pub waveforms: Vec<WaveformRow>,
    /// Windows by asset and list of features.
    pub windows: Vec<WindowBlock>,
}

impl Unstored {
    /// Adds the selected readings and waveforms of the data that waits for a checkpoint.
    pub(super) fn add_readings_and_waveforms(
        &mut self,
        query: &UnstoredQuery,
        readings: &[SensorReadings],
        waveforms: &[WaveformRow],
    ) {
        for &(sensor, after) in &query.readings {
            let Some(column) = readings.iter().find(|column| column.sensor == sensor) else { continue };
            let mut selected = SensorReadings { sensor, times: Vec::new(), values: Vec::new() };
            for (&time, &value) in column.times.iter().zip(&column.values).filter(|&(&time, _)| time > after) {
                selected.times.push(time);
                selected.values.push(value);
            }
            if !selected.times.is_empty() {
                self.readings.push(selected);
            }
        }
        if let Some(sensor) = query.waveforms {
            let is_selected = |waveform: &&WaveformRow| sensor.is_none_or(|sensor| waveform.sensor == sensor);
            self.waveforms.extend(waveforms.iter().filter(is_selected).cloned());
        }
    }

    /// Adds the selected windows.
    pub(super) fn add_windows<'a>(&mut self, query: &UnstoredQuery, windows: impl Iterator<Item = &'a WindowBlock>) {
        if let Some(asset) = &query.windows {
            self.windows.extend(windows.filter(|block| asset.is_empty() || block.asset == *asset).cloned());
        }
    }

    /// Adds the selected data of the checkpoint that is being written.
    pub(super) fn add_checkpoint_data(&mut self, query: &UnstoredQuery, stored: &Arc<CheckpointData>) {
        self.add_readings_and_waveforms(query, &stored.readings, &stored.waveforms);
        self.add_windows(query, stored.windows.iter());
    }

    /// The windows that lie in `span`, as rows.
    pub fn windows_in(&self, span: &WindowFilter) -> Vec<wheeltapper_store::FeatureWindow> {
        let mut rows = Vec::new();
        for block in &self.windows {
            if span.asset.as_ref().is_some_and(|asset| *asset != block.asset) {
                continue;
            }
            for (row, values) in block.rows.iter().zip(block.values.chunks(block.features.len().max(1))) {
                if span.sensor.is_none_or(|sensor| sensor == row.sensor) && span.overlaps(row.start, row.end) {
                    rows.push(wheeltapper_store::FeatureWindow {
                        asset: block.asset.clone(),
                        sensor: row.sensor,
                        start: row.start,
                        end: row.end,
                        count: row.count,
                        features: block.features.iter().cloned().zip(values.iter().copied()).collect(),
                    });
                }
            }
        }
        rows
    }
}
