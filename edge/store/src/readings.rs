//! Raw readings: of a time, page by page, and the newest.
//!
//! What a checkpoint has staged and not finished is not seen.

use std::{cmp::Reverse, collections::BinaryHeap, ops::ControlFlow};

use rusqlite::{Row, params};

use crate::{
    Store, StoreError,
    chunk::{decode_f64, decode_i64},
};

/// Readings in order of time, and the time where the next page begins; none after the last.
type Page = (Vec<(i64, f64)>, Option<i64>);

/// Readings that a page has at least, if there are so many.
const PAGE: usize = 250_000;

/// Chunks of a sensor (?1) that reach into a time (?2 included to ?3 excluded), and are not staged.
pub(crate) const CHUNKS: &str = "FROM reading_chunks AS chunk WHERE sensor = ?1 AND end_time >= ?2 AND start_time < ?3
    AND NOT EXISTS (SELECT 1 FROM staged WHERE sensor = chunk.sensor AND start_time = chunk.start_time)";

/// Decodes the columns `times` and `vals` of a row, at `first` and after it.
pub(crate) fn columns(chunk: &Row<'_>, first: usize) -> Result<(Vec<i64>, Vec<f64>), StoreError> {
    let times = decode_i64(chunk.get_ref(first)?.as_blob().map_err(rusqlite::Error::from)?)?;
    let values = decode_f64(chunk.get_ref(first + 1)?.as_blob().map_err(rusqlite::Error::from)?)?;
    if times.len() == values.len() {
        Ok((times, values))
    } else {
        Err(StoreError::Column(format!("{} times stand beside {} values", times.len(), values.len())))
    }
}

impl Store {
    /// Readings of one sensor from `from` on and before `to`, in order of time. All of them are held in memory; see
    /// [`Self::each_reading`] and [`Self::thinned_readings`] where there may be many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn readings(&self, sensor: u32, from: i64, to: i64) -> Result<(Vec<i64>, Vec<f64>), StoreError> {
        let mut found = (Vec::new(), Vec::new());
        self.each_reading(sensor, from, to, |time, value| {
            found.0.push(time);
            found.1.push(value);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Hands each reading of one sensor from `from` on and before `to` to `take`, in order of time, until it breaks. Some
    /// hundred thousand are read at once; `take` may be slow, as it holds nothing.
    ///
    /// # Errors
    /// [`StoreError`], or what `take` gives.
    pub fn each_reading(
        &self,
        sensor: u32,
        from: i64,
        to: i64,
        mut take: impl FnMut(i64, f64) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let mut next = Some(from);
        while let Some(from) = next {
            let (page, after) = self.page(sensor, from, to)?;
            for (time, value) in page {
                if take(time, value)?.is_break() {
                    return Ok(());
                }
            }
            next = after;
        }
        Ok(())
    }

    /// Readings from `from` on in order of time, and the time where the next page begins. It is a time, not a chunk, as
    /// chunks may be merged between two pages.
    fn page(&self, sensor: u32, from: i64, to: i64) -> Result<Page, StoreError> {
        self.read(|connection| {
            let keys: Vec<i64> = connection
                .prepare_cached(&format!("SELECT start_time {CHUNKS} ORDER BY start_time"))?
                .query_map(params![sensor, from, to], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut chunk = connection
                .prepare_cached("SELECT times, vals FROM reading_chunks WHERE sensor = ?1 AND start_time = ?2")?;
            let mut rows: Vec<(i64, f64)> = Vec::new();
            let mut end = None;
            for key in keys {
                // What follows begins here, so that what lies before it is complete.
                if rows.len() >= PAGE && rows.iter().filter(|&&(time, _)| time < key).count() >= PAGE {
                    end = Some(key);
                    break;
                }
                let mut chunks = chunk.query(params![sensor, key])?;
                if let Some(chunk) = chunks.next()? {
                    let (times, values) = columns(chunk, 0)?;
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

    /// The `most` newest readings of one sensor from `from` on and before `to`, in order of time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn newest_readings(&self, sensor: u32, from: i64, to: i64, most: usize) -> Result<Vec<(i64, f64)>, StoreError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        self.read(|connection| {
            // By time, then by what distinguishes readings of one time; the least is on top.
            let mut newest: BinaryHeap<Reverse<(i64, u64)>> = BinaryHeap::new();
            let mut statement =
                connection.prepare_cached(&format!("SELECT times, vals, end_time {CHUNKS} ORDER BY end_time DESC"))?;
            let mut chunks = statement.query(params![sensor, from, to])?;
            while let Some(chunk) = chunks.next()? {
                let end: i64 = chunk.get(2)?;
                // What follows is no newer than this.
                if newest.len() >= most && newest.peek().is_some_and(|Reverse((oldest, _))| *oldest > end) {
                    break;
                }
                let (times, values) = columns(chunk, 0)?;
                for (time, value) in times.into_iter().zip(values).filter(|&(time, _)| time >= from && time < to) {
                    newest.push(Reverse((time, value.to_bits())));
                    if newest.len() > most {
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
    pub fn newest_reading(&self, sensor: u32) -> Result<Option<i64>, StoreError> {
        self.read(|connection| {
            let statement = format!("SELECT max(end_time) {CHUNKS}");
            let newest = connection
                .prepare_cached(&statement)?
                .query_row(params![sensor, i64::MIN, i64::MAX], |row| row.get(0))?;
            Ok(newest)
        })
    }
}
