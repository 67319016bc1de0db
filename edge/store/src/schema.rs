//! The schema and its migrations.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use crate::StoreError;

const VERSION: i64 = 5;

/// The migration from each version to the next. A new file starts at version 0.
const MIGRATIONS: [&str; 5] = [MIGRATION_TO_V1, MIGRATION_TO_V2, MIGRATION_TO_V3, MIGRATION_TO_V4, MIGRATION_TO_V5];

/// Since version 5: standard terms.
const MIGRATION_TO_V5: &str = "
ALTER TABLE requests RENAME TO planner_commands;
ALTER TABLE actions RENAME COLUMN deed TO action;
DROP TRIGGER dead_letter_came;
DROP TRIGGER dead_letter_went;
CREATE TRIGGER dead_letter_inserted AFTER INSERT ON dead_letters BEGIN
    UPDATE counters SET value = value + length(new.payload) WHERE name = 'dead_letter_bytes';
END;
CREATE TRIGGER dead_letter_deleted AFTER DELETE ON dead_letters BEGIN
    UPDATE counters SET value = value - length(old.payload) WHERE name = 'dead_letter_bytes';
END;
-- SQLite as it is built here has no square root.
DROP VIEW reading_hourly;
CREATE VIEW reading_hourly AS
    SELECT name AS sensor, hour, mean AS avg, min, max, max(m2, 0) / count AS variance, count
    FROM reading_hourly_sums JOIN sensors ON sensors.id = reading_hourly_sums.sensor;
UPDATE state SET key = 'notifier/' || substr(key, 9), value = CAST(replace(CAST(value AS TEXT), '\"told\":', '\"notified\":') AS BLOB)
    WHERE key LIKE 'courier/%';
UPDATE state SET key = 'restored_alerts' WHERE key = 'adopted';
UPDATE anomalies SET metadata = replace(metadata, '\"seen\":', '\"actual\":');
";

/// Key in the table `state` of the random bytes that identify the store.
pub(crate) const IDENTITY_KEY: &str = "store/identity";

/// Since version 4: staged chunks name their checkpoint, old rows are found by an index on time, and the store has an
/// identity.
const MIGRATION_TO_V4: &str = "
ALTER TABLE staged RENAME TO staged_before;
-- Chunks staged by unfinished checkpoints. checkpoint: its log offset; attempt: number of the attempt to write it.
CREATE TABLE staged (
    sensor INTEGER NOT NULL, start_time INTEGER NOT NULL, partition INTEGER NOT NULL, checkpoint INTEGER NOT NULL,
    attempt INTEGER NOT NULL, PRIMARY KEY (sensor, start_time)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO staged SELECT sensor, start_time, partition, 0, 0 FROM staged_before;
DROP TABLE staged_before;
CREATE INDEX staged_of_partition ON staged (partition, attempt);
CREATE INDEX readings_by_end ON reading_chunks (sensor, end_time);
CREATE INDEX prognoses_by_time ON prognoses (time);
CREATE INDEX windows_of_asset_by_end ON window_chunks (asset, end_time);
INSERT OR REPLACE INTO counters SELECT 'dead_letter_bytes', coalesce(sum(length(payload)), 0) FROM dead_letters;
CREATE TRIGGER dead_letter_came AFTER INSERT ON dead_letters BEGIN
    UPDATE counters SET value = value + length(new.payload) WHERE name = 'dead_letter_bytes';
END;
CREATE TRIGGER dead_letter_went AFTER DELETE ON dead_letters BEGIN
    UPDATE counters SET value = value - length(old.payload) WHERE name = 'dead_letter_bytes';
END;
INSERT OR IGNORE INTO state VALUES ('store/identity', randomblob(16));
";

/// Since version 3: a skipped range may belong to one asset. An empty asset means all assets.
const MIGRATION_TO_V3: &str = "
ALTER TABLE skipped RENAME TO skipped_whole;
CREATE TABLE skipped (
    partition INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, asset TEXT NOT NULL,
    PRIMARY KEY (partition, start, asset)
) STRICT;
INSERT INTO skipped SELECT partition, start, stop, '' FROM skipped_whole;
DROP TABLE skipped_whole;
";

/// Since version 2: user actions.
const MIGRATION_TO_V2: &str = "
ALTER TABLE work_orders ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
-- The number of the plan that last changed it.
ALTER TABLE work_orders ADD COLUMN plan INTEGER NOT NULL DEFAULT 0;
CREATE INDEX work_orders_of_plan ON work_orders (plan);
CREATE INDEX windows_by_end ON window_chunks (end_time);
CREATE INDEX waveforms_by_time ON waveform_chunks (start_time);
CREATE TABLE actions (
    id TEXT PRIMARY KEY, time INTEGER NOT NULL, deed TEXT NOT NULL, target TEXT NOT NULL, asset TEXT NOT NULL,
    actor TEXT, text TEXT NOT NULL, seq INTEGER
) STRICT;
CREATE INDEX actions_by_time ON actions (time);
CREATE INDEX actions_on_target ON actions (target, time);
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, time INTEGER NOT NULL, status TEXT NOT NULL, request TEXT NOT NULL, result TEXT, finished INTEGER
) STRICT;
CREATE INDEX tasks_by_time ON tasks (time);
-- Commands for the planner, in order; the host defines the format of body.
CREATE TABLE requests (seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL) STRICT;
-- Queries for an asset's newest alerts and orders.
CREATE INDEX alerts_of_asset ON alerts (asset, state);
CREATE INDEX work_orders_of_asset ON work_orders (asset, status, scheduled_time);
";

/// Version 1. Times are nanoseconds since 1970 in UTC; the `*_readable` views show them as text.
const MIGRATION_TO_V1: &str = "
CREATE TABLE sensors (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, asset TEXT NOT NULL, unit TEXT NOT NULL, kind TEXT NOT NULL
) STRICT;
CREATE INDEX sensors_of_asset ON sensors (asset);
CREATE VIEW assets AS SELECT asset, count(*) AS sensors FROM sensors GROUP BY asset;

CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY, snapshot_offset INTEGER NOT NULL, applied_offset INTEGER NOT NULL,
    snapshot TEXT, topic_ends TEXT NOT NULL
) STRICT;
CREATE TABLE skipped (partition INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, PRIMARY KEY (partition, start)) STRICT;
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;

-- times and vals: columns compressed by pco, sorted by time.
CREATE TABLE reading_chunks (
    sensor INTEGER NOT NULL, start_time INTEGER NOT NULL, end_time INTEGER NOT NULL, count INTEGER NOT NULL,
    times BLOB NOT NULL, vals BLOB NOT NULL, PRIMARY KEY (sensor, start_time)
) STRICT, WITHOUT ROWID;
-- Chunks whose commit is incomplete.
CREATE TABLE staged (partition INTEGER NOT NULL, sensor INTEGER NOT NULL, start_time INTEGER NOT NULL) STRICT;
CREATE INDEX small_chunks ON reading_chunks (sensor) WHERE count < 4096;
CREATE TABLE waveform_chunks (
    sensor INTEGER NOT NULL, start_time INTEGER NOT NULL, rate REAL NOT NULL, count INTEGER NOT NULL, samples BLOB NOT NULL,
    PRIMARY KEY (sensor, start_time)
) STRICT;
CREATE TABLE window_chunks (
    asset TEXT NOT NULL, start_time INTEGER NOT NULL, end_time INTEGER NOT NULL, features TEXT NOT NULL, count INTEGER NOT NULL,
    sensors BLOB NOT NULL, starts BLOB NOT NULL, ends BLOB NOT NULL, counts BLOB NOT NULL, vals BLOB NOT NULL,
    PRIMARY KEY (asset, start_time, features)
) STRICT, WITHOUT ROWID;
-- hour: start of the hour; mean and m2 (sum of squared deviations) merge by Chan's formula.
CREATE TABLE reading_hourly_sums (
    sensor INTEGER NOT NULL, hour INTEGER NOT NULL, count INTEGER NOT NULL, mean REAL NOT NULL, m2 REAL NOT NULL,
    min REAL NOT NULL, max REAL NOT NULL, PRIMARY KEY (sensor, hour)
) STRICT, WITHOUT ROWID;
CREATE VIEW reading_hourly AS
    SELECT name AS sensor, hour, mean AS avg, min, max, sqrt(max(m2, 0) / count) AS std, count
    FROM reading_hourly_sums JOIN sensors ON sensors.id = reading_hourly_sums.sensor;

CREATE TABLE anomalies (
    id TEXT PRIMARY KEY, detection_time INTEGER NOT NULL, sensor TEXT NOT NULL, asset TEXT NOT NULL,
    start_time INTEGER NOT NULL, end_time INTEGER NOT NULL, score REAL NOT NULL, model TEXT NOT NULL, severity TEXT NOT NULL,
    handled INTEGER NOT NULL DEFAULT 0, threshold REAL NOT NULL, confidence REAL NOT NULL, fault_mode TEXT,
    message TEXT NOT NULL, metadata TEXT NOT NULL
) STRICT;
CREATE INDEX anomalies_by_time ON anomalies (detection_time);
CREATE INDEX anomalies_of_asset ON anomalies (asset, detection_time);
CREATE TABLE alerts (
    id TEXT PRIMARY KEY, asset TEXT NOT NULL, sensor TEXT NOT NULL, severity TEXT NOT NULL, state TEXT NOT NULL,
    opened INTEGER NOT NULL, updated INTEGER NOT NULL, resolved INTEGER, anomalies INTEGER NOT NULL, peak_score REAL NOT NULL,
    anomaly TEXT NOT NULL, fault_mode TEXT, title TEXT NOT NULL, message TEXT NOT NULL, recommendation TEXT NOT NULL
) STRICT;
CREATE INDEX alerts_by_time ON alerts (updated);
CREATE TABLE drifts (
    id TEXT PRIMARY KEY, asset TEXT NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL, sensors TEXT NOT NULL,
    p_value REAL NOT NULL, message TEXT NOT NULL
) STRICT;
CREATE INDEX drifts_by_time ON drifts (time);
-- 10th, 50th and 90th percentile of the remaining hours; null: no end is predicted.
CREATE TABLE prognoses (
    asset TEXT NOT NULL, time INTEGER NOT NULL, health REAL NOT NULL, p10_hours REAL, p50_hours REAL, p90_hours REAL,
    model TEXT NOT NULL, PRIMARY KEY (asset, time)
) STRICT, WITHOUT ROWID;
CREATE TABLE work_orders (
    id TEXT PRIMARY KEY, alert TEXT NOT NULL, asset TEXT NOT NULL, type TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 5), status TEXT NOT NULL, scheduled_time INTEGER,
    estimated_duration_minutes INTEGER NOT NULL, technician TEXT, skills TEXT NOT NULL, after TEXT NOT NULL,
    cost REAL NOT NULL, notes TEXT NOT NULL
) STRICT;
CREATE INDEX work_orders_by_time ON work_orders (scheduled_time);
CREATE TABLE dead_letters (
    id TEXT PRIMARY KEY, time INTEGER NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL,
    payload BLOB NOT NULL, readings INTEGER NOT NULL, sensor TEXT, format TEXT
) STRICT;
CREATE INDEX dead_letters_by_time ON dead_letters (time);

CREATE VIEW anomalies_readable AS
    SELECT strftime('%Y-%m-%dT%H:%M:%SZ', detection_time / 1000000000, 'unixepoch') AS detected, asset, sensor, severity,
        round(score, 4) AS score, model, fault_mode, message, handled, id FROM anomalies;
CREATE VIEW alerts_readable AS
    SELECT strftime('%Y-%m-%dT%H:%M:%SZ', opened / 1000000000, 'unixepoch') AS opened,
        strftime('%Y-%m-%dT%H:%M:%SZ', resolved / 1000000000, 'unixepoch') AS resolved, state, severity, asset, title,
        recommendation, anomalies, id FROM alerts;
CREATE VIEW prognoses_latest AS
    SELECT asset, strftime('%Y-%m-%dT%H:%M:%SZ', max(time) / 1000000000, 'unixepoch') AS made, health, p10_hours, p50_hours,
        p90_hours, model FROM prognoses GROUP BY asset;
CREATE VIEW work_orders_readable AS
    SELECT strftime('%Y-%m-%dT%H:%M:%SZ', scheduled_time / 1000000000, 'unixepoch') AS scheduled, type, asset, priority,
        status, technician, estimated_duration_minutes, cost, notes, id FROM work_orders;
CREATE VIEW dead_letters_readable AS
    SELECT strftime('%Y-%m-%dT%H:%M:%SZ', time / 1000000000, 'unixepoch') AS time, source, reason, message, readings, id
    FROM dead_letters;
";

/// Creates the tables in a new file, and migrates an older one. A file of a newer version is not changed.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    for (step, next) in MIGRATIONS.iter().zip(1..).skip(usize::try_from(found).unwrap_or(MIGRATIONS.len())) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if version(&transaction)? >= next {
            // Another process has already migrated the file.
            continue;
        }
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", next)?;
        transaction.commit()?;
    }
    check_version(connection)
}

pub(crate) fn check_version(connection: &Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found == VERSION { Ok(()) } else { Err(StoreError::UnsupportedVersion { found, known: VERSION }) }
}

/// The store's identity, as hexadecimal digits.
pub(crate) fn identity(connection: &Connection) -> Result<String, StoreError> {
    let statement = "SELECT lower(hex(value)) FROM state WHERE key = ?1";
    Ok(connection.query_row(statement, [IDENTITY_KEY], |row| row.get(0)).optional()?.unwrap_or_default())
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// The definitions of all schema objects, by name.
    fn schema_objects(connection: &Connection) -> Vec<(String, String)> {
        let mut statement =
            connection.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_file_of_an_older_version_is_migrated_and_keeps_its_rows() {
        let mut old = Connection::open_in_memory().unwrap();
        old.execute_batch(MIGRATION_TO_V1).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        old.execute_batch(
            "INSERT INTO work_orders VALUES ('o', 'a', 'm', 'inspection', 2, 'planned', 7, 60, 'Ada', '[]', '[]', 60.0, '');
             INSERT INTO skipped VALUES (1, 10, 20);
             INSERT INTO reading_chunks VALUES (3, 7, 9, 2, x'00', x'00');
             INSERT INTO staged VALUES (1, 3, 7);
             INSERT INTO dead_letters VALUES ('d', 1, 's', 'late', '', x'010203', 1, NULL, NULL);
             INSERT INTO state VALUES ('courier/ops', CAST('{\"offsets\":{},\"told\":{\"a\":\"high\"}}' AS BLOB));
             INSERT INTO anomalies VALUES ('n', 1, 's', 'm', 1, 2, 0.9, 'x', 'high', 0, 0.8, 0.9, NULL, '',
                '{\"contributions\":[{\"seen\":4.1}]}')",
        )
        .unwrap();
        migrate(&mut old).unwrap();
        migrate(&mut old).unwrap();
        let row = |sql: &str| old.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((row("SELECT pinned FROM work_orders WHERE id = 'o'"), row("PRAGMA user_version")), (0, VERSION));
        assert_eq!(row("SELECT stop FROM skipped WHERE partition = 1 AND start = 10 AND asset = ''"), 20);
        // Chunks staged by a crashed host of the old version can still be discarded.
        assert_eq!(row("SELECT count(*) FROM staged WHERE partition = 1 AND sensor = 3 AND start_time = 7"), 1);
        let payloads = "SELECT value FROM counters WHERE name = 'dead_letter_bytes'";
        assert_eq!(row(payloads), 3);
        old.execute_batch("INSERT INTO dead_letters VALUES ('e', 1, 's', 'late', '', x'04', 1, NULL, NULL); DELETE FROM dead_letters WHERE id = 'd'").unwrap();
        assert_eq!(row(payloads), 1);
        assert_eq!(
            row(
                "SELECT count(*) FROM state WHERE key = 'notifier/ops' AND json_extract(CAST(value AS TEXT), '$.notified.a') = 'high'"
            ),
            1
        );
        assert_eq!(row("SELECT json_extract(metadata, '$.contributions[0].actual') > 4 FROM anomalies"), 1);
        assert_eq!(identity(&old).unwrap().len(), 32);
        assert_eq!(row("SELECT count(*) FROM actions") + row("SELECT count(*) FROM tasks"), 0);
        old.execute_batch("INSERT INTO planner_commands (body) VALUES (x'00'); DELETE FROM planner_commands; INSERT INTO planner_commands (body) VALUES (x'01')").unwrap();
        // A number is never reused, so processed commands can be recognised.
        assert_eq!(row("SELECT seq FROM planner_commands"), 2);
        let mut new = Connection::open_in_memory().unwrap();
        migrate(&mut new).unwrap();
        assert_eq!(schema_objects(&old), schema_objects(&new));
    }

    #[test]
    fn a_file_of_a_newer_version_is_not_changed() {
        let mut later = Connection::open_in_memory().unwrap();
        later.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(migrate(&mut later), Err(StoreError::UnsupportedVersion { found: 99, known: VERSION })));
        assert!(schema_objects(&later).is_empty());
    }
}
