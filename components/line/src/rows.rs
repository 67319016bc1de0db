//! Rows on their way to the store. Every write can be repeated: its key is derived from content.

use std::collections::BTreeMap;

use crate::{PortError, Ports, Value, store};

/// Parameters of one statement, at most.
const PARAMETERS: usize = 2_000;

/// A table, and what becomes of a row whose key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Into {
    /// Table and columns: `alerts (id, asset)`.
    pub(crate) table: &'static str,
    /// Columns, counted.
    pub(crate) width: usize,
    /// After `ON CONFLICT`.
    pub(crate) conflict: &'static str,
}

macro_rules! into {
    ($name:ident, $width:literal, $table:literal, $conflict:literal) => {
        pub(crate) const $name: Into = Into { table: $table, width: $width, conflict: $conflict };
    };
}

into!(SENSORS, 4, "sensors (name, asset, unit, kind)", "DO NOTHING");
into!(READINGS, 7, "readings (sensor, start_time, end_time, event, count, times, vals)", "DO NOTHING");
into!(WAVEFORMS, 5, "waveforms (sensor, start_time, rate, count, samples)", "DO NOTHING");
into!(FEATURE_LISTS, 2, "feature_lists (id, names)", "DO NOTHING");
into!(WINDOWS, 7, "windows (sensor, asset, start_time, end_time, features, count, vals)", "DO NOTHING");
into!(
    ANOMALIES,
    14,
    "anomalies (id, detection_time, sensor, asset, start_time, end_time, score, model, severity, threshold, confidence, fault_mode, message, metadata)",
    "DO NOTHING"
);
into!(DRIFTS, 7, "drifts (id, asset, time, kind, sensors, p_value, message)", "DO NOTHING");
into!(PROGNOSES, 7, "prognoses (asset, time, health, p10_hours, p50_hours, p90_hours, model)", "DO NOTHING");
// A slower instance must not write over what a faster one wrote of a later event.
into!(
    ALERTS,
    16,
    "alerts (id, asset, sensor, severity, state, opened, updated, resolved, anomalies, peak_score, anomaly, fault_mode, title, message, recommendation, seq)",
    "(id) DO UPDATE SET asset = excluded.asset, sensor = excluded.sensor, severity = excluded.severity, state = excluded.state, opened = excluded.opened, updated = excluded.updated, resolved = excluded.resolved, anomalies = excluded.anomalies, peak_score = excluded.peak_score, anomaly = excluded.anomaly, fault_mode = excluded.fault_mode, title = excluded.title, message = excluded.message, recommendation = excluded.recommendation, seq = excluded.seq WHERE excluded.seq >= alerts.seq"
);
into!(
    WORK_ORDERS,
    15,
    "work_orders (id, alert, asset, type, priority, status, scheduled_time, estimated_duration_minutes, technician, skills, after, cost, notes, pinned, seq)",
    "(id) DO UPDATE SET alert = excluded.alert, asset = excluded.asset, type = excluded.type, priority = excluded.priority, status = excluded.status, scheduled_time = excluded.scheduled_time, estimated_duration_minutes = excluded.estimated_duration_minutes, technician = excluded.technician, skills = excluded.skills, after = excluded.after, cost = excluded.cost, notes = excluded.notes, pinned = excluded.pinned, seq = excluded.seq WHERE excluded.seq >= work_orders.seq"
);
into!(
    DEAD_LETTERS,
    9,
    "dead_letters (id, time, source, reason, message, payload, readings, sensor, format)",
    "DO NOTHING"
);
into!(ACTIONS, 7, "actions (id, time, deed, target, asset, actor, text)", "DO NOTHING");
into!(ASKED, 4, "tasks (id, time, status, request)", "DO NOTHING");
into!(
    ANSWERED,
    6,
    "tasks (id, time, status, request, result, finished)",
    "(id) DO UPDATE SET status = excluded.status, result = excluded.result, finished = excluded.finished"
);

/// Rows gathered by table.
#[derive(Debug, Default)]
pub(crate) struct Rows(BTreeMap<Into, Vec<Vec<Value>>>);

impl Rows {
    /// Adds a row; of two with one key in the same batch the later one stands.
    pub(crate) fn add(&mut self, into: Into, row: Vec<Value>) {
        debug_assert_eq!(row.len(), into.width, "{}", into.table);
        let rows = self.0.entry(into).or_default();
        // A statement must not touch a row twice; only these two tables are written anew.
        if (into == ALERTS || into == WORK_ORDERS)
            && let Some(old) = rows.iter_mut().find(|old| old.first() == row.first())
        {
            *old = row;
            return;
        }
        rows.push(row);
    }

    /// Whether there are rows for a table.
    pub(crate) fn has(&self, into: Into) -> bool {
        self.0.contains_key(&into)
    }

    /// Writes them.
    pub(crate) async fn write<P: Ports>(&self, ports: &P) -> Result<(), PortError> {
        for (into, rows) in &self.0 {
            for part in rows.chunks((PARAMETERS / into.width).max(1)) {
                let mut statement = format!("INSERT INTO {} VALUES ", into.table);
                for row in 0..part.len() {
                    let first = row * into.width + 1;
                    let places: Vec<String> = (first..first + into.width).map(|place| format!("${place}")).collect();
                    if row > 0 {
                        statement.push_str(", ");
                    }
                    statement.push_str(&format!("({})", places.join(", ")));
                }
                statement.push_str(" ON CONFLICT ");
                statement.push_str(into.conflict);
                store::run(ports, &statement, &part.concat()).await?;
            }
        }
        Ok(())
    }
}

pub(crate) fn text(text: impl core::convert::Into<String>) -> Value {
    Value::Text(text.into())
}

pub(crate) fn maybe_text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.to_owned()))
}

pub(crate) fn maybe_real(real: Option<f64>) -> Value {
    real.map_or(Value::Null, Value::Real)
}

pub(crate) fn maybe_integer(integer: Option<i64>) -> Value {
    integer.map_or(Value::Null, Value::Integer)
}

/// Little-endian doubles.
pub(crate) fn doubles(values: &[f64]) -> Value {
    Value::Blob(values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// 32 hexadecimal digits that stand for `of`.
pub(crate) fn content_id(of: &[u8]) -> String {
    let mut id = blake3::hash(of).to_hex().to_string();
    id.truncate(32);
    id
}
