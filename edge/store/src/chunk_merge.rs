//! Merges chunks: those with the same start time, and many small ones into few large ones.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    Store, StoreError,
    chunk::{INSERT_CHUNK, ReadingChunk, decode_rows},
};

/// A chunk with at least this many readings is not merged. The index `small_chunks` uses the same number.
const MIN_LARGE_CHUNK_READINGS: i64 = 4096;
/// A sensor's small chunks are merged when there are at least this many.
const MIN_CHUNKS_TO_MERGE: i64 = 16;
/// Maximum number of chunks per merge, so that its time and memory are bounded.
const MAX_CHUNKS_PER_MERGE: i64 = 256;
/// Sensors per transaction, so that the pipeline does not wait long.
const SENSORS_PER_TRANSACTION: usize = 32;

/// Writes a chunk. It is merged with an existing chunk that has the same start time, which late readings cause.
pub(crate) fn insert_or_merge(to: &Connection, chunk: &ReadingChunk) -> Result<(), StoreError> {
    let key = params![chunk.sensor, chunk.start];
    // Staged chunks may be discarded, and must not change until then.
    let old: Option<(Vec<u8>, Vec<u8>)> = to
        .prepare_cached(
            "SELECT times, vals FROM reading_chunks AS chunk WHERE sensor = ?1 AND start_time = ?2
                AND NOT EXISTS (SELECT 1 FROM staged WHERE sensor = chunk.sensor AND start_time = chunk.start_time)",
        )?
        .query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // A chunk that cannot be decoded is left for manual repair, and must not block new readings.
    let (Some((times, values)), Ok(mut rows)) = (old, decode_rows(&chunk.times, &chunk.values)) else {
        return insert_at_free_start(to, chunk);
    };
    let Ok(old) = decode_rows(&times, &values) else { return insert_at_free_start(to, chunk) };
    rows.extend(old);
    let Some(merged_chunk) = ReadingChunk::from_readings(chunk.sensor, rows) else { return Ok(()) };
    to.prepare_cached("DELETE FROM reading_chunks WHERE sensor = ?1 AND start_time = ?2")?.execute(key)?;
    insert_at_free_start(to, &merged_chunk)
}

/// Removes readings before a time from a chunk of a sensor, which is identified by its `start_time`.
pub(crate) fn trim_before(
    to: &Connection,
    (sensor, start): (u32, i64),
    (times, values): (&[u8], &[u8]),
    before: i64,
) -> Result<(), StoreError> {
    // A chunk that cannot be decoded is left for manual repair.
    let Ok(mut rows) = decode_rows(times, values) else { return Ok(()) };
    rows.retain(|&(time, _)| time >= before);
    to.prepare_cached("DELETE FROM reading_chunks WHERE sensor = ?1 AND start_time = ?2")?
        .execute(params![sensor, start])?;
    ReadingChunk::from_readings(sensor, rows).map_or(Ok(()), |rest| insert_at_free_start(to, &rest))
}

/// Writes a chunk under its start time, or the nearest earlier time that is free: `start_time` is never after the first
/// reading.
fn insert_at_free_start(to: &Connection, chunk: &ReadingChunk) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached(INSERT_CHUNK)?;
    let mut key = chunk.start;
    while insert.execute(chunk.insert_params_at(key))? == 0 {
        let Some(before) = key.checked_sub(1) else {
            return Err(StoreError::InvalidStatement(format!(
                "sensor {}: there is no free start time for a chunk at {key}",
                chunk.sensor
            )));
        };
        key = before;
    }
    Ok(())
}

impl Store {
    /// Merges small chunks of sensors that have many of them. Returns the number of sensors done, 0 if there is nothing
    /// left to merge.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was merged.
    pub fn merge_small_chunks(&self) -> Result<usize, StoreError> {
        let sensors: Vec<u32> = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT sensor FROM reading_chunks WHERE count < 4096 GROUP BY sensor HAVING count(*) >= ?1 LIMIT ?2",
            )?;
            let limit = i64::try_from(SENSORS_PER_TRANSACTION).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![MIN_CHUNKS_TO_MERGE, limit], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        if sensors.is_empty() {
            return Ok(0);
        }
        self.write(|to| {
            let mut merged = 0;
            for &sensor in &sensors {
                merged += usize::from(merge_sensor(to, sensor)?);
            }
            Ok(merged)
        })
    }
}

/// Merges small chunks of a sensor. Returns false if fewer than two can be merged.
fn merge_sensor(to: &Connection, sensor: u32) -> Result<bool, StoreError> {
    type Chunk = (i64, Vec<u8>, Vec<u8>);
    let chunks: Vec<Chunk> = {
        // Staged chunks are excluded, because discarding them must find them unchanged.
        let mut statement = to.prepare_cached(
            "SELECT start_time, times, vals FROM reading_chunks AS chunk WHERE sensor = ?1 AND count < ?2
                AND NOT EXISTS (SELECT 1 FROM staged WHERE sensor = chunk.sensor AND start_time = chunk.start_time)
             ORDER BY start_time LIMIT ?3",
        )?;
        let rows = statement.query_map(params![sensor, MIN_LARGE_CHUNK_READINGS, MAX_CHUNKS_PER_MERGE], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        rows.collect::<Result<_, _>>()?
    };
    let mut merged: Vec<(i64, f64)> = Vec::new();
    let mut keys = Vec::new();
    for (key, times, values) in &chunks {
        // A chunk that cannot be decoded is left for manual repair.
        if let Ok(rows) = decode_rows(times, values) {
            merged.extend(rows);
            keys.push(*key);
        }
    }
    let Some(merged_chunk) = ReadingChunk::from_readings(sensor, merged).filter(|_| keys.len() > 1) else {
        return Ok(false);
    };
    let mut delete = to.prepare_cached("DELETE FROM reading_chunks WHERE sensor = ?1 AND start_time = ?2")?;
    for key in keys {
        delete.execute(params![sensor, key])?;
    }
    insert_at_free_start(to, &merged_chunk)?;
    Ok(true)
}
