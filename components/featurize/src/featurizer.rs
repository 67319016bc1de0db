//! The state of the stage, and its operations.

use std::collections::HashMap;

use crate::{
    batch::{Batch, Waveform},
    config::{ConfigError, MachineProperties, WindowRules},
    features::{FeatureExtractor, WAVEFORM_FEATURES, WINDOW_FEATURES},
    pending::{BatchCursor, PendingWork},
    sensor::{ClosedWindow, InsertOutcome, SensorState, SensorStateV2, SensorStateV3},
};

/// First byte of a snapshot. Version 2 had no arrivals, and no hashes of waveforms; version 3 had one length of windows.
const SNAPSHOT_VERSION: u8 = 4;
/// Approximate limit for the number of rows that one call returns, because the size of a result is bounded.
const MAX_ROWS_PER_CALL: usize = 16_384;

/// The features of one window, in the order of [`WINDOW_FEATURES`], or of one waveform, in the order of
/// [`WAVEFORM_FEATURES`].
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureRow<const N: usize = { WINDOW_FEATURES.len() }> {
    /// Index into [`Featurized::sensors`].
    pub sensor: u32,
    /// Start of the window (included), in nanoseconds since 1970.
    pub start: i64,
    /// End of the window (excluded), in nanoseconds since 1970.
    pub end: i64,
    /// Number of readings or samples in the window.
    pub count: u32,
    /// The values of the features. NaN: not defined for this window.
    pub values: [f64; N],
}

/// The result of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Featurized {
    /// Name and asset of each sensor in the rows.
    pub sensors: Vec<(Box<str>, Box<str>)>,
    /// Windows of scalar readings, in the order in which they closed.
    pub windows: Vec<FeatureRow>,
    /// Waveforms; each is a window of its own.
    pub waveforms: Vec<FeatureRow<{ WAVEFORM_FEATURES.len() }>>,
    /// Readings and waveforms that contradict an earlier one of the same sensor and time: the index of the reading, or
    /// for a waveform the number of readings plus its index.
    pub conflicts: Vec<u32>,
    /// Readings and waveforms that are identical to an earlier one. Indices as in `conflicts`.
    pub repeated: Vec<u32>,
    /// Indices of readings behind the watermark of their sensor. Windows that had closed do not contain them.
    pub late: Vec<u32>,
    /// Whether [`Featurizer::resume`] returns more results of this call.
    pub has_more: bool,
}

impl Featurized {
    /// Appends the result of [`Featurizer::resume`].
    pub fn append(&mut self, next: Self) {
        let mut indices: HashMap<Box<str>, u32> =
            (0..).zip(&self.sensors).map(|(index, (name, _))| (name.clone(), index)).collect();
        let mapping: Vec<u32> = next
            .sensors
            .into_iter()
            .map(|(name, asset)| {
                let new_index = u32::try_from(self.sensors.len()).unwrap_or(u32::MAX);
                *indices.entry(name.clone()).or_insert_with(|| {
                    self.sensors.push((name, asset));
                    new_index
                })
            })
            .collect();
        let mapped = |sensor: u32| mapping.get(sensor as usize).copied().unwrap_or(u32::MAX);
        self.windows.extend(next.windows.into_iter().map(|row| FeatureRow { sensor: mapped(row.sensor), ..row }));
        self.waveforms.extend(next.waveforms.into_iter().map(|row| FeatureRow { sensor: mapped(row.sensor), ..row }));
        self.conflicts.extend(next.conflicts);
        self.repeated.extend(next.repeated);
        self.late.extend(next.late);
        self.has_more = next.has_more;
    }

    fn is_full(&self) -> bool {
        self.windows.len() + self.waveforms.len() >= MAX_ROWS_PER_CALL
    }
}

/// Why a batch is invalid. The state does not change.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PushError {
    /// Columns of unequal length.
    #[error("the columns sensor, time and value have {0}, {1} and {2} entries; expected equal lengths")]
    ColumnLengths(usize, usize, usize),
    /// A sensor that is not in the table.
    #[error("sensor {0} is not in the batch's table of {1}")]
    UnknownSensor(u32, usize),
    /// A waveform without samples, or with an invalid rate.
    #[error("waveform {0} has {1} samples at {2} Hz; expected at least one, at a rate above 0")]
    Waveform(usize, usize, f64),
}

/// Why a snapshot cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not a snapshot of this stage, or of an unsupported version.
    #[error("expected a snapshot of featurize, version 2 to {SNAPSHOT_VERSION}; {0}")]
    Snapshot(String),
}

/// Keeps the windows of all sensors and computes their features.
#[derive(Debug)]
pub struct Featurizer {
    rules: WindowRules,
    sensors: Vec<SensorState>,
    /// The index in `sensors` of each name.
    index_by_name: HashMap<Box<str>, usize, foldhash::fast::FixedState>,
    extractor: FeatureExtractor,
    /// For each sensor, the number of the last call whose output contains it, and its index in the sensor table of that
    /// output.
    output_slots: Vec<(u64, u32)>,
    /// The number of the current call.
    call_number: u64,
    /// Buffer for the samples of a waveform as f64.
    samples_f64: Vec<f64>,
    /// The work that the last call left because its output was full.
    pending: Option<PendingWork>,
}

impl Featurizer {
    /// Creates a featurizer with a configuration as JSON. An empty string selects the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is invalid.
    pub fn open(config: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            rules: WindowRules::parse(config)?,
            sensors: Vec::new(),
            index_by_name: HashMap::default(),
            extractor: FeatureExtractor::default(),
            output_slots: Vec::new(),
            call_number: 0,
            samples_f64: Vec::new(),
            pending: None,
        })
    }

    /// Creates a featurizer with the state of a snapshot.
    ///
    /// # Errors
    /// [`RestoreError`] if the configuration is invalid or the snapshot cannot be read.
    pub fn restore(config: &str, snapshot: &[u8]) -> Result<Self, RestoreError> {
        let unreadable = |error| RestoreError::Snapshot(format!("its body cannot be read: {error}"));
        let sensors: Vec<SensorState> = match snapshot {
            [SNAPSHOT_VERSION, body @ ..] => postcard::from_bytes(body).map_err(unreadable)?,
            [3, body @ ..] => {
                let old: Vec<SensorStateV3> = postcard::from_bytes(body).map_err(unreadable)?;
                old.into_iter().map(SensorState::from).collect()
            }
            [2, body @ ..] => {
                let old: Vec<SensorStateV2> = postcard::from_bytes(body).map_err(unreadable)?;
                old.into_iter().map(SensorState::from).collect()
            }
            [version, ..] => return Err(RestoreError::Snapshot(format!("got version {version}"))),
            [] => return Err(RestoreError::Snapshot("got no bytes".into())),
        };
        let empty = Self::open(config)?;
        let mut sensors = sensors;
        for sensor in &mut sensors {
            sensor.properties = empty.rules.properties(&sensor.name);
            if !empty.rules.follows_rate {
                sensor.set_factor(1, &empty.rules);
            }
        }
        let index_by_name = sensors.iter().enumerate().map(|(number, sensor)| (sensor.name.clone(), number)).collect();
        let output_slots = vec![(0, 0); sensors.len()];
        Ok(Self { sensors, index_by_name, output_slots, ..empty })
    }

    /// Serialises the state. Pending work is not part of it: call [`Self::resume`] until nothing is left first.
    pub fn snapshot(&self) -> Vec<u8> {
        // Serialising strings and numbers cannot fail.
        let body = postcard::to_stdvec(&self.sensors).unwrap_or_default();
        [&[SNAPSHOT_VERSION], body.as_slice()].concat()
    }

    /// Processes a batch and returns the windows that it closed.
    ///
    /// # Errors
    /// [`PushError`] if the batch is invalid.
    pub fn push(&mut self, batch: &Batch<'_>) -> Result<Featurized, PushError> {
        validate(batch)?;
        let mut out = Featurized::default();
        if let Some(cursor) = self.process(batch, BatchCursor::default(), &mut out) {
            out.has_more = true;
            self.pending = Some(PendingWork::from_batch(batch, cursor));
        }
        Ok(out)
    }

    /// Continues the last call if its output was full. Indices refer to the batch of that call.
    pub fn resume(&mut self) -> Featurized {
        let mut out = Featurized::default();
        self.pending = match self.pending.take() {
            None => None,
            Some(PendingWork::Batch(batch, cursor)) => {
                let next_cursor = batch.with_borrowed(|borrowed| self.process(borrowed, cursor, &mut out));
                next_cursor.map(|cursor| PendingWork::Batch(batch, cursor))
            }
            Some(PendingWork::Sensors(numbers, now)) => self.close_sensors(numbers, now, &mut out),
        };
        out.has_more = self.pending.is_some();
        out
    }

    /// Completes the result of a call: resumes until nothing is left.
    pub fn complete(&mut self, mut first: Featurized) -> Featurized {
        while first.has_more {
            first.append(self.resume());
        }
        first
    }

    /// Processes a batch from a cursor on. If the output becomes full, returns the cursor at which to continue.
    fn process(&mut self, batch: &Batch<'_>, from: BatchCursor, out: &mut Featurized) -> Option<BatchCursor> {
        self.call_number += 1;
        let mut numbers: Vec<Option<usize>> = vec![None; batch.sensors.len()];
        if let Some(number) = from.closing_sensor
            && !self.close_due(number, out)
        {
            return Some(from);
        }
        let mut arrivals = batch.arrivals.iter().peekable();
        let mut arrival = i64::MAX;
        let readings = batch.sensor.iter().zip(batch.time).zip(batch.value);
        for (index, ((&table_index, &time), &value)) in (0..).zip(readings).skip(from.next_reading) {
            while let Some(&(_, at)) = arrivals.next_if(|(first, _)| *first <= index) {
                arrival = at;
            }
            let Some(number) = self.sensor_index(table_index, batch.sensors, &mut numbers) else { continue };
            let Some(sensor) = self.sensors.get_mut(number) else { continue };
            match sensor.insert_reading(time, value, arrival, &sensor.window_times(&self.rules)) {
                InsertOutcome::OnTime => {}
                InsertOutcome::Late => out.late.push(index),
                InsertOutcome::Repeated => out.repeated.push(index),
                InsertOutcome::Conflict => out.conflicts.push(index),
            }
            if !self.close_due(number, out) {
                let reading = usize::try_from(index).unwrap_or(usize::MAX).saturating_add(1);
                return Some(BatchCursor { next_reading: reading, closing_sensor: Some(number), next_waveform: 0 });
            }
        }
        let readings_len = u32::try_from(batch.time.len()).unwrap_or(u32::MAX);
        for (position, waveform) in batch.waveforms.iter().enumerate().skip(from.next_waveform) {
            if out.is_full() {
                return Some(BatchCursor {
                    next_reading: batch.time.len(),
                    closing_sensor: None,
                    next_waveform: position,
                });
            }
            let index = readings_len.saturating_add(u32::try_from(position).unwrap_or(u32::MAX));
            let Some(number) = self.sensor_index(waveform.sensor, batch.sensors, &mut numbers) else { continue };
            let Some(sensor) = self.sensors.get_mut(number) else { continue };
            match sensor.insert_waveform(waveform.start, waveform_hash(waveform)) {
                InsertOutcome::OnTime | InsertOutcome::Late => {}
                InsertOutcome::Repeated => {
                    out.repeated.push(index);
                    continue;
                }
                InsertOutcome::Conflict => {
                    out.conflicts.push(index);
                    continue;
                }
            }
            self.samples_f64.clear();
            self.samples_f64.extend(waveform.samples.iter().map(|&sample| f64::from(sample)));
            let Some(sensor) = self.sensors.get(number) else { continue };
            let machine = sensor.properties.machine.as_deref();
            let shaft = self.shaft_hz(machine, waveform.start);
            out.waveforms.push(FeatureRow {
                sensor: output_index(number, sensor, self.call_number, &mut self.output_slots, &mut out.sensors),
                start: waveform.start,
                end: waveform_end(waveform),
                count: u32::try_from(waveform.samples.len()).unwrap_or(u32::MAX),
                values: self.extractor.waveform_features(&self.samples_f64, waveform.rate, machine, shaft),
            });
        }
        None
    }

    /// Closes the windows of a sensor whose end the watermark has reached. Returns false if the output becomes full
    /// first.
    #[inline]
    fn close_due(&mut self, number: usize, out: &mut Featurized) -> bool {
        let Some(sensor) = self.sensors.get_mut(number) else { return true };
        loop {
            if out.is_full() {
                return false;
            }
            let Some(window) = sensor.close_due(&self.rules) else { return true };
            let row = window_row(&mut self.extractor, &window);
            push_window_row(row, number, sensor, self.call_number, &mut self.output_slots, out);
        }
    }

    /// Returns the shaft speed for a waveform with this start, in Hz: the newest reading of the machine's speed sensor
    /// that arrived before the waveform and is not newer than its start, else the configured speed.
    fn shaft_hz(&self, machine: Option<&MachineProperties>, start: i64) -> Option<f64> {
        let machine = machine?;
        let sensor = machine.speed_sensor.as_deref().and_then(|name| self.index_by_name.get(name));
        sensor.and_then(|&number| self.sensors.get(number)?.shaft_speed(start, &self.rules)).or(machine.shaft_hz)
    }

    /// Closes the windows of sensors that sent nothing since the previous tick, except windows with readings after
    /// `now`, in nanoseconds since 1970.
    pub fn tick(&mut self, now: i64) -> Featurized {
        let out = self.close_selected(now, |sensor| sensor.is_idle);
        for sensor in &mut self.sensors {
            sensor.is_idle = true;
        }
        out
    }

    /// Closes every window.
    pub fn flush(&mut self) -> Featurized {
        self.close_selected(i64::MAX, |_| true)
    }

    /// Closes the windows of the selected sensors in the order of their names, which does not depend on how the sensors
    /// are distributed over instances.
    fn close_selected(&mut self, now: i64, is_selected: impl Fn(&SensorState) -> bool) -> Featurized {
        let due = self.sensors.iter().enumerate().filter(|(_, sensor)| sensor.has_open_window() && is_selected(sensor));
        let mut selected: Vec<(&str, usize)> = due.map(|(number, sensor)| (&*sensor.name, number)).collect();
        // In descending order, because the list is processed from its end.
        selected.sort_unstable_by(|a, b| b.cmp(a));
        let numbers = selected.into_iter().map(|(_, number)| number).collect();
        let mut out = Featurized::default();
        self.pending = self.close_sensors(numbers, now, &mut out);
        out.has_more = self.pending.is_some();
        out
    }

    /// Closes the windows of these sensors, from the last to the first. If the output becomes full, returns the work
    /// that is left.
    fn close_sensors(&mut self, mut numbers: Vec<usize>, now: i64, out: &mut Featurized) -> Option<PendingWork> {
        self.call_number += 1;
        while let Some(&number) = numbers.last() {
            if let Some(sensor) = self.sensors.get_mut(number) {
                loop {
                    if out.is_full() {
                        return Some(PendingWork::Sensors(numbers, now));
                    }
                    let Some(window) = sensor.force_close(now, &self.rules) else { break };
                    let row = window_row(&mut self.extractor, &window);
                    push_window_row(row, number, sensor, self.call_number, &mut self.output_slots, out);
                }
            }
            numbers.pop();
        }
        None
    }

    /// Returns the index of a sensor of the batch in the state. Adds the sensor if it is new.
    #[inline]
    fn sensor_index(
        &mut self,
        table_index: u32,
        table: &[(&str, &str)],
        numbers: &mut [Option<usize>],
    ) -> Option<usize> {
        let slot = numbers.get_mut(table_index as usize)?;
        if slot.is_none() {
            let (name, asset) = table.get(table_index as usize)?;
            let number = match self.index_by_name.get(*name) {
                Some(&number) => number,
                None => {
                    let number = self.sensors.len();
                    self.sensors.push(SensorState::new(name, asset, self.rules.properties(name)));
                    self.output_slots.push((0, 0));
                    self.index_by_name.insert((*name).into(), number);
                    number
                }
            };
            *slot = Some(number);
        }
        *slot
    }
}

fn validate(batch: &Batch<'_>) -> Result<(), PushError> {
    let (sensor, time, value) = (batch.sensor.len(), batch.time.len(), batch.value.len());
    if sensor != time || time != value {
        return Err(PushError::ColumnLengths(sensor, time, value));
    }
    let table_len = batch.sensors.len();
    let indices = batch.sensor.iter().copied().chain(batch.waveforms.iter().map(|waveform| waveform.sensor));
    if let Some(largest) = indices.max().filter(|&largest| largest as usize >= table_len) {
        return Err(PushError::UnknownSensor(largest, table_len));
    }
    for (index, waveform) in batch.waveforms.iter().enumerate() {
        if waveform.samples.is_empty() || !(waveform.rate.is_finite() && waveform.rate > 0.0) {
            return Err(PushError::Waveform(index, waveform.samples.len(), waveform.rate));
        }
    }
    Ok(())
}

/// Returns the FNV-1a hash of rate and samples, one word at a time. It is never 0, which stands for an unknown hash.
fn waveform_hash(waveform: &Waveform<'_>) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let seeded = mix(0xcbf2_9ce4_8422_2325, waveform.rate.to_bits());
    waveform.samples.iter().fold(seeded, |hash, sample| mix(hash, sample.to_bits().into())).max(1)
}

/// Returns the row of a window of readings. Its sensor index is set by [`push_window_row`].
#[allow(clippy::cast_precision_loss, reason = "a window's length")]
fn window_row(extractor: &mut FeatureExtractor, window: &ClosedWindow<'_>) -> FeatureRow {
    let expected = window.expected_rate * (window.end.saturating_sub(window.start) as f64 / 1e9);
    FeatureRow {
        sensor: 0,
        start: window.start,
        end: window.end,
        count: u32::try_from(window.values.len()).unwrap_or(u32::MAX),
        values: extractor.window_features(window.times, window.values, window.rate, expected),
    }
}

fn push_window_row(
    mut row: FeatureRow,
    number: usize,
    sensor: &SensorState,
    call_number: u64,
    output_slots: &mut [(u64, u32)],
    out: &mut Featurized,
) {
    row.sensor = output_index(number, sensor, call_number, output_slots, &mut out.sensors);
    out.windows.push(row);
}

/// Returns the index of a sensor in the sensor table of the output. Adds the sensor if this call has not added it yet.
fn output_index(
    number: usize,
    sensor: &SensorState,
    call_number: u64,
    output_slots: &mut [(u64, u32)],
    table: &mut Vec<(Box<str>, Box<str>)>,
) -> u32 {
    match output_slots.get_mut(number) {
        Some((last_call, index)) if *last_call == call_number => *index,
        Some(slot) => {
            let index = u32::try_from(table.len()).unwrap_or(u32::MAX);
            table.push((sensor.name.clone(), sensor.asset.clone()));
            *slot = (call_number, index);
            index
        }
        None => 0,
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a length in nanoseconds; `as` saturates"
)]
fn waveform_end(waveform: &Waveform<'_>) -> i64 {
    waveform.start.saturating_add((waveform.samples.len() as f64 / waveform.rate * 1e9).round() as i64)
}
