//! Retention: what is old goes, in small transactions, so that the store is bounded and nobody waits for it.

use std::{thread, time::Duration};

use rusqlite::{Connection, params};
use serde::Serialize;

use crate::{Store, StoreError, merge};

/// Rows that are deleted in one transaction.
const ROWS: usize = 512;
const HOUR: i64 = 3_600_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);
/// Free pages that are kept for what comes next: a file that shrinks and grows all the time wears the disk.
const SPARE: u64 = 16 << 20;
/// Pages given back to the system in one transaction.
const PAGES: u64 = 1024;
/// The time that the size limit takes away in one round, as a part of all that is there.
const ROUNDS: i64 = 50;

/// How long what is kept. None: for ever. Ages count from the newest that is stored of a kind, or from the host's clock
/// where that is earlier; of raw data and hourly aggregates also from the sensor's own newest. So neither a clock that jumps
/// ahead nor a recording of last year empties the store, nor is the recording lost beside what is measured now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Raw readings.
    pub readings: Option<Duration>,
    /// Waveforms.
    pub waveforms: Option<Duration>,
    /// Windows with their features.
    pub windows: Option<Duration>,
    /// Hourly aggregates of readings.
    pub hourly: Option<Duration>,
    /// Anomalies, resolved alerts, drifts, prognoses, closed work orders, actions and finished tasks. What is open stays.
    pub findings: Option<Duration>,
    /// Dead letters.
    pub dead_letters: Option<Duration>,
    /// Bytes of dead letters' payloads; the oldest go first.
    pub dead_letter_bytes: Option<u64>,
    /// Bytes of the file that hold something. Above it the oldest readings, waveforms and windows go first, then the
    /// oldest dead letters, then the oldest hourly aggregates; findings stay.
    pub max_bytes: Option<u64>,
}

impl Default for Retention {
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

/// Rows that went, a field a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "each field is named after its table")]
pub struct Expired {
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
    /// Pages of the file that were given back to the system.
    pub pages: u64,
}

impl Expired {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.fields().map(|(_, rows)| rows).iter().sum()
    }

    /// Each table's name and its rows that went.
    pub fn fields(&self) -> [(&'static str, u64); 13] {
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

/// A table whose rows are found by sensor and then by time.
struct BySensor {
    /// Gives the sensors that have rows from before ?1.
    sensors: &'static str,
    /// Gives the newest time of sensor ?1.
    newest: &'static str,
    /// Deletes at most ?3 rows of sensor ?1 from before ?2.
    delete: &'static str,
}

const READINGS: BySensor = BySensor {
    sensors: "WITH RECURSIVE known (sensor) AS (
            SELECT min(sensor) FROM reading_chunks
            UNION ALL SELECT (SELECT min(sensor) FROM reading_chunks WHERE sensor > known.sensor) FROM known WHERE known.sensor IS NOT NULL)
        SELECT sensor FROM known WHERE sensor IS NOT NULL
            AND EXISTS (SELECT 1 FROM reading_chunks AS chunk WHERE chunk.sensor = known.sensor AND end_time < ?1)",
    newest: "SELECT max(end_time) FROM reading_chunks WHERE sensor = ?1",
    // What is staged may be taken back, and has to be there until then.
    delete: "DELETE FROM reading_chunks WHERE sensor = ?1 AND start_time IN (
        SELECT start_time FROM reading_chunks AS chunk WHERE sensor = ?1 AND end_time < ?2
            AND NOT EXISTS (SELECT 1 FROM staged WHERE sensor = chunk.sensor AND start_time = chunk.start_time)
        ORDER BY end_time LIMIT ?3)",
};

/// Sensors with a chunk that begins before ?1.
const SENSORS_WITH_EARLY_CHUNKS: &str = "WITH RECURSIVE known (sensor) AS (
        SELECT min(sensor) FROM reading_chunks
        UNION ALL SELECT (SELECT min(sensor) FROM reading_chunks WHERE sensor > known.sensor) FROM known WHERE known.sensor IS NOT NULL)
    SELECT sensor FROM known WHERE sensor IS NOT NULL
        AND EXISTS (SELECT 1 FROM reading_chunks AS chunk WHERE chunk.sensor = known.sensor AND start_time < ?1)";
/// Chunks of sensor ?1 that begin before ?2 and end at ?3 or later. What is staged may be taken back as it is.
const EARLY_CHUNKS: &str = "SELECT start_time, times, vals FROM reading_chunks AS chunk
    WHERE sensor = ?1 AND start_time < ?2 AND end_time >= ?3
        AND NOT EXISTS (SELECT 1 FROM staged WHERE sensor = chunk.sensor AND start_time = chunk.start_time)";
/// Sensors whose chunks are cut in one transaction.
const SENSORS_CUT_AT_ONCE: usize = 16;

const HOURLY: BySensor = BySensor {
    sensors: "WITH RECURSIVE known (sensor) AS (
            SELECT min(sensor) FROM reading_hourly_sums
            UNION ALL SELECT (SELECT min(sensor) FROM reading_hourly_sums WHERE sensor > known.sensor) FROM known WHERE known.sensor IS NOT NULL)
        SELECT sensor FROM known WHERE sensor IS NOT NULL
            AND EXISTS (SELECT 1 FROM reading_hourly_sums AS sums WHERE sums.sensor = known.sensor AND hour < ?1)",
    newest: "SELECT max(hour) FROM reading_hourly_sums WHERE sensor = ?1",
    delete: "DELETE FROM reading_hourly_sums WHERE sensor = ?1 AND hour IN (
        SELECT hour FROM reading_hourly_sums WHERE sensor = ?1 AND hour < ?2 ORDER BY hour LIMIT ?3)",
};

/// ?3 is the age that is kept of each sensor, or asset, counted from its own newest.
const WAVEFORMS: &str = "DELETE FROM waveform_chunks WHERE rowid IN (
    SELECT rowid FROM waveform_chunks AS old WHERE start_time < ?1
        AND start_time < (SELECT max(start_time) FROM waveform_chunks WHERE sensor = old.sensor) - ?3
    ORDER BY start_time LIMIT ?2)";
const WINDOWS: &str = "DELETE FROM window_chunks WHERE (asset, start_time, features) IN (
    SELECT asset, start_time, features FROM window_chunks AS old WHERE end_time < ?1
        AND end_time < (SELECT max(end_time) FROM window_chunks WHERE asset = old.asset) - ?3
    ORDER BY end_time LIMIT ?2)";
/// An age for [`WAVEFORMS`] and [`WINDOWS`] that keeps nothing back.
const NO_AGE: i64 = -(1 << 62);
const DEAD_LETTERS: &str = "DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM dead_letters WHERE time < ?1 ORDER BY time LIMIT ?2)";
/// What an open alert names stays.
const ANOMALIES: &str = "DELETE FROM anomalies WHERE id IN (
    SELECT id FROM anomalies WHERE detection_time < ?1
        AND id NOT IN (SELECT anomaly FROM alerts WHERE state <> 'resolved') ORDER BY detection_time LIMIT ?2)";
const ALERTS: &str = "DELETE FROM alerts WHERE id IN (
    SELECT id FROM alerts WHERE updated < ?1 AND state = 'resolved' ORDER BY updated LIMIT ?2)";
const DRIFTS: &str = "DELETE FROM drifts WHERE id IN (SELECT id FROM drifts WHERE time < ?1 ORDER BY time LIMIT ?2)";
const PROGNOSES: &str = "DELETE FROM prognoses WHERE (asset, time) IN (
    SELECT asset, time FROM prognoses WHERE time < ?1 ORDER BY time LIMIT ?2)";
/// The newest plan's number is read from its orders. An order without a time goes with its alert.
const WORK_ORDERS: &str = "DELETE FROM work_orders WHERE id IN (
    SELECT id FROM work_orders WHERE status IN ('done', 'cancelled') AND plan < (SELECT max(plan) FROM work_orders)
        AND CASE WHEN scheduled_time IS NULL THEN alert NOT IN (SELECT id FROM alerts) ELSE scheduled_time < ?1 END LIMIT ?2)";
const ACTIONS: &str = "DELETE FROM actions WHERE id IN (SELECT id FROM actions WHERE time < ?1 ORDER BY time LIMIT ?2)";
const TASKS: &str = "DELETE FROM tasks WHERE id IN (
    SELECT id FROM tasks WHERE time < ?1 AND status <> 'queued' ORDER BY time LIMIT ?2)";
/// A replay begins at the snapshot; the newest ones stay in case that an older snapshot is gone back to.
const SKIPPED: &str = "DELETE FROM skipped WHERE rowid IN (
    SELECT rowid FROM skipped AS old WHERE ?1 IS NOT NULL
        AND stop <= (SELECT snapshot_offset FROM partitions WHERE partitions.partition = old.partition)
        AND start < (SELECT start FROM skipped WHERE partition = old.partition ORDER BY start DESC LIMIT 1 OFFSET 10000)
    LIMIT ?2)";

const NEWEST_RAW: &str = "WITH RECURSIVE known (sensor) AS (
        SELECT min(sensor) FROM reading_chunks
        UNION ALL SELECT (SELECT min(sensor) FROM reading_chunks WHERE sensor > known.sensor) FROM known WHERE known.sensor IS NOT NULL)
    SELECT max(newest) FROM (
        SELECT (SELECT max(end_time) FROM reading_chunks AS chunk WHERE chunk.sensor = known.sensor) AS newest FROM known
        UNION ALL SELECT max(start_time) FROM waveform_chunks
        UNION ALL SELECT max(end_time) FROM window_chunks)";
const NEWEST_FINDING: &str = "SELECT max(newest) FROM (
    SELECT max(detection_time) AS newest FROM anomalies UNION ALL SELECT max(updated) FROM alerts
    UNION ALL SELECT max(time) FROM drifts UNION ALL SELECT max(time) FROM prognoses
    UNION ALL SELECT max(time) FROM actions UNION ALL SELECT max(time) FROM tasks)";
const NEWEST_DEAD_LETTER: &str = "SELECT max(time) FROM dead_letters";

fn nanoseconds(age: Duration) -> i64 {
    i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)
}

impl Store {
    /// Deletes what is older at `now` (nanoseconds since 1970) than it is kept, and the oldest of what is too much, and
    /// gives free pages back to the system. Each transaction is small; all of it may take long, so it belongs on a thread
    /// that may wait. Calling it each minute keeps the bounds close.
    ///
    /// # Errors
    /// [`StoreError`]; what went until then is gone, the rest goes with the next call.
    pub fn expire(&self, now: i64, retention: &Retention) -> Result<Expired, StoreError> {
        let newest = |statement: &str| -> Result<i64, StoreError> {
            let newest: Option<i64> =
                self.read(|connection| Ok(connection.prepare_cached(statement)?.query_row([], |row| row.get(0))?))?;
            Ok(newest.map_or(now, |newest| newest.min(now)))
        };
        let before = |since: i64, age: Option<Duration>| age.map(|age| since.saturating_sub(nanoseconds(age)));
        let (raw, found, letters) = (newest(NEWEST_RAW)?, newest(NEWEST_FINDING)?, newest(NEWEST_DEAD_LETTER)?);
        let mut expired = Expired::default();
        if let Some(before) = before(raw, retention.readings) {
            expired.reading_chunks += self.delete_by_sensor(&READINGS, before, retention.readings)?;
            if let Some(age) = retention.readings {
                self.cut_readings(before, nanoseconds(age))?;
            }
        }
        if let Some(before) = before(raw, retention.hourly) {
            expired.hourly_sums += self.delete_by_sensor(&HOURLY, before, retention.hourly)?;
        }
        for (statement, age, count) in [
            (WAVEFORMS, retention.waveforms, &mut expired.waveforms),
            (WINDOWS, retention.windows, &mut expired.window_chunks),
        ] {
            if let (Some(before), Some(age)) = (before(raw, age), age) {
                *count += self.delete_aged(statement, before, nanoseconds(age))?;
            }
        }
        let findings = before(found, retention.findings);
        for (statement, before, count) in [
            (DEAD_LETTERS, before(letters, retention.dead_letters), &mut expired.dead_letters),
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
        if let Some(most) = retention.dead_letter_bytes {
            while self.sizes()?.dead_letter_bytes > most {
                let gone = self.delete_oldest_dead_letters()?;
                expired.dead_letters += gone;
                if gone == 0 {
                    break;
                }
            }
        }
        if let Some(most) = retention.max_bytes {
            self.shrink_to(most, &mut expired)?;
        }
        expired.pages = self.give_pages_back()?;
        Ok(expired)
    }

    /// Deletes raw readings, waveforms and windows that ended before a time; hourly aggregates stay. Returns the number of
    /// chunks.
    ///
    /// # Errors
    /// [`StoreError`]; what went until then is gone.
    pub fn expire_readings(&self, before: i64) -> Result<usize, StoreError> {
        let mut expired = Expired::default();
        self.delete_raw(before, &mut expired)?;
        Ok(usize::try_from(expired.rows()).unwrap_or(usize::MAX))
    }

    fn delete_raw(&self, before: i64, expired: &mut Expired) -> Result<(), StoreError> {
        expired.reading_chunks += self.delete_by_sensor(&READINGS, before, None)?;
        expired.waveforms += self.delete_aged(WAVEFORMS, before, NO_AGE)?;
        expired.window_chunks += self.delete_aged(WINDOWS, before, NO_AGE)?;
        Ok(())
    }

    fn delete_before(&self, statement: &str, before: i64) -> Result<u64, StoreError> {
        let limit = i64::try_from(ROWS).unwrap_or(i64::MAX);
        self.delete_in_rounds(|to| Ok(to.prepare_cached(statement)?.execute(params![before, limit])?))
    }

    /// As [`Self::delete_before`], but keeps `age` nanoseconds before the newest of each sensor or asset.
    fn delete_aged(&self, statement: &str, before: i64, age: i64) -> Result<u64, StoreError> {
        let limit = i64::try_from(ROWS).unwrap_or(i64::MAX);
        self.delete_in_rounds(|to| Ok(to.prepare_cached(statement)?.execute(params![before, limit, age])?))
    }

    /// Deletes at most [`ROWS`] rows a transaction, until there are none.
    fn delete_in_rounds(
        &self,
        delete: impl Fn(&rusqlite::Transaction<'_>) -> Result<usize, StoreError>,
    ) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let gone = self.write(&delete)?;
            all += gone as u64;
            if gone < ROWS {
                return Ok(all);
            }
            give_way();
        }
    }

    /// Deletes a table's rows from before a time; with an age, none that is younger than the sensor's newest less that age:
    /// an old recording that is replayed into a live plant stays as long as what is measured now.
    fn delete_by_sensor(&self, table: &BySensor, before: i64, age: Option<Duration>) -> Result<u64, StoreError> {
        let sensors: Vec<u32> = self.read(|connection| {
            let mut statement = connection.prepare_cached(table.sensors)?;
            let rows = statement.query_map([before], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let (mut all, mut next) = (0, 0);
        while next < sensors.len() {
            let (gone, reached) = self.write(|to| {
                let mut delete = to.prepare_cached(table.delete)?;
                let mut newest = to.prepare_cached(table.newest)?;
                let (mut gone, mut at) = (0, next);
                while let (Some(sensor), true) = (sensors.get(at), gone < ROWS) {
                    let left = ROWS - gone;
                    let mut before = before;
                    if let Some(age) = age {
                        let newest: Option<i64> = newest.query_row([sensor], |row| row.get(0))?;
                        before = newest.map_or(before, |newest| before.min(newest.saturating_sub(nanoseconds(age))));
                    }
                    let some = delete.execute(params![sensor, before, i64::try_from(left).unwrap_or(i64::MAX)])?;
                    gone += some;
                    at += usize::from(some < left);
                }
                Ok((gone, at))
            })?;
            all += gone as u64;
            next = reached;
            give_way();
        }
        Ok(all)
    }

    /// Takes the old readings out of chunks that reach from long before a time to after it, as those of a sensor do that is
    /// seldom read. A chunk is cut when it begins an eighth of `age` too early: then each is written anew seldom, and a
    /// reading stays at most so much too long.
    fn cut_readings(&self, before: i64, age: i64) -> Result<(), StoreError> {
        let excess = age / 8;
        let sensors: Vec<u32> = self.read(|connection| {
            let mut statement = connection.prepare_cached(SENSORS_WITH_EARLY_CHUNKS)?;
            let rows = statement.query_map([before.saturating_sub(excess)], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        for sensors in sensors.chunks(SENSORS_CUT_AT_ONCE) {
            self.write(|to| sensors.iter().try_for_each(|&sensor| cut_sensor(to, sensor, before, age, excess)))?;
            give_way();
        }
        Ok(())
    }

    fn delete_oldest_dead_letters(&self) -> Result<u64, StoreError> {
        let statement = "DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters ORDER BY time, id LIMIT 64)";
        let gone = self.write(|to| Ok(to.prepare_cached(statement)?.execute([])?))?;
        give_way();
        Ok(gone as u64)
    }

    /// Deletes the oldest until what is used is at most `most` bytes.
    fn shrink_to(&self, most: u64, expired: &mut Expired) -> Result<(), StoreError> {
        while self.sizes()?.used_bytes() > most {
            let Some((oldest, newest)) = self.read(|connection| span(connection, RAW))? else { break };
            let round = (newest.saturating_sub(oldest) / ROUNDS).max(HOUR);
            self.delete_raw(oldest.saturating_add(round), expired)?;
        }
        while self.sizes()?.used_bytes() > most {
            let gone = self.delete_oldest_dead_letters()?;
            expired.dead_letters += gone;
            if gone == 0 {
                break;
            }
        }
        while self.sizes()?.used_bytes() > most {
            let Some((oldest, newest)) = self.read(|connection| span(connection, HOURS))? else { break };
            let round = (newest.saturating_sub(oldest) / ROUNDS).max(HOUR);
            expired.hourly_sums += self.delete_by_sensor(&HOURLY, oldest.saturating_add(round), None)?;
        }
        Ok(())
    }

    /// Gives pages that hold nothing back to the system, but for some. A store that an earlier version made keeps them
    /// and uses them again.
    fn give_pages_back(&self) -> Result<u64, StoreError> {
        let incremental: i64 =
            self.read(|connection| Ok(connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?))?;
        if incremental != 2 {
            return Ok(0);
        }
        let mut given = 0;
        loop {
            let sizes = self.sizes()?;
            let spare = (SPARE / sizes.page_bytes.max(1)).max(sizes.pages / 10);
            let some = sizes.free_pages.saturating_sub(spare).min(PAGES);
            if some == 0 {
                return Ok(given);
            }
            self.write(|to| Ok(to.execute_batch(&format!("PRAGMA incremental_vacuum({some})"))?))?;
            given += some;
            give_way();
        }
    }
}

/// Cuts the chunks of a sensor that begin more than `excess` before what is kept.
fn cut_sensor(to: &Connection, sensor: u32, before: i64, age: i64, excess: i64) -> Result<(), StoreError> {
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
        merge::cut(to, (sensor, start), (&times, &values), before)?;
    }
    Ok(())
}

/// The lock is not fair: who waits for it must get a chance.
fn give_way() {
    thread::sleep(Duration::from_micros(200));
}

/// What is staged does not count, as it cannot go.
const RAW: &str = "SELECT min(oldest), max(newest) FROM (
    SELECT min(end_time) AS oldest, max(end_time) AS newest FROM reading_chunks AS chunk
        WHERE NOT EXISTS (SELECT 1 FROM staged WHERE sensor = chunk.sensor AND start_time = chunk.start_time)
    UNION ALL SELECT min(start_time), max(start_time) FROM waveform_chunks
    UNION ALL SELECT min(end_time), max(end_time) FROM window_chunks)";
const HOURS: &str = "SELECT min(hour), max(hour) FROM reading_hourly_sums";

/// The oldest and the newest time, if there is any.
fn span(connection: &Connection, statement: &str) -> Result<Option<(i64, i64)>, StoreError> {
    let (oldest, newest): (Option<i64>, Option<i64>) =
        connection.query_row(statement, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(oldest.zip(newest))
}
