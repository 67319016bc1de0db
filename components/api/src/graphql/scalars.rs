//! The scalars `DateTime` and `JSON`.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use crate::{
    schemas::{JsonObject, Timestamp},
    time,
};

/// A time as RFC 3339.
#[Scalar(name = "DateTime", specified_by_url = "https://scalars.graphql.org/andimarek/date-time")]
impl ScalarType for Timestamp {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => time::parse_rfc3339(text).map(Timestamp).ok_or_else(|| {
                InputValueError::custom(format!("{text:?} is not a time; give RFC 3339, such as 2026-01-31T13:45:00Z"))
            }),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(time::format_rfc3339(self.0))
    }
}

/// Any JSON.
#[Scalar(name = "JSON")]
impl ScalarType for JsonObject {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or(Value::Null)
    }
}
