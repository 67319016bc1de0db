//! The columns of the exported tables.

use serde_json::Value;

/// The tables that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Raw readings: time, sensor, value.
    Readings,
    /// Windows: asset, sensor, start, end, count, feature, value (one row per feature).
    Windows,
    /// Anomalies.
    Anomalies,
    /// Alerts.
    Alerts,
    /// Work orders.
    WorkOrders,
    /// Dead letters, without payload.
    DeadLetters,
}

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Integer,
    Real,
    Text,
}

/// The names and types of a table's columns.
pub(super) fn export_columns(table: Table) -> &'static [(&'static str, ColumnType)] {
    use ColumnType::{Integer, Real, Text};
    match table {
        Table::Readings => &[("time", Integer), ("sensor", Text), ("value", Real)],
        Table::Windows => &[
            ("asset", Text),
            ("sensor", Text),
            ("start", Integer),
            ("end", Integer),
            ("count", Integer),
            ("feature", Text),
            ("value", Real),
        ],
        Table::Anomalies => &[
            ("id", Text),
            ("detection_time", Integer),
            ("sensor", Text),
            ("asset", Text),
            ("start_time", Integer),
            ("end_time", Integer),
            ("score", Real),
            ("model", Text),
            ("severity", Text),
            ("handled", Text),
            ("threshold", Real),
            ("confidence", Real),
            ("fault_mode", Text),
            ("message", Text),
            ("metadata", Text),
        ],
        Table::Alerts => &[
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
        Table::WorkOrders => &[
            ("id", Text),
            ("alert", Text),
            ("asset", Text),
            ("kind", Text),
            ("priority", Integer),
            ("status", Text),
            ("scheduled", Integer),
            ("duration_minutes", Integer),
            ("technician", Text),
            ("skills", Text),
            ("after", Text),
            ("cost", Real),
            ("notes", Text),
            ("pinned", Text),
        ],
        Table::DeadLetters => &[
            ("id", Text),
            ("time", Integer),
            ("source", Text),
            ("reason", Text),
            ("message", Text),
            ("readings", Integer),
            ("sensor", Text),
            ("format", Text),
        ],
    }
}

/// A value as text; null is empty.
pub(super) fn to_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
