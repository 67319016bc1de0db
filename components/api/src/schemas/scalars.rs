//! Bounded values. Each type validates itself on deserialisation and provides its own JSON Schema.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

use crate::{names, time};

/// A text with a length in characters within bounds. The character NUL, which some stores cannot store, is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoundedText<const MIN: usize, const MAX: usize>(pub(crate) String);

/// The name of an item.
pub(crate) type Name = BoundedText<1, 256>;
/// The text of a comment.
pub(crate) type Remark = BoundedText<1, 2000>;

/// The pattern of a text without NUL.
pub(crate) const NO_NUL: &str = "^[^\\u0000]*$";

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for BoundedText<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let length = text.chars().count();
        if !(MIN..=MAX).contains(&length) {
            return Err(D::Error::custom(format!("a text of {length} characters, expected {MIN} to {MAX}")));
        }
        if text.contains('\0') {
            return Err(D::Error::custom("a text with the character NUL, expected one without"));
        }
        Ok(Self(text))
    }
}

impl<const MIN: usize, const MAX: usize> Serialize for BoundedText<MIN, MAX> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(out)
    }
}

impl<const MIN: usize, const MAX: usize> JsonSchema for BoundedText<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": MIN, "maxLength": MAX, "pattern": NO_NUL })
    }
}

/// The name of a sensor, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SensorName(pub(crate) String);

impl<'de> Deserialize<'de> for SensorName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let BoundedText(name) = Name::deserialize(from)?;
        names::check_name(&name).map_err(D::Error::custom)?;
        Ok(Self(name))
    }
}

impl Serialize for SensorName {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(out)
    }
}

impl JsonSchema for SensorName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SensorName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": names::NAME_PATTERN })
    }
}

/// A number in a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BoundedNumber<const MIN: i64, const MAX: i64>(pub(crate) f64);

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for BoundedNumber<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(from)?;
        if (MIN as f64..=MAX as f64).contains(&number) {
            Ok(Self(number))
        } else {
            Err(D::Error::custom(format!("the number {number}, expected one from {MIN} to {MAX}")))
        }
    }
}

impl<const MIN: i64, const MAX: i64> Serialize for BoundedNumber<MIN, MAX> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(out)
    }
}

impl<const MIN: i64, const MAX: i64> JsonSchema for BoundedNumber<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("From{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": MIN, "maximum": MAX })
    }
}

/// A time in nanoseconds since 1970. In JSON it is RFC 3339; times before 1677 or after 2262 are clamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp(pub(crate) i64);

/// Parses a time of a request body, and returns nanoseconds since 1970.
///
/// # Errors
/// A message with what was expected and what was received.
pub fn parse_timestamp(value: &serde_json::Value) -> Result<i64, String> {
    Timestamp::deserialize(value).map(|moment| moment.0).map_err(|error| error.to_string())
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Timestamp;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a time as RFC 3339, such as \"2026-01-31T13:45:00Z\", or whole nanoseconds since 1970")
            }
            fn visit_i64<E: Error>(self, time: i64) -> Result<Timestamp, E> {
                Ok(Timestamp(time))
            }
            fn visit_u64<E: Error>(self, time: u64) -> Result<Timestamp, E> {
                i64::try_from(time)
                    .map(Timestamp)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(time), &self))
            }
            fn visit_f64<E: Error>(self, time: f64) -> Result<Timestamp, E> {
                // A whole number in floating-point notation, such as 1e18, is accepted.
                if time.fract() == 0.0 && time.abs() < 9e18 {
                    Ok(Timestamp(time as i64))
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Float(time), &self))
                }
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
                time::parse_rfc3339(text)
                    .map(Timestamp)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        from.deserialize_any(Either)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&time::format_rfc3339(self.0))
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        if generator.contract().is_serialize() {
            json_schema!({ "type": "string", "format": "date-time" })
        } else {
            time_schema()
        }
    }
}

/// Returns the schema of a time in a request.
pub(crate) fn time_schema() -> Schema {
    json_schema!({ "anyOf": [
        { "type": "string", "format": "date-time" },
        { "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX },
    ] })
}

/// Any JSON object.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct JsonObject(pub(crate) Value);

impl JsonSchema for JsonObject {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Object".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}

/// A wrapper that accepts only a JSON object. A derived `Deserialize` would also accept an array of the members.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct StrictObject<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for StrictObject<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = StrictObject<T>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<StrictObject<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(from)).map(StrictObject)
            }
        }
        from.deserialize_map(Members(PhantomData))
    }
}

/// Deserialises an optional member that must not be null.
pub(crate) fn non_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Deserialises a column that contains JSON as text.
pub(crate) fn text_or_json<'de, T: serde::de::DeserializeOwned + Default, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    let value = match Value::deserialize(from)? {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        value => value,
    };
    // A value that cannot be parsed becomes the default, so that the row is not lost.
    Ok(serde_json::from_value(value).unwrap_or_default())
}
