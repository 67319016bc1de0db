//! Converts log records into the steps of the stages.

use std::sync::Arc;

use wheeltapper_log::Record;

use super::replay_filter::ReplayFilter;
use crate::{
    components::wit::types::{Arrival, ReadingBatch, ReadingColumns, SensorTable, Waveform},
    name_dictionary,
    registry::Registry,
    topics::{RawRecord, RecordError},
};

/// Maximum waveform samples per batch: spectra take the most CPU time, and a call has a limit.
const MAX_WAVEFORM_SAMPLES: usize = 1 << 18;

/// A step of the stages.
#[derive(Debug)]
pub(crate) enum Step {
    /// Process readings.
    Push(Box<Batch>),
    /// Advance the time to this value (ns since 1970).
    Tick(i64),
    /// Close every window.
    Flush,
    /// Forget what was learnt about an asset, and resolve its alerts.
    ResetBaseline {
        /// Name of the asset.
        asset: String,
        /// Time of the reset, in nanoseconds since 1970.
        time: i64,
    },
    /// All records were dropped by the replay filter; only the offset advances.
    Dropped,
}

/// Readings and waveforms of consecutive records.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(super) readings: ReadingBatch,
    /// Number and name of each sensor of the batch's table.
    pub(super) sensors: Vec<(u32, Arc<str>)>,
    /// Index of the first reading of each record, and that record's offset. Waveforms are numbered after the readings.
    pub(super) origins: Vec<(u32, u64)>,
    /// The earliest arrival time of the records.
    pub(super) arrival: i64,
}

impl Batch {
    /// Number of readings and waveform samples.
    pub(super) fn value_count(&self) -> u64 {
        let samples: usize = self.readings.waveforms.iter().map(|waveform| waveform.samples.len()).sum();
        (self.readings.readings.sensor.len() + samples) as u64
    }

    /// Number of readings and samples at these indices; waveforms are numbered after the readings.
    pub(super) fn value_count_of(&self, indices: &[u32]) -> u64 {
        let one = |&index: &u32| match (index as usize).checked_sub(self.readings.readings.sensor.len()) {
            None => 1,
            Some(waveform) => self.readings.waveforms.get(waveform).map_or(0, |waveform| waveform.samples.len() as u64),
        };
        indices.iter().map(one).sum()
    }

    /// When reading or waveform `index` arrived, in nanoseconds since 1970.
    pub(super) fn arrival_of(&self, index: u32) -> i64 {
        let arrivals = &self.readings.arrivals;
        let after = arrivals.partition_point(|arrival| arrival.first <= index);
        after.checked_sub(1).and_then(|at| arrivals.get(at)).map_or(self.arrival, |arrival| arrival.time)
    }

    /// The offset of the record that contains reading or waveform `index`, and the index within that record.
    pub(super) fn origin(&self, index: u32) -> (u64, u32) {
        let after = self.origins.partition_point(|&(first, _)| first <= index);
        match after.checked_sub(1).and_then(|at| self.origins.get(at)) {
            Some(&(first, offset)) => (offset, index - first),
            None => (0, index),
        }
    }
}

/// A step, and the offset after its records.
#[derive(Debug)]
pub(super) struct PlannedStep {
    pub(super) step: Step,
    pub(super) next: u64,
}

/// Converts records into steps. It reuses its tables, so that a batch needs no allocation per reading.
#[derive(Debug)]
pub(super) struct Batcher {
    registry: Arc<Registry>,
    /// By sensor number: the last batch that contained the sensor, and its index in that batch's table.
    table_indices: Vec<(u64, u32)>,
    batch_number: u64,
    max_readings: usize,
}

impl Batcher {
    pub(super) fn new(registry: Arc<Registry>, max_readings: usize) -> Self {
        Self { registry, table_indices: Vec::new(), batch_number: 0, max_readings: max_readings.max(1) }
    }

    /// Returns the steps for the records that `filter` lets through, in order; the last step ends at the end of
    /// `records`. A batch ends before a tick or a reset of a baseline, before a scalar reading that follows a
    /// waveform, and at `max_readings`. The results of the stages do not depend on the batch limits.
    pub(super) fn plan_steps(
        &mut self,
        records: &[Record],
        filter: &ReplayFilter,
    ) -> Result<Vec<PlannedStep>, RecordError> {
        let mut steps: Vec<PlannedStep> = Vec::new();
        let mut open: Option<OpenBatch> = None;
        for record in records {
            let Some(decoded) = self.filter_record(record, filter)? else { continue };
            match decoded {
                RawRecord::Readings { arrival, sensor, time, value } => {
                    if open
                        .as_ref()
                        .is_some_and(|open| !open.waveforms.is_empty() || open.sensor.len() >= self.max_readings)
                    {
                        self.close_batch(&mut open, &mut steps);
                    }
                    let open = self.open_batch(&mut open);
                    open.origins.push((open.count(), record.offset));
                    open.arrival = open.arrival.min(arrival);
                    if open.arrivals.last().is_none_or(|last| last.time != arrival) {
                        open.arrivals.push(Arrival { first: open.count(), time: arrival });
                    }
                    for &number in &sensor {
                        let index = self.table_index(number, open);
                        open.sensor.push(index);
                    }
                    open.time.extend(time);
                    open.value.extend(value);
                    open.next = record.next_offset;
                }
                RawRecord::Waveform { arrival, sensor, start, rate, samples } => {
                    if open
                        .as_ref()
                        .is_some_and(|open| open.samples + samples.len() > MAX_WAVEFORM_SAMPLES && open.samples > 0)
                    {
                        self.close_batch(&mut open, &mut steps);
                    }
                    let open = self.open_batch(&mut open);
                    open.samples += samples.len();
                    open.origins.push((open.count(), record.offset));
                    open.arrival = open.arrival.min(arrival);
                    let sensor = self.table_index(sensor, open);
                    open.waveforms.push(Waveform { sensor, start, rate, samples });
                    open.next = record.next_offset;
                }
                RawRecord::Tick { now } => {
                    self.close_batch(&mut open, &mut steps);
                    steps.push(PlannedStep { step: Step::Tick(now), next: record.next_offset });
                }
                RawRecord::Flush => {
                    self.close_batch(&mut open, &mut steps);
                    steps.push(PlannedStep { step: Step::Flush, next: record.next_offset });
                }
                RawRecord::ResetBaseline { asset, time } => {
                    self.close_batch(&mut open, &mut steps);
                    steps.push(PlannedStep { step: Step::ResetBaseline { asset, time }, next: record.next_offset });
                }
            }
        }
        self.close_batch(&mut open, &mut steps);
        if let Some(last) = records.last()
            && steps.last().is_none_or(|step| step.next < last.next_offset)
        {
            steps.push(PlannedStep { step: Step::Dropped, next: last.next_offset });
        }
        Ok(steps)
    }

    /// Decodes a record and removes what the replay filter drops; `None` when nothing remains.
    fn filter_record(&self, record: &Record, filter: &ReplayFilter) -> Result<Option<RawRecord>, RecordError> {
        let decoded = RawRecord::decode(&record.payload)?;
        if !filter.may_drop_from(record.offset) {
            return Ok(Some(decoded));
        }
        if filter.drops_record(record.offset) {
            return Ok(None);
        }
        let keeps = |asset| filter.passes(record.offset, asset);
        Ok(match decoded {
            RawRecord::Readings { arrival, sensor, time, value } => {
                let kept: Vec<bool> = self.registry.assets_of(&sensor).into_iter().map(keeps).collect();
                let sensor = filter_column(sensor, &kept);
                let (time, value) = (filter_column(time, &kept), filter_column(value, &kept));
                (!sensor.is_empty()).then_some(RawRecord::Readings { arrival, sensor, time, value })
            }
            RawRecord::Waveform { sensor, .. } => {
                self.registry.assets_of(&[sensor]).into_iter().all(keeps).then_some(decoded)
            }
            RawRecord::Tick { .. } | RawRecord::Flush | RawRecord::ResetBaseline { .. } => Some(decoded),
        })
    }

    fn open_batch<'a>(&mut self, open: &'a mut Option<OpenBatch>) -> &'a mut OpenBatch {
        if open.is_none() {
            self.batch_number += 1;
        }
        open.get_or_insert_with(OpenBatch::default)
    }

    /// The sensor's index in the batch's table; adds the sensor if needed.
    fn table_index(&mut self, number: u32, open: &mut OpenBatch) -> u32 {
        let at = number as usize;
        if self.table_indices.len() <= at {
            self.table_indices.resize(at + 1, (0, 0));
        }
        match self.table_indices.get_mut(at) {
            Some((batch, index)) if *batch == self.batch_number => *index,
            Some(slot) => {
                let index = u32::try_from(open.numbers.len()).unwrap_or(u32::MAX);
                open.numbers.push(number);
                *slot = (self.batch_number, index);
                index
            }
            None => 0,
        }
    }

    fn close_batch(&self, open: &mut Option<OpenBatch>, steps: &mut Vec<PlannedStep>) {
        let Some(open) = open.take() else { return };
        let mut table =
            SensorTable { names: name_dictionary::empty(), assets: name_dictionary::empty(), asset: Vec::new() };
        let mut sensors = Vec::with_capacity(open.numbers.len());
        let mut assets = std::collections::BTreeMap::new();
        self.registry.for_each_known(&open.numbers, |name, location, asset| {
            name_dictionary::push_name(&mut table.names, name);
            let index =
                *assets.entry(location.asset).or_insert_with(|| name_dictionary::push_name(&mut table.assets, asset));
            table.asset.push(index);
            sensors.push((location.sensor, Arc::clone(name)));
        });
        let readings = ReadingColumns { sensor: open.sensor, time: open.time, value: open.value };
        let batch = Batch {
            readings: ReadingBatch { sensors: table, readings, waveforms: open.waveforms, arrivals: open.arrivals },
            sensors,
            origins: open.origins,
            arrival: open.arrival,
        };
        steps.push(PlannedStep { step: Step::Push(Box::new(batch)), next: open.next });
    }
}

/// The cells of a column for which `kept` is true.
fn filter_column<T>(column: Vec<T>, kept: &[bool]) -> Vec<T> {
    column.into_iter().zip(kept).filter_map(|(cell, &kept)| kept.then_some(cell)).collect()
}

/// A batch that still accepts records.
#[derive(Debug)]
struct OpenBatch {
    numbers: Vec<u32>,
    sensor: Vec<u32>,
    time: Vec<i64>,
    value: Vec<f64>,
    waveforms: Vec<Waveform>,
    /// Number of samples of the waveforms.
    samples: usize,
    origins: Vec<(u32, u64)>,
    arrival: i64,
    arrivals: Vec<Arrival>,
    next: u64,
}

impl Default for OpenBatch {
    fn default() -> Self {
        Self {
            numbers: Vec::new(),
            sensor: Vec::new(),
            time: Vec::new(),
            value: Vec::new(),
            waveforms: Vec::new(),
            samples: 0,
            origins: Vec::new(),
            arrival: i64::MAX,
            arrivals: Vec::new(),
            next: 0,
        }
    }
}

impl OpenBatch {
    fn count(&self) -> u32 {
        u32::try_from(self.sensor.len() + self.waveforms.len()).unwrap_or(u32::MAX)
    }
}
