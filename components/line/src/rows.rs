//! Rows on their way to the store. Every write can be repeated, because its key is derived from the content.

use std::collections::BTreeMap;

use crate::{PortError, Ports, Value, store};

/// The maximum number of parameters of one statement.
const MAX_PARAMETERS: usize = 2_000;

/// A table to insert into, and how a row with an existing key is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InsertTarget {
    /// Table and columns: `alerts (id, asset)`.
    pub(crate) table: &'static str,
    /// The number of columns.
    pub(crate) column_count: usize,
    /// The clause after `ON CONFLICT`.
    pub(crate) on_conflict: &'static str,
}

macro_rules! insert_target {
    ($name:ident, $width:literal, $table:literal, $conflict:literal) => {
        pub(crate) const $name: InsertTarget =
            InsertTarget { table: $table, column_count: $width, on_conflict: $conflict };
    };
}

insert_target!(SENSORS, 4, "sensors (name, asset, unit, kind)", "DO NOTHING");
insert_target!(READINGS, 7, "readings (sensor, start_time, end_time, event, count, times, vals)", "DO NOTHING");
insert_target!(WAVEFORMS, 5, "waveforms (sensor, start_time, rate, count, samples)", "DO NOTHING");
insert_target!(FEATURE_LISTS, 2, "feature_lists (id, names)", "DO NOTHING");
insert_target!(WINDOWS, 7, "windows (sensor, asset, start_time, end_time, features, count, vals)", "DO NOTHING");
insert_target!(
    ANOMALIES,
    14,
    "anomalies (id, detection_time, sensor, asset, start_time, end_time, score, model, severity, threshold, confidence, fault_mode, message, metadata)",
    "DO NOTHING"
);
insert_target!(DRIFTS, 7, "drifts (id, asset, time, kind, sensors, p_value, message)", "DO NOTHING");
insert_target!(PROGNOSES, 7, "prognoses (asset, time, health, p10_hours, p50_hours, p90_hours, model)", "DO NOTHING");
// A slower instance must not overwrite what a faster one wrote for a later event.
insert_target!(
    ALERTS,
    16,
    "alerts (id, asset, sensor, severity, state, opened, updated, resolved, anomalies, peak_score, anomaly, fault_mode, title, message, recommendation, seq)",
    "(id) DO UPDATE SET asset = excluded.asset, sensor = excluded.sensor, severity = excluded.severity, state = excluded.state, opened = excluded.opened, updated = excluded.updated, resolved = excluded.resolved, anomalies = excluded.anomalies, peak_score = excluded.peak_score, anomaly = excluded.anomaly, fault_mode = excluded.fault_mode, title = excluded.title, message = excluded.message, recommendation = excluded.recommendation, seq = excluded.seq WHERE excluded.seq >= alerts.seq"
);
insert_target!(
    WORK_ORDERS,
    15,
    "work_orders (id, alert, asset, type, priority, status, scheduled_time, estimated_duration_minutes, technician, skills, after, cost, notes, pinned, seq)",
    "(id) DO UPDATE SET alert = excluded.alert, asset = excluded.asset, type = excluded.type, priority = excluded.priority, status = excluded.status, scheduled_time = excluded.scheduled_time, estimated_duration_minutes = excluded.estimated_duration_minutes, technician = excluded.technician, skills = excluded.skills, after = excluded.after, cost = excluded.cost, notes = excluded.notes, pinned = excluded.pinned, seq = excluded.seq WHERE excluded.seq >= work_orders.seq"
);
insert_target!(
    DEAD_LETTERS,
    9,
    "dead_letters (id, time, source, reason, message, payload, readings, sensor, format)",
    "DO NOTHING"
);
insert_target!(ACTIONS, 7, "actions (id, time, action, target, asset, actor, text)", "DO NOTHING");
insert_target!(QUEUED_TASKS, 4, "tasks (id, time, status, request)", "DO NOTHING");
insert_target!(
    FINISHED_TASKS,
    6,
    "tasks (id, time, status, request, result, finished)",
    "(id) DO UPDATE SET status = excluded.status, result = excluded.result, finished = excluded.finished"
);

/// Rows grouped by table.
#[derive(Debug, Default)]
pub(crate) struct RowBatch(BTreeMap<InsertTarget, Vec<Vec<Value>>>);

impl RowBatch {
    /// Adds a row. If two rows of a batch have the same key, the later one is kept.
    pub(crate) fn add(&mut self, target: InsertTarget, row: Vec<Value>) {
        debug_assert_eq!(row.len(), target.column_count, "{}", target.table);
        let rows = self.0.entry(target).or_default();
        // A statement must not write a row twice; only these two tables overwrite rows.
        if (target == ALERTS || target == WORK_ORDERS)
            && let Some(old) = rows.iter_mut().find(|old| old.first() == row.first())
        {
            *old = row;
            return;
        }
        rows.push(row);
    }

    /// Returns whether there are rows for a table.
    pub(crate) fn has(&self, target: InsertTarget) -> bool {
        self.0.contains_key(&target)
    }

    /// Writes all rows.
    pub(crate) async fn write<P: Ports>(&self, ports: &P) -> Result<(), PortError> {
        for (target, rows) in &self.0 {
            for chunk in rows.chunks((MAX_PARAMETERS / target.column_count).max(1)) {
                let mut statement = format!("INSERT INTO {} VALUES ", target.table);
                for row in 0..chunk.len() {
                    let first = row * target.column_count + 1;
                    let last = first + target.column_count;
                    let parameters: Vec<String> = (first..last).map(|number| format!("${number}")).collect();
                    if row > 0 {
                        statement.push_str(", ");
                    }
                    statement.push_str(&format!("({})", parameters.join(", ")));
                }
                statement.push_str(" ON CONFLICT ");
                statement.push_str(target.on_conflict);
                store::execute(ports, &statement, &chunk.concat()).await?;
            }
        }
        Ok(())
    }
}

pub(crate) fn text_value(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// Adds the number of the event to a row that later events overwrite.
pub(crate) fn with_sequence(mut row: Vec<Value>, seq: i64) -> Vec<Value> {
    row.push(Value::Integer(seq));
    row
}

/// Encodes doubles as a little-endian blob.
pub(crate) fn doubles_blob(values: &[f64]) -> Value {
    Value::Blob(values.iter().flat_map(|value| value.to_le_bytes()).collect())
}
