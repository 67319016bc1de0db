//! Downsamples a sensor's readings for charts.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::{
    Store, StoreError,
    readings::{UNSTAGED_CHUNKS, decode_columns},
};

/// With more readings than this, hourly aggregates are used: decoding more keeps a core busy for seconds.
const MAX_DECODED_READINGS: u64 = 10_000_000;
const HOUR: i64 = 3_600_000_000_000;

/// Downsampled readings of one sensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DownsampledReadings {
    /// Number of readings in the time range.
    pub count: u64,
    /// Time of the first reading; `None` if there are no readings.
    pub first: Option<i64>,
    /// Time of the last reading.
    pub last: Option<i64>,
    /// Times, in ascending order.
    pub times: Vec<i64>,
    /// Values, one per time.
    pub values: Vec<f64>,
    /// If true, the values are minima and maxima of hours, and the times are the start and the middle of the hour.
    pub is_hourly: bool,
}

/// The minimum and the maximum reading of each time bucket.
struct MinMaxBuckets {
    from: i64,
    /// Width of a bucket in nanoseconds, at least 1.
    bucket_width: u64,
    buckets: BTreeMap<u64, [(i64, f64); 2]>,
}

impl MinMaxBuckets {
    fn new(from: i64, last: i64, limit: usize) -> Self {
        let bucket_count = u64::try_from(limit / 2).unwrap_or(u64::MAX).max(1);
        Self { from, bucket_width: last.abs_diff(from) / bucket_count + 1, buckets: BTreeMap::new() }
    }

    fn add(&mut self, time: i64, value: f64) {
        let at = (time, value);
        let [minimum, maximum] = self.buckets.entry(time.abs_diff(self.from) / self.bucket_width).or_insert([at, at]);
        // Of equal values the first is kept, independent of the order of the input.
        if value.total_cmp(&minimum.1).then(time.cmp(&minimum.0)).is_lt() {
            *minimum = at;
        }
        if maximum.1.total_cmp(&value).then(time.cmp(&maximum.0)).is_lt() {
            *maximum = at;
        }
    }

    fn into_rows(self) -> Vec<(i64, f64)> {
        let mut rows: Vec<(i64, f64)> = self.buckets.into_values().flatten().collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        rows.dedup_by(|a, b| a.0 == b.0 && a.1.to_bits() == b.1.to_bits());
        rows
    }
}

impl Store {
    /// Readings of one sensor from `from` (inclusive) to `to` (exclusive): all of them if there are at most `limit`,
    /// otherwise the minimum and the maximum of each of `limit / 2` equal time buckets, so that a chart looks the same
    /// (MinMax preselection: Van Der Donckt et al., "MinMaxLTTB", IEEE VIS 2023). One chunk is held in memory at a
    /// time. With more than ten million readings, hourly minima and maxima are used instead.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn downsampled_readings(
        &self,
        sensor: u32,
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<DownsampledReadings, StoreError> {
        self.read(|connection| {
            let statement = format!("SELECT coalesce(sum(count), 0), min(start_time), max(end_time) {UNSTAGED_CHUNKS}");
            let (count, start, end): (i64, Option<i64>, Option<i64>) = connection
                .prepare_cached(&statement)?
                .query_row(params![sensor, from, to], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let (Some(start), Some(end)) = (start, end) else { return Ok(DownsampledReadings::default()) };
            // An upper bound: chunks at the edges are only partly in the range.
            let max_count = u64::try_from(count).unwrap_or(0);
            let span = (from.max(start), end.min(to.saturating_sub(1)));
            if max_count > MAX_DECODED_READINGS && span.1.saturating_sub(span.0) > HOUR {
                return downsample_hourly(connection, sensor, span, limit, max_count);
            }
            downsample(connection, sensor, (from, to), span, limit)
        })
    }
}

fn downsample(
    connection: &Connection,
    sensor: u32,
    (from, to): (i64, i64),
    span: (i64, i64),
    limit: usize,
) -> Result<DownsampledReadings, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT times, vals {UNSTAGED_CHUNKS} ORDER BY start_time"))?;
    let mut chunks = statement.query(params![sensor, from, to])?;
    let mut thinned = DownsampledReadings::default();
    // All readings, until they exceed the limit.
    let mut all: Option<Vec<(i64, f64)>> = Some(Vec::new());
    let mut extremes = MinMaxBuckets::new(span.0, span.1, limit);
    while let Some(chunk) = chunks.next()? {
        let (times, values) = decode_columns(chunk, 0)?;
        for (time, value) in times.into_iter().zip(values).filter(|&(time, _)| time >= from && time < to) {
            thinned.count += 1;
            thinned.first = Some(thinned.first.map_or(time, |first| first.min(time)));
            thinned.last = Some(thinned.last.map_or(time, |last| last.max(time)));
            extremes.add(time, value);
            if let Some(rows) = &mut all {
                rows.push((time, value));
            }
        }
        if all.as_ref().is_some_and(|rows| rows.len() > limit) {
            all = None;
        }
    }
    let rows = match all {
        Some(mut rows) => {
            rows.sort_by_key(|&(time, _)| time);
            rows
        }
        None => extremes.into_rows(),
    };
    (thinned.times, thinned.values) = rows.into_iter().unzip();
    Ok(thinned)
}

/// Uses the minima and maxima of the hours that start in the time range.
fn downsample_hourly(
    connection: &Connection,
    sensor: u32,
    (first, last): (i64, i64),
    limit: usize,
    count: u64,
) -> Result<DownsampledReadings, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT hour, min, max FROM reading_hourly_sums WHERE sensor = ?1 AND hour >= ?2 AND hour <= ?3 ORDER BY hour",
    )?;
    let mut hours = statement.query(params![sensor, first.div_euclid(HOUR) * HOUR, last])?;
    let mut extremes = MinMaxBuckets::new(first, last, limit);
    while let Some(hour) = hours.next()? {
        let at: i64 = hour.get(0)?;
        extremes.add(at.clamp(first, last), hour.get(1)?);
        extremes.add(at.saturating_add(HOUR / 2).clamp(first, last), hour.get(2)?);
    }
    let (times, values) = extremes.into_rows().into_iter().unzip();
    Ok(DownsampledReadings { count, first: Some(first), last: Some(last), times, values, is_hourly: true })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{Commit, SensorReadings};

    fn store_of(columns: &[SensorReadings]) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("s.db")).unwrap();
        for column in columns {
            store.commit(&Commit { readings: std::slice::from_ref(column), ..Commit::default() }).unwrap();
        }
        (folder, store)
    }

    #[test]
    fn downsampling_keeps_extremes_and_limits_readings() {
        let columns: Vec<SensorReadings> = (0..20_i64)
            .map(|part| {
                // Chunks overlap, as late readings cause.
                let times: Vec<i64> = (0..5_000).map(|at| part * 4_000 + at).collect();
                // Their readings differ, because duplicates are stored once.
                let value = |&time: &i64| match time {
                    77_777 if part == 19 => 9.0,
                    _ => (time % 7) as f64 * 0.1 + part as f64 * 1e-6,
                };
                SensorReadings { sensor: 4, values: times.iter().map(value).collect(), times }
            })
            .collect();
        let (_folder, store) = store_of(&columns);
        let thinned = store.downsampled_readings(4, i64::MIN, i64::MAX, 1_000).unwrap();
        assert_eq!((thinned.count, thinned.first, thinned.last), (100_000, Some(0), Some(80_999)));
        assert!(thinned.times.len() <= 1_002, "{}", thinned.times.len());
        assert!(thinned.times.iter().zip(&thinned.values).any(|(&time, &value)| time == 77_777 && value == 9.0));
        assert!(thinned.times.is_sorted() && !thinned.is_hourly);
        let part = store.downsampled_readings(4, 100, 200, 1_000).unwrap();
        assert_eq!((part.times.as_slice(), part.count), ((100..200).collect::<Vec<_>>().as_slice(), 100));
        assert_eq!(store.downsampled_readings(5, 0, 9, 10).unwrap(), DownsampledReadings::default());
        let all = store.readings(4, i64::MIN, i64::MAX).unwrap();
        assert!(all.0.len() == 100_000 && all.0.is_sorted());
        let newest = store.newest_readings(4, i64::MIN, i64::MAX, 1_500).unwrap();
        assert_eq!(newest.iter().map(|row| row.0).collect::<Vec<_>>(), all.0[98_500..]);
    }

    #[test]
    fn pages_are_contiguous() {
        let times: Vec<i64> = (0..300_000).map(|at| at * 3).collect();
        let late: Vec<i64> = (0..300_000).map(|at| at * 3 + 1).collect();
        let columns = [times.clone(), late.clone(), (900_000..1_500_000).collect()].map(|times| SensorReadings {
            sensor: 0,
            values: times.iter().map(|&time| time as f64).collect(),
            times,
        });
        let (_folder, store) = store_of(&columns);
        let (found, values) = store.readings(0, 0, i64::MAX).unwrap();
        let mut expected: Vec<i64> = columns.iter().flat_map(|column| column.times.iter().copied()).collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert!(found.iter().zip(&values).all(|(&time, &value)| time as f64 == value));
    }

    #[test]
    fn too_many_readings_are_downsampled_from_hourly_aggregates() {
        // One reading per millisecond, 11 million in total: the chunk is highly compressible.
        let times: Vec<i64> = (0..11_000_000_i64).map(|at| at * 1_000_000).collect();
        let mut values = vec![1.0; times.len()];
        values[8_000_000] = 5.0;
        let (_folder, store) = store_of(&[SensorReadings { sensor: 0, times, values }]);
        let thinned = store.downsampled_readings(0, i64::MIN, i64::MAX, 100).unwrap();
        assert!(thinned.is_hourly && thinned.count == 11_000_000 && thinned.times.is_sorted());
        assert!(thinned.values.contains(&5.0) && thinned.values.contains(&1.0));
    }
}
