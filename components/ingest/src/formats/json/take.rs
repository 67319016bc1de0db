//! What a message means: its readings, handed to the intake.

use std::borrow::Cow;

use super::{
    EXPECTED,
    read::{Message, Stamp, Values},
};
use crate::{
    intake::{Intake, check_rate},
    rejection::{Rejection, excerpt},
    time,
};

/// From so many samples on, an array with a rate is a waveform.
const WAVEFORM: usize = 16;

impl Message<'_> {
    /// Takes its readings; `text` is kept with what is refused.
    pub(super) fn take(self, text: &[u8], position: usize, mapped: Option<&str>, intake: &mut Intake<'_>) {
        let count = self.values.as_ref().map_or(1, Values::count);
        if let Err(rejection) = self.take_parts(text, position, mapped, intake) {
            intake.refuse(position, rejection, text, count);
        }
    }

    fn take_parts(
        self,
        text: &[u8],
        position: usize,
        mapped: Option<&str>,
        intake: &mut Intake<'_>,
    ) -> Result<(), Rejection> {
        let name = self.sensor.as_deref().or(mapped).ok_or_else(|| {
            Rejection::malformed(format!("the message names no sensor; expected {EXPECTED}; got {:?}", excerpt(text)))
        })?;
        let at = match self.time {
            None => intake.arrival,
            Some(Stamp::Time(time)) => time,
            Some(Stamp::Bad(came)) => return Err(intake.about(name, time::no_time(came.as_bytes()))),
        };
        let taken = match self.values {
            Some(Values::One(value)) => intake.reading(name, at, value),
            None => Err(Rejection::malformed(format!("the message has no `values`; expected {EXPECTED}"))),
            Some(Values::Bad(message)) => Err(Rejection::malformed(message)),
            Some(Values::Many(values)) => many(name, at, self.sampling_hz, &values, text, position, intake),
            Some(Values::Named(parts)) => {
                for (key, values) in parts {
                    let sensor = if key == "value" { name.to_owned() } else { format!("{name}/{key}") };
                    let count = values.count();
                    let taken = match values {
                        Values::One(value) => intake.reading(&sensor, at, value),
                        Values::Many(values) => many(&sensor, at, self.sampling_hz, &values, text, position, intake),
                        Values::Named(_) => Err(Rejection::malformed(format!(
                            "`values.{key}` is an object; expected a number or an array of numbers"
                        ))),
                        Values::Bad(message) => Err(Rejection::malformed(message)),
                    };
                    if let Err(rejection) = taken.map_err(|rejection| intake.about(&sensor, rejection)) {
                        intake.refuse(position, rejection, text, count);
                    }
                }
                Ok(())
            }
        };
        taken.map_err(|rejection| intake.about(name, rejection))
    }
}

fn many(
    name: &str,
    at: i64,
    rate: Option<f64>,
    values: &[f64],
    text: &[u8],
    position: usize,
    intake: &mut Intake<'_>,
) -> Result<(), Rejection> {
    let rate = rate.or_else(|| intake.sampling_hz(name));
    rate.map_or(Ok(()), check_rate)?;
    match (values, rate) {
        ([], _) => Err(Rejection::malformed("`values` is an empty array; expected numbers")),
        ([value], _) => intake.reading(name, at, *value),
        #[allow(clippy::cast_possible_truncation, reason = "samples are kept as f32")]
        (samples, Some(rate)) if samples.len() >= WAVEFORM => {
            let narrow = samples.iter().map(|&value| value as f32).collect();
            intake.waveform(name, at, rate, narrow)
        }
        (values, rate) => {
            for (index, &value) in values.iter().enumerate() {
                #[allow(clippy::cast_precision_loss, reason = "fewer than 16, or unused")]
                let (sensor, time) = match rate {
                    Some(rate) => {
                        let after = time::from_seconds(index as f64 / rate);
                        (Cow::Borrowed(name), after.and_then(|after| at.checked_add(after)))
                    }
                    None => (Cow::Owned(format!("{name}/{index}")), Some(at)),
                };
                let taken =
                    time.ok_or_else(|| time::no_time(b"")).and_then(|time| intake.reading(&sensor, time, value));
                if let Err(rejection) = taken.map_err(|rejection| intake.about(name, rejection)) {
                    intake.refuse(position, rejection, text, 1);
                }
            }
            Ok(())
        }
    }
}
