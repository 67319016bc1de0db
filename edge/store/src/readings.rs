//! Queries for raw readings: by time range, in pages, and the newest.
//!
//! Chunks staged by an unfinished checkpoint are not visible.

use std::{cmp::Reverse, collections::BinaryHeap, ops::ControlFlow};

use rusqlite::{Row, params};

use crate::{
    Store, StoreError,
    column_codec::{decode_f64, decode_i64},
};

/// Readings in order of time, and the start time of the next page; `None` for the last page.
type ReadingPage = (Vec<(i64, f64)>, Option<i64>);

/// Minimum number of readings per page, except for the last page.
const MIN_PAGE_READINGS: usize = 250_000;

/// Non-staged chunks of sensor ?1 that overlap the time range from ?2 (inclusive) to ?3 (exclusive).
pub(crate) const UNSTAGED_CHUNKS: &str =
    "FROM reading_chunks AS chunk WHERE sensor = ?1 AND end_time >= ?2 AND start_time < ?3
    AND NOT EXISTS (SELECT 1 FROM staged WHERE sensor = chunk.sensor AND start_time = chunk.start_time)";

/// Decodes the columns `times` and `vals` of a row, at the indexes `first` and `first + 1`.
pub(crate) fn decode_columns(chunk: &Row<'_>, first: usize) -> Result<(Vec<i64>, Vec<f64>), StoreError> {
    let times = decode_i64(chunk.get_ref(first)?.as_blob().map_err(rusqlite::Error::from)?)?;
    let values = decode_f64(chunk.get_ref(first + 1)?.as_blob().map_err(rusqlite::Error::from)?)?;
    if times.len() == values.len() {
        Ok((times, values))
    } else {
        Err(StoreError::CorruptColumn(format!("it has {} times but {} values", times.len(), values.len())))
    }
}

impl Store {
    /// Readings of one sensor from `from` (inclusive) to `to` (exclusive), in order of time. They are all held in
    /// memory; for many readings use [`Self::for_each_reading`] or [`Self::downsampled_readings`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn readings(&self, sensor: u32, from: i64, to: i64) -> Result<(Vec<i64>, Vec<f64>), StoreError> {
        let mut readings = (Vec::new(), Vec::new());
        self.for_each_reading(sensor, from, to, |time, value| {
            readings.0.push(time);
            readings.1.push(value);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(readings)
    }

    /// Calls `visit` with each reading of one sensor from `from` (inclusive) to `to` (exclusive), in order of time,
    /// until it breaks. Some hundred thousand readings are read per page; `visit` may be slow, because no snapshot is
    /// held during the call.
    ///
    /// # Errors
    /// [`StoreError`], or the error of `visit`.
    pub fn for_each_reading(
        &self,
        sensor: u32,
        from: i64,
        to: i64,
        mut visit: impl FnMut(i64, f64) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let mut next = Some(from);
        while let Some(from) = next {
            let (page, after) = self.read_page(sensor, from, to)?;
            for (time, value) in page {
                if visit(time, value)?.is_break() {
                    return Ok(());
                }
            }
            next = after;
        }
        Ok(())
    }

    /// Readings from `from` on in order of time, and the start time of the next page. A time is used rather than a
    /// chunk, because chunks may be merged between two pages.
    fn read_page(&self, sensor: u32, from: i64, to: i64) -> Result<ReadingPage, StoreError> {
        self.read(|connection| {
            let keys: Vec<i64> = connection
                .prepare_cached(&format!("SELECT start_time {UNSTAGED_CHUNKS} ORDER BY start_time"))?
                .query_map(params![sensor, from, to], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut chunk = connection
                .prepare_cached("SELECT times, vals FROM reading_chunks WHERE sensor = ?1 AND start_time = ?2")?;
            let mut rows: Vec<(i64, f64)> = Vec::new();
            let mut end = None;
            for key in keys {
                // All further chunks start at or after `key`, so the readings before it are complete.
                if rows.len() >= MIN_PAGE_READINGS
                    && rows.iter().filter(|&&(time, _)| time < key).count() >= MIN_PAGE_READINGS
                {
                    end = Some(key);
                    break;
                }
                let mut chunks = chunk.query(params![sensor, key])?;
                if let Some(chunk) = chunks.next()? {
                    let (times, values) = decode_columns(chunk, 0)?;
                    rows.extend(times.into_iter().zip(values).filter(|&(time, _)| time >= from && time < to));
                }
            }
            if let Some(end) = end {
                rows.retain(|&(time, _)| time < end);
            }
            rows.sort_by_key(|&(time, _)| time);
            Ok((rows, end))
        })
    }

    /// The newest readings of one sensor from `from` (inclusive) to `to` (exclusive), at most `limit`, in order of
    /// time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest_readings(
        &self,
        sensor: u32,
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<Vec<(i64, f64)>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.read(|connection| {
            // Ordered by time, then by value; the oldest is on top.
            let mut newest: BinaryHeap<Reverse<(i64, u64)>> = BinaryHeap::new();
            let mut statement = connection
                .prepare_cached(&format!("SELECT times, vals, end_time {UNSTAGED_CHUNKS} ORDER BY end_time DESC"))?;
            let mut chunks = statement.query(params![sensor, from, to])?;
            while let Some(chunk) = chunks.next()? {
                let end: i64 = chunk.get(2)?;
                // All further chunks end at or before `end`.
                if newest.len() >= limit && newest.peek().is_some_and(|Reverse((oldest, _))| *oldest > end) {
                    break;
                }
                let (times, values) = decode_columns(chunk, 0)?;
                for (time, value) in times.into_iter().zip(values).filter(|&(time, _)| time >= from && time < to) {
                    newest.push(Reverse((time, value.to_bits())));
                    if newest.len() > limit {
                        newest.pop();
                    }
                }
            }
            // Ascending order of `Reverse` is descending order of time.
            let rows = newest.into_sorted_vec().into_iter().rev();
            Ok(rows.map(|Reverse((time, bits))| (time, f64::from_bits(bits))).collect())
        })
    }

    /// The time of a sensor's newest stored reading.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest_reading_time(&self, sensor: u32) -> Result<Option<i64>, StoreError> {
        self.read(|connection| {
            let statement = format!("SELECT max(end_time) {UNSTAGED_CHUNKS}");
            let newest = connection
                .prepare_cached(&statement)?
                .query_row(params![sensor, i64::MIN, i64::MAX], |row| row.get(0))?;
            Ok(newest)
        })
    }
}
