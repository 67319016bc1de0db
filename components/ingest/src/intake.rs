//! What goes in and what comes out, and the one place where a reading is checked.

use crate::{
    config::Rules,
    letters::Refusal,
    names::{self, About, Names},
    rejection::{Reason, Rejection, excerpt},
    time,
};

/// Sampling rates that are taken, in Hz: from a sample in eleven days to what no sensor reaches.
const RATES: std::ops::RangeInclusive<f64> = 1e-6..=1e9;

/// One event as a trigger received it.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Topic, path or subject.
    pub source: &'a str,
    /// A media type or a format's short name.
    pub format: Option<&'a str>,
    /// The sensor for payloads that name none.
    pub sensor: Option<&'a str>,
    /// When it was received, in nanoseconds since 1970.
    pub arrival: i64,
    /// The bytes.
    pub payload: &'a [u8],
}

/// A burst of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Waveform {
    /// Index into the names.
    pub sensor: u32,
    /// Time of the first sample, in nanoseconds since 1970.
    pub start: i64,
    /// Samples a second, in Hz.
    pub rate: f64,
    /// In the sensor's unit.
    pub samples: Vec<f32>,
}

/// Columns of readings, and what was refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// Name `i` is `text[ends[i - 1]..ends[i]]`.
    pub text: String,
    /// Where each name ends.
    pub ends: Vec<u32>,
    /// Index into the names, one a reading.
    pub sensor: Vec<u32>,
    /// Nanoseconds since 1970, one a reading.
    pub time: Vec<i64>,
    /// Finite, in the sensor's unit, one a reading.
    pub value: Vec<f64>,
    /// Bursts.
    pub waveforms: Vec<Waveform>,
    /// Readings and samples taken, one an envelope.
    pub accepted: Vec<u32>,
    /// What was refused.
    pub refusals: Vec<Refusal>,
    /// Whether a snapshot is now another.
    pub state_changed: bool,
}

/// What an event came to so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Event {
    /// Readings met, taken or not.
    pub(crate) readings: usize,
    /// Sensors met that are not configured.
    pub(crate) sensors: usize,
    /// Refused parts.
    pub(crate) refused: usize,
    /// Bytes that letters of refused parts may still take.
    pub(crate) room: usize,
    /// A sensor's reading came after a newer one.
    pub(crate) unsorted: bool,
    /// It is only tried whether all is well; what is refused is not kept.
    pub(crate) drafting: bool,
    /// Why the event is refused as one.
    pub(crate) full: Option<Rejection>,
}

/// Takes what the formats find: checks it, and adds it to the columns.
#[derive(Debug)]
pub(crate) struct Intake<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) names: &'a mut Names,
    pub(crate) out: &'a mut Decoded,
    pub(crate) envelope: u32,
    pub(crate) arrival: i64,
    /// Of the event's bytes: a media type or a short name; none while it is not known.
    pub(crate) format: Option<&'a str>,
    pub(crate) event: Event,
}

/// A point to which the columns can go back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    readings: usize,
    waveforms: usize,
    names: usize,
    refusals: usize,
    refused: usize,
    met: usize,
    room: usize,
}

impl Mark {
    /// Readings and samples since.
    pub(crate) fn accepted(self, out: &Decoded) -> u32 {
        let samples: usize = out.waveforms.iter().skip(self.waveforms).map(|burst| burst.samples.len()).sum();
        u32::try_from((out.sensor.len() - self.readings).saturating_add(samples)).unwrap_or(u32::MAX)
    }
}

impl Intake<'_> {
    /// One scalar reading.
    pub(crate) fn reading(&mut self, name: &str, time: i64, value: f64) -> Result<(), Rejection> {
        self.take_reading(name, time, value).map_err(|rejection| self.about(name, rejection))
    }

    /// A burst of samples, taken or refused as one.
    pub(crate) fn waveform(&mut self, name: &str, start: i64, rate: f64, samples: Vec<f32>) -> Result<(), Rejection> {
        self.take_waveform(name, start, rate, samples).map_err(|rejection| self.about(name, rejection))
    }

    /// A rejection that is about this sensor. What is too long for a name is none, and would be kept with each rejection.
    pub(crate) fn about(&self, name: &str, rejection: Rejection) -> Rejection {
        let is_name = !name.is_empty() && name.len() <= self.rules.max_name;
        Rejection { sensor: rejection.sensor.or_else(|| is_name.then(|| name.to_owned())), ..rejection }
    }

    /// Whether the event is past a limit, so that the rest of it need not be read.
    pub(crate) fn is_full(&self) -> bool {
        self.event.full.is_some()
    }

    /// Refuses the event as one where it holds so many sensors that it would be past the limit.
    pub(crate) fn admit_sensors(&mut self, count: usize) -> Result<(), Rejection> {
        if count <= self.rules.max_sensors {
            return Ok(());
        }
        let rejection = Rejection::new(
            Reason::Oversize,
            format!(
                "the event names more than {} sensors that are not configured; nothing of it is taken: configure them or send smaller events. An array of samples needs its rate in metadata.sampling_hz",
                self.rules.max_sensors
            ),
        );
        self.event.full.get_or_insert_with(|| rejection.clone());
        Err(rejection)
    }

    fn take_reading(&mut self, name: &str, time: i64, value: f64) -> Result<(), Rejection> {
        self.event.readings += 1;
        if self.event.readings > self.rules.max_readings {
            let rejection = Rejection::new(
                Reason::Oversize,
                format!(
                    "the event holds more than {} readings; nothing of it is taken: send smaller events",
                    self.rules.max_readings
                ),
            );
            self.event.full.get_or_insert_with(|| rejection.clone());
            return Err(rejection);
        }
        let (number, about) = self.checked(name, time)?;
        if !value.is_finite() {
            return Err(non_finite(value));
        }
        self.in_range(&about, name, value)?;
        let local = self.names.local(number, name, &mut self.out.text, &mut self.out.ends);
        self.event.unsorted |= !self.names.in_order(number, time);
        self.out.sensor.push(local);
        self.out.time.push(time);
        self.out.value.push(value);
        Ok(())
    }

    /// Puts the readings since the mark in order of time where a sensor's were not: files and gateways write the newest first
    /// as well, and what comes behind a newer reading by more than the lateness counts in fewer windows.
    pub(crate) fn sort(&mut self, from: Mark) {
        if !std::mem::take(&mut self.event.unsorted) {
            return;
        }
        let Decoded { sensor, time, value, .. } = &mut *self.out;
        let rows = sensor.iter().zip(time.iter()).zip(value.iter()).skip(from.readings);
        let mut rows: Vec<(i64, u32, f64)> = rows.map(|((&sensor, &time), &value)| (time, sensor, value)).collect();
        // Stable: what came first of one sensor and time stays first.
        rows.sort_by_key(|&(time, ..)| time);
        let columns = sensor.iter_mut().zip(time.iter_mut()).zip(value.iter_mut()).skip(from.readings);
        for (((to_sensor, to_time), to_value), (time, sensor, value)) in columns.zip(rows) {
            (*to_sensor, *to_time, *to_value) = (sensor, time, value);
        }
    }

    fn take_waveform(&mut self, name: &str, start: i64, rate: f64, samples: Vec<f32>) -> Result<(), Rejection> {
        let (number, about) = self.checked(name, start)?;
        check_rate(rate)?;
        #[allow(clippy::cast_precision_loss, reason = "a length in seconds")]
        let last = time::from_seconds(samples.len() as f64 / rate).and_then(|length| start.checked_add(length));
        let last = last.ok_or_else(|| {
            Rejection::malformed(format!("{} samples at {rate} Hz last beyond the year 2262", samples.len()))
        })?;
        self.not_in_future(last)?;
        for &sample in &samples {
            let value = f64::from(sample);
            if !value.is_finite() {
                return Err(non_finite(value));
            }
            self.in_range(&about, name, value)?;
        }
        let sensor = self.names.local(number, name, &mut self.out.text, &mut self.out.ends);
        self.out.waveforms.push(Waveform { sensor, start, rate, samples });
        Ok(())
    }

    /// The configured sampling rate of a sensor, in Hz.
    pub(crate) fn sampling_hz(&mut self, name: &str) -> Option<f64> {
        self.names.find(name, self.rules).1.sampling_hz
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            readings: self.out.sensor.len(),
            waveforms: self.out.waveforms.len(),
            names: self.out.ends.len(),
            refusals: self.out.refusals.len(),
            refused: self.event.refused,
            met: self.event.readings,
            room: self.event.room,
        }
    }

    /// Takes back what was added since the mark.
    pub(crate) fn rollback(&mut self, mark: Mark) {
        self.out.sensor.truncate(mark.readings);
        self.out.time.truncate(mark.readings);
        self.out.value.truncate(mark.readings);
        self.out.waveforms.truncate(mark.waveforms);
        self.out.refusals.truncate(mark.refusals);
        self.out.ends.truncate(mark.names);
        self.out.text.truncate(self.out.ends.last().map_or(0, |&end| end as usize));
        self.names.forget_after(mark.names);
        self.event.refused = mark.refused;
        self.event.readings = mark.met;
        self.event.room = mark.room;
    }

    fn checked(&mut self, name: &str, time: i64) -> Result<(u32, About), Rejection> {
        let length = name.len();
        if length == 0 {
            return Err(Rejection::malformed(
                "the sensor's id is empty; expected an id such as site/area/machine/sensor",
            ));
        }
        if length > self.rules.max_name {
            return Err(Rejection::malformed(format!(
                "the sensor's id has {length} bytes, at most {} are taken: {}",
                self.rules.max_name,
                excerpt(name.as_bytes())
            )));
        }
        let (number, about) = self.names.find(name, self.rules);
        if !about.configured {
            if self.names.meet(number) {
                self.event.sensors += 1;
                self.admit_sensors(self.event.sensors)?;
            }
            if !about.sound {
                let fault = names::fault(name).unwrap_or_default();
                return Err(Rejection::malformed(format!(
                    "the sensor's id {fault}; expected levels between single /, such as site/area/machine/sensor; got {:?}",
                    excerpt(name.as_bytes())
                )));
            }
            if self.rules.reject_unknown {
                return Err(Rejection::new(
                    Reason::UnknownSensor,
                    format!(
                        "{name} is not configured and unknown_sensors is \"reject\"; add it to the configuration or correct the id"
                    ),
                ));
            }
        }
        if time < self.rules.earliest {
            return Err(Rejection::new(
                Reason::TooOld,
                format!(
                    "the reading's time is {}, nothing before {} is taken; set the device's clock or [ingest] earliest",
                    time::show(time),
                    time::show(self.rules.earliest)
                ),
            ));
        }
        self.not_in_future(time)?;
        Ok((number, about))
    }

    fn not_in_future(&self, time: i64) -> Result<(), Rejection> {
        if time <= self.arrival.saturating_add(self.rules.max_future) {
            return Ok(());
        }
        Err(Rejection::new(
            Reason::InFuture,
            format!(
                "the reading's time is {}, it arrived {}; at most {} s ahead are taken; set the device's clock",
                time::show(time),
                time::show(self.arrival),
                self.rules.max_future / 1_000_000_000
            ),
        ))
    }

    fn in_range(&self, about: &About, name: &str, value: f64) -> Result<(), Rejection> {
        if value >= about.min && value <= about.max {
            return Ok(());
        }
        let unit = self.rules.sensors.get(name).map_or("", |sensor| sensor.unit.as_str());
        Err(Rejection::new(
            Reason::OutOfRange,
            format!(
                "{name} read {value} {unit}; it can read {} to {} {unit}: check the sensor or its limits",
                about.min, about.max
            ),
        ))
    }
}

/// Whether a sensor can have this sampling rate.
pub(crate) fn check_rate(rate: f64) -> Result<(), Rejection> {
    if RATES.contains(&rate) {
        return Ok(());
    }
    Err(Rejection::malformed(format!(
        "expected a sampling rate of {} to {} Hz; got {rate}: send the number of samples a second",
        RATES.start(),
        RATES.end()
    )))
}

fn non_finite(value: f64) -> Rejection {
    Rejection::new(Reason::NonFinite, format!("expected a finite number; got {value}: leave out what was not measured"))
}
