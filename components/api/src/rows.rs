//! Rows as the line gives them, and as a client reads them.

use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Filter, Front, Table, problem::Problem, time};

/// Columns that hold a time.
const TIMES: [&str; 13] = [
    "created",
    "detection_time",
    "end_time",
    "finished",
    "last_anomaly",
    "next_order",
    "opened",
    "prognosis_time",
    "resolved",
    "scheduled_time",
    "start_time",
    "time",
    "updated",
];
/// Columns that hold JSON as text.
const JSON: [&str; 5] = ["after", "metadata", "plan", "sensors", "skills"];

/// A row.
pub(crate) type Row = Map<String, Value>;

/// Asks for rows.
pub(crate) fn ask(front: &impl Front, table: Table, filter: &Filter) -> Result<Vec<Row>, Problem> {
    ask_as(front, table, filter)
}

/// Asks for rows of a type of ours.
pub(crate) fn ask_as<T: DeserializeOwned>(
    front: &impl Front,
    table: Table,
    filter: &Filter,
) -> Result<Vec<T>, Problem> {
    read(&front.look(table, filter)?, &format!("{table:?}"))
}

/// Reads what the line wrote.
pub(crate) fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let detail = format!(
            "the line's answer about {what} is not what was asked for: {error}; are API and line of one version?"
        );
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })
}

/// A row of [`Front::look`] as the API gives it: times as RFC 3339, and JSON as what it says.
pub fn item(mut row: Map<String, Value>) -> Value {
    readable(&mut row);
    Value::Object(row)
}

/// Writes times as RFC 3339 and JSON as what it says.
pub(crate) fn readable(row: &mut Row) {
    for column in TIMES {
        if let Some(value) = row.get_mut(column)
            && let Some(nanoseconds) = value.as_i64()
        {
            *value = Value::String(time::text(nanoseconds));
        }
    }
    parse(row, &JSON);
}

/// Writes what these columns hold as JSON text as what it says.
pub(crate) fn parse(row: &mut Row, columns: &[&str]) {
    for column in columns {
        if let Some(value) = row.get_mut(*column)
            && let Some(parsed) = value.as_str().and_then(|text| serde_json::from_str(text).ok())
        {
            *value = parsed;
        }
    }
}
