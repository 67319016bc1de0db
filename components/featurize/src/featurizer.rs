//! The state of the stage, and its operations.

use std::collections::HashMap;

use crate::{
    config::{ConfigError, Machine, Rules},
    features::{BURST_FEATURES, Extractor, FEATURES},
    rest::{Place, Rest},
    sensor::{Sensor, Taken, Version2, Window},
};

/// First byte of a snapshot. Version 2 had no arrivals, and no hashes of waveforms.
const SNAPSHOT_VERSION: u8 = 3;
/// Approximate limit for the number of rows that one call returns, because the size of a result is bounded.
const MOST_ROWS: usize = 16_384;

/// A batch of readings and waveforms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// Name and asset of each sensor.
    pub sensors: &'a [(&'a str, &'a str)],
    /// Index into `sensors`, one per reading.
    pub sensor: &'a [u32],
    /// Nanoseconds since 1970, one per reading.
    pub time: &'a [i64],
    /// Finite value in the unit of the sensor, one per reading.
    pub value: &'a [f64],
    /// Waveforms; they are processed after the readings.
    pub bursts: &'a [Burst<'a>],
    /// Arrivals as (index of the first reading, arrival in ns since 1970), by rising index. An entry applies to the
    /// readings up to the next entry. The arrival of readings before the first entry is unknown.
    pub arrivals: &'a [(u32, i64)],
}

/// Samples of one sensor, taken at a constant rate.
#[derive(Clone, Copy, Debug)]
pub struct Burst<'a> {
    /// Index into [`Batch::sensors`].
    pub sensor: u32,
    /// Time of the first sample, in nanoseconds since 1970.
    pub start: i64,
    /// Sampling rate, in Hz; above 0.
    pub rate: f64,
    /// Values in the unit of the sensor; at least one.
    pub samples: &'a [f32],
}

/// The features of one window, in the order of [`FEATURES`], or of one waveform, in the order of [`BURST_FEATURES`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row<const N: usize = { FEATURES.len() }> {
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
    pub windows: Vec<Row>,
    /// Waveforms; each is a window of its own.
    pub bursts: Vec<Row<{ BURST_FEATURES.len() }>>,
    /// Readings and waveforms that contradict an earlier one of the same sensor and time: the index of the reading, or
    /// for a waveform the number of readings plus its index.
    pub conflicts: Vec<u32>,
    /// Readings and waveforms that are identical to an earlier one. Indices as in `conflicts`.
    pub repeated: Vec<u32>,
    /// Indices of readings behind the watermark of their sensor. Windows that had closed do not contain them.
    pub late: Vec<u32>,
    /// Whether [`Featurizer::resume`] returns more results of this call.
    pub more: bool,
}

impl Featurized {
    /// Appends the result of [`Featurizer::resume`].
    pub fn join(&mut self, next: Self) {
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
        self.windows.extend(next.windows.into_iter().map(|row| Row { sensor: mapped(row.sensor), ..row }));
        self.bursts.extend(next.bursts.into_iter().map(|row| Row { sensor: mapped(row.sensor), ..row }));
        self.conflicts.extend(next.conflicts);
        self.repeated.extend(next.repeated);
        self.late.extend(next.late);
        self.more = next.more;
    }

    fn is_full(&self) -> bool {
        self.windows.len() + self.bursts.len() >= MOST_ROWS
    }
}

/// Why a batch is invalid. The state does not change.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PushError {
    /// Columns of unequal length.
    #[error("the columns sensor, time and value have {0}, {1} and {2} entries; expected equal lengths")]
    Lengths(usize, usize, usize),
    /// A sensor that is not in the table.
    #[error("sensor {0} is not in the batch's table of {1}")]
    Sensor(u32, usize),
    /// A waveform without samples, or with an invalid rate.
    #[error("waveform {0} has {1} samples at {2} Hz; expected at least one, at a rate above 0")]
    Burst(usize, usize, f64),
}

/// Why a snapshot cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not a snapshot of this stage, or of an unsupported version.
    #[error("expected a snapshot of featurize, version 2 or {SNAPSHOT_VERSION}; {0}")]
    Snapshot(String),
}

/// Keeps the windows of all sensors and computes their features.
#[derive(Debug)]
pub struct Featurizer {
    rules: Rules,
    sensors: Vec<Sensor>,
    /// The index in `sensors` of each name.
    numbers: HashMap<Box<str>, usize, foldhash::fast::FixedState>,
    extractor: Extractor,
    /// For each sensor, the number of the last call whose output contains it, and its index in the sensor table of that
    /// output.
    placed: Vec<(u64, u32)>,
    /// The number of the current call.
    call: u64,
    /// Buffer for the samples of a waveform as f64.
    wide: Vec<f64>,
    /// The work that the last call left because its output was full.
    rest: Option<Rest>,
}

impl Featurizer {
    /// Creates a featurizer with a configuration as JSON. An empty string selects the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is invalid.
    pub fn open(config: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            rules: Rules::parse(config)?,
            sensors: Vec::new(),
            numbers: HashMap::default(),
            extractor: Extractor::default(),
            placed: Vec::new(),
            call: 0,
            wide: Vec::new(),
            rest: None,
        })
    }

    /// Creates a featurizer with the state of a snapshot.
    ///
    /// # Errors
    /// [`RestoreError`] if the configuration is invalid or the snapshot cannot be read.
    pub fn restore(config: &str, snapshot: &[u8]) -> Result<Self, RestoreError> {
        let unreadable = |error| RestoreError::Snapshot(format!("its body cannot be read: {error}"));
        let sensors: Vec<Sensor> = match snapshot {
            [SNAPSHOT_VERSION, body @ ..] => postcard::from_bytes(body).map_err(unreadable)?,
            [2, body @ ..] => {
                let old: Vec<Version2> = postcard::from_bytes(body).map_err(unreadable)?;
                old.into_iter().map(Sensor::from).collect()
            }
            [version, ..] => return Err(RestoreError::Snapshot(format!("got version {version}"))),
            [] => return Err(RestoreError::Snapshot("got no bytes".into())),
        };
        let empty = Self::open(config)?;
        let mut sensors = sensors;
        for sensor in &mut sensors {
            sensor.about = empty.rules.about(&sensor.name);
        }
        let numbers = sensors.iter().enumerate().map(|(number, sensor)| (sensor.name.clone(), number)).collect();
        let placed = vec![(0, 0); sensors.len()];
        Ok(Self { sensors, numbers, placed, ..empty })
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
        check(batch)?;
        let mut out = Featurized::default();
        if let Some(cursor) = self.take(batch, Place::default(), &mut out) {
            out.more = true;
            self.rest = Some(Rest::of(batch, cursor));
        }
        Ok(out)
    }

    /// Continues the last call if its output was full. Indices refer to the batch of that call.
    pub fn resume(&mut self) -> Featurized {
        let mut out = Featurized::default();
        self.rest = match self.rest.take() {
            None => None,
            Some(Rest::Batch(batch, cursor)) => {
                let stopped = batch.lend(|borrowed| self.take(borrowed, cursor, &mut out));
                stopped.map(|cursor| Rest::Batch(batch, cursor))
            }
            Some(Rest::Sensors(numbers, now)) => self.close_in_order(numbers, now, &mut out),
        };
        out.more = self.rest.is_some();
        out
    }

    /// Completes the result of a call: resumes until nothing is left.
    pub fn whole(&mut self, mut first: Featurized) -> Featurized {
        while first.more {
            first.join(self.resume());
        }
        first
    }

    /// Processes a batch from a cursor on. If the output becomes full, returns the cursor at which to continue.
    fn take(&mut self, batch: &Batch<'_>, from: Place, out: &mut Featurized) -> Option<Place> {
        self.call += 1;
        let mut numbers: Vec<Option<usize>> = vec![None; batch.sensors.len()];
        if let Some(number) = from.closing
            && !self.close_due(number, out)
        {
            return Some(from);
        }
        let mut arrivals = batch.arrivals.iter().peekable();
        let mut arrival = i64::MAX;
        let readings = batch.sensor.iter().zip(batch.time).zip(batch.value);
        for (index, ((&local, &time), &value)) in (0..).zip(readings).skip(from.reading) {
            while let Some(&(_, at)) = arrivals.next_if(|(first, _)| *first <= index) {
                arrival = at;
            }
            let Some(number) = self.number(local, batch.sensors, &mut numbers) else { continue };
            let Some(sensor) = self.sensors.get_mut(number) else { continue };
            match sensor.insert(time, value, arrival, &self.rules) {
                Taken::InTime => {}
                Taken::Late => out.late.push(index),
                Taken::Repeated => out.repeated.push(index),
                Taken::Conflict => out.conflicts.push(index),
            }
            if !self.close_due(number, out) {
                let reading = usize::try_from(index).unwrap_or(usize::MAX).saturating_add(1);
                return Some(Place { reading, closing: Some(number), burst: 0 });
            }
        }
        let readings_len = u32::try_from(batch.time.len()).unwrap_or(u32::MAX);
        for (position, waveform) in batch.bursts.iter().enumerate().skip(from.burst) {
            if out.is_full() {
                return Some(Place { reading: batch.time.len(), closing: None, burst: position });
            }
            let index = readings_len.saturating_add(u32::try_from(position).unwrap_or(u32::MAX));
            let Some(number) = self.number(waveform.sensor, batch.sensors, &mut numbers) else { continue };
            let Some(sensor) = self.sensors.get_mut(number) else { continue };
            match sensor.burst(waveform.start, hash(waveform)) {
                Taken::InTime | Taken::Late => {}
                Taken::Repeated => {
                    out.repeated.push(index);
                    continue;
                }
                Taken::Conflict => {
                    out.conflicts.push(index);
                    continue;
                }
            }
            self.wide.clear();
            self.wide.extend(waveform.samples.iter().map(|&sample| f64::from(sample)));
            let Some(sensor) = self.sensors.get(number) else { continue };
            let machine = sensor.about.machine.as_deref();
            let shaft = self.shaft(machine, waveform.start);
            out.bursts.push(Row {
                sensor: place(number, sensor, self.call, &mut self.placed, &mut out.sensors),
                start: waveform.start,
                end: burst_end(waveform),
                count: u32::try_from(waveform.samples.len()).unwrap_or(u32::MAX),
                values: self.extractor.burst(&self.wide, waveform.rate, machine, shaft),
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
            let Some(window) = sensor.close(&self.rules) else { return true };
            let row = scalar_row(&self.rules, &mut self.extractor, &window);
            add(row, number, sensor, self.call, &mut self.placed, out);
        }
    }

    /// Returns the shaft speed for a waveform with this start, in Hz: the newest reading of the machine's speed sensor
    /// that arrived before the waveform and is not newer than its start, else the configured speed.
    fn shaft(&self, machine: Option<&Machine>, start: i64) -> Option<f64> {
        let machine = machine?;
        let sensor = machine.speed_sensor.as_deref().and_then(|name| self.numbers.get(name));
        sensor.and_then(|&number| self.sensors.get(number)?.speed(start, &self.rules)).or(machine.shaft)
    }

    /// Closes the windows of sensors that sent nothing since the previous tick, except windows with readings after
    /// `now`, in nanoseconds since 1970.
    pub fn tick(&mut self, now: i64) -> Featurized {
        let out = self.close(now, |sensor| sensor.idle);
        for sensor in &mut self.sensors {
            sensor.idle = true;
        }
        out
    }

    /// Closes every window.
    pub fn flush(&mut self) -> Featurized {
        self.close(i64::MAX, |_| true)
    }

    /// Closes the windows of the selected sensors in the order of their names, which does not depend on how the sensors
    /// are distributed over instances.
    fn close(&mut self, now: i64, is_selected: impl Fn(&Sensor) -> bool) -> Featurized {
        let due = self.sensors.iter().enumerate().filter(|(_, sensor)| sensor.waits() && is_selected(sensor));
        let mut named: Vec<(&str, usize)> = due.map(|(number, sensor)| (&*sensor.name, number)).collect();
        // In descending order, because the list is processed from its end.
        named.sort_unstable_by(|a, b| b.cmp(a));
        let numbers = named.into_iter().map(|(_, number)| number).collect();
        let mut out = Featurized::default();
        self.rest = self.close_in_order(numbers, now, &mut out);
        out.more = self.rest.is_some();
        out
    }

    /// Closes the windows of these sensors, from the last to the first. If the output becomes full, returns the work
    /// that is left.
    fn close_in_order(&mut self, mut numbers: Vec<usize>, now: i64, out: &mut Featurized) -> Option<Rest> {
        self.call += 1;
        while let Some(&number) = numbers.last() {
            if let Some(sensor) = self.sensors.get_mut(number) {
                loop {
                    if out.is_full() {
                        return Some(Rest::Sensors(numbers, now));
                    }
                    let Some(window) = sensor.force_close(now, &self.rules) else { break };
                    let row = scalar_row(&self.rules, &mut self.extractor, &window);
                    add(row, number, sensor, self.call, &mut self.placed, out);
                }
            }
            numbers.pop();
        }
        None
    }

    /// Returns the index of a sensor of the batch in the state. Adds the sensor if it is new.
    #[inline]
    fn number(&mut self, local: u32, table: &[(&str, &str)], numbers: &mut [Option<usize>]) -> Option<usize> {
        let slot = numbers.get_mut(local as usize)?;
        if slot.is_none() {
            let (name, asset) = table.get(local as usize)?;
            let number = match self.numbers.get(*name) {
                Some(&number) => number,
                None => {
                    let number = self.sensors.len();
                    self.sensors.push(Sensor::new(name, asset, self.rules.about(name)));
                    self.placed.push((0, 0));
                    self.numbers.insert((*name).into(), number);
                    number
                }
            };
            *slot = Some(number);
        }
        *slot
    }
}

fn check(batch: &Batch<'_>) -> Result<(), PushError> {
    let (sensor, time, value) = (batch.sensor.len(), batch.time.len(), batch.value.len());
    if sensor != time || time != value {
        return Err(PushError::Lengths(sensor, time, value));
    }
    let table_len = batch.sensors.len();
    let indices = batch.sensor.iter().copied().chain(batch.bursts.iter().map(|waveform| waveform.sensor));
    if let Some(largest) = indices.max().filter(|&largest| largest as usize >= table_len) {
        return Err(PushError::Sensor(largest, table_len));
    }
    for (index, waveform) in batch.bursts.iter().enumerate() {
        if waveform.samples.is_empty() || !(waveform.rate.is_finite() && waveform.rate > 0.0) {
            return Err(PushError::Burst(index, waveform.samples.len(), waveform.rate));
        }
    }
    Ok(())
}

/// Returns the FNV-1a hash of rate and samples, one word at a time. It is never 0, which stands for an unknown hash.
fn hash(waveform: &Burst<'_>) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let seeded = mix(0xcbf2_9ce4_8422_2325, waveform.rate.to_bits());
    waveform.samples.iter().fold(seeded, |hash, sample| mix(hash, sample.to_bits().into())).max(1)
}

/// Returns the row of a window of readings. Its sensor index is set by [`add`].
#[allow(clippy::cast_precision_loss, reason = "a window's length")]
fn scalar_row(rules: &Rules, extractor: &mut Extractor, window: &Window<'_>) -> Row {
    let expected = window.expected * (rules.size as f64 / 1e9);
    Row {
        sensor: 0,
        start: window.start,
        end: window.start.saturating_add(rules.size),
        count: u32::try_from(window.values.len()).unwrap_or(u32::MAX),
        values: extractor.window(window.times, window.values, window.rate, expected),
    }
}

fn add(
    mut row: Row,
    number: usize,
    sensor: &Sensor,
    call_number: u64,
    placed: &mut [(u64, u32)],
    out: &mut Featurized,
) {
    row.sensor = place(number, sensor, call_number, placed, &mut out.sensors);
    out.windows.push(row);
}

/// Returns the index of a sensor in the sensor table of the output. Adds the sensor if this call has not added it yet.
fn place(
    number: usize,
    sensor: &Sensor,
    call_number: u64,
    placed: &mut [(u64, u32)],
    table: &mut Vec<(Box<str>, Box<str>)>,
) -> u32 {
    match placed.get_mut(number) {
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
fn burst_end(waveform: &Burst<'_>) -> i64 {
    waveform.start.saturating_add((waveform.samples.len() as f64 / waveform.rate * 1e9).round() as i64)
}
