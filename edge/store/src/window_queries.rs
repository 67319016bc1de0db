//! Queries for the newest windows, waveforms and plans, and for arbitrary statements.

use rusqlite::{params, params_from_iter, types::Value as Cell};

use crate::{Store, StoreError, WaveformRow, column_codec::decode_f32, window_chunks};

/// A window with its features.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureWindow {
    /// The asset.
    pub asset: String,
    /// The sensor's id.
    pub sensor: u32,
    /// Start, inclusive, in nanoseconds since 1970.
    pub start: i64,
    /// End, exclusive.
    pub end: i64,
    /// Number of readings in the window.
    pub count: u32,
    /// Feature names and values; NaN for an undefined feature.
    pub features: Vec<(String, f64)>,
}

/// A filter for windows or waveforms. A field that is `None` does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowFilter {
    /// The asset.
    pub asset: Option<String>,
    /// The sensor's id.
    pub sensor: Option<u32>,
    /// Only those that end after this time.
    pub after: Option<i64>,
    /// Only those that start before this time.
    pub before: Option<i64>,
}

impl WindowFilter {
    /// Returns whether a range from `start` to `end` matches the times of the filter.
    pub fn overlaps(&self, start: i64, end: i64) -> bool {
        self.after.is_none_or(|after| end > after) && self.before.is_none_or(|before| start < before)
    }
}

impl Store {
    /// Runs one read-only statement. Its parameters are numbered in the order in which they occur.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn query_rows(&self, statement: &str, parameters: Vec<Cell>) -> Result<Vec<Vec<Cell>>, StoreError> {
        self.read(|connection| {
            let mut prepared = connection.prepare_cached(statement)?;
            let width = prepared.column_count();
            let rows = prepared.query_map(params_from_iter(parameters), |row| {
                (0..width).map(|column| row.get(column)).collect::<rusqlite::Result<Vec<Cell>>>()
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The newest windows of the assets that `is_visible` accepts, at most `limit`, newest first and then by sensor.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest_windows(
        &self,
        span: &WindowFilter,
        limit: usize,
        is_visible: impl Fn(&str) -> bool,
    ) -> Result<Vec<FeatureWindow>, StoreError> {
        let (after, before) = (span.after.unwrap_or(i64::MIN), span.before.unwrap_or(i64::MAX));
        self.read(|connection| {
            let condition = if span.asset.is_some() { "asset = ?3 AND" } else { "?3 IS NULL AND" };
            let mut statement = connection.prepare_cached(&format!(
                "SELECT asset, features, sensors, starts, ends, counts, vals, end_time FROM window_chunks
                 WHERE {condition} end_time > ?1 AND start_time < ?2 ORDER BY end_time DESC"
            ))?;
            let mut chunks = statement.query(params![after, before, span.asset])?;
            let mut newest: Vec<FeatureWindow> = Vec::new();
            while let Some(chunk) = chunks.next()? {
                let end: i64 = chunk.get(7)?;
                // All further windows end at or before `end`, so they start before it.
                if newest.len() >= limit && newest.last().is_none_or(|last| last.start >= end) {
                    break;
                }
                let asset = chunk.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
                if !is_visible(asset) {
                    continue;
                }
                let block = window_chunks::decode_block(chunk)?;
                for (row, values) in block.rows.iter().zip(block.values.chunks(block.features.len().max(1))) {
                    if span.sensor.is_none_or(|sensor| sensor == row.sensor) && span.overlaps(row.start, row.end) {
                        newest.push(FeatureWindow {
                            asset: block.asset.clone(),
                            sensor: row.sensor,
                            start: row.start,
                            end: row.end,
                            count: row.count,
                            features: block.features.iter().cloned().zip(values.iter().copied()).collect(),
                        });
                    }
                }
                newest.sort_by(|a, b| b.start.cmp(&a.start).then(a.sensor.cmp(&b.sensor)));
                newest.truncate(limit.max(1));
            }
            newest.truncate(limit);
            Ok(newest)
        })
    }

    /// The newest waveforms of the sensors that `is_visible` accepts, at most `limit`, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest_waveforms(
        &self,
        span: &WindowFilter,
        limit: usize,
        is_visible: impl Fn(u32) -> bool,
    ) -> Result<Vec<WaveformRow>, StoreError> {
        let (after, before) = (span.after.unwrap_or(i64::MIN), span.before.unwrap_or(i64::MAX));
        self.read(|connection| {
            let condition = if span.sensor.is_some() { "sensor = ?1 AND" } else { "?1 IS NULL AND" };
            let mut statement = connection.prepare_cached(&format!(
                "SELECT start_time, rate, samples, sensor FROM waveform_chunks
                 WHERE {condition} start_time > ?2 AND start_time < ?3 ORDER BY start_time DESC, sensor"
            ))?;
            let mut rows = statement.query(params![span.sensor, after, before])?;
            let mut newest = Vec::new();
            while newest.len() < limit
                && let Some(row) = rows.next()?
            {
                let sensor = row.get(3)?;
                if is_visible(sensor) {
                    let samples = decode_f32(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?;
                    newest.push(WaveformRow { sensor, start: row.get(0)?, rate: row.get(1)?, samples });
                }
            }
            Ok(newest)
        })
    }

    /// The number of the newest plan that changed a work order; 0 if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest_plan(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let newest: Option<i64> =
                connection.query_row("SELECT max(plan) FROM work_orders", [], |row| row.get(0))?;
            Ok(newest.and_then(|plan| u64::try_from(plan).ok()).unwrap_or(0))
        })
    }

    /// Ids and assets of the work orders whose last change belongs to a plan after `after` and up to `until`, in order
    /// of the plan.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn work_orders_of_plans(&self, after: u64, until: u64) -> Result<Vec<(String, String)>, StoreError> {
        let number = |plan| i64::try_from(plan).unwrap_or(i64::MAX);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, asset FROM work_orders WHERE plan > ?1 AND plan <= ?2 ORDER BY plan, scheduled_time, id",
            )?;
            let rows =
                statement.query_map(params![number(after), number(until)], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{Commit, WindowBlock, WindowRow};

    #[test]
    fn the_newest_windows_are_found_where_chunks_overlap() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("s.db")).unwrap();
        // Start and end of each chunk's windows: late, long and short ones.
        let chunks: [&[(i64, i64)]; 4] =
            [&[(10, 20), (0, 90)], &[(30, 100), (12, 22)], &[(50, 60), (70, 80)], &[(5, 15), (75, 79), (95, 97)]];
        for (asset, chunk) in ["m", "m", "m", "n"].iter().zip(chunks) {
            let rows: Vec<WindowRow> =
                chunk.iter().map(|&(start, end)| WindowRow { sensor: 0, start, end, count: 1 }).collect();
            let values = vec![1.0; rows.len()];
            let block = WindowBlock { asset: (*asset).into(), features: vec!["mean".into()], rows, values };
            store.commit(&Commit { windows: &[block], ..Commit::default() }).unwrap();
        }
        for asset in [Some("m"), Some("n"), None] {
            let mut expected: Vec<i64> = ["m", "m", "m", "n"]
                .iter()
                .zip(chunks)
                .filter(|(of, _)| asset.is_none_or(|asset| asset == **of))
                .flat_map(|(_, chunk)| chunk.iter().map(|&(start, _)| start))
                .collect();
            expected.sort_unstable_by_key(|&start| std::cmp::Reverse(start));
            let span = WindowFilter { asset: asset.map(str::to_owned), ..WindowFilter::default() };
            for limit in 0..=expected.len() + 1 {
                let found = store.newest_windows(&span, limit, |_| true).unwrap();
                let starts: Vec<i64> = found.iter().map(|window| window.start).collect();
                assert_eq!(starts, expected[..limit.min(expected.len())], "the {limit} newest of {asset:?}");
            }
        }
    }
}
