//! Rows as the line gives them, and as a client reads them.

use http::StatusCode;
use serde_json::{Map, Value};

use crate::{Filter, Front, Table, problem::Problem, time};

/// Columns that hold a time.
const TIMES: [&str; 8] =
    ["detection_time", "end_time", "opened", "resolved", "scheduled_time", "start_time", "time", "updated"];
/// Columns that hold JSON as text.
const JSON: [&str; 4] = ["after", "metadata", "sensors", "skills"];

/// A row.
pub(crate) type Row = Map<String, Value>;

/// Asks for rows.
pub(crate) fn ask(front: &impl Front, table: Table, filter: &Filter) -> Result<Vec<Row>, Problem> {
    let broken = |why: &str| {
        let detail =
            format!("the line's answer about {table:?} is no list of objects: {why}; are API and line of one version?");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    };
    let rows = match serde_json::from_str(&front.look(table, filter)?) {
        Ok(Value::Array(rows)) => rows,
        Ok(_) => return Err(broken("it is something else")),
        Err(error) => return Err(broken(&error.to_string())),
    };
    let row = |row| match row {
        Value::Object(row) => Ok(row),
        _ => Err(broken("one is something else")),
    };
    rows.into_iter().map(row).collect()
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
