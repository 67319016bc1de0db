//! Output of steps that is not committed yet.

use std::{collections::BTreeMap, sync::Arc};

use wheeltapper_domain::{encode_waveform, reading_line};
use wheeltapper_store::{DeadLetter, SensorReadings, SkippedRange, WaveformRow, WindowBlock, WindowRow};

use super::{
    batch::{Batch, Step},
    checkpoint::CheckpointData,
    stages::StepOutput,
    worker_queries::{Unstored, UnstoredQuery},
};
use crate::{
    components::wit::types::{FeatureBatch, FeatureBlock},
    name_dictionary,
    registry::Registry,
    rows::reason_name,
    topics::{DeadLetterEvent, Finding},
};

/// Readings, windows, findings and dead letters that wait to be written to the store and the topics.
#[derive(Debug, Default)]
pub(super) struct PendingOutput {
    /// Index into `columns` by sensor number; columns keep their capacity from one checkpoint to the next.
    column_indices: BTreeMap<u32, usize>,
    columns: Vec<SensorReadings>,
    pub(super) pending_readings: u64,
    waveforms: Vec<WaveformRow>,
    windows: BTreeMap<(String, Vec<String>), WindowBlock>,
    /// Feature batches for the topic processed-data.
    pub(super) processed: Vec<Vec<u8>>,
    pub(super) findings: Vec<Finding>,
    pub(super) dead_letters: Vec<(DeadLetter, DeadLetterEvent)>,
    pub(super) skipped_ranges: Vec<SkippedRange>,
}

impl PendingOutput {
    /// Whether there is output that must be committed before the next checkpoint: findings, dead letters, skipped
    /// ranges.
    pub(super) fn is_urgent(&self) -> bool {
        !(self.findings.is_empty() && self.dead_letters.is_empty() && self.skipped_ranges.is_empty())
    }

    /// Adds the output of a step. `is_new` is false when its findings were committed before a restart.
    pub(super) fn add_step_output(
        &mut self,
        partition: u16,
        step: &Step,
        output: StepOutput,
        registry: &Registry,
        is_new: bool,
    ) {
        if let Step::Push(batch) = step {
            // Rejected readings go to the dead letters, repeated ones are dropped; all others, late ones included, go
            // to the store.
            let rejected = output.rejected.iter().map(|rejected| rejected.index);
            let mut rejected = rejected.chain(output.repeated.iter().copied()).collect::<Vec<_>>();
            rejected.sort_unstable();
            self.add_readings(batch, &rejected);
            if is_new {
                for rejected in &output.rejected {
                    let event = dead_letter_event(
                        batch,
                        rejected.index,
                        reason_name(rejected.rejection.reason),
                        &rejected.rejection.message,
                    );
                    let (offset, index) = batch.origin(rejected.index);
                    // If a batch contains only some assets of a record, the index alone is not unique.
                    let sensor = event.sensor.as_deref().unwrap_or_default();
                    self.dead_letters.push((event.to_row(&format!("{partition}|{offset}|{index}|{sensor}")), event));
                }
            }
        }
        if output.features.blocks.iter().any(|block| !block.sensor.is_empty()) {
            self.add_windows(&output.features, registry);
            if let Ok(bytes) = postcard::to_allocvec(&output.features) {
                self.processed.push(bytes);
            }
        }
        if is_new {
            self.findings.extend(output.anomalies.into_iter().map(Finding::Anomaly));
            self.findings.extend(output.alerts.into_iter().map(Finding::Alert));
            self.findings.extend(output.drifts.into_iter().map(Finding::Drift));
            self.findings.extend(output.prognoses.into_iter().map(Finding::Prognosis));
        }
    }

    /// Converts a batch of one asset on which the stages fail into dead letters.
    pub(super) fn quarantine(&mut self, partition: u16, asset: &str, batch: &Batch, message: &str) {
        let count = batch.readings.readings.sensor.len() + batch.readings.waveforms.len();
        let mut start = 0;
        // One dead letter per record, so that each can be replayed unchanged.
        for (at, &(first, offset)) in batch.origins.iter().enumerate() {
            let end = batch.origins.get(at + 1).map_or(count, |&(next, _)| next as usize);
            let mut event = dead_letter_event(batch, first, "stage-failure", message);
            event.payload.clear();
            event.readings = 0;
            for index in start..end {
                let one = dead_letter_event(batch, u32::try_from(index).unwrap_or(u32::MAX), "stage-failure", message);
                event.payload.extend_from_slice(&one.payload);
                event.readings += one.readings;
                event.format = one.format;
            }
            start = end;
            self.dead_letters.push((event.to_row(&format!("{partition}|{offset}|failed|{asset}")), event));
        }
    }

    fn add_readings(&mut self, batch: &Batch, rejected: &[u32]) {
        // The column of each sensor of the batch.
        let slots: Vec<usize> = batch
            .sensors
            .iter()
            .map(|&(sensor, _)| {
                *self.column_indices.entry(sensor).or_insert_with(|| {
                    self.columns.push(SensorReadings { sensor, times: Vec::new(), values: Vec::new() });
                    self.columns.len() - 1
                })
            })
            .collect();
        let readings = &batch.readings.readings;
        let mut rejected = rejected.iter().copied().peekable();
        for (index, ((&sensor, &time), &value)) in
            readings.sensor.iter().zip(&readings.time).zip(&readings.value).enumerate()
        {
            if rejected.next_if(|&at| at as usize == index).is_some() {
                continue;
            }
            if let Some(column) = slots.get(sensor as usize).and_then(|&slot| self.columns.get_mut(slot)) {
                column.times.push(time);
                column.values.push(value);
                self.pending_readings += 1;
            }
        }
        for (index, waveform) in batch.readings.waveforms.iter().enumerate() {
            if rejected.next_if(|&at| at as usize == readings.sensor.len() + index).is_some() {
                continue;
            }
            if let Some(&(sensor, _)) = batch.sensors.get(waveform.sensor as usize) {
                self.pending_readings += waveform.samples.len() as u64;
                let samples = waveform.samples.clone();
                self.waveforms.push(WaveformRow { sensor, start: waveform.start, rate: waveform.rate, samples });
            }
        }
    }

    fn add_windows(&mut self, features: &FeatureBatch, registry: &Registry) {
        let locations = registry.lookup(name_dictionary::names(&features.sensors.names));
        let assets: Vec<&str> = name_dictionary::names(&features.sensors.assets).collect();
        for block in &features.blocks {
            let width = block.features.len();
            for (row, &sensor) in block.sensor.iter().enumerate() {
                let asset = features.sensors.asset.get(sensor as usize).and_then(|&asset| assets.get(asset as usize));
                let (Some(asset), Some(location)) = (asset, locations.get(sensor as usize).copied().flatten()) else {
                    continue;
                };
                let (Some(window), Some(values)) =
                    (window_row(block, row, location.sensor), block.values.get(row * width..(row + 1) * width))
                else {
                    continue;
                };
                let pending =
                    self.windows.entry(((*asset).to_owned(), block.features.clone())).or_insert_with(|| WindowBlock {
                        asset: (*asset).to_owned(),
                        features: block.features.clone(),
                        rows: Vec::new(),
                        values: Vec::new(),
                    });
                pending.rows.push(window);
                pending.values.extend_from_slice(values);
            }
        }
    }

    /// Adds the pending data that `query` selects to `into`.
    pub(super) fn add_unstored(&self, query: &UnstoredQuery, into: &mut Unstored) {
        into.add_readings_and_waveforms(query, &self.columns, &self.waveforms);
        into.add_windows(query, self.windows.values());
    }

    /// Takes the data of a checkpoint out; columns keep their capacity.
    pub(super) fn take_checkpoint_data(&mut self) -> CheckpointData {
        let empty_columns = self.columns.iter().map(|column| SensorReadings {
            sensor: column.sensor,
            times: Vec::with_capacity(column.times.len()),
            values: Vec::with_capacity(column.values.len()),
        });
        let empty_columns = empty_columns.collect();
        CheckpointData {
            readings: std::mem::replace(&mut self.columns, empty_columns),
            waveforms: std::mem::take(&mut self.waveforms),
            windows: std::mem::take(&mut self.windows).into_values().collect(),
            count: std::mem::take(&mut self.pending_readings),
        }
    }
}

fn window_row(block: &FeatureBlock, row: usize, sensor: u32) -> Option<WindowRow> {
    Some(WindowRow { sensor, start: *block.start.get(row)?, end: *block.end.get(row)?, count: *block.count.get(row)? })
}

/// The dead letter of one reading or waveform, with a payload that can be sent again.
fn dead_letter_event(batch: &Batch, index: u32, reason: &str, message: &str) -> DeadLetterEvent {
    let readings = &batch.readings.readings;
    let at = index as usize;
    let name =
        |sensor: u32| batch.sensors.get(sensor as usize).map_or_else(|| Arc::from(""), |(_, name)| Arc::clone(name));
    let (sensor, payload, count, format) =
        match (readings.sensor.get(at), readings.time.get(at), readings.value.get(at)) {
            (Some(&sensor), Some(&time), Some(&value)) => {
                let name = name(sensor);
                let line = reading_line(&name, time, value);
                (name, line.into_bytes(), 1, "ndjson")
            }
            _ => match at.checked_sub(readings.sensor.len()).and_then(|at| batch.readings.waveforms.get(at)) {
                Some(waveform) => {
                    let name = name(waveform.sensor);
                    let payload = encode_waveform(&name, waveform.start, waveform.rate, &waveform.samples);
                    (name, payload, u32::try_from(waveform.samples.len()).unwrap_or(u32::MAX), "waveform")
                }
                None => (Arc::from(""), Vec::new(), 0, "ndjson"),
            },
        };
    DeadLetterEvent {
        // The age of a dead letter counts from its arrival: a reading may be years old.
        time: batch.arrival_of(index),
        source: "line".to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        payload,
        readings: count,
        sensor: Some(sensor.to_string()),
        format: Some(format.to_owned()),
    }
}
