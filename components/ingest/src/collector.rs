//! Input and output of the decoder, and the validation of readings, which all formats share.

use crate::{
    config::ValidationRules,
    dead_letters::RejectedPart,
    name_table::{self, NameTable, SensorLimits},
    rejection::{Reason, Rejection, excerpt},
    time,
};

/// Valid sampling rates in Hz: from one sample in eleven days to more than any sensor reaches.
const SAMPLING_RATES: std::ops::RangeInclusive<f64> = 1e-6..=1e9;

/// One event as a trigger received it.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// MQTT topic, HTTP path or NATS subject.
    pub source: &'a str,
    /// A media type, or the short name of a format. None: the format is detected.
    pub format: Option<&'a str>,
    /// The sensor for payloads that do not name one.
    pub sensor: Option<&'a str>,
    /// When it was received, in nanoseconds since 1970.
    pub arrival: i64,
    /// The content of the event.
    pub payload: &'a [u8],
}

/// Samples of one sensor, taken at a constant rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Waveform {
    /// Index of the sensor in the dictionary, see [`Decoded::ends`].
    pub sensor: u32,
    /// Time of the first sample, in nanoseconds since 1970.
    pub start: i64,
    /// Sampling rate, in Hz.
    pub rate: f64,
    /// Finite values, in the unit of the sensor.
    pub samples: Vec<f32>,
}

/// The result of a call: readings as columns, waveforms, and the rejected parts of the events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// The dictionary of sensor names: the concatenated names.
    pub text: String,
    /// The end of each name: name `i` is `text[ends[i - 1]..ends[i]]`, the first begins at 0.
    pub ends: Vec<u32>,
    /// Index of the sensor in the dictionary, one per reading.
    pub sensor: Vec<u32>,
    /// Nanoseconds since 1970, one per reading.
    pub time: Vec<i64>,
    /// Finite value in the unit of the sensor, one per reading.
    pub value: Vec<f64>,
    /// Waveforms, in the order of their events.
    pub waveforms: Vec<Waveform>,
    /// Number of accepted readings and samples, one per envelope.
    pub accepted: Vec<u32>,
    /// The rejected parts of all events.
    pub rejected: Vec<RejectedPart>,
    /// Whether the state changed, so that a new snapshot differs from the last.
    pub state_changed: bool,
}

/// Counters and flags of the event that is being decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventState {
    /// Readings seen so far, accepted or rejected.
    pub(crate) readings: usize,
    /// Sensors seen so far that are not configured.
    pub(crate) unconfigured_sensors: usize,
    /// Rejected parts so far.
    pub(crate) rejected_count: usize,
    /// Remaining size of the dead letters of the event, in bytes.
    pub(crate) dead_letter_budget: usize,
    /// Whether a reading of a sensor follows a newer one.
    pub(crate) is_unsorted: bool,
    /// Whether this pass only tries if the whole event is valid. Rejected parts are counted, but not kept.
    pub(crate) is_dry_run: bool,
    /// Set once the event is rejected as a whole.
    pub(crate) rejection: Option<Rejection>,
}

/// Validates the readings that a format decodes, and adds them to the output.
#[derive(Debug)]
pub(crate) struct ReadingCollector<'a> {
    pub(crate) rules: &'a ValidationRules,
    pub(crate) names: &'a mut NameTable,
    pub(crate) out: &'a mut Decoded,
    pub(crate) envelope: u32,
    pub(crate) arrival: i64,
    /// The format of the event: a media type or a short name. None while it is not known.
    pub(crate) format: Option<&'a str>,
    pub(crate) event: EventState,
}

/// A state of the output and the counters to which [`ReadingCollector::rollback`] can return.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Savepoint {
    readings_len: usize,
    waveforms_len: usize,
    names_len: usize,
    rejected_len: usize,
    rejected_count: usize,
    readings_seen: usize,
    dead_letter_budget: usize,
}

impl Savepoint {
    /// Returns the number of readings and samples that were added since.
    pub(crate) fn accepted(self, out: &Decoded) -> u32 {
        let samples: usize = out.waveforms.iter().skip(self.waveforms_len).map(|waveform| waveform.samples.len()).sum();
        u32::try_from((out.sensor.len() - self.readings_len).saturating_add(samples)).unwrap_or(u32::MAX)
    }
}

impl ReadingCollector<'_> {
    /// Adds a scalar reading.
    ///
    /// # Errors
    /// The rejection, with the sensor.
    pub(crate) fn try_add_reading(&mut self, name: &str, time: i64, value: f64) -> Result<(), Rejection> {
        self.validate_and_push(name, time, value).map_err(|rejection| self.with_sensor(name, rejection))
    }

    /// Adds a waveform. It is accepted or rejected as a whole.
    ///
    /// # Errors
    /// The rejection, with the sensor.
    pub(crate) fn add_waveform(
        &mut self,
        name: &str,
        start: i64,
        rate: f64,
        samples: Vec<f32>,
    ) -> Result<(), Rejection> {
        self.validate_and_push_waveform(name, start, rate, samples)
            .map_err(|rejection| self.with_sensor(name, rejection))
    }

    /// Adds the sensor to a rejection that names none. A name that is too long is left out, because each rejection
    /// would carry it.
    pub(crate) fn with_sensor(&self, name: &str, rejection: Rejection) -> Rejection {
        let is_name = !name.is_empty() && name.len() <= self.rules.max_name_bytes;
        Rejection { sensor: rejection.sensor.or_else(|| is_name.then(|| name.to_owned())), ..rejection }
    }

    /// Returns whether the event exceeds a limit and is rejected as a whole. The rest of it need not be decoded.
    pub(crate) fn is_event_rejected(&self) -> bool {
        self.event.rejection.is_some()
    }

    /// Rejects the event as a whole if it names more than the maximum number of sensors.
    pub(crate) fn check_sensor_count(&mut self, count: usize) -> Result<(), Rejection> {
        if count <= self.rules.max_sensors {
            return Ok(());
        }
        let rejection = Rejection::new(
            Reason::Oversize,
            format!(
                "the event names more than {} sensors that are not configured and is rejected as a whole: configure them or send smaller events. An array of samples needs its rate in metadata.sampling_hz",
                self.rules.max_sensors
            ),
        );
        self.event.rejection.get_or_insert_with(|| rejection.clone());
        Err(rejection)
    }

    fn validate_and_push(&mut self, name: &str, time: i64, value: f64) -> Result<(), Rejection> {
        self.event.readings += 1;
        if self.event.readings > self.rules.max_readings {
            let rejection = Rejection::new(
                Reason::Oversize,
                format!(
                    "the event has more than {} readings and is rejected as a whole: send smaller events",
                    self.rules.max_readings
                ),
            );
            self.event.rejection.get_or_insert_with(|| rejection.clone());
            return Err(rejection);
        }
        let (number, limits) = self.validate_sensor_and_time(name, time)?;
        if !value.is_finite() {
            return Err(non_finite(value));
        }
        self.check_range(&limits, name, value)?;
        let dictionary_index = self.names.dictionary_index(number, name, &mut self.out.text, &mut self.out.ends);
        self.event.is_unsorted |= !self.names.note_time(number, time);
        self.out.sensor.push(dictionary_index);
        self.out.time.push(time);
        self.out.value.push(value);
        Ok(())
    }

    /// Sorts the readings of the event by time if those of a sensor are not in order. Files and gateways may send the
    /// newest reading first, and a reading that is older than the newest by more than the lateness counts in fewer
    /// windows.
    pub(crate) fn sort_since(&mut self, start: Savepoint) {
        if !std::mem::take(&mut self.event.is_unsorted) {
            return;
        }
        let Decoded { sensor, time, value, .. } = &mut *self.out;
        let rows = sensor.iter().zip(time.iter()).zip(value.iter()).skip(start.readings_len);
        let mut rows: Vec<(i64, u32, f64)> = rows.map(|((&sensor, &time), &value)| (time, sensor, value)).collect();
        // The sort is stable: of two readings of the same sensor and time, the first stays first.
        rows.sort_by_key(|&(time, ..)| time);
        let columns = sensor.iter_mut().zip(time.iter_mut()).zip(value.iter_mut()).skip(start.readings_len);
        for (((to_sensor, to_time), to_value), (time, sensor, value)) in columns.zip(rows) {
            (*to_sensor, *to_time, *to_value) = (sensor, time, value);
        }
    }

    fn validate_and_push_waveform(
        &mut self,
        name: &str,
        start: i64,
        rate: f64,
        samples: Vec<f32>,
    ) -> Result<(), Rejection> {
        let (number, limits) = self.validate_sensor_and_time(name, start)?;
        check_rate(rate)?;
        #[allow(clippy::cast_precision_loss, reason = "a length in seconds")]
        let last = time::from_seconds(samples.len() as f64 / rate).and_then(|length| start.checked_add(length));
        let last = last.ok_or_else(|| {
            Rejection::malformed(format!("{} samples at {rate} Hz last beyond the year 2262", samples.len()))
        })?;
        self.check_not_in_future(last)?;
        for &sample in &samples {
            let value = f64::from(sample);
            if !value.is_finite() {
                return Err(non_finite(value));
            }
            self.check_range(&limits, name, value)?;
        }
        let sensor = self.names.dictionary_index(number, name, &mut self.out.text, &mut self.out.ends);
        self.out.waveforms.push(Waveform { sensor, start, rate, samples });
        Ok(())
    }

    /// Returns the configured sampling rate of a sensor, in Hz.
    pub(crate) fn sampling_hz(&mut self, name: &str) -> Option<f64> {
        self.names.find_or_insert(name, self.rules).1.sampling_hz
    }

    pub(crate) fn savepoint(&self) -> Savepoint {
        Savepoint {
            readings_len: self.out.sensor.len(),
            waveforms_len: self.out.waveforms.len(),
            names_len: self.out.ends.len(),
            rejected_len: self.out.rejected.len(),
            rejected_count: self.event.rejected_count,
            readings_seen: self.event.readings,
            dead_letter_budget: self.event.dead_letter_budget,
        }
    }

    /// Removes what was added since the savepoint.
    pub(crate) fn rollback(&mut self, to: Savepoint) {
        self.out.sensor.truncate(to.readings_len);
        self.out.time.truncate(to.readings_len);
        self.out.value.truncate(to.readings_len);
        self.out.waveforms.truncate(to.waveforms_len);
        self.out.rejected.truncate(to.rejected_len);
        self.out.ends.truncate(to.names_len);
        self.out.text.truncate(self.out.ends.last().map_or(0, |&end| end as usize));
        self.names.truncate_dictionary(to.names_len);
        self.event.rejected_count = to.rejected_count;
        self.event.readings = to.readings_seen;
        self.event.dead_letter_budget = to.dead_letter_budget;
    }

    /// Validates the sensor id and the time. Returns the sensor's index in the name table and its limits.
    fn validate_sensor_and_time(&mut self, name: &str, time: i64) -> Result<(u32, SensorLimits), Rejection> {
        let length = name.len();
        if length == 0 {
            return Err(Rejection::malformed(
                "the sensor's id is empty; expected an id such as site/area/machine/sensor",
            ));
        }
        if length > self.rules.max_name_bytes {
            return Err(Rejection::malformed(format!(
                "the sensor's id has {length} bytes; at most {} are accepted: {}",
                self.rules.max_name_bytes,
                excerpt(name.as_bytes())
            )));
        }
        let (number, limits) = self.names.find_or_insert(name, self.rules);
        if !limits.is_configured {
            if self.names.note_sensor(number) {
                self.event.unconfigured_sensors += 1;
                self.check_sensor_count(self.event.unconfigured_sensors)?;
            }
            if !limits.is_valid_id {
                let fault = name_table::sensor_id_fault(name).unwrap_or_default();
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
                    "the reading's time is {}, times before {} are rejected; set the device's clock or [ingest] earliest",
                    time::to_rfc3339(time),
                    time::to_rfc3339(self.rules.earliest)
                ),
            ));
        }
        self.check_not_in_future(time)?;
        Ok((number, limits))
    }

    fn check_not_in_future(&self, time: i64) -> Result<(), Rejection> {
        if time <= self.arrival.saturating_add(self.rules.max_future_ns) {
            return Ok(());
        }
        Err(Rejection::new(
            Reason::InFuture,
            format!(
                "the reading's time is {}, but it arrived at {}; at most {} s ahead are accepted; set the device's clock",
                time::to_rfc3339(time),
                time::to_rfc3339(self.arrival),
                self.rules.max_future_ns / 1_000_000_000
            ),
        ))
    }

    fn check_range(&self, limits: &SensorLimits, name: &str, value: f64) -> Result<(), Rejection> {
        if value >= limits.min && value <= limits.max {
            return Ok(());
        }
        let unit = self.rules.sensors.get(name).map_or("", |sensor| sensor.unit.as_str());
        Err(Rejection::new(
            Reason::OutOfRange,
            format!(
                "{name} read {value} {unit}; it can read {} to {} {unit}: check the sensor or its limits",
                limits.min, limits.max
            ),
        ))
    }
}

/// Checks that a sampling rate, in Hz, is in the valid range.
pub(crate) fn check_rate(rate: f64) -> Result<(), Rejection> {
    if SAMPLING_RATES.contains(&rate) {
        return Ok(());
    }
    Err(Rejection::malformed(format!(
        "expected a sampling rate of {} to {} Hz; got {rate}: send the number of samples per second",
        SAMPLING_RATES.start(),
        SAMPLING_RATES.end()
    )))
}

fn non_finite(value: f64) -> Rejection {
    Rejection::new(Reason::NonFinite, format!("expected a finite number; got {value}: leave out what was not measured"))
}
