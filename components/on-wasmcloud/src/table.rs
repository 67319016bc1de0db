//! The stages' state in PostgreSQL, for components without a key-value store with compare-and-swap.

use wheeltapper_line::{PortError, Value};

use crate::sql;

const CREATE_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS states (name TEXT PRIMARY KEY, version BIGINT NOT NULL, body BYTEA NOT NULL)";

/// Returns the state of that name and its version.
pub(crate) fn load(name: &str) -> Result<Option<(Vec<u8>, i64)>, PortError> {
    let rows = run("SELECT body, version FROM states WHERE name = $1", &[Value::Text(name.to_owned())])?;
    match rows.into_iter().next().map(<[Value; 2]>::try_from) {
        None => Ok(None),
        Some(Ok([Value::Blob(body), Value::Integer(version)])) => Ok(Some((body, version))),
        Some(other) => Err(PortError(format!("a row of the table states has unexpected columns: {other:?}"))),
    }
}

/// Writes the state if it still has the version that was loaded. `None`: only if there is no state.
pub(crate) fn swap(name: &str, version: Option<i64>, body: Vec<u8>) -> Result<bool, PortError> {
    let mut parameters = vec![Value::Text(name.to_owned()), Value::Blob(body)];
    let statement = match version {
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
        // The table is missing. It is created here, or by another instance at the same time.
        Err(error) if error.0.contains("42P01") => {
            let created = sql::run(CREATE_TABLE, &[]);
            sql::run(statement, parameters).map_err(|error| created.err().unwrap_or(error))
        }
        other => other,
    }
}
