//! Rows as the line returns them, and their conversion to the format of the API.

use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Filter, LineApi, Table, problem::Problem, time};

/// The columns with a time.
const TIME_COLUMNS: [&str; 13] = [
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
/// The columns with JSON as text.
const JSON_COLUMNS: [&str; 5] = ["after", "metadata", "plan", "sensors", "skills"];

/// A row, as a JSON object.
pub(crate) type Row = Map<String, Value>;

/// Queries rows of the line.
pub(crate) fn query_rows(line: &impl LineApi, table: Table, filter: &Filter) -> Result<Vec<Row>, Problem> {
    query_as(line, table, filter)
}

/// Queries rows of the line and deserialises them.
pub(crate) fn query_as<T: DeserializeOwned>(
    line: &impl LineApi,
    table: Table,
    filter: &Filter,
) -> Result<Vec<T>, Problem> {
    parse_reply(&line.query(table, filter)?, &format!("{table:?}"))
}

/// Parses a reply of the line. `content` names its content in the error.
pub(crate) fn parse_reply<T: DeserializeOwned>(text: &str, content: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let detail = format!(
            "the line's reply for {content} has an unexpected format: {error}; check that API and line have the same version"
        );
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })
}

/// Converts a row of the line to the format of the API: times as RFC 3339, JSON columns parsed.
pub fn row_to_json(mut row: Map<String, Value>) -> Value {
    format_columns(&mut row);
    Value::Object(row)
}

/// Formats time columns as RFC 3339 and parses JSON columns.
pub(crate) fn format_columns(row: &mut Row) {
    for column in TIME_COLUMNS {
        if let Some(value) = row.get_mut(column)
            && let Some(nanoseconds) = value.as_i64()
        {
            *value = Value::String(time::format_rfc3339(nanoseconds));
        }
    }
    parse_json_columns(row, &JSON_COLUMNS);
}

/// Parses these columns if they contain JSON text.
pub(crate) fn parse_json_columns(row: &mut Row, columns: &[&str]) {
    for column in columns {
        if let Some(value) = row.get_mut(*column)
            && let Some(parsed) = value.as_str().and_then(|text| serde_json::from_str(text).ok())
        {
            *value = parsed;
        }
    }
}
