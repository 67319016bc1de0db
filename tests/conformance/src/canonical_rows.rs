//! Canonical rows: two lines are equal exactly if the rows are. Keys are sorted, doubles are exact to the last bit,
//! times are integer nanoseconds.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Receipt;

/// The tables that are compared. Each is a file `expected/<name>.ndjson`, which is missing if the table has no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CanonicalTable {
    /// The receipts of the events.
    Receipts,
    /// The stored readings, one line for each sensor and minute.
    Readings,
    /// The stored waveforms.
    Waveforms,
    /// Windows and their features.
    Features,
    /// Anomalies.
    Anomalies,
    /// Alerts, in their final state.
    Alerts,
    /// Drifts.
    Drifts,
    /// Prognoses.
    Prognoses,
    /// Work orders, in their final state.
    WorkOrders,
    /// Rejected readings and events.
    DeadLetters,
}

impl CanonicalTable {
    /// All tables.
    pub const ALL: [Self; 10] = [
        Self::Receipts,
        Self::Readings,
        Self::Waveforms,
        Self::Features,
        Self::Anomalies,
        Self::Alerts,
        Self::Drifts,
        Self::Prognoses,
        Self::WorkOrders,
        Self::DeadLetters,
    ];

    /// Returns the name of the file, without its extension.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receipts => "receipts",
            Self::Readings => "readings",
            Self::Waveforms => "waveforms",
            Self::Features => "features",
            Self::Anomalies => "anomalies",
            Self::Alerts => "alerts",
            Self::Drifts => "drifts",
            Self::Prognoses => "prognoses",
            Self::WorkOrders => "work_orders",
            Self::DeadLetters => "dead_letters",
        }
    }
}

/// The sort key of a row: a name, a time, and what distinguishes rows of the same name and time.
pub type SortKey = (String, i64, String);

/// One minute, in nanoseconds. The readings of one sensor and minute are one line.
const MINUTE_NANOSECONDS: i64 = 60_000_000_000;

/// Canonical rows of all tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CanonicalTables {
    rows: BTreeMap<CanonicalTable, Vec<(SortKey, String)>>,
    /// Readings by sensor and minute.
    readings: BTreeMap<(String, i64), Vec<(i64, f64)>>,
}

impl CanonicalTables {
    /// Adds a row.
    pub fn add(&mut self, table: CanonicalTable, key: SortKey, row: &Value) {
        let mut line = String::new();
        write_sorted(row, &mut line);
        self.rows.entry(table).or_default().push((key, line));
    }

    /// Adds a window. `values` are its features in the order of `names`. Each list of names is a row of its own, to
    /// which the windows refer by its hash.
    #[allow(clippy::too_many_arguments, reason = "the columns of a row")]
    pub fn add_window(
        &mut self,
        sensor: &str,
        asset: &str,
        start: i64,
        end: i64,
        count: i64,
        names: &[&str],
        values: &[f64],
    ) {
        let list = names.join(",");
        let mut id = blake3::hash(list.as_bytes()).to_hex().to_string();
        id.truncate(8);
        let rows = self.rows.entry(CanonicalTable::Features).or_default();
        if !rows.iter().any(|((sensor, _, list_id), _)| sensor.is_empty() && *list_id == id) {
            let row = serde_json::json!({ "features": id, "names": names });
            self.add(CanonicalTable::Features, (String::new(), 0, id.clone()), &row);
        }
        let values: Vec<Value> = values.iter().copied().map(double_to_json).collect();
        let row = serde_json::json!({
            "asset": asset, "sensor": sensor, "start_time": start, "end_time": end, "count": count, "features": id,
            "values": values,
        });
        // Windows of a sensor's waveforms and of its scalar readings may start at the same time.
        self.add(CanonicalTable::Features, (sensor.to_owned(), start, id), &row);
    }

    /// Adds a waveform. Its samples are represented by their hash, because there are many.
    pub fn add_waveform(&mut self, sensor: &str, start: i64, rate: f64, samples: &[u8]) {
        let row = serde_json::json!({
            "sensor": sensor, "start_time": start, "rate": double_to_json(rate), "count": samples.len() / 4,
            "samples_blake3": blake3::hash(samples).to_hex().as_str(),
        });
        self.add(CanonicalTable::Waveforms, (sensor.to_owned(), start, String::new()), &row);
    }

    /// Adds readings of a sensor.
    pub fn add_readings(&mut self, sensor: &str, readings: impl Iterator<Item = (i64, f64)>) {
        for (time, value) in readings {
            let minute = time.div_euclid(MINUTE_NANOSECONDS) * MINUTE_NANOSECONDS;
            self.readings.entry((sensor.to_owned(), minute)).or_default().push((time, value));
        }
    }

    /// Adds the receipt of the event with the number `event`.
    pub(crate) fn add_receipt(&mut self, event: i64, receipt: &Receipt) {
        let rejections: Vec<Value> = receipt
            .rejected_parts
            .iter()
            .map(
                |part| serde_json::json!({ "position": part.position, "reason": part.reason, "message": part.message }),
            )
            .collect();
        let row = serde_json::json!({
            "event": event, "accepted": receipt.accepted, "rejected": receipt.rejected, "rejections": rejections,
        });
        self.add(CanonicalTable::Receipts, (String::new(), event, String::new()), &row);
    }

    /// Returns the lines of a table, sorted.
    pub fn lines(&self, table: CanonicalTable) -> Vec<String> {
        if table == CanonicalTable::Readings {
            return self.readings.iter().map(|((sensor, _), readings)| minute_line(sensor, readings)).collect();
        }
        let mut rows: Vec<_> = self.rows.get(&table).map(|rows| rows.iter().collect()).unwrap_or_default();
        rows.sort();
        if table == CanonicalTable::DeadLetters {
            // A platform that delivers at least once stores a rejected reading once, however often it is delivered.
            rows.dedup();
        }
        rows.into_iter().map(|(_, line)| line.clone()).collect()
    }
}

/// Formats the readings of one sensor and minute as a line.
fn minute_line(sensor: &str, readings: &[(i64, f64)]) -> String {
    let mut readings = readings.to_vec();
    readings.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let readings: Vec<Value> =
        readings.into_iter().map(|(time, value)| Value::from(vec![Value::from(time), double_to_json(value)])).collect();
    let mut line = String::new();
    write_sorted(&serde_json::json!({ "sensor": sensor, "readings": readings }), &mut line);
    line
}

/// Returns a double as JSON. NaN and infinities, which JSON lacks, are strings.
pub fn double_to_json(value: f64) -> Value {
    match serde_json::Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None => Value::String(value.to_string()),
    }
}

/// Writes a value with sorted object keys, independent of serde_json's feature `preserve_order`.
fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let sorted: BTreeMap<&String, &Value> = object.iter().collect();
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_sorted(value, out);
            }
            out.push('}');
        }
        Value::Array(array) => {
            out.push('[');
            for (index, value) in array.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_sorted(value, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_equal_lines_and_doubles_read_back() {
        let mut found = CanonicalTables::default();
        let row = serde_json::json!({"b": double_to_json(0.1 + 0.2), "a": [double_to_json(f64::NAN), double_to_json(-0.0), {"d": 1, "c": null}]});
        found.add(CanonicalTable::Alerts, ("b".into(), 2, String::new()), &row);
        found.add(CanonicalTable::Alerts, ("b".into(), 1, String::new()), &serde_json::json!(1));
        assert_eq!(
            found.lines(CanonicalTable::Alerts),
            ["1", r#"{"a":["NaN",-0.0,{"c":null,"d":1}],"b":0.30000000000000004}"#]
        );
        assert!(found.lines(CanonicalTable::Drifts).is_empty());
        found.add_readings("s", [(61_000_000_000, 2.0), (60_000_000_000, 1.5), (59_000_000_000, 1.0)].into_iter());
        assert_eq!(
            found.lines(CanonicalTable::Readings),
            [
                r#"{"readings":[[59000000000,1.0]],"sensor":"s"}"#,
                r#"{"readings":[[60000000000,1.5],[61000000000,2.0]],"sensor":"s"}"#
            ]
        );
    }
}
