//! What people ask the store for.

use serde_json::{Map, Value as Json, json};

use crate::{LineError, Ports, Value, store};

/// Rows of an answer, at most.
const MOST: u32 = 1_000;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Sensors, by name.
    Sensors,
    /// Chunks of readings.
    Readings,
    /// Windows with their features.
    Windows,
    /// Anomalies.
    Anomalies,
    /// Alerts.
    Alerts,
    /// Drifts.
    Drifts,
    /// Prognoses.
    Prognoses,
    /// Work orders.
    WorkOrders,
    /// Dead letters.
    DeadLetters,
    /// Bursts with their samples.
    Waveforms,
}

/// Which rows; what is none does not narrow. Rows come newest first, sensors by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this id (sensors: of this name).
    pub id: Option<String>,
    /// Of this machine.
    pub asset: Option<String>,
    /// Of this sensor.
    pub sensor: Option<String>,
    /// Severity of anomalies and alerts, or state of alerts; status of work orders; reason of dead letters.
    pub kind: Option<String>,
    /// That end after this time, in nanoseconds since 1970.
    pub after: Option<i64>,
    /// That begin before this time.
    pub before: Option<i64>,
    /// At most so many, and never more than 1,000.
    pub limit: u32,
    /// Rows to pass over.
    pub offset: u32,
}

/// How a table is asked.
struct Plan {
    from: &'static str,
    columns: &'static [&'static str],
    id: Option<&'static str>,
    asset: Option<&'static str>,
    sensor: Option<&'static str>,
    kind: &'static [&'static str],
    /// Columns of the beginning and the end of what a row speaks of.
    times: Option<(&'static str, &'static str)>,
    order: &'static str,
}

const NOTHING: Plan =
    Plan { from: "", columns: &[], id: None, asset: None, sensor: None, kind: &[], times: None, order: "" };

fn plan(table: Table) -> Plan {
    match table {
        Table::Sensors => Plan {
            from: "sensors",
            columns: &["name", "asset", "unit", "kind"],
            id: Some("name"),
            asset: Some("asset"),
            sensor: Some("name"),
            kind: &["kind"],
            order: "name",
            ..NOTHING
        },
        Table::Readings => Plan {
            from: "readings",
            columns: &["sensor", "start_time", "end_time", "count", "times", "vals"],
            sensor: Some("sensor"),
            times: Some(("start_time", "end_time")),
            order: "start_time DESC, sensor, event",
            ..NOTHING
        },
        Table::Windows => Plan {
            from: "windows JOIN feature_lists ON feature_lists.id = windows.features",
            columns: &["sensor", "asset", "start_time", "end_time", "count", "names", "vals"],
            asset: Some("asset"),
            sensor: Some("sensor"),
            times: Some(("start_time", "end_time")),
            order: "start_time DESC, sensor, features",
            ..NOTHING
        },
        Table::Anomalies => Plan {
            from: "anomalies",
            columns: &[
                "id",
                "detection_time",
                "sensor",
                "asset",
                "start_time",
                "end_time",
                "score",
                "model",
                "severity",
                "handled",
                "threshold",
                "confidence",
                "fault_mode",
                "message",
                "metadata",
            ],
            id: Some("id"),
            asset: Some("asset"),
            sensor: Some("sensor"),
            kind: &["severity"],
            times: Some(("start_time", "end_time")),
            order: "detection_time DESC, id",
        },
        Table::Alerts => Plan {
            from: "alerts",
            columns: &[
                "id",
                "asset",
                "sensor",
                "severity",
                "state",
                "opened",
                "updated",
                "resolved",
                "anomalies",
                "peak_score",
                "anomaly",
                "fault_mode",
                "title",
                "message",
                "recommendation",
            ],
            id: Some("id"),
            asset: Some("asset"),
            sensor: Some("sensor"),
            kind: &["severity", "state"],
            times: Some(("opened", "updated")),
            order: "updated DESC, id",
        },
        Table::Drifts => Plan {
            from: "drifts",
            columns: &["id", "asset", "time", "kind", "sensors", "p_value", "message"],
            id: Some("id"),
            asset: Some("asset"),
            kind: &["kind"],
            times: Some(("time", "time")),
            order: "time DESC, id",
            ..NOTHING
        },
        Table::Prognoses => Plan {
            from: "prognoses",
            columns: &["asset", "time", "health", "p10_hours", "p50_hours", "p90_hours", "model"],
            asset: Some("asset"),
            times: Some(("time", "time")),
            order: "time DESC, asset",
            ..NOTHING
        },
        Table::WorkOrders => Plan {
            from: "work_orders",
            columns: &[
                "id",
                "alert",
                "asset",
                "type",
                "priority",
                "status",
                "scheduled_time",
                "estimated_duration_minutes",
                "technician",
                "skills",
                "after",
                "cost",
                "notes",
            ],
            id: Some("id"),
            asset: Some("asset"),
            kind: &["status"],
            times: Some(("scheduled_time", "scheduled_time")),
            // The earliest first, as they are worked on; what has no time at the end.
            order: "CASE WHEN scheduled_time IS NULL THEN 1 ELSE 0 END, scheduled_time, priority, id",
            ..NOTHING
        },
        Table::DeadLetters => Plan {
            from: "dead_letters",
            columns: &["id", "time", "source", "reason", "message", "payload", "readings", "sensor", "format"],
            id: Some("id"),
            sensor: Some("sensor"),
            kind: &["reason"],
            times: Some(("time", "time")),
            order: "time DESC, id",
            ..NOTHING
        },
        Table::Waveforms => Plan {
            from: "waveforms",
            columns: &["sensor", "start_time", "rate", "count", "samples"],
            sensor: Some("sensor"),
            times: Some(("start_time", "start_time")),
            order: "start_time DESC, sensor",
            ..NOTHING
        },
    }
}

/// The rows as a JSON array of objects.
pub(crate) async fn look<P: Ports>(ports: &P, table: Table, filter: &Filter) -> Result<String, LineError> {
    let (statement, parameters) = question(table, filter);
    Ok(answer(table, store::run(ports, &statement, &parameters).await?))
}

/// The statement that asks for the rows, and its parameters. The same on every dialect.
pub fn question(table: Table, filter: &Filter) -> (String, Vec<Value>) {
    let plan = plan(table);
    let mut parameters = Vec::new();
    let mut place = |value: Value| {
        parameters.push(value);
        format!("${}", parameters.len())
    };
    let mut conditions = Vec::new();
    let mut equal = |column: Option<&str>, wanted: &Option<String>| {
        let Some(wanted) = wanted else { return };
        conditions.push(match column {
            Some(column) => format!("{column} = {}", place(Value::Text(wanted.clone()))),
            // A table without such a column has no such rows.
            None => "1 = 0".to_owned(),
        });
    };
    equal(plan.id, &filter.id);
    equal(plan.asset, &filter.asset);
    equal(plan.sensor, &filter.sensor);
    if let Some(kind) = &filter.kind {
        let either: Vec<String> =
            plan.kind.iter().map(|column| format!("{column} = {}", place(Value::Text(kind.clone())))).collect();
        conditions.push(if either.is_empty() { "1 = 0".to_owned() } else { format!("({})", either.join(" OR ")) });
    }
    if let Some((begin, end)) = plan.times {
        if let Some(after) = filter.after {
            conditions.push(format!("{end} > {}", place(Value::Integer(after))));
        }
        if let Some(before) = filter.before {
            conditions.push(format!("{begin} < {}", place(Value::Integer(before))));
        }
    }
    let narrowed = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let statement = format!(
        "SELECT {} FROM {}{narrowed} ORDER BY {} LIMIT {} OFFSET {}",
        plan.columns.join(", "),
        plan.from,
        plan.order,
        place(Value::Integer(i64::from(filter.limit.min(MOST)))),
        place(Value::Integer(i64::from(filter.offset))),
    );
    (statement, parameters)
}

/// What the rows of [`question`] say, as a JSON array of objects.
pub fn answer(table: Table, rows: Vec<Vec<Value>>) -> String {
    let columns = plan(table).columns;
    Json::Array(rows.into_iter().map(|row| object(columns, row)).collect()).to_string()
}

fn object(columns: &[&str], row: Vec<Value>) -> Json {
    let mut object = Map::new();
    let mut names = None;
    for (&column, value) in columns.iter().zip(row) {
        let value = match (column, value) {
            ("names", Value::Text(list)) => {
                names = Some(list);
                continue;
            }
            ("times", Value::Blob(bytes)) => json!(words(&bytes).map(i64::from_le_bytes).collect::<Vec<_>>()),
            ("vals", Value::Blob(bytes)) => {
                let values: Vec<f64> = words(&bytes).map(f64::from_le_bytes).collect();
                if let Some(list) = &names {
                    // A feature that is not defined for its window is null.
                    let features: Map<String, Json> =
                        list.split(',').zip(values).map(|(name, value)| (name.to_owned(), json!(value))).collect();
                    object.insert("features".to_owned(), Json::Object(features));
                    continue;
                }
                json!(values)
            }
            ("samples", Value::Blob(bytes)) => {
                json!(bytes.as_chunks::<4>().0.iter().map(|&sample| f32::from_le_bytes(sample)).collect::<Vec<_>>())
            }
            ("payload", Value::Blob(bytes)) => json!(String::from_utf8_lossy(&bytes)),
            ("handled", Value::Integer(handled)) => json!(handled != 0),
            (_, Value::Null) => Json::Null,
            (_, Value::Integer(integer)) => json!(integer),
            (_, Value::Real(real)) => json!(real),
            (_, Value::Text(text)) => Json::String(text),
            (_, Value::Blob(bytes)) => json!(bytes.len()),
        };
        object.insert(column.to_owned(), value);
    }
    Json::Object(object)
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 8]> {
    bytes.as_chunks::<8>().0.iter().copied()
}
