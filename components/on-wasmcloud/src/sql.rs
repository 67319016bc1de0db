//! Runs statements on PostgreSQL.

use wheeltapper_line::{PortError, Value};

use crate::{
    bindings::wasmcloud::postgres::{
        query::query,
        types::{PgValue, QueryError},
    },
    double::{from_parts, to_parts},
};

/// Runs a statement. It is committed when this returns.
pub(crate) fn run(statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, PortError> {
    let parameters: Vec<PgValue> = parameters.iter().map(parameter).collect();
    let rows = query(statement, &parameters).map_err(|error| {
        let (QueryError::InvalidParams(message) | QueryError::InvalidQuery(message) | QueryError::Unexpected(message)) =
            error;
        PortError(format!("PostgreSQL: {message}"))
    })?;
    rows.into_iter().map(|row| row.into_iter().map(|entry| value(entry.value, &entry.column_name)).collect()).collect()
}

fn parameter(value: &Value) -> PgValue {
    match value {
        Value::Null => PgValue::Null,
        Value::Integer(integer) => PgValue::Int8(*integer),
        Value::Real(real) => PgValue::Float8(to_parts(*real)),
        // PostgreSQL's text cannot contain the character 0; its symbol U+2400 replaces it.
        Value::Text(text) => PgValue::Text(text.replace('\0', "\u{2400}")),
        Value::Blob(blob) => PgValue::Bytea(blob.clone()),
    }
}

fn value(value: PgValue, column: &str) -> Result<Value, PortError> {
    match value {
        PgValue::Null => Ok(Value::Null),
        PgValue::Int8(integer) | PgValue::BigInt(integer) => Ok(Value::Integer(integer)),
        PgValue::Int4(integer) | PgValue::Int(integer) | PgValue::Integer(integer) => {
            Ok(Value::Integer(integer.into()))
        }
        PgValue::Float8(parts) | PgValue::Double(parts) => Ok(Value::Real(from_parts(parts))),
        PgValue::Text(text) => Ok(Value::Text(text)),
        PgValue::Bytea(blob) => Ok(Value::Blob(blob)),
        other => Err(PortError(format!("PostgreSQL's column {column} has an unexpected type: {other:?}"))),
    }
}
