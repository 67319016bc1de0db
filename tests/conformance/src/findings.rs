//! The tables that have the same columns in the store of every host.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::{Cell, Found, Key, Rows, Table, canonical::double};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Real,
    /// JSON text. Its values are compared, not its formatting.
    Json,
    /// Bytes, written in base64.
    Bytes,
}

use Kind::{Bytes, Integer, Json, Real, Text};

struct Plan {
    table: Table,
    columns: &'static [(&'static str, Kind)],
    /// The columns of the name and the time by which rows are sorted. Rows with the same name and time are sorted by
    /// the line.
    sorted: (&'static str, &'static str),
}

/// The tables. Columns with the time of receipt, or with numbers of the host's own, are left out.
const PLANS: [Plan; 6] = [
    Plan {
        table: Table::Anomalies,
        columns: &[
            ("id", Text),
            ("detection_time", Integer),
            ("sensor", Text),
            ("asset", Text),
            ("start_time", Integer),
            ("end_time", Integer),
            ("score", Real),
            ("model", Text),
            ("severity", Text),
            ("threshold", Real),
            ("confidence", Real),
            ("fault_mode", Text),
            ("message", Text),
            ("metadata", Json),
        ],
        sorted: ("asset", "start_time"),
    },
    Plan {
        table: Table::Alerts,
        columns: &[
            ("id", Text),
            ("asset", Text),
            ("sensor", Text),
            ("severity", Text),
            ("state", Text),
            ("opened", Integer),
            ("updated", Integer),
            ("resolved", Integer),
            ("anomalies", Integer),
            ("peak_score", Real),
            ("anomaly", Text),
            ("fault_mode", Text),
            ("title", Text),
            ("message", Text),
            ("recommendation", Text),
        ],
        sorted: ("asset", "opened"),
    },
    Plan {
        table: Table::Drifts,
        columns: &[
            ("id", Text),
            ("asset", Text),
            ("time", Integer),
            ("kind", Text),
            ("sensors", Json),
            ("p_value", Real),
            ("message", Text),
        ],
        sorted: ("asset", "time"),
    },
    Plan {
        table: Table::Prognoses,
        columns: &[
            ("asset", Text),
            ("time", Integer),
            ("health", Real),
            ("p10_hours", Real),
            ("p50_hours", Real),
            ("p90_hours", Real),
            ("model", Text),
        ],
        sorted: ("asset", "time"),
    },
    Plan {
        table: Table::WorkOrders,
        columns: &[
            ("id", Text),
            ("alert", Text),
            ("asset", Text),
            ("type", Text),
            ("priority", Integer),
            ("status", Text),
            ("scheduled_time", Integer),
            ("estimated_duration_minutes", Integer),
            ("technician", Text),
            ("skills", Json),
            ("after", Json),
            ("cost", Real),
            ("notes", Text),
            ("pinned", Integer),
        ],
        sorted: ("asset", "priority"),
    },
    Plan {
        table: Table::DeadLetters,
        columns: &[
            ("source", Text),
            ("reason", Text),
            ("message", Text),
            ("payload", Bytes),
            ("readings", Integer),
            ("sensor", Text),
        ],
        sorted: ("source", "readings"),
    },
];

/// Reads anomalies, alerts, drifts, prognoses, work orders and dead letters.
///
/// # Errors
/// If the store does not answer, or a column has an unexpected type.
pub fn findings(store: &mut dyn Rows) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for plan in &PLANS {
        let columns: Vec<&str> = plan.columns.iter().map(|&(name, _)| name).collect();
        let statement = format!("SELECT {} FROM {}", columns.join(", "), plan.table.name());
        for cells in store.rows(&statement).with_context(|| statement.clone())? {
            let mut row = Map::new();
            for (&(name, kind), cell) in plan.columns.iter().zip(&cells) {
                let value = value(cell, kind).with_context(|| format!("{}.{name}", plan.table.name()))?;
                row.insert(name.to_owned(), value);
            }
            let key = key(&row, plan.sorted);
            found.add(plan.table, key, &Value::Object(row));
        }
    }
    Ok(found)
}

fn key(row: &Map<String, Value>, (name, time): (&str, &str)) -> Key {
    let name = row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    (name, row.get(time).and_then(Value::as_i64).unwrap_or_default(), String::new())
}

fn value(cell: &Cell, kind: Kind) -> anyhow::Result<Value> {
    if *cell == Cell::Null {
        return Ok(Value::Null);
    }
    Ok(match kind {
        Kind::Text => Value::from(cell.text()?),
        Kind::Integer => Value::from(cell.integer()?),
        Kind::Real => double(cell.real()?),
        Kind::Json => serde_json::from_str(cell.text()?)?,
        Kind::Bytes => Value::from(STANDARD.encode(cell.bytes()?)),
    })
}
