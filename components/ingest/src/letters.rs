//! What is kept of a refused part, so that it can be sent again by itself.
//!
//! A part that was decoded is written as one JSON object, with its sensor and time resolved: whatever stood around it (a
//! header, base values, an arrival, a birth) is not needed to read it again. A part that was not is kept as it came.

use serde_json::{Map, Value, json};

use crate::{
    intake::Intake,
    rejection::{Reason, Rejection},
    time,
};

/// A part that is larger is not kept.
const MOST_BYTES: usize = 4 << 20;
/// An event of which more parts are refused is refused as one.
const MOST_REFUSED: usize = 50_000;
/// So much is kept of an event that is larger than is taken.
const BEGINNING: usize = 4096;
/// An event's refused parts may take so many times its own size, as names and times are written out in each ...
const GROWTH: usize = 16;
/// ... but at least, and at most, so many bytes.
const ROOM: (usize, usize) = (64 << 10, 32 << 20);

/// A part of an event that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Index of the envelope.
    pub envelope: u32,
    /// Line or element from 1; 0 for the whole event.
    pub position: u32,
    /// Why.
    pub rejection: Rejection,
    /// What was refused, as something that can be sent again; empty where it is too large to be kept. Of an event that is
    /// larger than is taken, its beginning.
    pub payload: Vec<u8>,
    /// The topic that it is for; none: the envelope's.
    pub source: Option<String>,
    /// The media type or short name of its format; none where it is of none that is known.
    pub format: Option<String>,
    /// Readings that were refused with it; at least 1.
    pub readings: u32,
}

/// A part to be kept.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) payload: Vec<u8>,
    pub(crate) source: Option<String>,
    pub(crate) format: Option<String>,
}

impl Letter {
    /// A JSON object in a line of its own.
    fn of(object: &Map<String, Value>) -> Self {
        let mut payload = Value::Object(object.clone()).to_string().into_bytes();
        payload.push(b'\n');
        Self { payload, source: None, format: Some("ndjson".to_owned()) }
    }

    /// Values of a sensor: a number, a text, an array, an object.
    pub(crate) fn values(name: &str, at: i64, values: Value, rate: Option<f64>) -> Self {
        let mut object = Map::new();
        object.insert("sensor_id".to_owned(), name.into());
        object.insert("timestamp".to_owned(), time::show(at).into());
        object.insert("values".to_owned(), values);
        if let Some(rate) = rate {
            object.insert("metadata".to_owned(), json!({ "sampling_hz": number(rate) }));
        }
        Self::of(&object)
    }
}

/// A number, or as text what JSON has no number for.
pub(crate) fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

/// The beginning of an event that is larger than is taken.
pub(crate) fn beginning(payload: &[u8]) -> Vec<u8> {
    payload.get(..payload.len().min(BEGINNING)).unwrap_or_default().to_vec()
}

/// How many bytes an event's refused parts may take.
pub(crate) fn room(payload: usize) -> usize {
    payload.saturating_mul(GROWTH).clamp(ROOM.0, ROOM.1)
}

impl Intake<'_> {
    /// Takes a reading, or refuses it.
    pub(crate) fn take(&mut self, position: usize, name: &str, time: i64, value: f64) {
        if let Err(rejection) = self.reading(name, time, value) {
            self.refuse_values(position, rejection, name, time, 1, || number(value));
        }
    }

    /// Refuses values of a sensor whose id and time are known.
    pub(crate) fn refuse_values(
        &mut self,
        position: usize,
        rejection: Rejection,
        name: &str,
        time: i64,
        readings: usize,
        values: impl FnOnce() -> Value,
    ) {
        let rejection = self.about(name, rejection);
        self.refuse_as(position, rejection, readings, || Letter::values(name, time, values(), None));
    }

    /// Refuses a part as it came.
    pub(crate) fn refuse(&mut self, position: usize, rejection: Rejection, payload: &[u8], readings: usize) {
        let format = self.format;
        self.refuse_as(position, rejection, readings, || Letter {
            payload: if payload.len() > MOST_BYTES { Vec::new() } else { payload.to_vec() },
            source: None,
            format: format.map(str::to_owned),
        });
    }

    /// Refuses a part; `letter` is what is kept of it, and is asked for only if it is.
    pub(crate) fn refuse_as(
        &mut self,
        position: usize,
        rejection: Rejection,
        readings: usize,
        letter: impl FnOnce() -> Letter,
    ) {
        let event = &mut self.event;
        event.refused += 1;
        if event.refused > MOST_REFUSED && event.full.is_none() {
            // Without the words of any of them, which may be about a sensor that the sender may not know of.
            let message = format!(
                "more than {MOST_REFUSED} parts of the event are refused, so nothing of it is taken; mend them, or send smaller events, which tells what is wrong with each"
            );
            event.full = Some(Rejection::new(Reason::Oversize, message));
            return;
        }
        if event.drafting || event.full.is_some() {
            return;
        }
        let Letter { mut payload, source, format } = letter();
        if payload.len() > event.room {
            payload.clear();
        }
        event.room -= payload.len();
        self.out.refusals.push(Refusal {
            envelope: self.envelope,
            position: u32::try_from(position).unwrap_or(u32::MAX),
            rejection,
            payload,
            source,
            format,
            readings: u32::try_from(readings.max(1)).unwrap_or(u32::MAX),
        });
    }
}
