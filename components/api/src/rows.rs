//! Rows as the line gives them, and as a client reads them.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Filter, Front, Table, problem::Problem, time};

/// Columns that hold a time.
const TIMES: [&str; 8] =
    ["detection_time", "end_time", "opened", "resolved", "scheduled_time", "start_time", "time", "updated"];
/// Columns that hold JSON as text.
const JSON: [&str; 4] = ["after", "metadata", "sensors", "skills"];

/// A row.
pub(crate) type Row = Map<String, Value>;

/// Asks for rows of a type.
pub(crate) fn ask<T: DeserializeOwned>(front: &impl Front, table: Table, filter: &Filter) -> Result<Vec<T>, Problem> {
    let text = front.look(table, filter)?;
    serde_json::from_str(&text).map_err(|error| {
        Problem::new(
            http::StatusCode::INTERNAL_SERVER_ERROR,
            format!("the line's answer about {table:?} is not the JSON it has to be: {error}; are API and line of one version?"),
        )
    })
}

/// Writes times as RFC 3339 and JSON as what it says.
pub(crate) fn readable(row: &mut Row) {
    for (column, value) in row.iter_mut() {
        match value {
            Value::Number(number) if TIMES.contains(&column.as_str()) => {
                if let Some(nanoseconds) = number.as_i64() {
                    *value = Value::String(time::text(nanoseconds));
                }
            }
            Value::String(text) if JSON.contains(&column.as_str()) => {
                if let Ok(parsed) = serde_json::from_str(text) {
                    *value = parsed;
                }
            }
            _ => {}
        }
    }
}
