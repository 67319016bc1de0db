//! What goes in and what comes out, and the one place where a reading is checked.

use crate::{
    config::Rules,
    names::{About, Names},
    rejection::{Reason, Rejection, excerpt},
    time,
};

/// A refused part is kept up to this size.
const KEPT: usize = 4096;

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

/// A part of an event that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Index of the envelope.
    pub envelope: u32,
    /// Line or element from 1; 0 for the whole event.
    pub position: u32,
    /// Why.
    pub rejection: Rejection,
    /// As it came, cut at 4 KiB.
    pub payload: Vec<u8>,
    /// Readings that were refused with it; at least 1.
    pub readings: u32,
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

/// Takes what the formats find: checks it, and adds it to the columns.
#[derive(Debug)]
pub(crate) struct Intake<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) names: &'a mut Names,
    pub(crate) out: &'a mut Decoded,
    pub(crate) envelope: u32,
    pub(crate) arrival: i64,
}

/// A point to which the columns can go back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    readings: usize,
    waveforms: usize,
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

    fn take_reading(&mut self, name: &str, time: i64, value: f64) -> Result<(), Rejection> {
        let (number, about) = self.checked(name, time)?;
        if !value.is_finite() {
            return Err(non_finite(value));
        }
        self.in_range(&about, name, value)?;
        let local = self.names.local(number, name, &mut self.out.text, &mut self.out.ends);
        self.out.sensor.push(local);
        self.out.time.push(time);
        self.out.value.push(value);
        Ok(())
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

    /// Notes that a part was refused.
    pub(crate) fn refuse(&mut self, position: usize, rejection: Rejection, payload: &[u8], readings: usize) {
        self.out.refusals.push(Refusal {
            envelope: self.envelope,
            position: u32::try_from(position).unwrap_or(u32::MAX),
            rejection,
            payload: payload.get(..payload.len().min(KEPT)).unwrap_or_default().to_vec(),
            readings: u32::try_from(readings.max(1)).unwrap_or(u32::MAX),
        });
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { readings: self.out.sensor.len(), waveforms: self.out.waveforms.len() }
    }

    /// Takes back what was added since the mark.
    pub(crate) fn rollback(&mut self, mark: Mark) {
        self.out.sensor.truncate(mark.readings);
        self.out.time.truncate(mark.readings);
        self.out.value.truncate(mark.readings);
        self.out.waveforms.truncate(mark.waveforms);
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
            if name.chars().any(char::is_control) {
                return Err(Rejection::malformed(format!(
                    "the sensor's id has control characters: {:?}",
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
