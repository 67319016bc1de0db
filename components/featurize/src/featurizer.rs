//! The stage's state and its calls.

use std::collections::HashMap;

use crate::{
    config::{ConfigError, Machine, Rules},
    features::{BURST_FEATURES, Extractor, FEATURES},
    rest::{Place, Rest},
    sensor::{Sensor, Taken, Version2, Window},
};

/// First byte of a snapshot. Version 2 knew no arrivals, and nothing of waveforms but their starts.
const SNAPSHOT_VERSION: u8 = 3;
/// Rows that one call gives, about: what goes from a component to its host at once is bounded.
const MOST_ROWS: usize = 16_384;

/// A batch of readings and bursts. `sensor` indexes `sensors`, which are (name, asset).
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// Names and assets.
    pub sensors: &'a [(&'a str, &'a str)],
    /// One a reading.
    pub sensor: &'a [u32],
    /// Nanoseconds since 1970, one a reading.
    pub time: &'a [i64],
    /// One a reading.
    pub value: &'a [f64],
    /// Bursts; they come after the readings.
    pub bursts: &'a [Burst<'a>],
    /// When readings arrived: from the index in the first place on, at the time in the second, in ns since 1970. Before the
    /// first entry it is not known.
    pub arrivals: &'a [(u32, i64)],
}

/// A burst of samples.
#[derive(Clone, Copy, Debug)]
pub struct Burst<'a> {
    /// Index into the batch's sensors.
    pub sensor: u32,
    /// Time of the first sample, in nanoseconds since 1970.
    pub start: i64,
    /// Samples a second, in Hz.
    pub rate: f64,
    /// In the sensor's unit.
    pub samples: &'a [f32],
}

/// The features of one window, in the order of [`FEATURES`], or of one burst, in that of [`BURST_FEATURES`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row<const N: usize = { FEATURES.len() }> {
    /// Index into [`Featurized::sensors`].
    pub sensor: u32,
    /// Included.
    pub start: i64,
    /// Excluded.
    pub end: i64,
    /// Readings or samples in it.
    pub count: u32,
    /// The features.
    pub values: [f64; N],
}

/// What a call gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Featurized {
    /// Names and assets of the sensors in the rows.
    pub sensors: Vec<(Box<str>, Box<str>)>,
    /// Windows of scalar readings, as they closed.
    pub windows: Vec<Row>,
    /// Bursts, each a window.
    pub bursts: Vec<Row<{ BURST_FEATURES.len() }>>,
    /// Readings and bursts that contradict one of the same sensor and time: the index into the readings, or for a burst the
    /// number of readings plus its index.
    pub conflicts: Vec<u32>,
    /// Those that came before, to the last bit.
    pub repeated: Vec<u32>,
    /// Readings behind their sensor's watermark; windows that had closed lack them.
    pub late: Vec<u32>,
    /// More is due; [`Featurizer::resume`] gives it.
    pub more: bool,
}

impl Featurized {
    /// Adds what [`Featurizer::resume`] gave.
    pub fn join(&mut self, rest: Self) {
        let mut known: HashMap<Box<str>, u32> =
            (0..).zip(&self.sensors).map(|(at, (name, _))| (name.clone(), at)).collect();
        let places: Vec<u32> = rest
            .sensors
            .into_iter()
            .map(|(name, asset)| {
                let next = u32::try_from(self.sensors.len()).unwrap_or(u32::MAX);
                *known.entry(name.clone()).or_insert_with(|| {
                    self.sensors.push((name, asset));
                    next
                })
            })
            .collect();
        let place = |sensor: u32| places.get(sensor as usize).copied().unwrap_or(u32::MAX);
        self.windows.extend(rest.windows.into_iter().map(|row| Row { sensor: place(row.sensor), ..row }));
        self.bursts.extend(rest.bursts.into_iter().map(|row| Row { sensor: place(row.sensor), ..row }));
        self.conflicts.extend(rest.conflicts);
        self.repeated.extend(rest.repeated);
        self.late.extend(rest.late);
        self.more = rest.more;
    }

    fn is_full(&self) -> bool {
        self.windows.len() + self.bursts.len() >= MOST_ROWS
    }
}

/// Why a batch cannot be taken; the state is as before.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PushError {
    /// Columns of unequal length.
    #[error("the columns sensor, time and value have {0}, {1} and {2} entries; expected equal lengths")]
    Lengths(usize, usize, usize),
    /// A sensor that is not in the table.
    #[error("sensor {0} is not in the batch's table of {1}")]
    Sensor(u32, usize),
    /// A burst without samples, or at no rate.
    #[error("burst {0} has {1} samples at {2} Hz; expected at least one, at a rate above 0")]
    Burst(usize, usize, f64),
}

/// Why a snapshot cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not a snapshot of this stage and version.
    #[error("expected a snapshot of featurize, version 2 or {SNAPSHOT_VERSION}; {0}")]
    Snapshot(String),
}

/// Keeps the windows of all sensors.
#[derive(Debug)]
pub struct Featurizer {
    rules: Rules,
    sensors: Vec<Sensor>,
    numbers: HashMap<Box<str>, usize, foldhash::fast::FixedState>,
    extractor: Extractor,
    /// For each sensor, the call in which it was put into the output's table, and its place there.
    placed: Vec<(u64, u32)>,
    call: u64,
    wide: Vec<f64>,
    /// What the last call left, as one answer did not hold it.
    rest: Option<Rest>,
}

impl Featurizer {
    /// With a configuration as JSON; an empty text means the defaults.
    ///
    /// # Errors
    /// [`ConfigError`].
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

    /// Goes on where the snapshot was taken.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore(config: &str, snapshot: &[u8]) -> Result<Self, RestoreError> {
        let unreadable = |error| RestoreError::Snapshot(format!("its body cannot be read: {error}"));
        let sensors: Vec<Sensor> = match snapshot {
            [SNAPSHOT_VERSION, body @ ..] => postcard::from_bytes(body).map_err(unreadable)?,
            [2, body @ ..] => {
                let before: Vec<Version2> = postcard::from_bytes(body).map_err(unreadable)?;
                before.into_iter().map(Sensor::from).collect()
            }
            [version, ..] => return Err(RestoreError::Snapshot(format!("got version {version}"))),
            [] => return Err(RestoreError::Snapshot("got no bytes".into())),
        };
        let fresh = Self::open(config)?;
        let mut sensors = sensors;
        for sensor in &mut sensors {
            sensor.about = fresh.rules.about(&sensor.name);
        }
        let numbers = sensors.iter().enumerate().map(|(number, sensor)| (sensor.name.clone(), number)).collect();
        let placed = vec![(0, 0); sensors.len()];
        Ok(Self { sensors, numbers, placed, ..fresh })
    }

    /// The state as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        // Strings and numbers always serialise.
        let body = postcard::to_stdvec(&self.sensors).unwrap_or_default();
        [&[SNAPSHOT_VERSION], body.as_slice()].concat()
    }

    /// Takes readings in and gives the windows that closed.
    ///
    /// # Errors
    /// [`PushError`].
    pub fn push(&mut self, batch: &Batch<'_>) -> Result<Featurized, PushError> {
        check(batch)?;
        let mut out = Featurized::default();
        if let Some(place) = self.take(batch, Place::default(), &mut out) {
            out.more = true;
            self.rest = Some(Rest::of(batch, place));
        }
        Ok(out)
    }

    /// Gives what the last call left when it said that there was more; indices are those of its batch.
    pub fn resume(&mut self) -> Featurized {
        let mut out = Featurized::default();
        self.rest = match self.rest.take() {
            None => None,
            Some(Rest::Batch(batch, place)) => {
                let place = batch.lend(|borrowed| self.take(borrowed, place, &mut out));
                place.map(|place| Rest::Batch(batch, place))
            }
            Some(Rest::Sensors(numbers, now)) => self.close_in_order(numbers, now, &mut out),
        };
        out.more = self.rest.is_some();
        out
    }

    /// What a call gave and all that it left.
    pub fn whole(&mut self, mut first: Featurized) -> Featurized {
        while first.more {
            first.join(self.resume());
        }
        first
    }

    /// Takes a batch from a place on; gives the place where it stopped, as the output is full.
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
        let first = u32::try_from(batch.time.len()).unwrap_or(u32::MAX);
        for (at, burst) in batch.bursts.iter().enumerate().skip(from.burst) {
            if out.is_full() {
                return Some(Place { reading: batch.time.len(), closing: None, burst: at });
            }
            let index = first.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
            let Some(number) = self.number(burst.sensor, batch.sensors, &mut numbers) else { continue };
            let Some(sensor) = self.sensors.get_mut(number) else { continue };
            match sensor.burst(burst.start, hash(burst)) {
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
            self.wide.extend(burst.samples.iter().map(|&sample| f64::from(sample)));
            let Some(sensor) = self.sensors.get(number) else { continue };
            let machine = sensor.about.machine.as_deref();
            let shaft = self.shaft(machine, burst.start);
            out.bursts.push(Row {
                sensor: place(number, sensor, self.call, &mut self.placed, &mut out.sensors),
                start: burst.start,
                end: burst_end(burst),
                count: u32::try_from(burst.samples.len()).unwrap_or(u32::MAX),
                values: self.extractor.burst(&self.wide, burst.rate, machine, shaft),
            });
        }
        None
    }

    /// Closes the windows of a sensor that its watermark has passed; false when the output is full before that is done.
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

    /// The shaft's speed for a burst, in Hz: what the newest reading of the machine's speed sensor says that came before the
    /// burst and is not younger, else what is configured.
    fn shaft(&self, machine: Option<&Machine>, start: i64) -> Option<f64> {
        let machine = machine?;
        let sensor = machine.speed_sensor.as_deref().and_then(|name| self.numbers.get(name));
        sensor.and_then(|&number| self.sensors.get(number)?.speed(start, &self.rules)).or(machine.shaft)
    }

    /// Closes the windows of sensors that sent nothing since the tick before, but for those that hold readings of after `now`,
    /// in ns since 1970.
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

    /// By the order of names, which is the same however the sensors are spread over instances.
    fn close(&mut self, now: i64, which: impl Fn(&Sensor) -> bool) -> Featurized {
        let due = self.sensors.iter().enumerate().filter(|(_, sensor)| sensor.waits() && which(sensor));
        let mut named: Vec<(&str, usize)> = due.map(|(number, sensor)| (&*sensor.name, number)).collect();
        // The last comes first in turn.
        named.sort_unstable_by(|one, other| other.cmp(one));
        let numbers = named.into_iter().map(|(_, number)| number).collect();
        let mut out = Featurized::default();
        self.rest = self.close_in_order(numbers, now, &mut out);
        out.more = self.rest.is_some();
        out
    }

    /// Closes the windows of these sensors, from the last to the first; gives what is left when the output is full.
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

    /// The sensor's number in the state; a new one gets the next.
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
    let known = batch.sensors.len();
    let named = batch.sensor.iter().copied().chain(batch.bursts.iter().map(|burst| burst.sensor)).max();
    if let Some(largest) = named.filter(|&largest| largest as usize >= known) {
        return Err(PushError::Sensor(largest, known));
    }
    for (index, burst) in batch.bursts.iter().enumerate() {
        if burst.samples.is_empty() || !(burst.rate.is_finite() && burst.rate > 0.0) {
            return Err(PushError::Burst(index, burst.samples.len(), burst.rate));
        }
    }
    Ok(())
}

/// FNV-1a over rate and samples, a word at a time; never 0.
fn hash(burst: &Burst<'_>) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let seeded = mix(0xcbf2_9ce4_8422_2325, burst.rate.to_bits());
    burst.samples.iter().fold(seeded, |hash, sample| mix(hash, sample.to_bits().into())).max(1)
}

/// A row whose sensor is not placed yet.
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

fn add(mut row: Row, number: usize, sensor: &Sensor, call: u64, placed: &mut [(u64, u32)], out: &mut Featurized) {
    row.sensor = place(number, sensor, call, placed, &mut out.sensors);
    out.windows.push(row);
}

fn place(
    number: usize,
    sensor: &Sensor,
    call: u64,
    placed: &mut [(u64, u32)],
    table: &mut Vec<(Box<str>, Box<str>)>,
) -> u32 {
    match placed.get_mut(number) {
        Some((when, place)) if *when == call => *place,
        Some(slot) => {
            let place = u32::try_from(table.len()).unwrap_or(u32::MAX);
            table.push((sensor.name.clone(), sensor.asset.clone()));
            *slot = (call, place);
            place
        }
        None => 0,
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a length in nanoseconds; `as` saturates"
)]
fn burst_end(burst: &Burst<'_>) -> i64 {
    burst.start.saturating_add((burst.samples.len() as f64 / burst.rate * 1e9).round() as i64)
}
