//! The stages' state in PostgreSQL, where there is no key-value store with compare-and-swap.

use wheeltapper_line::{PortError, Value};

use crate::sql;

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS states (name TEXT PRIMARY KEY, version BIGINT NOT NULL, body BYTEA NOT NULL)";

/// The state of that name and its version.
pub(crate) fn load(name: &str) -> Result<Option<(Vec<u8>, i64)>, PortError> {
    let rows = run("SELECT body, version FROM states WHERE name = $1", &[Value::Text(name.to_owned())])?;
    match rows.into_iter().next().map(<[Value; 2]>::try_from) {
        None => Ok(None),
        Some(Ok([Value::Blob(body), Value::Integer(version)])) => Ok(Some((body, version))),
        Some(other) => Err(PortError(format!("the table states gave {other:?}"))),
    }
}

/// Writes the state, only if it still is of the version that was loaded; none: only if there is none.
pub(crate) fn swap(name: &str, held: Option<i64>, body: Vec<u8>) -> Result<bool, PortError> {
    let mut parameters = vec![Value::Text(name.to_owned()), Value::Blob(body)];
    let statement = match held {
        None => "INSERT INTO states (name, version, body) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING RETURNING version",
        Some(version) => {
            parameters.push(Value::Integer(version));
            "UPDATE states SET version = version + 1, body = $2 WHERE name = $1 AND version = $3 RETURNING version"
        }
    };
    Ok(!run(statement, &parameters)?.is_empty())
}

fn run(statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, PortError> {
    match sql::run(statement, parameters) {
        // The table is missing: it is made, by this instance or by another at the same time.
        Err(error) if error.0.contains("42P01") => {
            let made = sql::run(TABLE, &[]);
            sql::run(statement, parameters).map_err(|error| made.err().unwrap_or(error))
        }
        other => other,
    }
}
