//! Conversion of a JSON message to readings.

use serde_json::Value;

use super::{
    EXPECTED_MESSAGE,
    message::{Message, Rate, Timestamp, Values},
};
use crate::{
    collector::{ReadingCollector, check_rate},
    dead_letters::{DeadLetter, json_number},
    rejection::{Rejection, excerpt},
    time,
};

/// An array with a rate and at least this many samples is a waveform. Without a rate it is rejected, because no machine
/// has that many channels without names.
const MIN_WAVEFORM_SAMPLES: usize = 16;

impl Message<'_> {
    /// Adds the readings of the message. `text` is its JSON.
    pub(super) fn add_readings(
        self,
        text: &[u8],
        position: usize,
        mapped_sensor: Option<&str>,
        collector: &mut ReadingCollector<'_>,
    ) {
        let count = self.values.as_ref().map_or(1, Values::count);
        let Some(name) = self.sensor.as_deref().or(mapped_sensor) else {
            let message = format!("the message names no sensor; expected {EXPECTED_MESSAGE}; got {:?}", excerpt(text));
            return collector.reject(position, Rejection::malformed(message), text, count);
        };
        let time = match self.time {
            None => collector.arrival,
            Some(Timestamp::Valid(time)) => time,
            Some(Timestamp::Invalid(received)) => {
                let rejection = collector.with_sensor(name, time::invalid_time(received.as_bytes()));
                return collector.reject(position, rejection, text, count);
            }
        };
        let Some(values) = self.values else {
            let rejection = Rejection::malformed(format!("the message has no `values`; expected {EXPECTED_MESSAGE}"));
            let rejection = collector.with_sensor(name, rejection);
            return collector.reject(position, rejection, text, count);
        };
        let mut sensor_values = SensorValues { time, rate: self.rate, position, text, parsed_values: None };
        match values {
            Values::Object(named) => {
                for (key, values) in named {
                    if key == "value" {
                        sensor_values.add(name, Some(&key), values, collector);
                    } else {
                        sensor_values.add(&format!("{name}/{key}"), Some(&key), values, collector);
                    }
                    if collector.is_event_rejected() {
                        return;
                    }
                }
            }
            values => sensor_values.add(name, None, values, collector),
        }
    }
}

/// Adds the values of one sensor: those under a key of `values`, or `values` itself.
struct SensorValues<'a> {
    time: i64,
    rate: Option<Rate>,
    position: usize,
    text: &'a [u8],
    /// The key `values` of the message as parsed JSON; parsed when first needed.
    parsed_values: Option<Value>,
}

impl SensorValues<'_> {
    fn add(&mut self, name: &str, key: Option<&str>, values: Values, collector: &mut ReadingCollector<'_>) {
        let count = values.count();
        let rejection = match values {
            Values::Number(value) => return collector.add_reading(self.position, name, self.time, value),
            Values::Array(values) => match self.add_array(name, &values, collector) {
                Ok(()) => return,
                Err(rejection) => rejection,
            },
            Values::Object(_) => Rejection::malformed(format!(
                "`values.{}` is an object; expected a number or an array of numbers",
                key.unwrap_or_default()
            )),
            Values::Invalid(message) => Rejection::malformed(message),
            Values::TooManyKeys(_) => Rejection::malformed(format!(
                "expected at most {} keys in `values`; got {count}: send smaller events",
                Values::MAX_KEYS
            )),
        };
        let rejection = collector.with_sensor(name, rejection);
        let rate = self.rate.as_ref().and_then(|rate| rate.clone().ok());
        collector.reject_with(self.position, rejection, count, || match self.original_value(key) {
            // An object stays under its key; otherwise its entries would become sensors of their own.
            value @ Value::Object(_) => {
                let parent = name.strip_suffix(key.unwrap_or_default()).and_then(|name| name.strip_suffix('/'));
                let wrapped = Value::Object([(key.unwrap_or_default().to_owned(), value)].into_iter().collect());
                DeadLetter::from_values(parent.unwrap_or(name), self.time, wrapped, rate)
            }
            value => DeadLetter::from_values(name, self.time, value, rate),
        });
    }

    /// Returns the original JSON value under the key. The message is parsed once, however many of its values are
    /// rejected.
    fn original_value(&mut self, key: Option<&str>) -> Value {
        let text = self.text;
        let parsed = self.parsed_values.get_or_insert_with(|| {
            let mut message: Value = serde_json::from_slice(text).unwrap_or_default();
            let values = ["values", "value"].iter().find_map(|key| message.get_mut(*key).map(Value::take));
            values.unwrap_or_default()
        });
        match key {
            None => parsed.take(),
            Some(key) => parsed.get_mut(key).map(Value::take).unwrap_or_default(),
        }
    }

    /// Adds an array: as a waveform, as readings at the sampling rate, or as channels.
    fn add_array(&self, name: &str, values: &[f64], collector: &mut ReadingCollector<'_>) -> Result<(), Rejection> {
        let rate = match &self.rate {
            Some(Ok(rate)) => Some(*rate),
            Some(Err(received)) => return Err(invalid_rate(received)),
            None => collector.sampling_hz(name),
        };
        rate.map_or(Ok(()), check_rate)?;
        match (values, rate) {
            ([], _) => Err(Rejection::malformed("`values` is an empty array; expected numbers")),
            ([value], _) => {
                collector.add_reading(self.position, name, self.time, *value);
                Ok(())
            }
            (samples, Some(rate)) if samples.len() >= MIN_WAVEFORM_SAMPLES => {
                #[allow(clippy::cast_possible_truncation, reason = "samples are stored as f32")]
                let samples_f32 = samples.iter().map(|&value| value as f32).collect();
                if let Err(rejection) = collector.add_waveform(name, self.time, rate, samples_f32) {
                    collector.reject_with(self.position, rejection, samples.len(), || {
                        DeadLetter::from_values(
                            name,
                            self.time,
                            samples.iter().copied().map(json_number).collect(),
                            Some(rate),
                        )
                    });
                }
                Ok(())
            }
            (samples, None) if samples.len() >= MIN_WAVEFORM_SAMPLES => Err(Rejection::malformed(format!(
                "`values` is an array of {} numbers without a rate; expected the samples per second in metadata.sampling_hz (or sampling_hz of the sensor in the configuration), an object of named values, or fewer than {MIN_WAVEFORM_SAMPLES} channels",
                samples.len()
            ))),
            (values, Some(rate)) => {
                for (index, &value) in values.iter().enumerate() {
                    #[allow(clippy::cast_precision_loss, reason = "fewer than 16")]
                    let offset = time::from_seconds(index as f64 / rate);
                    let time = offset.and_then(|offset| self.time.checked_add(offset));
                    match time {
                        Some(time) => collector.add_reading(self.position, name, time, value),
                        None => return Err(time::invalid_time(b"")),
                    }
                }
                Ok(())
            }
            (values, None) => {
                for (index, &value) in values.iter().enumerate() {
                    collector.add_reading(self.position, &format!("{name}/{index}"), self.time, value);
                }
                Ok(())
            }
        }
    }
}

fn invalid_rate(received: &str) -> Rejection {
    Rejection::malformed(format!(
        "metadata.sampling_hz is not a rate: {received}; send the number of samples per second"
    ))
}
