//! JSON: `{"sensor_id": …, "timestamp": …, "values": …, "metadata": {…}}`, alone, in an array, or one a line.
//!
//! `values` is a number, an object of numbers (each key is a sensor of its own, `sensor_id/key`; the key `value` is the
//! sensor itself), or an array: with a sampling rate (`metadata.sampling_hz`, or the configured one) a stretch of samples,
//! which from 16 samples on is kept as a waveform; without one, up to 15 channels `sensor_id/0`, `sensor_id/1` and so on.
//! `sensor`, `time`, `ts` and `value` are understood as well. Other keys are passed over.

mod read;
mod scan;
mod take;

use std::fmt;

use memchr::memchr;
use serde::{
    Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};

use crate::{
    intake::Intake,
    rejection::{Rejection, excerpt},
};
use read::Message;
pub(super) use scan::{elements, syntax};

const EXPECTED: &str =
    "{\"sensor_id\":\"site/area/machine/sensor\",\"timestamp\":\"2026-01-31T12:00:00Z\",\"values\":1.5}";

/// A whole body: an object, an array, or objects one after the other.
pub(crate) fn whole(payload: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    let text = payload.trim_ascii();
    match text.first() {
        Some(b'[') => array(text, sensor, intake),
        Some(b'{') => match serde_json::from_slice::<Message<'_>>(text) {
            Ok(message) => message.take(text, 0, sensor, intake),
            // Several objects, or one that is wrong: elements tells.
            Err(error) if error.is_syntax() || error.is_data() => objects(text, sensor, intake),
            Err(error) => intake.refuse(0, syntax(&error, text, EXPECTED), text, 1),
        },
        _ => bare(text, sensor, intake),
    }
}

/// One object, or array of them, a line.
pub(crate) fn lines(payload: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    let (mut rest, mut position) = (payload, 0);
    while !rest.is_empty() {
        let (line, after) = match memchr(b'\n', rest) {
            Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default()),
            None => (rest, [].as_slice()),
        };
        rest = after;
        position += 1;
        match line.trim_ascii() {
            [] => {}
            line @ [b'[', ..] => array(line, sensor, intake),
            line => message(line, position, sensor, intake),
        }
        if intake.is_full() {
            return;
        }
    }
}

/// All at once when all is well; else element by element, so that only what is wrong is refused.
fn array(text: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    let mark = intake.mark();
    intake.event.drafting = true;
    let mut reader = serde_json::Deserializer::from_slice(text);
    let taken = Elements { sensor, intake: &mut *intake }.deserialize(&mut reader).and_then(|()| reader.end());
    intake.event.drafting = false;
    if taken.is_err() && !intake.is_full() {
        intake.rollback(mark);
        objects(text, sensor, intake);
    }
}

struct Elements<'a, 'b> {
    sensor: Option<&'a str>,
    intake: &'a mut Intake<'b>,
}

impl Elements<'_, '_> {
    fn deserialize<'de, D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of readings")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(message) = elements.next_element::<Message<'de>>()? {
            let refused = self.intake.event.refused;
            message.take(b"", 0, self.sensor, self.intake);
            if self.intake.event.refused > refused || self.intake.is_full() {
                // The slow way has the element's own bytes for the dead letter.
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

fn objects(text: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    for (position, element) in elements(text) {
        message(element, position, sensor, intake);
        if intake.is_full() {
            return;
        }
    }
}

fn message(text: &[u8], position: usize, sensor: Option<&str>, intake: &mut Intake<'_>) {
    match serde_json::from_slice::<Message<'_>>(text) {
        Ok(message) => message.take(text, position, sensor, intake),
        Err(_) if sensor.is_some() && is_bare_number(text) => bare(text, sensor, intake),
        Err(error) => intake.refuse(position, syntax(&error, text, EXPECTED), text, 1),
    }
}

/// Whether it is a number and nothing else.
pub(crate) fn is_bare_number(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.trim().parse::<f64>().is_ok())
}

/// A topic's payload can be the value alone.
fn bare(text: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    let value = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
    match (value, sensor) {
        (Some(value), Some(sensor)) => intake.take(0, sensor, intake.arrival, value),
        (Some(_), None) => {
            let rejection = Rejection::malformed(
                "a bare number came, but no topic mapping names its sensor; add an [[mqtt.topic]] rule or send an object",
            );
            intake.refuse(0, rejection, text, 1);
        }
        (None, _) => {
            let rejection = Rejection::malformed(format!("expected {EXPECTED}; got {:?}", excerpt(text)));
            intake.refuse(0, rejection, text, 1);
        }
    }
}
