//! Removes readings that are already in the store from a checkpoint.
//!
//! The pipeline recognises a duplicate only among the newest readings of its sensor. A duplicate of an older reading
//! arrives here, for example when a device sends a long body again because the response was lost.

use std::{borrow::Cow, collections::HashSet};

use rusqlite::{CachedStatement, Connection, params};

use crate::{SensorReadings, StoreError, chunk::decode_rows};

/// Returns the columns without duplicates: readings of which the store or the column has another with the same sensor,
/// time and value. A reading with another value for a known time is kept. A column in time order that starts after its
/// sensor's stored readings, as nearly all do, costs one index lookup.
pub(crate) fn without_duplicates<'a>(
    connection: &Connection,
    columns: &'a [SensorReadings],
) -> Result<Vec<Cow<'a, SensorReadings>>, StoreError> {
    // Staged chunks may be discarded.
    let mut overlapping = connection.prepare_cached(
        "SELECT start_time, end_time, times, vals FROM reading_chunks AS chunk
         WHERE sensor = ?1 AND end_time >= ?2 AND start_time <= ?3
            AND NOT EXISTS (SELECT 1 FROM staged WHERE sensor = chunk.sensor AND start_time = chunk.start_time)",
    )?;
    columns.iter().map(|column| column_without_duplicates(&mut overlapping, column)).collect()
}

fn column_without_duplicates<'a>(
    overlapping: &mut CachedStatement<'_>,
    column: &'a SensorReadings,
) -> Result<Cow<'a, SensorReadings>, StoreError> {
    let (Some(&first), Some(&last)) = (column.times.iter().min(), column.times.iter().max()) else {
        return Ok(Cow::Borrowed(column));
    };
    // Readings that are stored, then also those of the column.
    let mut known: HashSet<(i64, u64)> = HashSet::new();
    let mut sorted_times = Vec::new();
    let mut rows = overlapping.query(params![column.sensor, first, last])?;
    while let Some(row) = rows.next()? {
        if sorted_times.is_empty() {
            sorted_times.clone_from(&column.times);
            sorted_times.sort_unstable();
        }
        // One very old reading makes the range of the column long: chunks between its readings are not decoded.
        let (start, end): (i64, i64) = (row.get(0)?, row.get(1)?);
        let next = sorted_times.partition_point(|&time| time < start);
        if sorted_times.get(next).is_none_or(|&time| time > end) {
            continue;
        }
        let (times, values): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
        // A chunk that cannot be decoded is left for manual repair, and must not block new readings.
        let Ok(stored) = decode_rows(&times, &values) else { continue };
        let stored = stored.into_iter().filter(|(time, _)| sorted_times.binary_search(time).is_ok());
        known.extend(stored.map(|(time, value)| (time, value.to_bits())));
    }
    let increasing = column.times.is_sorted_by(|earlier, later| earlier < later);
    if increasing && known.is_empty() {
        return Ok(Cow::Borrowed(column));
    }
    let readings = column.times.iter().copied().zip(column.values.iter().copied());
    let (times, values) = readings.filter(|&(time, value)| known.insert((time, value.to_bits()))).unzip();
    Ok(Cow::Owned(SensorReadings { sensor: column.sensor, times, values }))
}
