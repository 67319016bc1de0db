//! The record formats of the log.
//!
//! `raw-sensor-data` holds readings as columns, little endian, after one byte for the kind:
//!
//! | kind | fields |
//! |---|---|
//! | 1 readings | arrival i64, count u32, sensor u32 each, time i64 each, value f64 each |
//! | 2 waveform | arrival i64, sensor u32, start i64, rate f64, count u32, sample f32 each |
//! | 3 tick | now i64 |
//! | 4 flush | |
//! | 5 tagged | the tag of a QoS 2 exchange ([`ExchangeTag`]) 46 bytes, then a record of kind 1 or 2 |
//! | 6 reset of a baseline | time i64, length u32, asset in UTF-8 |
//!
//! Times are nanoseconds since 1970; sensors are the numbers in the store's table `sensors`. The other topics hold
//! JSON, except `processed-data`, which holds feature batches in postcard's encoding.

use super::exchange_tag::ExchangeTag;

/// The kind of a tagged record.
const TAGGED_KIND: u8 = 5;

/// One record of the topic raw-sensor-data.
#[derive(Clone, Debug, PartialEq)]
pub enum RawRecord {
    /// Scalar readings in order of arrival.
    Readings {
        /// When the host received them, in nanoseconds since 1970.
        arrival: i64,
        /// Number of each reading's sensor.
        sensor: Vec<u32>,
        /// Time of each reading.
        time: Vec<i64>,
        /// Values in the sensors' units.
        value: Vec<f64>,
    },
    /// A waveform: equidistant samples of one sensor.
    Waveform {
        /// When the host received it, in nanoseconds since 1970.
        arrival: i64,
        /// Number of the sensor.
        sensor: u32,
        /// Time of the first sample.
        start: i64,
        /// Samples per second.
        rate: f64,
        /// Values in the sensor's unit.
        samples: Vec<f32>,
    },
    /// A timer tick.
    Tick {
        /// Time of the tick, in nanoseconds since 1970.
        now: i64,
    },
    /// The end of a recording: close every window.
    Flush,
    /// A user resets the baseline of an asset: what was learnt about it is forgotten, and its alerts resolve.
    ResetBaseline {
        /// Name of the asset.
        asset: String,
        /// Time of the reset, in nanoseconds since 1970.
        time: i64,
    },
}

/// A record that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error(
    "a record of raw-sensor-data cannot be decoded ({0}); it was written by another version, or the file was changed"
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
                out.extend_from_slice(&encode_count(samples.len()));
                out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            }
            Self::Tick { now } => {
                out.push(3);
                out.extend_from_slice(&now.to_le_bytes());
            }
            Self::Flush => out.push(4),
            Self::ResetBaseline { asset, time } => {
                out.push(6);
                out.extend_from_slice(&time.to_le_bytes());
                out.extend_from_slice(&encode_count(asset.len()));
                out.extend_from_slice(asset.as_bytes());
            }
        }
    }

    /// Decodes one record.
    ///
    /// # Errors
    /// [`RecordError`] when the bytes are not an encoding of [`Self::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        // The line ignores how a reading was sent.
        let mut bytes = match bytes.split_first() {
            Some((&TAGGED_KIND, rest)) => rest.get(ExchangeTag::ENCODED_LEN..).ok_or(RecordError("it ends early"))?,
            _ => bytes,
        };
        let record = match take_bytes::<1>(&mut bytes)? {
            [1] => {
                let arrival = i64::from_le_bytes(take_bytes(&mut bytes)?);
                let count = u32::from_le_bytes(take_bytes(&mut bytes)?) as usize;
                Self::Readings {
                    arrival,
                    sensor: decode_column(&mut bytes, count, u32::from_le_bytes)?,
                    time: decode_column(&mut bytes, count, i64::from_le_bytes)?,
                    value: decode_column(&mut bytes, count, f64::from_le_bytes)?,
                }
            }
            [2] => {
                let arrival = i64::from_le_bytes(take_bytes(&mut bytes)?);
                let sensor = u32::from_le_bytes(take_bytes(&mut bytes)?);
                let start = i64::from_le_bytes(take_bytes(&mut bytes)?);
                let rate = f64::from_le_bytes(take_bytes(&mut bytes)?);
                let count = u32::from_le_bytes(take_bytes(&mut bytes)?) as usize;
                Self::Waveform {
                    arrival,
                    sensor,
                    start,
                    rate,
                    samples: decode_column(&mut bytes, count, f32::from_le_bytes)?,
                }
            }
            [3] => Self::Tick { now: i64::from_le_bytes(take_bytes(&mut bytes)?) },
            [4] => Self::Flush,
            [6] => {
                let time = i64::from_le_bytes(take_bytes(&mut bytes)?);
                let length = u32::from_le_bytes(take_bytes(&mut bytes)?) as usize;
                let asset = decode_column(&mut bytes, length, u8::from_le_bytes)?;
                let asset = String::from_utf8(asset).map_err(|_| RecordError("its asset is not UTF-8"))?;
                Self::ResetBaseline { asset, time }
            }
            _ => return Err(RecordError("its kind is unknown")),
        };
        if bytes.is_empty() { Ok(record) } else { Err(RecordError("it is longer than its fields")) }
    }

    /// The tag of the QoS 2 exchange that the record belongs to, if it has one.
    pub(crate) fn tag(bytes: &[u8]) -> Option<&[u8; ExchangeTag::ENCODED_LEN]> {
        let (&kind, rest) = bytes.split_first()?;
        rest.first_chunk().filter(|_| kind == TAGGED_KIND)
    }

    /// Prepends the tag of record `part` of `parts` to an encoded record.
    pub(crate) fn encode_tagged(tag: &ExchangeTag, part: u16, parts: u16, record: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + ExchangeTag::ENCODED_LEN + record.len());
        out.push(TAGGED_KIND);
        tag.write(part, parts, &mut out);
        out.extend_from_slice(record);
        out
    }
}

/// Appends a record of readings to `out`: like [`RawRecord::encode`], from borrowed columns of equal length.
pub(crate) fn encode_readings(arrival: i64, sensor: &[u32], time: &[i64], value: &[f64], out: &mut Vec<u8>) {
    out.reserve(13 + sensor.len() * 20);
    out.push(1);
    out.extend_from_slice(&arrival.to_le_bytes());
    out.extend_from_slice(&encode_count(sensor.len()));
    out.extend(sensor.iter().flat_map(|sensor| sensor.to_le_bytes()));
    out.extend(time.iter().flat_map(|time| time.to_le_bytes()));
    out.extend(value.iter().flat_map(|value| value.to_le_bytes()));
}

fn encode_count(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn take_bytes<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], RecordError> {
    let (head, rest) = bytes.split_first_chunk().ok_or(RecordError("it ends early"))?;
    *bytes = rest;
    Ok(*head)
}

fn decode_column<T, const N: usize>(
    bytes: &mut &[u8],
    count: usize,
    read: fn([u8; N]) -> T,
) -> Result<Vec<T>, RecordError> {
    let length = count.checked_mul(N).filter(|&length| length <= bytes.len()).ok_or(RecordError("it ends early"))?;
    let (head, rest) = bytes.split_at(length);
    *bytes = rest;
    let (cells, _) = head.as_chunks::<N>();
    Ok(cells.iter().map(|&cell| read(cell)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_round_trips(
            rows in prop::collection::vec((any::<u32>(), any::<i64>(), -1e300f64..1e300), 0..50),
            samples in prop::collection::vec(-1e30f32..1e30, 0..50),
            number in any::<i64>(),
            asset in ".{0,40}",
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
                RawRecord::ResetBaseline { asset, time: number },
            ] {
                let mut bytes = Vec::new();
                record.encode(&mut bytes);
                prop_assert_eq!(RawRecord::decode(&bytes).unwrap(), record);
                prop_assert!(RawRecord::decode(&bytes[..bytes.len() - 1]).is_err());
            }
        }

        #[test]
        fn decoding_arbitrary_bytes_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = RawRecord::decode(&bytes);
        }
    }

    #[test]
    fn a_damaged_reset_is_an_error() {
        let reset = |length: u32, asset: &[u8]| [&[6][..], &[0; 8], &length.to_le_bytes(), asset].concat();
        assert!(RawRecord::decode(&reset(2, b"ab")).is_ok());
        for (bytes, expected) in [
            (reset(3, b"ab"), "it ends early"),
            (reset(1, b"ab"), "longer than its fields"),
            (reset(2, b"a\xff"), "its asset is not UTF-8"),
            (vec![7], "its kind is unknown"),
        ] {
            let error = RawRecord::decode(&bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
