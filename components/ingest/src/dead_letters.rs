//! Dead letters: the rejected parts of events, in a form that can be sent again by itself.
//!
//! A part that was decoded is written as one JSON object with its sensor and time resolved, so that its context (a
//! header, base values, an arrival, a birth) is not needed to decode it again. A part that was not decoded is kept
//! unchanged.

use serde_json::{Map, Value, json};

use crate::{
    collector::ReadingCollector,
    rejection::{Reason, Rejection},
    time,
};

/// Limit for the size of a rejected part; the payload of a larger one is not kept.
const MAX_PART_BYTES: usize = 4 << 20;
/// Limit for the number of rejected parts of an event; above it the event is rejected as a whole.
const MAX_REJECTED_PARTS: usize = 50_000;
/// Number of bytes that are kept of an event that exceeds the maximum size.
const OVERSIZE_EXCERPT_BYTES: usize = 4096;
/// The dead letters of an event may have this many times its size, because each contains the name and the time.
const BUDGET_FACTOR: usize = 16;
/// Lower and upper bound for the size of the dead letters of an event, in bytes.
const BUDGET_BOUNDS: (usize, usize) = (64 << 10, 32 << 20);

/// A rejected part of an event: a line, an element, a metric, a value, or the whole event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedPart {
    /// Index of the envelope.
    pub envelope: u32,
    /// Number of the line or element, from 1; 0 for the whole event.
    pub position: u32,
    /// The reason, with a message.
    pub rejection: Rejection,
    /// The rejected part in a form that can be sent again. Empty if it is too large to be kept. For an event that
    /// exceeds the maximum size, its first bytes.
    pub payload: Vec<u8>,
    /// The topic to send the payload to. None: that of the envelope.
    pub source: Option<String>,
    /// The media type or short name of the format of the payload. None if the format is not known.
    pub format: Option<String>,
    /// Number of rejected readings, as far as known; at least 1.
    pub readings: u32,
}

/// A rejected part as it is kept, see [`RejectedPart`].
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) payload: Vec<u8>,
    pub(crate) source: Option<String>,
    pub(crate) format: Option<String>,
}

impl DeadLetter {
    /// Writes a JSON object as a line of NDJSON.
    fn from_object(object: &Map<String, Value>) -> Self {
        let mut payload = Value::Object(object.clone()).to_string().into_bytes();
        payload.push(b'\n');
        Self { payload, source: None, format: Some("ndjson".to_owned()) }
    }

    /// Writes a message with values of a sensor: a number, a string, an array or an object. `rate` is in Hz.
    pub(crate) fn from_values(name: &str, at: i64, values: Value, rate: Option<f64>) -> Self {
        let mut object = Map::new();
        object.insert("sensor_id".to_owned(), name.into());
        object.insert("timestamp".to_owned(), time::to_rfc3339(at).into());
        object.insert("values".to_owned(), values);
        if let Some(rate) = rate {
            object.insert("metadata".to_owned(), json!({ "sampling_hz": json_number(rate) }));
        }
        Self::from_object(&object)
    }
}

/// Returns a JSON number, or a string if the value is not finite.
pub(crate) fn json_number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

/// Returns the first bytes of an event that exceeds the maximum size.
pub(crate) fn oversize_excerpt(payload: &[u8]) -> Vec<u8> {
    payload.get(..payload.len().min(OVERSIZE_EXCERPT_BYTES)).unwrap_or_default().to_vec()
}

/// Returns the maximum size of the dead letters of an event whose payload has this size, in bytes.
pub(crate) fn budget(payload: usize) -> usize {
    payload.saturating_mul(BUDGET_FACTOR).clamp(BUDGET_BOUNDS.0, BUDGET_BOUNDS.1)
}

impl ReadingCollector<'_> {
    /// Adds a reading, or rejects it.
    pub(crate) fn add_reading(&mut self, position: usize, name: &str, time: i64, value: f64) {
        if let Err(rejection) = self.try_add_reading(name, time, value) {
            self.reject_values(position, rejection, name, time, 1, || json_number(value));
        }
    }

    /// Rejects values of a sensor whose id and time are known.
    pub(crate) fn reject_values(
        &mut self,
        position: usize,
        rejection: Rejection,
        name: &str,
        time: i64,
        readings: usize,
        values: impl FnOnce() -> Value,
    ) {
        let rejection = self.with_sensor(name, rejection);
        self.reject_with(position, rejection, readings, || DeadLetter::from_values(name, time, values(), None));
    }

    /// Rejects a part. Its dead letter is the unchanged payload.
    pub(crate) fn reject(&mut self, position: usize, rejection: Rejection, payload: &[u8], readings: usize) {
        let format = self.format;
        self.reject_with(position, rejection, readings, || DeadLetter {
            payload: if payload.len() > MAX_PART_BYTES { Vec::new() } else { payload.to_vec() },
            source: None,
            format: format.map(str::to_owned),
        });
    }

    /// Rejects a part. `dead_letter` creates its dead letter; it is called only if the dead letter is kept.
    pub(crate) fn reject_with(
        &mut self,
        position: usize,
        rejection: Rejection,
        readings: usize,
        dead_letter: impl FnOnce() -> DeadLetter,
    ) {
        let event = &mut self.event;
        event.rejected_count += 1;
        if event.rejected_count > MAX_REJECTED_PARTS && event.rejection.is_none() {
            // The message does not quote the single rejections: they may name a sensor that the sender must not know
            // of.
            let message = format!(
                "more than {MAX_REJECTED_PARTS} parts of the event are invalid, so it is rejected as a whole: correct them, or send smaller events to get the reason for each part"
            );
            event.rejection = Some(Rejection::new(Reason::Oversize, message));
            return;
        }
        if event.is_dry_run || event.rejection.is_some() {
            return;
        }
        let DeadLetter { mut payload, source, format } = dead_letter();
        if payload.len() > event.dead_letter_budget {
            payload.clear();
        }
        event.dead_letter_budget -= payload.len();
        self.out.rejected.push(RejectedPart {
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
