//! Writing: one commit of the line, one transaction.

use std::{borrow::Cow, collections::BTreeMap};

use rusqlite::{Connection, params};

use crate::{
    AlertRow, AnomalyRow, DeadLetter, DriftRow, PrognosisRow, SkippedRow, Store, StoreError, WorkOrderRow,
    chunk::{encode_f32, encode_f64, encode_i64},
    counts::add,
    merge,
    windows::{self, WindowChunk},
};

const HOUR: i64 = 3_600_000_000_000;
/// Chunks written in one transaction.
const STAGED_AT_ONCE: usize = 512;

/// Readings of one sensor, in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SensorColumn {
    /// Number of the sensor.
    pub sensor: u32,
    /// Times.
    pub times: Vec<i64>,
    /// Values, as many.
    pub values: Vec<f64>,
}

/// A burst.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveformRow {
    /// Number of the sensor.
    pub sensor: u32,
    /// Time of the first sample.
    pub start: i64,
    /// Samples a second.
    pub rate: f64,
    /// The samples.
    pub samples: Vec<f32>,
}

/// Windows of one asset that share a list of features.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowBlock {
    /// The machine.
    pub asset: String,
    /// Names of the features.
    pub features: Vec<String>,
    /// The windows.
    pub rows: Vec<WindowRow>,
    /// Row after row, one value a feature.
    pub values: Vec<f64>,
}

/// One window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRow {
    /// Number of the sensor.
    pub sensor: u32,
    /// Start, included.
    pub start: i64,
    /// End, excluded.
    pub end: i64,
    /// Readings or samples in it.
    pub count: u32,
}

/// That a snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Offset in the log.
    pub snapshot_offset: u64,
    /// Whatever the host wants to know about it.
    pub snapshot: String,
}

/// How far findings go.
#[derive(Clone, Copy, Debug)]
pub struct Applied<'a> {
    /// Offset in the log.
    pub offset: u64,
    /// How far the topics were written, in the host's own words.
    pub topic_ends: &'a str,
}

/// What one commit brings. All of it is written, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Commit<'a> {
    /// Whose.
    pub partition: u16,
    /// How far its findings go; none when it brings none.
    pub applied: Option<Applied<'a>>,
    /// A snapshot, if one was taken.
    pub checkpoint: Option<Checkpoint>,
    /// Raw readings.
    pub readings: &'a [SensorColumn],
    /// Bursts.
    pub waveforms: &'a [WaveformRow],
    /// Windows.
    pub windows: &'a [WindowBlock],
    /// Anomalies; a known id keeps what people wrote on it.
    pub anomalies: &'a [AnomalyRow],
    /// Alerts, whole; a known id is overwritten.
    pub alerts: &'a [AlertRow],
    /// Drifts; a known id is overwritten.
    pub drifts: &'a [DriftRow],
    /// Remaining lives; one of an asset and time that is known is overwritten.
    pub prognoses: &'a [PrognosisRow],
    /// Work orders, whole; a known id is overwritten.
    pub work_orders: &'a [WorkOrderRow],
    /// What was refused.
    pub dead_letters: &'a [DeadLetter],
    /// Stretches of the log that were given up.
    pub skipped: &'a [SkippedRow],
}

struct ReadingChunk {
    sensor: u32,
    start: i64,
    end: i64,
    count: usize,
    times: Vec<u8>,
    values: Vec<u8>,
}

struct HourSums {
    count: i64,
    mean: f64,
    m2: f64,
    min: f64,
    max: f64,
}

fn number(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

impl Store {
    /// Writes a commit.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was written.
    pub fn commit(&self, commit: &Commit<'_>) -> Result<(), StoreError> {
        // Compressing takes the time; other partitions may write meanwhile.
        let mut hours = BTreeMap::new();
        let chunks: Vec<ReadingChunk> = commit
            .readings
            .iter()
            .filter(|column| !column.times.is_empty())
            .map(|column| chunk(column, &mut hours))
            .collect();
        let waveforms: Vec<(&WaveformRow, Vec<u8>)> =
            commit.waveforms.iter().map(|waveform| (waveform, encode_f32(&waveform.samples))).collect();
        let windows: Vec<WindowChunk<'_>> = commit.windows.iter().map(WindowChunk::new).collect();

        let met = self.stage(commit.partition, &chunks)?;

        let mut writer = self.writer()?;
        let transaction = writer.transaction()?;
        for chunk in met {
            // A late reading may make two chunks start at the same time: they become one.
            merge::into_existing(&transaction, chunk.sensor, chunk.start, &chunk.times, &chunk.values)?;
        }
        transaction.prepare_cached("DELETE FROM staged WHERE partition = ?1")?.execute([commit.partition])?;
        add(&transaction, "readings", chunks.iter().map(|chunk| chunk.count as u64).sum())?;
        put_hours(&transaction, &hours)?;
        put_waveforms(&transaction, &waveforms)?;
        windows::put(&transaction, &windows)?;
        put_anomalies(&transaction, commit.anomalies)?;
        put_alerts(&transaction, commit.alerts)?;
        put_drifts(&transaction, commit.drifts)?;
        put_prognoses(&transaction, commit.prognoses)?;
        let plan = commit.applied.map_or(0, |applied| number(applied.offset));
        put_work_orders(&transaction, commit.work_orders, plan)?;
        put_dead_letters(&transaction, commit.dead_letters)?;
        put_skipped(&transaction, commit.partition, commit.skipped)?;
        put_partition(&transaction, commit)?;
        transaction.commit()?;
        Ok(())
    }
}

/// Sorts, compresses and sums one sensor's readings.
fn chunk(column: &SensorColumn, hours: &mut BTreeMap<(u32, i64), HourSums>) -> ReadingChunk {
    let (times, values): (Cow<'_, [i64]>, Cow<'_, [f64]>) = if column.times.is_sorted() {
        (Cow::Borrowed(&column.times), Cow::Borrowed(&column.values))
    } else {
        let mut rows: Vec<(i64, f64)> = column.times.iter().copied().zip(column.values.iter().copied()).collect();
        rows.sort_by_key(|&(time, _)| time);
        let (times, values): (Vec<i64>, Vec<f64>) = rows.into_iter().unzip();
        (Cow::Owned(times), Cow::Owned(values))
    };
    let mut rest = times.as_ref();
    let mut at = 0;
    while let Some(&first) = rest.first() {
        let hour = first.div_euclid(HOUR) * HOUR;
        let count = rest.partition_point(|&time| time.div_euclid(HOUR) * HOUR == hour);
        if let Some(values) = values.get(at..at + count) {
            hours.insert((column.sensor, hour), sums(values));
        }
        at += count;
        rest = rest.get(count..).unwrap_or_default();
    }
    ReadingChunk {
        sensor: column.sensor,
        start: times.first().copied().unwrap_or(0),
        end: times.last().copied().unwrap_or(0),
        count: times.len(),
        times: encode_i64(&times),
        values: encode_f64(&values),
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of an hour are far below 2^52")]
fn sums(values: &[f64]) -> HourSums {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    HourSums {
        count: i64::try_from(values.len()).unwrap_or(i64::MAX),
        mean,
        m2: values.iter().map(|value| (value - mean) * (value - mean)).sum(),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

/// Chan et al. 1979: merges counts, means and sums of squared deviations of two sets.
fn put_hours(to: &Connection, hours: &BTreeMap<(u32, i64), HourSums>) -> Result<(), StoreError> {
    let mut upsert = to.prepare_cached(
        "INSERT INTO reading_hourly_sums AS old VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (sensor, hour) DO UPDATE SET
            count = old.count + excluded.count,
            mean = old.mean + (excluded.mean - old.mean) * excluded.count / (old.count + excluded.count),
            m2 = old.m2 + excluded.m2 + (excluded.mean - old.mean) * (excluded.mean - old.mean)
                * old.count * excluded.count / (old.count + excluded.count),
            min = min(old.min, excluded.min), max = max(old.max, excluded.max)",
    )?;
    for ((sensor, hour), sums) in hours {
        upsert.execute(params![sensor, hour, sums.count, sums.mean, sums.m2, sums.min, sums.max])?;
    }
    Ok(())
}

fn put_waveforms(to: &Connection, waveforms: &[(&WaveformRow, Vec<u8>)]) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached("INSERT OR IGNORE INTO waveform_chunks VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut samples = 0;
    for (waveform, encoded) in waveforms {
        let count = i64::try_from(waveform.samples.len()).unwrap_or(i64::MAX);
        insert.execute(params![waveform.sensor, waveform.start, waveform.rate, count, encoded])?;
        samples += waveform.samples.len() as u64;
    }
    add(to, "waveform_samples", samples)
}

impl Store {
    /// Writes chunks in small transactions, so that findings of other commits come in between, and gives those that meet
    /// a chunk which starts at the same time. They count once the commit that they belong to is written; until then
    /// `staged` names them, and [`Self::recover`] takes them back.
    fn stage<'a>(&self, partition: u16, chunks: &'a [ReadingChunk]) -> Result<Vec<&'a ReadingChunk>, StoreError> {
        let mut met = Vec::new();
        for (number, some) in chunks.chunks(STAGED_AT_ONCE).enumerate() {
            if number > 0 {
                // The lock is not fair: who waits for it must get a chance.
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            let mut writer = self.writer()?;
            let transaction = writer.transaction()?;
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO reading_chunks VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                )?;
                let mut name = transaction.prepare_cached("INSERT INTO staged VALUES (?1, ?2, ?3)")?;
                for chunk in some {
                    let count = i64::try_from(chunk.count).unwrap_or(i64::MAX);
                    let row = params![chunk.sensor, chunk.start, chunk.end, count, chunk.times, chunk.values];
                    if insert.execute(row)? == 0 {
                        met.push(chunk);
                    } else {
                        name.execute(params![partition, chunk.sensor, chunk.start])?;
                    }
                }
            }
            transaction.commit()?;
        }
        Ok(met)
    }

    /// Takes back what a commit had begun to write when the host died. Only the host may call it, before it commits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn recover(&self) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let transaction = writer.transaction()?;
        transaction.execute(
            "DELETE FROM reading_chunks WHERE (sensor, start_time) IN (SELECT sensor, start_time FROM staged)",
            [],
        )?;
        transaction.execute("DELETE FROM staged", [])?;
        transaction.commit()?;
        Ok(())
    }
}

fn put_anomalies(to: &Connection, rows: &[AnomalyRow]) -> Result<(), StoreError> {
    let mut upsert = to.prepare_cached(
        "INSERT INTO anomalies VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (id) DO UPDATE SET score = excluded.score, severity = excluded.severity, threshold = excluded.threshold,
            confidence = excluded.confidence, fault_mode = excluded.fault_mode, message = excluded.message,
            metadata = excluded.metadata, sensor = excluded.sensor",
    )?;
    for row in rows {
        upsert.execute(params![
            row.id,
            row.detection_time,
            row.sensor,
            row.asset,
            row.start_time,
            row.end_time,
            row.score,
            row.model,
            row.severity,
            row.handled,
            row.threshold,
            row.confidence,
            row.fault_mode,
            row.message,
            row.metadata,
        ])?;
    }
    Ok(())
}

fn put_alerts(to: &Connection, rows: &[AlertRow]) -> Result<(), StoreError> {
    let mut upsert = to.prepare_cached(
        "INSERT OR REPLACE INTO alerts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    for row in rows {
        upsert.execute(params![
            row.id,
            row.asset,
            row.sensor,
            row.severity,
            row.state,
            row.opened,
            row.updated,
            row.resolved,
            row.anomalies,
            row.peak_score,
            row.anomaly,
            row.fault_mode,
            row.title,
            row.message,
            row.recommendation,
        ])?;
    }
    Ok(())
}

/// `plan` is the number of the plan that they come with.
fn put_work_orders(to: &Connection, rows: &[WorkOrderRow], plan: i64) -> Result<(), StoreError> {
    let mut upsert = to.prepare_cached(
        "INSERT OR REPLACE INTO work_orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    for row in rows {
        upsert.execute(params![
            row.id,
            row.alert,
            row.asset,
            row.kind,
            row.priority.clamp(1, 5),
            row.status,
            row.scheduled,
            row.duration_minutes,
            row.technician,
            list(&row.skills),
            list(&row.after),
            row.cost,
            row.notes,
            row.pinned,
            plan,
        ])?;
    }
    Ok(())
}

fn list(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

fn put_dead_letters(to: &Connection, rows: &[DeadLetter]) -> Result<(), StoreError> {
    let mut insert =
        to.prepare_cached("INSERT OR IGNORE INTO dead_letters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    let mut refused = 0;
    for row in rows {
        let new = insert.execute(params![
            row.id,
            row.time,
            row.source,
            row.reason,
            row.message,
            row.payload,
            row.readings,
            row.sensor,
            row.format,
        ])?;
        if new > 0 {
            refused += u64::from(row.readings);
        }
    }
    add(to, "rejected_readings", refused)
}

fn put_skipped(to: &Connection, partition: u16, rows: &[SkippedRow]) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached("INSERT OR REPLACE INTO skipped VALUES (?1, ?2, ?3, ?4)")?;
    for row in rows {
        let asset = row.asset.as_deref().unwrap_or_default();
        insert.execute(params![partition, number(row.start), number(row.stop), asset])?;
    }
    Ok(())
}

fn put_drifts(to: &Connection, rows: &[DriftRow]) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached("INSERT OR REPLACE INTO drifts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for row in rows {
        let sensors = serde_json::to_string(&row.sensors).unwrap_or_default();
        insert.execute(params![row.id, row.asset, row.time, row.kind, sensors, row.p_value, row.message])?;
    }
    Ok(())
}

fn put_prognoses(to: &Connection, rows: &[PrognosisRow]) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached("INSERT OR REPLACE INTO prognoses VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for row in rows {
        insert.execute(params![
            row.asset,
            row.time,
            row.health,
            row.p10_hours,
            row.p50_hours,
            row.p90_hours,
            row.model
        ])?;
    }
    Ok(())
}

fn put_partition(to: &Connection, commit: &Commit<'_>) -> Result<(), StoreError> {
    to.prepare_cached("INSERT INTO partitions VALUES (?1, 0, 0, NULL, '{}') ON CONFLICT DO NOTHING")?
        .execute([commit.partition])?;
    if let Some(applied) = &commit.applied {
        to.prepare_cached("UPDATE partitions SET applied_offset = ?2, topic_ends = ?3 WHERE partition = ?1")?
            .execute(params![commit.partition, number(applied.offset), applied.topic_ends])?;
    }
    if let Some(checkpoint) = &commit.checkpoint {
        to.prepare_cached("UPDATE partitions SET snapshot_offset = ?2, snapshot = ?3 WHERE partition = ?1")?
            .execute(params![commit.partition, number(checkpoint.snapshot_offset), checkpoint.snapshot])?;
    }
    Ok(())
}
