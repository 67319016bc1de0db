//! The tables. SQLite and PostgreSQL differ only in the names of types. Columns that the edge host's store also has
//! are the same there.

use crate::Dialect;

/// The first table, `events`, holds the queues between the stages. `seq` orders the events of one topic and key.
const TABLES: [&str; 16] = [
    "CREATE TABLE IF NOT EXISTS events (topic TEXT NOT NULL, key TEXT NOT NULL, seq BIGINT NOT NULL, id TEXT NOT NULL,
        time BIGINT NOT NULL, body {BLOB} NOT NULL, PRIMARY KEY (topic, key, seq), UNIQUE (topic, key, id))",
    "CREATE TABLE IF NOT EXISTS positions (topic TEXT NOT NULL, key TEXT NOT NULL, position BIGINT NOT NULL,
        PRIMARY KEY (topic, key))",
    "CREATE TABLE IF NOT EXISTS attempts (topic TEXT NOT NULL, key TEXT NOT NULL, position BIGINT NOT NULL,
        count BIGINT NOT NULL, first BIGINT NOT NULL, PRIMARY KEY (topic, key))",
    "CREATE TABLE IF NOT EXISTS sensors (name TEXT PRIMARY KEY, asset TEXT NOT NULL, unit TEXT NOT NULL, kind TEXT NOT NULL)",
    // times and vals: 64-bit little-endian numbers.
    "CREATE TABLE IF NOT EXISTS readings (sensor TEXT NOT NULL, start_time BIGINT NOT NULL, end_time BIGINT NOT NULL,
        event TEXT NOT NULL, count BIGINT NOT NULL, times {BLOB} NOT NULL, vals {BLOB} NOT NULL,
        PRIMARY KEY (sensor, start_time, event))",
    "CREATE TABLE IF NOT EXISTS waveforms (sensor TEXT NOT NULL, start_time BIGINT NOT NULL, rate {REAL} NOT NULL,
        count BIGINT NOT NULL, samples {BLOB} NOT NULL, PRIMARY KEY (sensor, start_time))",
    "CREATE TABLE IF NOT EXISTS feature_lists (id TEXT PRIMARY KEY, names TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS windows (sensor TEXT NOT NULL, asset TEXT NOT NULL, start_time BIGINT NOT NULL,
        end_time BIGINT NOT NULL, features TEXT NOT NULL, count BIGINT NOT NULL, vals {BLOB} NOT NULL,
        PRIMARY KEY (sensor, start_time, features))",
    "CREATE TABLE IF NOT EXISTS anomalies (id TEXT PRIMARY KEY, detection_time BIGINT NOT NULL, sensor TEXT NOT NULL,
        asset TEXT NOT NULL, start_time BIGINT NOT NULL, end_time BIGINT NOT NULL, score {REAL} NOT NULL, model TEXT NOT NULL,
        severity TEXT NOT NULL, handled BIGINT NOT NULL DEFAULT 0, threshold {REAL} NOT NULL, confidence {REAL} NOT NULL,
        fault_mode TEXT, message TEXT NOT NULL, metadata TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS alerts (id TEXT PRIMARY KEY, asset TEXT NOT NULL, sensor TEXT NOT NULL,
        severity TEXT NOT NULL, state TEXT NOT NULL, opened BIGINT NOT NULL, updated BIGINT NOT NULL, resolved BIGINT,
        anomalies BIGINT NOT NULL, peak_score {REAL} NOT NULL, anomaly TEXT NOT NULL, fault_mode TEXT, title TEXT NOT NULL,
        message TEXT NOT NULL, recommendation TEXT NOT NULL, seq BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS drifts (id TEXT PRIMARY KEY, asset TEXT NOT NULL, time BIGINT NOT NULL, kind TEXT NOT NULL,
        sensors TEXT NOT NULL, p_value {REAL} NOT NULL, message TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS prognoses (asset TEXT NOT NULL, time BIGINT NOT NULL, health {REAL} NOT NULL,
        p10_hours {REAL}, p50_hours {REAL}, p90_hours {REAL}, model TEXT NOT NULL, PRIMARY KEY (asset, time))",
    "CREATE TABLE IF NOT EXISTS work_orders (id TEXT PRIMARY KEY, alert TEXT NOT NULL, asset TEXT NOT NULL, type TEXT NOT NULL,
        priority BIGINT NOT NULL, status TEXT NOT NULL, scheduled_time BIGINT, estimated_duration_minutes BIGINT NOT NULL,
        technician TEXT, skills TEXT NOT NULL, after TEXT NOT NULL, cost {REAL} NOT NULL, notes TEXT NOT NULL,
        seq BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS dead_letters (id TEXT PRIMARY KEY, time BIGINT NOT NULL, source TEXT NOT NULL,
        reason TEXT NOT NULL, message TEXT NOT NULL, payload {BLOB} NOT NULL, readings BIGINT NOT NULL, sensor TEXT, format TEXT)",
    // User actions. target: the id of the anomaly or work order.
    "CREATE TABLE IF NOT EXISTS actions (id TEXT PRIMARY KEY, time BIGINT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,
        asset TEXT NOT NULL, actor TEXT, text TEXT NOT NULL, seq BIGINT)",
    // What-if plans. request and result: JSON.
    "CREATE TABLE IF NOT EXISTS tasks (id TEXT PRIMARY KEY, time BIGINT NOT NULL, status TEXT NOT NULL, request TEXT NOT NULL,
        result TEXT, finished BIGINT)",
];

/// Columns that a database of an earlier version lacks. SQLite has no IF NOT EXISTS here; that a column exists
/// already is handled as success (see `store.rs`).
const ADDED_COLUMNS: [&str; 1] = ["ALTER TABLE work_orders ADD COLUMN {NEW} pinned BIGINT NOT NULL DEFAULT 0"];

/// Queries select by machine and return the newest rows first.
const INDEXES: [&str; 7] = [
    "CREATE INDEX IF NOT EXISTS sensors_of_asset ON sensors (asset)",
    "CREATE INDEX IF NOT EXISTS anomalies_of_asset ON anomalies (asset, detection_time)",
    "CREATE INDEX IF NOT EXISTS anomalies_by_time ON anomalies (detection_time)",
    "CREATE INDEX IF NOT EXISTS alerts_of_asset ON alerts (asset, state)",
    "CREATE INDEX IF NOT EXISTS work_orders_of_asset ON work_orders (asset, status, scheduled_time)",
    "CREATE INDEX IF NOT EXISTS actions_on_target ON actions (target, time)",
    "CREATE INDEX IF NOT EXISTS actions_by_time ON actions (time)",
];

/// Returns the statements that create whatever is missing. Each can be run again.
pub fn statements(dialect: Dialect) -> Vec<String> {
    let new = match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres => "IF NOT EXISTS",
    };
    let types = |statement: &&str| {
        statement.replace("{BLOB}", dialect.blob_type()).replace("{REAL}", dialect.real_type()).replace("{NEW}", new)
    };
    TABLES.iter().chain(&ADDED_COLUMNS).chain(&INDEXES).map(types).collect()
}
