//! What a message means: its readings, handed to the intake.

use serde_json::Value;

use super::{
    EXPECTED,
    read::{Message, Rate, Stamp, Values},
};
use crate::{
    intake::{Intake, check_rate},
    letters::{Letter, number},
    rejection::{Rejection, excerpt},
    time,
};

/// From so many samples on, an array with a rate is a waveform, and one without is refused: nothing has so many channels
/// without names.
const WAVEFORM: usize = 16;

impl Message<'_> {
    /// Takes its readings; `text` is where it stands.
    pub(super) fn take(self, text: &[u8], position: usize, mapped: Option<&str>, intake: &mut Intake<'_>) {
        let count = self.values.as_ref().map_or(1, Values::count);
        let Some(name) = self.sensor.as_deref().or(mapped) else {
            let message = format!("the message names no sensor; expected {EXPECTED}; got {:?}", excerpt(text));
            return intake.refuse(position, Rejection::malformed(message), text, count);
        };
        let at = match self.time {
            None => intake.arrival,
            Some(Stamp::Time(time)) => time,
            Some(Stamp::Bad(came)) => {
                let rejection = intake.about(name, time::no_time(came.as_bytes()));
                return intake.refuse(position, rejection, text, count);
            }
        };
        let Some(values) = self.values else {
            let rejection = Rejection::malformed(format!("the message has no `values`; expected {EXPECTED}"));
            let rejection = intake.about(name, rejection);
            return intake.refuse(position, rejection, text, count);
        };
        let mut part = Part { at, rate: self.rate, position, text, read: None };
        match values {
            Values::Named(named) => {
                for (key, values) in named {
                    if key == "value" {
                        part.take(name, Some(&key), values, intake);
                    } else {
                        part.take(&format!("{name}/{key}"), Some(&key), values, intake);
                    }
                    if intake.is_full() {
                        return;
                    }
                }
            }
            values => part.take(name, None, values, intake),
        }
    }
}

/// Values of one sensor: what stands under a key of `values`, or all of it.
struct Part<'a> {
    at: i64,
    rate: Option<Rate>,
    position: usize,
    text: &'a [u8],
    /// The message's `values`, once they were asked for.
    read: Option<Value>,
}

impl Part<'_> {
    fn take(&mut self, name: &str, key: Option<&str>, values: Values, intake: &mut Intake<'_>) {
        let count = values.count();
        let rejection = match values {
            Values::One(value) => return intake.take(self.position, name, self.at, value),
            Values::Many(values) => match self.many(name, &values, intake) {
                Ok(()) => return,
                Err(rejection) => rejection,
            },
            Values::Named(_) => Rejection::malformed(format!(
                "`values.{}` is an object; expected a number or an array of numbers",
                key.unwrap_or_default()
            )),
            Values::Bad(message) => Rejection::malformed(message),
            Values::TooMany(_) => Rejection::malformed(format!(
                "`values` is an object of {count} parts; at most {} are read: send smaller events",
                Values::MOST_PARTS
            )),
        };
        let rejection = intake.about(name, rejection);
        let rate = self.rate.as_ref().and_then(|rate| rate.clone().ok());
        intake.refuse_as(self.position, rejection, count, || match self.value(key) {
            // Under its own key again, or its parts would be sensors of their own.
            value @ Value::Object(_) => {
                let parent = name.strip_suffix(key.unwrap_or_default()).and_then(|name| name.strip_suffix('/'));
                let wrapped = Value::Object([(key.unwrap_or_default().to_owned(), value)].into_iter().collect());
                Letter::values(parent.unwrap_or(name), self.at, wrapped, rate)
            }
            value => Letter::values(name, self.at, value, rate),
        });
    }

    /// What stands under the key, as it came. The message is read for it once, however many of its parts are refused.
    fn value(&mut self, key: Option<&str>) -> Value {
        let text = self.text;
        let read = self.read.get_or_insert_with(|| {
            let mut message: Value = serde_json::from_slice(text).unwrap_or_default();
            let values = ["values", "value"].iter().find_map(|key| message.get_mut(*key).map(Value::take));
            values.unwrap_or_default()
        });
        match key {
            None => read.take(),
            Some(key) => read.get_mut(key).map(Value::take).unwrap_or_default(),
        }
    }

    fn many(&self, name: &str, values: &[f64], intake: &mut Intake<'_>) -> Result<(), Rejection> {
        let rate = match &self.rate {
            Some(Ok(rate)) => Some(*rate),
            Some(Err(came)) => return Err(no_rate(came)),
            None => intake.sampling_hz(name),
        };
        rate.map_or(Ok(()), check_rate)?;
        match (values, rate) {
            ([], _) => Err(Rejection::malformed("`values` is an empty array; expected numbers")),
            ([value], _) => {
                intake.take(self.position, name, self.at, *value);
                Ok(())
            }
            (samples, Some(rate)) if samples.len() >= WAVEFORM => {
                #[allow(clippy::cast_possible_truncation, reason = "samples are kept as f32")]
                let narrow = samples.iter().map(|&value| value as f32).collect();
                if let Err(rejection) = intake.waveform(name, self.at, rate, narrow) {
                    intake.refuse_as(self.position, rejection, samples.len(), || {
                        Letter::values(name, self.at, samples.iter().copied().map(number).collect(), Some(rate))
                    });
                }
                Ok(())
            }
            (samples, None) if samples.len() >= WAVEFORM => Err(Rejection::malformed(format!(
                "`values` is an array of {} numbers without a rate; expected the samples a second in metadata.sampling_hz (or sampling_hz of the sensor in the configuration), an object of named values, or fewer than {WAVEFORM} channels",
                samples.len()
            ))),
            (values, Some(rate)) => {
                for (index, &value) in values.iter().enumerate() {
                    #[allow(clippy::cast_precision_loss, reason = "fewer than 16")]
                    let after = time::from_seconds(index as f64 / rate);
                    let time = after.and_then(|after| self.at.checked_add(after));
                    match time {
                        Some(time) => intake.take(self.position, name, time, value),
                        None => return Err(time::no_time(b"")),
                    }
                }
                Ok(())
            }
            (values, None) => {
                for (index, &value) in values.iter().enumerate() {
                    intake.take(self.position, &format!("{name}/{index}"), self.at, value);
                }
                Ok(())
            }
        }
    }
}

fn no_rate(came: &str) -> Rejection {
    Rejection::malformed(format!("metadata.sampling_hz is no rate: {came}; send the number of samples a second"))
}
