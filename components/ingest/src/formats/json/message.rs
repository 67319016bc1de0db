//! Deserialisation of a JSON message: which keys are read, and which types their values may have.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{rejection::excerpt, time};

/// A message. Absent keys are None.
#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub(super) sensor: Option<Cow<'a, str>>,
    pub(super) time: Option<Timestamp>,
    pub(super) values: Option<Values>,
    pub(super) rate: Option<Rate>,
}

enum Key {
    Sensor,
    Time,
    Values,
    Metadata,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a key")
            }
            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "sensor_id" | "sensor" => Key::Sensor,
                    "timestamp" | "time" | "ts" => Key::Time,
                    "values" | "value" => Key::Values,
                    "metadata" => Key::Metadata,
                    _ => Key::Other,
                })
            }
        }
        reader.deserialize_identifier(KeyVisitor)
    }
}

impl<'de> Deserialize<'de> for Message<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct MessageVisitor;
        impl<'de> Visitor<'de> for MessageVisitor {
            type Value = Message<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object with sensor_id, timestamp and values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message<'de>, A::Error> {
                let mut message = Message::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::Sensor => message.sensor = map.next_value::<Option<SensorName<'de>>>()?.map(|name| name.0),
                        Key::Time => message.time = map.next_value()?,
                        Key::Values => message.values = Some(map.next_value()?),
                        Key::Metadata => message.rate = map.next_value::<Metadata>()?.0,
                        Key::Other => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(message)
            }
        }
        reader.deserialize_map(MessageVisitor)
    }
}

#[derive(Debug)]
struct SensorName<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for SensorName<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct SensorNameVisitor;
        impl<'de> Visitor<'de> for SensorNameVisitor {
            type Value = SensorName<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a sensor id, as text")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(SensorName(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(SensorName(Cow::Owned(name.to_owned())))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(SensorName(Cow::Owned(number.to_string())))
            }
        }
        reader.deserialize_any(SensorNameVisitor)
    }
}

/// A time in nanoseconds since 1970, or the value that is not a time.
#[derive(Debug)]
pub(super) enum Timestamp {
    Valid(i64),
    Invalid(String),
}

impl Timestamp {
    fn from_parsed(time: Option<i64>, received: impl fmt::Display) -> Self {
        time.map_or_else(|| Self::Invalid(received.to_string()), Self::Valid)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct TimestampVisitor;
        impl Visitor<'_> for TimestampVisitor {
            type Value = Timestamp;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a time, RFC 3339 or a number since 1970")
            }
            fn visit_u64<E>(self, number: u64) -> Result<Timestamp, E> {
                Ok(Timestamp::from_parsed(i64::try_from(number).ok().and_then(time::from_epoch), number))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Timestamp, E> {
                Ok(Timestamp::from_parsed(time::from_epoch(number), number))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Timestamp, E> {
                Ok(Timestamp::from_parsed(time::from_epoch_float(number), number))
            }
            fn visit_str<E>(self, text: &str) -> Result<Timestamp, E> {
                Ok(Timestamp::from_parsed(time::parse_text(text).ok(), text))
            }
        }
        reader.deserialize_any(TimestampVisitor)
    }
}

/// The value of the key `values`.
#[derive(Debug)]
pub(super) enum Values {
    Number(f64),
    Array(Vec<f64>),
    Object(Vec<(String, Values)>),
    /// Anything else, with the message for the sender.
    Invalid(String),
    /// An object with more keys than the limit, and their number.
    TooManyKeys(usize),
}

impl Values {
    /// Limit for the number of keys of an object.
    pub(super) const MAX_KEYS: usize = 100_000;

    /// Returns the number of readings.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Number(_) | Self::Invalid(_) => 1,
            Self::Array(values) => values.len(),
            Self::Object(entries) => entries.iter().map(|(_, values)| values.count()).sum(),
            Self::TooManyKeys(keys) => *keys,
        }
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct ValuesVisitor;
        impl<'de> Visitor<'de> for ValuesVisitor {
            type Value = Values;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number, an object of numbers or an array of numbers")
            }
            fn visit_f64<E>(self, value: f64) -> Result<Values, E> {
                Ok(Values::Number(value))
            }
            #[allow(clippy::cast_precision_loss, reason = "readings are doubles")]
            fn visit_u64<E>(self, value: u64) -> Result<Values, E> {
                Ok(Values::Number(value as f64))
            }
            #[allow(clippy::cast_precision_loss, reason = "readings are doubles")]
            fn visit_i64<E>(self, value: i64) -> Result<Values, E> {
                Ok(Values::Number(value as f64))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Values, E> {
                Ok(Values::Number(f64::from(u8::from(value))))
            }
            /// JavaScript writes NaN as `null`.
            fn visit_unit<E>(self) -> Result<Values, E> {
                Ok(Values::Number(f64::NAN))
            }
            fn visit_str<E>(self, text: &str) -> Result<Values, E> {
                Ok(match text.trim().parse() {
                    Ok(value) => Values::Number(value),
                    Err(_) => {
                        Values::Invalid(format!("expected a number; got the text {:?}", excerpt(text.as_bytes())))
                    }
                })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Values, A::Error> {
                let mut values = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(1 << 16));
                let mut fault = None;
                while let Some(element) = seq.next_element()? {
                    match element {
                        Values::Number(value) => values.push(value),
                        Values::Invalid(message) => fault = Some(message),
                        Values::Array(_) | Values::Object(_) | Values::TooManyKeys(_) => {
                            fault = Some("expected an array of numbers; got an array with arrays or objects".to_owned())
                        }
                    }
                }
                Ok(fault.map_or(Values::Array(values), Values::Invalid))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, values)) = map.next_entry()? {
                    entries.push((key, values));
                    if entries.len() > Values::MAX_KEYS {
                        let mut count = entries.len();
                        drop(entries);
                        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                            count += 1;
                        }
                        return Ok(Values::TooManyKeys(count));
                    }
                }
                Ok(if entries.is_empty() {
                    Values::Invalid("`values` is an empty object; expected numbers".to_owned())
                } else {
                    Values::Object(entries)
                })
            }
        }
        reader.deserialize_any(ValuesVisitor)
    }
}

/// A sampling rate in Hz, or the value that is not a rate.
pub(super) type Rate = Result<f64, String>;

/// The sampling rate in `metadata`. All other metadata, of any type, is ignored.
struct Metadata(Option<Rate>);

/// Keys of the sampling rate in `metadata`.
const RATE_KEYS: [&str; 3] = ["sampling_hz", "sample_rate_hz", "sampling_rate_hz"];

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct MetadataVisitor;
        impl<'de> Visitor<'de> for MetadataVisitor {
            type Value = Metadata;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("metadata, of any shape")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut rate = None;
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if RATE_KEYS.contains(&&*key) {
                        rate = map.next_value::<RateValue>()?.0.or(rate);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Metadata(rate))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Metadata, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Metadata(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Metadata, E> {
                Ok(Metadata(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Metadata, E> {
                Ok(Metadata(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Metadata, E> {
                Ok(Metadata(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Metadata, E> {
                Ok(Metadata(None))
            }
            fn visit_str<E>(self, _: &str) -> Result<Metadata, E> {
                Ok(Metadata(None))
            }
            fn visit_unit<E>(self) -> Result<Metadata, E> {
                Ok(Metadata(None))
            }
        }
        reader.deserialize_any(MetadataVisitor)
    }
}

/// A rate as a number, or as a string that contains a number. None for NaN and `null`.
struct RateValue(Option<Rate>);

impl<'de> Deserialize<'de> for RateValue {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        Ok(Self(match Values::deserialize(reader)? {
            Values::Number(rate) if rate.is_nan() => None,
            Values::Number(rate) => Some(Ok(rate)),
            Values::Invalid(message) => Some(Err(message)),
            Values::Array(_) | Values::Object(_) | Values::TooManyKeys(_) => {
                Some(Err("an array or an object".to_owned()))
            }
        }))
    }
}
