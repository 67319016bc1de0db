//! Few large chunks instead of many small ones.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    Store, StoreError,
    chunk::{decode_f64, decode_i64, encode_f64, encode_i64},
};

/// A chunk of at least this many readings is left alone; the index `small_chunks` says the same.
const LARGE: i64 = 4096;
/// So many small chunks of a sensor are made one.
const SMALL: i64 = 16;
/// Sensors whose chunks are merged in one transaction, so that the line is not kept waiting.
const SENSORS_AT_ONCE: usize = 32;

/// Joins a chunk with the one that starts at the same time.
pub(crate) fn into_existing(
    to: &Connection,
    sensor: u32,
    start: i64,
    times: &[u8],
    values: &[u8],
) -> Result<(), StoreError> {
    let old: Option<(Vec<u8>, Vec<u8>)> = to
        .prepare_cached("SELECT times, vals FROM reading_chunks WHERE sensor = ?1 AND start_time = ?2")?
        .query_row(params![sensor, start], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((old_times, old_values)) = old {
        write(to, sensor, &[(old_times, old_values), (times.to_vec(), values.to_vec())])?;
    }
    Ok(())
}

/// Writes the readings of `chunks` as one chunk, in place of the one with the same start.
fn write(to: &Connection, sensor: u32, chunks: &[(Vec<u8>, Vec<u8>)]) -> Result<(), StoreError> {
    let mut rows: Vec<(i64, f64)> = Vec::new();
    for (times, values) in chunks {
        rows.extend(decode_i64(times)?.into_iter().zip(decode_f64(values)?));
    }
    rows.sort_by_key(|&(time, _)| time);
    let (times, values): (Vec<i64>, Vec<f64>) = rows.into_iter().unzip();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(()) };
    to.prepare_cached("INSERT OR REPLACE INTO reading_chunks VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        sensor,
        first,
        last,
        i64::try_from(times.len()).unwrap_or(i64::MAX),
        encode_i64(&times),
        encode_f64(&values),
    ])?;
    Ok(())
}

impl Store {
    /// Merges small chunks of some sensors that have many; returns how many sensors were done, 0 when there is nothing
    /// left to do.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn compact(&self) -> Result<usize, StoreError> {
        let sensors: Vec<u32> = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT sensor FROM reading_chunks WHERE count < 4096 GROUP BY sensor HAVING count(*) >= ?1 LIMIT ?2",
            )?;
            let limit = i64::try_from(SENSORS_AT_ONCE).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![SMALL, limit], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        if sensors.is_empty() {
            return Ok(0);
        }
        let mut writer = self.writer()?;
        let transaction = writer.transaction()?;
        // What is staged may have to be taken back as it is.
        if transaction.query_row("SELECT EXISTS (SELECT 1 FROM staged)", [], |row| row.get(0))? {
            return Ok(0);
        }
        for &sensor in &sensors {
            merge_sensor(&transaction, sensor)?;
        }
        transaction.commit()?;
        Ok(sensors.len())
    }
}

fn merge_sensor(to: &Connection, sensor: u32) -> Result<(), StoreError> {
    let chunks: Vec<(Vec<u8>, Vec<u8>)> = {
        let mut statement = to.prepare_cached(
            "SELECT times, vals FROM reading_chunks WHERE sensor = ?1 AND count < ?2 ORDER BY start_time",
        )?;
        let rows = statement.query_map(params![sensor, LARGE], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    to.prepare_cached("DELETE FROM reading_chunks WHERE sensor = ?1 AND count < ?2")?
        .execute(params![sensor, LARGE])?;
    write(to, sensor, &chunks)
}
