//! What may be asked of a running worker: what it has taken and not yet stored, and how it would judge a window.

use std::sync::Arc;

use tokio::sync::oneshot;
use wheeltapper_store::{SensorColumn, Span, WaveformRow, WindowBlock};

use super::checkpoint::Stored;
use crate::components::{
    CallError,
    wit::{detect::Probed, types::FeatureBatch},
};

/// A question, and where the answer goes.
#[derive(Debug)]
pub enum Question {
    /// What is not in the store yet.
    Fresh(Wanted, oneshot::Sender<Fresh>),
    /// How the detector judges windows; it learns nothing from them.
    Probe(Vec<FeatureBatch>, Option<String>, oneshot::Sender<Result<Vec<Probed>, CallError>>),
}

/// Which of the fresh.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Readings of these sensors later than these times.
    pub readings: Vec<(u32, i64)>,
    /// Bursts, of this sensor or of all.
    pub waveforms: Option<Option<u32>>,
    /// Windows of this asset; the empty name stands for all.
    pub windows: Option<String>,
}

/// What was taken and is not in the store yet, or came there meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Fresh {
    /// As they came.
    pub readings: Vec<SensorColumn>,
    /// As they came.
    pub waveforms: Vec<WaveformRow>,
    /// By asset and list of features.
    pub windows: Vec<WindowBlock>,
}

impl Fresh {
    /// Takes what is wanted from what waits for a checkpoint.
    pub(super) fn gather(&mut self, wanted: &Wanted, readings: &[SensorColumn], waveforms: &[WaveformRow]) {
        for &(sensor, after) in &wanted.readings {
            let Some(column) = readings.iter().find(|column| column.sensor == sensor) else { continue };
            let mut kept = SensorColumn { sensor, times: Vec::new(), values: Vec::new() };
            for (&time, &value) in column.times.iter().zip(&column.values).filter(|&(&time, _)| time > after) {
                kept.times.push(time);
                kept.values.push(value);
            }
            if !kept.times.is_empty() {
                self.readings.push(kept);
            }
        }
        if let Some(sensor) = wanted.waveforms {
            let wanted = |waveform: &&WaveformRow| sensor.is_none_or(|sensor| waveform.sensor == sensor);
            self.waveforms.extend(waveforms.iter().filter(wanted).cloned());
        }
    }

    /// Takes the windows that are wanted.
    pub(super) fn gather_windows<'a>(&mut self, wanted: &Wanted, windows: impl Iterator<Item = &'a WindowBlock>) {
        if let Some(asset) = &wanted.windows {
            self.windows.extend(windows.filter(|block| asset.is_empty() || block.asset == *asset).cloned());
        }
    }

    /// From what is being stored just now.
    pub(super) fn gather_stored(&mut self, wanted: &Wanted, stored: &Arc<Stored>) {
        self.gather(wanted, &stored.readings, &stored.waveforms);
        self.gather_windows(wanted, stored.windows.iter());
    }

    /// The windows that lie in `span`, as rows.
    pub fn windows_in(&self, span: &Span) -> Vec<wheeltapper_store::FeatureWindow> {
        let mut found = Vec::new();
        for block in &self.windows {
            if span.asset.as_ref().is_some_and(|asset| *asset != block.asset) {
                continue;
            }
            for (row, values) in block.rows.iter().zip(block.values.chunks(block.features.len().max(1))) {
                if span.sensor.is_none_or(|sensor| sensor == row.sensor) && span.holds(row.start, row.end) {
                    found.push(wheeltapper_store::FeatureWindow {
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
        found
    }
}
