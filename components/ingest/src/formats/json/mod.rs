//! JSON: messages `{"sensor_id": …, "timestamp": …, "values": …, "metadata": {…}}`, alone, in an array, or one per
//! line.
//!
//! `values` is a number, an object of numbers, or an array.
//! - Each key of an object is a sensor of its own, `sensor_id/key`. The key `value` is the sensor itself.
//! - An array with a sampling rate (`metadata.sampling_hz`, or the configured one) is a sequence of samples. From 16
//!   samples on it is stored as a waveform.
//! - An array without a sampling rate is up to 15 channels `sensor_id/0`, `sensor_id/1` and so on.
//!
//! The keys `sensor`, `time`, `ts` and `value` are accepted as well. Other keys are ignored.

mod message;
mod readings;
mod scan;

use std::fmt;

use memchr::memchr;
use serde::{
    Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};

use crate::{
    collector::ReadingCollector,
    rejection::{Rejection, excerpt},
};
use message::Message;
pub(super) use scan::{elements, syntax_rejection};

/// Example of a message, for error messages.
const EXPECTED_MESSAGE: &str =
    "{\"sensor_id\":\"site/area/machine/sensor\",\"timestamp\":\"2026-01-31T12:00:00Z\",\"values\":1.5}";

/// Decodes a whole body: an object, an array, a sequence of objects, or a bare number.
pub(crate) fn decode_document(payload: &[u8], sensor: Option<&str>, collector: &mut ReadingCollector<'_>) {
    let text = payload.trim_ascii();
    match text.first() {
        Some(b'[') => decode_array(text, sensor, collector),
        Some(b'{') => match serde_json::from_slice::<Message<'_>>(text) {
            Ok(message) => message.add_readings(text, 0, sensor, collector),
            // Several objects, or an invalid one.
            Err(error) if error.is_syntax() || error.is_data() => decode_elements(text, sensor, collector),
            Err(error) => collector.reject(0, syntax_rejection(&error, text, EXPECTED_MESSAGE), text, 1),
        },
        _ => decode_bare_number(text, sensor, collector),
    }
}

/// Decodes NDJSON: each line is an object or an array of objects.
pub(crate) fn decode_lines(payload: &[u8], sensor: Option<&str>, collector: &mut ReadingCollector<'_>) {
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
            line @ [b'[', ..] => decode_array(line, sensor, collector),
            line => decode_message(line, position, sensor, collector),
        }
        if collector.is_event_rejected() {
            return;
        }
    }
}

/// Decodes an array in one pass if all its elements are valid. Otherwise decodes it again element by element, so that
/// only the invalid elements are rejected.
fn decode_array(text: &[u8], sensor: Option<&str>, collector: &mut ReadingCollector<'_>) {
    let savepoint = collector.savepoint();
    collector.event.is_dry_run = true;
    let mut reader = serde_json::Deserializer::from_slice(text);
    let result =
        ArrayVisitor { sensor, collector: &mut *collector }.deserialize(&mut reader).and_then(|()| reader.end());
    collector.event.is_dry_run = false;
    if result.is_err() && !collector.is_event_rejected() {
        collector.rollback(savepoint);
        decode_elements(text, sensor, collector);
    }
}

struct ArrayVisitor<'a, 'b> {
    sensor: Option<&'a str>,
    collector: &'a mut ReadingCollector<'b>,
}

impl ArrayVisitor<'_, '_> {
    fn deserialize<'de, D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ArrayVisitor<'_, '_> {
    type Value = ();
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of readings")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(message) = elements.next_element::<Message<'de>>()? {
            let rejected_before = self.collector.event.rejected_count;
            message.add_readings(b"", 0, self.sensor, self.collector);
            if self.collector.event.rejected_count > rejected_before || self.collector.is_event_rejected() {
                // Decoding element by element has the bytes of the element for the dead letter.
                return Err(A::Error::custom("rejected"));
            }
        }
        Ok(())
    }
}

/// Decodes the elements of an array, or a sequence of objects, one at a time.
fn decode_elements(text: &[u8], sensor: Option<&str>, collector: &mut ReadingCollector<'_>) {
    for (position, element) in elements(text) {
        decode_message(element, position, sensor, collector);
        if collector.is_event_rejected() {
            return;
        }
    }
}

fn decode_message(text: &[u8], position: usize, sensor: Option<&str>, collector: &mut ReadingCollector<'_>) {
    match serde_json::from_slice::<Message<'_>>(text) {
        Ok(message) => message.add_readings(text, position, sensor, collector),
        Err(_) if sensor.is_some() && is_bare_number(text) => decode_bare_number(text, sensor, collector),
        Err(error) => collector.reject(position, syntax_rejection(&error, text, EXPECTED_MESSAGE), text, 1),
    }
}

/// Returns whether the text is a number and nothing else.
pub(crate) fn is_bare_number(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.trim().parse::<f64>().is_ok())
}

/// Decodes a payload that is only a value, for topics whose mapping gives the sensor.
fn decode_bare_number(text: &[u8], sensor: Option<&str>, collector: &mut ReadingCollector<'_>) {
    let value = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
    match (value, sensor) {
        (Some(value), Some(sensor)) => collector.add_reading(0, sensor, collector.arrival, value),
        (Some(_), None) => {
            let rejection = Rejection::malformed(
                "got a bare number, but no topic mapping gives its sensor; add an [[mqtt.topic]] rule or send an object",
            );
            collector.reject(0, rejection, text, 1);
        }
        (None, _) => {
            let rejection = Rejection::malformed(format!("expected {EXPECTED_MESSAGE}; got {:?}", excerpt(text)));
            collector.reject(0, rejection, text, 1);
        }
    }
}
