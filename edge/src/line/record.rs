//! Records as they lie in the log.
//!
//! Readings lie in `raw-sensor-data` as columns, little endian, behind one byte that tells the kind:
//!
//! | kind | fields |
//! |---|---|
//! | 1 readings | arrival i64, count u32, sensor u32 each, time i64 each, value f64 each |
//! | 2 waveform | arrival i64, sensor u32, start i64, rate f64, count u32, sample f32 each |
//! | 3 tick | now i64 |
//! | 4 flush | |
//! | 5 tagged | the tag of a QoS 2 exchange ([`crate::intake::exchanges`]) 46 bytes, then a record of kind 1 or 2 |
//!
//! Times are nanoseconds since 1970; sensors are the numbers in the store's table `sensors`. The other topics hold JSON,
//! but for `processed-data`, which holds feature batches in postcard's encoding.

use serde::{Deserialize, Serialize};

use crate::intake::exchanges::Tag;

/// The kind of a record that is behind a tag.
const TAGGED: u8 = 5;

/// One record of the topic raw-sensor-data.
#[derive(Clone, Debug, PartialEq)]
pub enum RawRecord {
    /// Scalar readings in order of arrival.
    Readings {
        /// When the host received them.
        arrival: i64,
        /// Numbers of the sensors.
        sensor: Vec<u32>,
        /// Times of the readings.
        time: Vec<i64>,
        /// Values in the sensors' units.
        value: Vec<f64>,
    },
    /// A burst of samples.
    Waveform {
        /// When the host received it.
        arrival: i64,
        /// Number of the sensor.
        sensor: u32,
        /// Time of the first sample.
        start: i64,
        /// Samples a second.
        rate: f64,
        /// In the sensor's unit.
        samples: Vec<f32>,
    },
    /// The timer fired.
    Tick {
        /// At this time.
        now: i64,
    },
    /// The recording ended: close every window.
    Flush,
}

/// A record that is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "a record of raw-sensor-data is not readable ({0}); it was written by another version, or the file was changed"
)]
pub struct RecordError(&'static str);

impl RawRecord {
    /// Appends the record to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Readings { arrival, sensor, time, value } => encode_readings(*arrival, sensor, time, value, out),
            Self::Waveform { arrival, sensor, start, rate, samples } => {
                out.push(2);
                out.extend_from_slice(&arrival.to_le_bytes());
                out.extend_from_slice(&sensor.to_le_bytes());
                out.extend_from_slice(&start.to_le_bytes());
                out.extend_from_slice(&rate.to_le_bytes());
                out.extend_from_slice(&count(samples.len()));
                out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            }
            Self::Tick { now } => {
                out.push(3);
                out.extend_from_slice(&now.to_le_bytes());
            }
            Self::Flush => out.push(4),
        }
    }

    /// Reads one record.
    ///
    /// # Errors
    /// [`RecordError`] when the bytes are not what [`Self::encode`] makes.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        // To the line it makes no difference how a reading came.
        let mut bytes = match bytes.split_first() {
            Some((&TAGGED, rest)) => rest.get(Tag::BYTES..).ok_or(RecordError("it ends early"))?,
            _ => bytes,
        };
        let record = match take::<1>(&mut bytes)? {
            [1] => {
                let arrival = i64::from_le_bytes(take(&mut bytes)?);
                let count = u32::from_le_bytes(take(&mut bytes)?) as usize;
                Self::Readings {
                    arrival,
                    sensor: column(&mut bytes, count, u32::from_le_bytes)?,
                    time: column(&mut bytes, count, i64::from_le_bytes)?,
                    value: column(&mut bytes, count, f64::from_le_bytes)?,
                }
            }
            [2] => {
                let arrival = i64::from_le_bytes(take(&mut bytes)?);
                let sensor = u32::from_le_bytes(take(&mut bytes)?);
                let start = i64::from_le_bytes(take(&mut bytes)?);
                let rate = f64::from_le_bytes(take(&mut bytes)?);
                let count = u32::from_le_bytes(take(&mut bytes)?) as usize;
                Self::Waveform { arrival, sensor, start, rate, samples: column(&mut bytes, count, f32::from_le_bytes)? }
            }
            [3] => Self::Tick { now: i64::from_le_bytes(take(&mut bytes)?) },
            [4] => Self::Flush,
            _ => return Err(RecordError("its kind is unknown")),
        };
        if bytes.is_empty() { Ok(record) } else { Err(RecordError("it is longer than it says")) }
    }

    /// The tag of the exchange that a record came with.
    pub(crate) fn tag(bytes: &[u8]) -> Option<&[u8; Tag::BYTES]> {
        let (&kind, rest) = bytes.split_first()?;
        rest.first_chunk().filter(|_| kind == TAGGED)
    }

    /// Puts the tag of part `part` of `parts` before an encoded record.
    pub(crate) fn tagged(tag: &Tag, part: u16, parts: u16, record: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + Tag::BYTES + record.len());
        out.push(TAGGED);
        tag.write(part, parts, &mut out);
        out.extend_from_slice(record);
        out
    }
}

/// Appends a record of readings to `out`: what [`RawRecord::encode`] does, from borrowed columns of one length.
pub(crate) fn encode_readings(arrival: i64, sensor: &[u32], time: &[i64], value: &[f64], out: &mut Vec<u8>) {
    out.reserve(13 + sensor.len() * 20);
    out.push(1);
    out.extend_from_slice(&arrival.to_le_bytes());
    out.extend_from_slice(&count(sensor.len()));
    out.extend(sensor.iter().flat_map(|sensor| sensor.to_le_bytes()));
    out.extend(time.iter().flat_map(|time| time.to_le_bytes()));
    out.extend(value.iter().flat_map(|value| value.to_le_bytes()));
}

fn count(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], RecordError> {
    let (head, rest) = bytes.split_first_chunk().ok_or(RecordError("it ends early"))?;
    *bytes = rest;
    Ok(*head)
}

fn column<T, const N: usize>(bytes: &mut &[u8], count: usize, read: fn([u8; N]) -> T) -> Result<Vec<T>, RecordError> {
    let length = count.checked_mul(N).filter(|&length| length <= bytes.len()).ok_or(RecordError("it ends early"))?;
    let (head, rest) = bytes.split_at(length);
    *bytes = rest;
    let (cells, _) = head.as_chunks::<N>();
    Ok(cells.iter().map(|&cell| read(cell)).collect())
}

/// One event of the topic dlq-sensor-data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetterEvent {
    /// When it was refused.
    pub time: i64,
    /// Where it came from: topic, path or subject; for a refused reading the stage.
    pub source: String,
    /// The reason's name, such as `malformed`.
    pub reason: String,
    /// What was expected, what came, what to do.
    pub message: String,
    /// The refused part as it came.
    #[serde(with = "base64_bytes")]
    pub payload: Vec<u8>,
    /// How many readings were refused with it.
    pub readings: u32,
    /// The sensor, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<String>,
    /// The format it claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

impl DeadLetterEvent {
    /// How the format begins of a body whose Content-Encoding could not be undone.
    pub const ENCODED: &str = "encoding ";
}

mod base64_bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_reads_back(
            rows in prop::collection::vec((any::<u32>(), any::<i64>(), -1e300f64..1e300), 0..50),
            samples in prop::collection::vec(-1e30f32..1e30, 0..50),
            number in any::<i64>(),
        ) {
            let (mut sensor, mut time, mut value) = (Vec::new(), Vec::new(), Vec::new());
            for (a, b, c) in rows {
                sensor.push(a);
                time.push(b);
                value.push(c);
            }
            for record in [
                RawRecord::Readings { arrival: number, sensor, time, value },
                RawRecord::Waveform { arrival: number, sensor: 7, start: number, rate: 25_600.0, samples },
                RawRecord::Tick { now: number },
                RawRecord::Flush,
            ] {
                let mut bytes = Vec::new();
                record.encode(&mut bytes);
                prop_assert_eq!(RawRecord::decode(&bytes).unwrap(), record);
                prop_assert!(RawRecord::decode(&bytes[..bytes.len() - 1]).is_err());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = RawRecord::decode(&bytes);
        }
    }
}
