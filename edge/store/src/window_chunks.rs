//! Windows in chunks: one row per checkpoint, asset and list of features.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::{
    StoreError, WindowBlock, WindowRow,
    column_codec::{decode_f64, decode_i64, encode_f64, encode_i64},
    counts::add_to_counter,
};

/// A compressed block.
pub(crate) struct WindowChunk<'a> {
    block: &'a WindowBlock,
    start: Option<i64>,
    end: Option<i64>,
    /// Sensors, starts, ends, counts, values.
    columns: [Vec<u8>; 5],
}

impl<'a> WindowChunk<'a> {
    /// Compresses a block.
    pub(crate) fn new(block: &'a WindowBlock) -> Self {
        let column = |pick: fn(&WindowRow) -> i64| block.rows.iter().map(pick).collect::<Vec<i64>>();
        let (starts, ends) = (column(|row| row.start), column(|row| row.end));
        // Values are stored feature by feature: neighbouring values of one feature are similar and compress well.
        let width = block.features.len();
        let by_feature: Vec<f64> =
            (0..width).flat_map(|feature| block.values.iter().skip(feature).step_by(width.max(1)).copied()).collect();
        let columns = [
            encode_i64(&column(|row| i64::from(row.sensor))),
            encode_i64(&starts),
            encode_i64(&ends),
            encode_i64(&column(|row| i64::from(row.count))),
            encode_f64(&by_feature),
        ];
        Self { block, start: starts.iter().min().copied(), end: ends.iter().max().copied(), columns }
    }

    /// Writes the chunk. Returns false if there is one of the same asset, start and features.
    fn insert(&self, to: &Connection, on_conflict: &str) -> Result<bool, StoreError> {
        let statement =
            format!("INSERT OR {on_conflict} INTO window_chunks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
        let [sensors, starts, ends, counts, values] = &self.columns;
        let features = self.block.features.join(",");
        let count = i64::try_from(self.block.rows.len()).unwrap_or(i64::MAX);
        let row =
            params![self.block.asset, self.start, self.end, features, count, sensors, starts, ends, counts, values];
        Ok(to.prepare_cached(&statement)?.execute(row)? > 0)
    }
}

/// Writes chunks. Two checkpoints may contain windows of one asset with the same start time, because one sensor's
/// window closes before another's. They are merged into one chunk.
pub(crate) fn insert_or_merge(to: &Connection, windows: &[WindowChunk<'_>]) -> Result<(), StoreError> {
    let mut total = 0;
    for chunk in windows {
        total += chunk.block.rows.len() as u64;
        if chunk.insert(to, "IGNORE")? {
            continue;
        }
        let select_existing = "SELECT asset, features, sensors, starts, ends, counts, vals FROM window_chunks
            WHERE asset = ?1 AND start_time = ?2 AND features = ?3";
        let features = chunk.block.features.join(",");
        let old = to
            .prepare_cached(select_existing)?
            .query_row(params![chunk.block.asset, chunk.start, features], |row| Ok(decode_block(row)))
            .optional()?;
        let Some(mut merged) = old.transpose()? else { continue };
        let existing: HashSet<(u32, i64)> = merged.rows.iter().map(|row| (row.sensor, row.start)).collect();
        let width = chunk.block.features.len().max(1);
        for (row, values) in chunk.block.rows.iter().zip(chunk.block.values.chunks_exact(width)) {
            if !existing.contains(&(row.sensor, row.start)) {
                merged.rows.push(*row);
                merged.values.extend_from_slice(values);
            }
        }
        WindowChunk::new(&merged).insert(to, "REPLACE")?;
    }
    add_to_counter(to, "windows", total)
}

/// Decodes a chunk with the columns asset, features, sensors, starts, ends, counts, values.
pub(crate) fn decode_block(chunk: &Row<'_>) -> Result<WindowBlock, StoreError> {
    let column = |index: usize| -> Result<Vec<i64>, StoreError> {
        decode_i64(chunk.get_ref(index)?.as_blob().map_err(rusqlite::Error::from)?)
    };
    let (sensors, starts, ends, counts) = (column(2)?, column(3)?, column(4)?, column(5)?);
    let by_feature = decode_f64(chunk.get_ref(6)?.as_blob().map_err(rusqlite::Error::from)?)?;
    let features: Vec<String> = chunk.get::<_, String>(1)?.split(',').map(str::to_owned).collect();
    let mut block = WindowBlock { asset: chunk.get(0)?, features, rows: Vec::new(), values: Vec::new() };
    let rows = sensors.iter().zip(&starts).zip(&ends).zip(&counts).enumerate();
    for (row, (((&sensor, &start), &end), &count)) in rows {
        let number = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        block.rows.push(WindowRow { sensor: number(sensor), start, end, count: number(count) });
        block.values.extend(by_feature.iter().skip(row).step_by(starts.len().max(1)));
    }
    Ok(block)
}
