//! Retention: deletes old rows in small transactions, so that the store is bounded and writers do not wait long.

use std::{thread, time::Duration};

use rusqlite::{Connection, params};
use serde::Serialize;

use crate::{Store, StoreError, chunk_merge};

/// Rows deleted per transaction.
const ROWS_PER_TRANSACTION: usize = 512;
const HOUR: i64 = 3_600_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);
/// Free bytes that the file keeps for new data: shrinking and growing all the time would wear the disk.
const MIN_FREE_BYTES: u64 = 16 << 20;
/// Pages returned to the operating system per transaction.
const PAGES_PER_TRANSACTION: u64 = 1024;
/// One round of the size limit deletes this fraction (1/n) of the stored time range.
const SHRINK_ROUNDS: i64 = 50;

/// Maximum ages and sizes of the stored data; `None` means unlimited. Ages are measured from the newest stored row of
/// the kind, or from the host's clock if that is earlier. For raw data and hourly aggregates they are also measured
/// from the sensor's own newest row. So neither a clock that jumps ahead nor a replayed recording of last year empties
/// the store, and the recording is not deleted because of current data either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreRetention {
    /// Raw readings.
    pub readings: Option<Duration>,
    /// Waveforms.
    pub waveforms: Option<Duration>,
    /// Windows with their features.
    pub windows: Option<Duration>,
    /// Hourly aggregates of readings.
    pub hourly: Option<Duration>,
    /// Anomalies, resolved alerts, drifts, prognoses, closed work orders, actions and finished tasks. Open ones are
    /// kept.
    pub findings: Option<Duration>,
    /// Dead letters.
    pub dead_letters: Option<Duration>,
    /// Maximum bytes of all dead letters' payloads. The oldest dead letters are deleted first.
    pub dead_letter_bytes: Option<u64>,
    /// Maximum bytes in use in the file. Above it, the oldest readings, waveforms and windows are deleted first, then
    /// the oldest dead letters, then the oldest hourly aggregates. Findings are kept.
    pub max_bytes: Option<u64>,
}

impl Default for StoreRetention {
    fn default() -> Self {
        Self {
            readings: Some(DAY * 90),
            waveforms: Some(DAY * 90),
            windows: Some(DAY * 90),
            hourly: Some(DAY * 730),
            findings: Some(DAY * 400),
            dead_letters: Some(DAY * 90),
            dead_letter_bytes: Some(1 << 30),
            max_bytes: Some(50 << 30),
        }
    }
}

/// Number of deleted rows per table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "each field is named after its table")]
pub struct ExpiredRows {
    pub reading_chunks: u64,
    pub waveforms: u64,
    pub window_chunks: u64,
    pub hourly_sums: u64,
    pub anomalies: u64,
    pub alerts: u64,
    pub drifts: u64,
    pub prognoses: u64,
    pub work_orders: u64,
    pub actions: u64,
    pub tasks: u64,
    pub dead_letters: u64,
    pub skipped: u64,
    /// Pages of the file that were returned to the operating system.
    pub pages: u64,
}

impl ExpiredRows {
    /// Number of deleted rows of all tables.
    pub fn total_rows(&self) -> u64 {
        self.rows_by_table().map(|(_, rows)| rows).iter().sum()
    }

    /// Each table's name and the number of its deleted rows.
    pub fn rows_by_table(&self) -> [(&'static str, u64); 13] {
        [
            ("reading_chunks", self.reading_chunks),
            ("waveform_chunks", self.waveforms),
            ("window_chunks", self.window_chunks),
            ("reading_hourly_sums", self.hourly_sums),
            ("anomalies", self.anomalies),
            ("alerts", self.alerts),
            ("drifts", self.drifts),
            ("prognoses", self.prognoses),
            ("work_orders", self.work_orders),
            ("actions", self.actions),
            ("tasks", self.tasks),
            ("dead_letters", self.dead_letters),
            ("skipped", self.skipped),
        ]
    }
}

/// A query with the table `known` of the sensors in a table: one index lookup per sensor, where DISTINCT would read every
/// row.
macro_rules! with_sensors {
    ($table:literal, $query:literal $(,)?) => {
        concat!(
            "WITH RECURSIVE known (sensor) AS (
                SELECT min(sensor) FROM ",
            $table,
            " UNION ALL SELECT (SELECT min(sensor) FROM ",
            $table,
            " WHERE sensor > known.sensor) FROM known WHERE known.sensor IS NOT NULL) ",
            $query
        )
    };
}

/// A table whose rows are deleted by sensor and then by time.
struct SensorTable {
    /// Selects the sensors that have rows before ?1.
    sensors: &'static str,
    /// Selects the newest time of sensor ?1.
    newest: &'static str,
    /// Deletes at most ?3 rows of sensor ?1 before ?2.
    delete: &'static str,
}

const READINGS: SensorTable = SensorTable {
    sensors: with_sensors!(
        "reading_chunks",
        "SELECT sensor FROM known WHERE sensor IS NOT NULL
            AND EXISTS (SELECT 1 FROM reading_chunks AS chunk WHERE chunk.sensor = known.sensor AND end_time < ?1)"
    ),
    newest: "SELECT max(end_time) FROM reading_chunks WHERE sensor = ?1",
    // Staged chunks are excluded, because discarding a checkpoint must find them.
    delete: "DELETE FROM reading_chunks WHERE sensor = ?1 AND start_time IN (
        SELECT start_time FROM reading_chunks AS chunk WHERE sensor = ?1 AND end_time < ?2
            AND NOT EXISTS (SELECT 1 FROM staged WHERE sensor = chunk.sensor AND start_time = chunk.start_time)
        ORDER BY end_time LIMIT ?3)",
};

/// Sensors with a chunk that starts before ?1.
const SENSORS_WITH_EARLY_CHUNKS: &str = with_sensors!(
    "reading_chunks",
    "SELECT sensor FROM known WHERE sensor IS NOT NULL
        AND EXISTS (SELECT 1 FROM reading_chunks AS chunk WHERE chunk.sensor = known.sensor AND start_time < ?1)"
);
/// Chunks of sensor ?1 that start before ?2 and end at ?3 or later. Staged chunks are excluded, because discarding them
/// must find them unchanged.
const EARLY_CHUNKS: &str = "SELECT start_time, times, vals FROM reading_chunks AS chunk
    WHERE sensor = ?1 AND start_time < ?2 AND end_time >= ?3
        AND NOT EXISTS (SELECT 1 FROM staged WHERE sensor = chunk.sensor AND start_time = chunk.start_time)";
/// Sensors whose chunks are trimmed per transaction.
const SENSORS_PER_TRIM: usize = 16;

const HOURLY: SensorTable = SensorTable {
    sensors: with_sensors!(
        "reading_hourly_sums",
        "SELECT sensor FROM known WHERE sensor IS NOT NULL
            AND EXISTS (SELECT 1 FROM reading_hourly_sums AS sums WHERE sums.sensor = known.sensor AND hour < ?1)"
    ),
    newest: "SELECT max(hour) FROM reading_hourly_sums WHERE sensor = ?1",
    delete: "DELETE FROM reading_hourly_sums WHERE sensor = ?1 AND hour IN (
        SELECT hour FROM reading_hourly_sums WHERE sensor = ?1 AND hour < ?2 ORDER BY hour LIMIT ?3)",
};

/// ?3 is the retained age per sensor or asset, measured from its own newest row.
const WAVEFORMS: &str = "DELETE FROM waveform_chunks WHERE rowid IN (
    SELECT rowid FROM waveform_chunks AS old WHERE start_time < ?1
        AND start_time < (SELECT max(start_time) FROM waveform_chunks WHERE sensor = old.sensor) - ?3
    ORDER BY start_time LIMIT ?2)";
const WINDOWS: &str = "DELETE FROM window_chunks WHERE (asset, start_time, features) IN (
    SELECT asset, start_time, features FROM window_chunks AS old WHERE end_time < ?1
        AND end_time < (SELECT max(end_time) FROM window_chunks WHERE asset = old.asset) - ?3
    ORDER BY end_time LIMIT ?2)";
/// A value of ?3 in [`WAVEFORMS`] and [`WINDOWS`] for which no newest rows are retained.
const KEEP_NOTHING_AGE: i64 = -(1 << 62);
const DEAD_LETTERS: &str = "DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM dead_letters WHERE time < ?1 ORDER BY time LIMIT ?2)";
/// The anomaly of an open alert is kept.
const ANOMALIES: &str = "DELETE FROM anomalies WHERE id IN (
    SELECT id FROM anomalies WHERE detection_time < ?1
        AND id NOT IN (SELECT anomaly FROM alerts WHERE state <> 'resolved') ORDER BY detection_time LIMIT ?2)";
const ALERTS: &str = "DELETE FROM alerts WHERE id IN (
    SELECT id FROM alerts WHERE updated < ?1 AND state = 'resolved' ORDER BY updated LIMIT ?2)";
const DRIFTS: &str = "DELETE FROM drifts WHERE id IN (SELECT id FROM drifts WHERE time < ?1 ORDER BY time LIMIT ?2)";
const PROGNOSES: &str = "DELETE FROM prognoses WHERE (asset, time) IN (
    SELECT asset, time FROM prognoses WHERE time < ?1 ORDER BY time LIMIT ?2)";
/// The newest plan is kept, because its number is read from its orders. An unscheduled order is deleted when its alert
/// is.
const WORK_ORDERS: &str = "DELETE FROM work_orders WHERE id IN (
    SELECT id FROM work_orders WHERE status IN ('done', 'cancelled') AND plan < (SELECT max(plan) FROM work_orders)
        AND CASE WHEN scheduled_time IS NULL THEN alert NOT IN (SELECT id FROM alerts) ELSE scheduled_time < ?1 END LIMIT ?2)";
const ACTIONS: &str = "DELETE FROM actions WHERE id IN (SELECT id FROM actions WHERE time < ?1 ORDER BY time LIMIT ?2)";
const TASKS: &str = "DELETE FROM tasks WHERE id IN (
    SELECT id FROM tasks WHERE time < ?1 AND status <> 'queued' ORDER BY time LIMIT ?2)";
/// A replay starts at the snapshot, so older ranges are deleted. The newest ones are kept in case an older snapshot is
/// restored.
const SKIPPED: &str = "DELETE FROM skipped WHERE rowid IN (
    SELECT rowid FROM skipped AS old WHERE ?1 IS NOT NULL
        AND stop <= (SELECT snapshot_offset FROM partitions WHERE partitions.partition = old.partition)
        AND start < (SELECT start FROM skipped WHERE partition = old.partition ORDER BY start DESC LIMIT 1 OFFSET 10000)
    LIMIT ?2)";

const NEWEST_RAW: &str = with_sensors!(
        "reading_chunks",
        "SELECT max(newest) FROM (
        SELECT (SELECT max(end_time) FROM reading_chunks AS chunk WHERE chunk.sensor = known.sensor) AS newest FROM known
        UNION ALL SELECT max(start_time) FROM waveform_chunks
        UNION ALL SELECT max(end_time) FROM window_chunks)"
    );
const NEWEST_FINDING: &str = "SELECT max(newest) FROM (
    SELECT max(detection_time) AS newest FROM anomalies UNION ALL SELECT max(updated) FROM alerts
    UNION ALL SELECT max(time) FROM drifts UNION ALL SELECT max(time) FROM prognoses
    UNION ALL SELECT max(time) FROM actions UNION ALL SELECT max(time) FROM tasks)";
const NEWEST_DEAD_LETTER: &str = "SELECT max(time) FROM dead_letters";

fn nanoseconds(age: Duration) -> i64 {
    i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)
}

impl Store {
    /// Deletes rows that are older at `now` (nanoseconds since 1970) than their retention, deletes the oldest rows
    /// above the size limits, and returns free pages to the operating system. Each transaction is small, but the whole
    /// call may take long, so it should run on a thread of its own. Call it every minute to keep close to the limits.
    ///
    /// # Errors
    /// [`StoreError`]; rows deleted before the error stay deleted, and the next call deletes the rest.
    pub fn expire(&self, now: i64, retention: &StoreRetention) -> Result<ExpiredRows, StoreError> {
        let newest = |statement: &str| -> Result<i64, StoreError> {
            let newest: Option<i64> =
                self.read(|connection| Ok(connection.prepare_cached(statement)?.query_row([], |row| row.get(0))?))?;
            Ok(newest.map_or(now, |newest| newest.min(now)))
        };
        let before = |since: i64, age: Option<Duration>| age.map(|age| since.saturating_sub(nanoseconds(age)));
        let (newest_raw, newest_finding, newest_dead_letter) =
            (newest(NEWEST_RAW)?, newest(NEWEST_FINDING)?, newest(NEWEST_DEAD_LETTER)?);
        let mut expired = ExpiredRows::default();
        if let Some(before) = before(newest_raw, retention.readings) {
            expired.reading_chunks += self.delete_by_sensor(&READINGS, before, retention.readings)?;
            if let Some(age) = retention.readings {
                self.trim_chunks(before, nanoseconds(age))?;
            }
        }
        if let Some(before) = before(newest_raw, retention.hourly) {
            expired.hourly_sums += self.delete_by_sensor(&HOURLY, before, retention.hourly)?;
        }
        for (statement, age, count) in [
            (WAVEFORMS, retention.waveforms, &mut expired.waveforms),
            (WINDOWS, retention.windows, &mut expired.window_chunks),
        ] {
            if let (Some(before), Some(age)) = (before(newest_raw, age), age) {
                *count += self.delete_before_per_source(statement, before, nanoseconds(age))?;
            }
        }
        let findings = before(newest_finding, retention.findings);
        for (statement, before, count) in [
            (DEAD_LETTERS, before(newest_dead_letter, retention.dead_letters), &mut expired.dead_letters),
            (ALERTS, findings, &mut expired.alerts),
            (ANOMALIES, findings, &mut expired.anomalies),
            (DRIFTS, findings, &mut expired.drifts),
            (PROGNOSES, findings, &mut expired.prognoses),
            (WORK_ORDERS, findings, &mut expired.work_orders),
            (ACTIONS, findings, &mut expired.actions),
            (TASKS, findings, &mut expired.tasks),
            (SKIPPED, Some(now), &mut expired.skipped),
        ] {
            if let Some(before) = before {
                *count += self.delete_before(statement, before)?;
            }
        }
        if let Some(max_bytes) = retention.dead_letter_bytes {
            while self.sizes()?.dead_letter_bytes > max_bytes {
                let deleted = self.delete_oldest_dead_letters()?;
                expired.dead_letters += deleted;
                if deleted == 0 {
                    break;
                }
            }
        }
        if let Some(max_bytes) = retention.max_bytes {
            self.shrink_to(max_bytes, &mut expired)?;
        }
        expired.pages = self.release_free_pages()?;
        Ok(expired)
    }

    /// Deletes raw readings, waveforms and windows that ended before a time, but no hourly aggregates. Returns the
    /// number of deleted chunks.
    ///
    /// # Errors
    /// [`StoreError`]; chunks deleted before the error stay deleted.
    pub fn expire_raw_data(&self, before: i64) -> Result<usize, StoreError> {
        let mut expired = ExpiredRows::default();
        self.delete_raw(before, &mut expired)?;
        Ok(usize::try_from(expired.total_rows()).unwrap_or(usize::MAX))
    }

    fn delete_raw(&self, before: i64, expired: &mut ExpiredRows) -> Result<(), StoreError> {
        expired.reading_chunks += self.delete_by_sensor(&READINGS, before, None)?;
        expired.waveforms += self.delete_before_per_source(WAVEFORMS, before, KEEP_NOTHING_AGE)?;
        expired.window_chunks += self.delete_before_per_source(WINDOWS, before, KEEP_NOTHING_AGE)?;
        Ok(())
    }

    fn delete_before(&self, statement: &str, before: i64) -> Result<u64, StoreError> {
        let limit = i64::try_from(ROWS_PER_TRANSACTION).unwrap_or(i64::MAX);
        self.delete_in_batches(|to| Ok(to.prepare_cached(statement)?.execute(params![before, limit])?))
    }

    /// As [`Self::delete_before`], but keeps the rows within `age` nanoseconds of the newest of each sensor or asset.
    fn delete_before_per_source(&self, statement: &str, before: i64, age: i64) -> Result<u64, StoreError> {
        let limit = i64::try_from(ROWS_PER_TRANSACTION).unwrap_or(i64::MAX);
        self.delete_in_batches(|to| Ok(to.prepare_cached(statement)?.execute(params![before, limit, age])?))
    }

    /// Deletes at most [`ROWS_PER_TRANSACTION`] rows per transaction, until none are left.
    fn delete_in_batches(
        &self,
        delete: impl Fn(&rusqlite::Transaction<'_>) -> Result<usize, StoreError>,
    ) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let deleted = self.write(&delete)?;
            total += deleted as u64;
            if deleted < ROWS_PER_TRANSACTION {
                return Ok(total);
            }
            yield_to_writers();
        }
    }

    /// Deletes a table's rows before a time. With an age, keeps the rows within that age of the sensor's newest: an old
    /// recording that is replayed into a live plant is kept as long as current data.
    fn delete_by_sensor(&self, table: &SensorTable, before: i64, age: Option<Duration>) -> Result<u64, StoreError> {
        let sensors: Vec<u32> = self.read(|connection| {
            let mut statement = connection.prepare_cached(table.sensors)?;
            let rows = statement.query_map([before], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let (mut total, mut next) = (0, 0);
        while next < sensors.len() {
            let (deleted, next_sensor) = self.write(|to| {
                let mut delete = to.prepare_cached(table.delete)?;
                let mut newest = to.prepare_cached(table.newest)?;
                let (mut deleted, mut index) = (0, next);
                while let (Some(sensor), true) = (sensors.get(index), deleted < ROWS_PER_TRANSACTION) {
                    let remaining = ROWS_PER_TRANSACTION - deleted;
                    let mut before = before;
                    if let Some(age) = age {
                        let newest: Option<i64> = newest.query_row([sensor], |row| row.get(0))?;
                        before = newest.map_or(before, |newest| before.min(newest.saturating_sub(nanoseconds(age))));
                    }
                    let rows = delete.execute(params![sensor, before, i64::try_from(remaining).unwrap_or(i64::MAX)])?;
                    deleted += rows;
                    index += usize::from(rows < remaining);
                }
                Ok((deleted, index))
            })?;
            total += deleted as u64;
            next = next_sensor;
            yield_to_writers();
        }
        Ok(total)
    }

    /// Removes old readings from chunks that start long before a time and end after it, as the chunks of rarely read
    /// sensors do. A chunk is trimmed only when it starts an eighth of `age` too early. So a chunk is rarely rewritten,
    /// and a reading is kept at most that much too long.
    fn trim_chunks(&self, before: i64, age: i64) -> Result<(), StoreError> {
        let excess = age / 8;
        let sensors: Vec<u32> = self.read(|connection| {
            let mut statement = connection.prepare_cached(SENSORS_WITH_EARLY_CHUNKS)?;
            let rows = statement.query_map([before.saturating_sub(excess)], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        for sensors in sensors.chunks(SENSORS_PER_TRIM) {
            self.write(|to| {
                sensors.iter().try_for_each(|&sensor| trim_sensor_chunks(to, sensor, before, age, excess))
            })?;
            yield_to_writers();
        }
        Ok(())
    }

    fn delete_oldest_dead_letters(&self) -> Result<u64, StoreError> {
        let statement = "DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters ORDER BY time, id LIMIT 64)";
        let deleted = self.write(|to| Ok(to.prepare_cached(statement)?.execute([])?))?;
        yield_to_writers();
        Ok(deleted as u64)
    }

    /// Deletes the oldest rows until at most `max_bytes` bytes are in use.
    fn shrink_to(&self, max_bytes: u64, expired: &mut ExpiredRows) -> Result<(), StoreError> {
        while self.sizes()?.used_bytes() > max_bytes {
            let Some((oldest, newest)) = self.read(|connection| time_span(connection, RAW_TIME_SPAN))? else { break };
            let round = (newest.saturating_sub(oldest) / SHRINK_ROUNDS).max(HOUR);
            self.delete_raw(oldest.saturating_add(round), expired)?;
        }
        while self.sizes()?.used_bytes() > max_bytes {
            let deleted = self.delete_oldest_dead_letters()?;
            expired.dead_letters += deleted;
            if deleted == 0 {
                break;
            }
        }
        while self.sizes()?.used_bytes() > max_bytes {
            let Some((oldest, newest)) = self.read(|connection| time_span(connection, HOURLY_TIME_SPAN))? else {
                break;
            };
            let round = (newest.saturating_sub(oldest) / SHRINK_ROUNDS).max(HOUR);
            expired.hourly_sums += self.delete_by_sensor(&HOURLY, oldest.saturating_add(round), None)?;
        }
        Ok(())
    }

    /// Returns free pages to the operating system, except a reserve. A store created by an earlier version keeps its
    /// free pages and reuses them.
    fn release_free_pages(&self) -> Result<u64, StoreError> {
        let incremental: i64 =
            self.read(|connection| Ok(connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?))?;
        if incremental != 2 {
            return Ok(0);
        }
        let mut released = 0;
        loop {
            let sizes = self.sizes()?;
            let reserve = (MIN_FREE_BYTES / sizes.page_bytes.max(1)).max(sizes.pages / 10);
            let pages = sizes.free_pages.saturating_sub(reserve).min(PAGES_PER_TRANSACTION);
            if pages == 0 {
                return Ok(released);
            }
            self.write(|to| Ok(to.execute_batch(&format!("PRAGMA incremental_vacuum({pages})"))?))?;
            released += pages;
            yield_to_writers();
        }
    }
}

/// Trims the chunks of a sensor that start more than `excess` before the retained time.
fn trim_sensor_chunks(to: &Connection, sensor: u32, before: i64, age: i64, excess: i64) -> Result<(), StoreError> {
    type Chunk = (i64, Vec<u8>, Vec<u8>);
    let newest: i64 = to.prepare_cached(READINGS.newest)?.query_row([sensor], |row| row.get(0))?;
    let before = before.min(newest.saturating_sub(age));
    let chunks: Vec<Chunk> = to
        .prepare_cached(EARLY_CHUNKS)?
        .query_map(params![sensor, before.saturating_sub(excess), before], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    for (start, times, values) in chunks {
        chunk_merge::trim_before(to, (sensor, start), (&times, &values), before)?;
    }
    Ok(())
}

/// The lock is not fair; a pause lets other writers get it.
fn yield_to_writers() {
    thread::sleep(Duration::from_micros(200));
}

/// Staged chunks are excluded, because they cannot be deleted.
const RAW_TIME_SPAN: &str = "SELECT min(oldest), max(newest) FROM (
    SELECT min(end_time) AS oldest, max(end_time) AS newest FROM reading_chunks AS chunk
        WHERE NOT EXISTS (SELECT 1 FROM staged WHERE sensor = chunk.sensor AND start_time = chunk.start_time)
    UNION ALL SELECT min(start_time), max(start_time) FROM waveform_chunks
    UNION ALL SELECT min(end_time), max(end_time) FROM window_chunks)";
const HOURLY_TIME_SPAN: &str = "SELECT min(hour), max(hour) FROM reading_hourly_sums";

/// The oldest and the newest time, if there are any rows.
fn time_span(connection: &Connection, statement: &str) -> Result<Option<(i64, i64)>, StoreError> {
    let (oldest, newest): (Option<i64>, Option<i64>) =
        connection.query_row(statement, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(oldest.zip(newest))
}
