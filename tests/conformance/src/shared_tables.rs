//! The tables that have the same columns in the store of every host.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::{CanonicalTable, CanonicalTables, SortKey, SqlStore, SqlValue, canonical_rows::double_to_json};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnType {
    Text,
    Integer,
    Real,
    /// JSON text. Its values are compared, not its formatting.
    Json,
    /// Bytes, written in base64.
    Bytes,
}

use ColumnType::{Bytes, Integer, Json, Real, Text};

struct TableColumns {
    table: CanonicalTable,
    columns: &'static [(&'static str, ColumnType)],
    /// The columns of the name and the time by which rows are sorted. Rows with the same name and time are sorted by
    /// the line.
    sort_columns: (&'static str, &'static str),
}

/// The tables. Columns with the time of receipt, or with numbers of the host's own, are left out.
const TABLES: [TableColumns; 6] = [
    TableColumns {
        table: CanonicalTable::Anomalies,
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
        sort_columns: ("asset", "start_time"),
    },
    TableColumns {
        table: CanonicalTable::Alerts,
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
        sort_columns: ("asset", "opened"),
    },
    TableColumns {
        table: CanonicalTable::Drifts,
        columns: &[
            ("id", Text),
            ("asset", Text),
            ("time", Integer),
            ("kind", Text),
            ("sensors", Json),
            ("p_value", Real),
            ("message", Text),
        ],
        sort_columns: ("asset", "time"),
    },
    TableColumns {
        table: CanonicalTable::Prognoses,
        columns: &[
            ("asset", Text),
            ("time", Integer),
            ("health", Real),
            ("p10_hours", Real),
            ("p50_hours", Real),
            ("p90_hours", Real),
            ("model", Text),
        ],
        sort_columns: ("asset", "time"),
    },
    TableColumns {
        table: CanonicalTable::WorkOrders,
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
        sort_columns: ("asset", "priority"),
    },
    TableColumns {
        table: CanonicalTable::DeadLetters,
        columns: &[
            ("source", Text),
            ("reason", Text),
            ("message", Text),
            ("payload", Bytes),
            ("readings", Integer),
            ("sensor", Text),
        ],
        sort_columns: ("source", "readings"),
    },
];

/// Reads anomalies, alerts, drifts, prognoses, work orders and dead letters.
///
/// # Errors
/// If the store does not answer, or a column has an unexpected type.
pub fn read_shared_tables(store: &mut dyn SqlStore) -> anyhow::Result<CanonicalTables> {
    let mut found = CanonicalTables::default();
    for table_columns in &TABLES {
        let columns: Vec<&str> = table_columns.columns.iter().map(|&(name, _)| name).collect();
        let statement = format!("SELECT {} FROM {}", columns.join(", "), table_columns.table.name());
        for cells in store.rows(&statement).with_context(|| statement.clone())? {
            let mut row = Map::new();
            for (&(name, kind), cell) in table_columns.columns.iter().zip(&cells) {
                let value =
                    cell_to_json(cell, kind).with_context(|| format!("{}.{name}", table_columns.table.name()))?;
                row.insert(name.to_owned(), value);
            }
            let key = sort_key(&row, table_columns.sort_columns);
            found.add(table_columns.table, key, &Value::Object(row));
        }
    }
    Ok(found)
}

fn sort_key(row: &Map<String, Value>, (name, time): (&str, &str)) -> SortKey {
    let name = row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    (name, row.get(time).and_then(Value::as_i64).unwrap_or_default(), String::new())
}

fn cell_to_json(cell: &SqlValue, kind: ColumnType) -> anyhow::Result<Value> {
    if *cell == SqlValue::Null {
        return Ok(Value::Null);
    }
    Ok(match kind {
        ColumnType::Text => Value::from(cell.text()?),
        ColumnType::Integer => Value::from(cell.integer()?),
        ColumnType::Real => double_to_json(cell.real()?),
        ColumnType::Json => serde_json::from_str(cell.text()?)?,
        ColumnType::Bytes => Value::from(STANDARD.encode(cell.bytes()?)),
    })
}
