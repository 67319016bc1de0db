//! Reads a sensor's stored readings in bounded memory: downsampled for a chart, or the newest. The hourly counts show
//! how many readings each period has, so that one period is read at a time.

use wheeltapper_store::{HourlyAggregate, Store, StoreError};

/// The number of readings that are read at once, in addition to those that are kept.
const MAX_READ: u64 = 500_000;
/// Above this number the hourly minima and maxima stand for the readings: decoding more keeps a core busy for seconds.
const MAX_DECODED: u64 = 10_000_000;
const HOUR: i64 = 3_600_000_000_000;

/// The downsampled readings of one sensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Downsampled {
    /// The number of readings before downsampling.
    pub(crate) count: u64,
    /// Times and values, in order of time.
    pub(crate) readings: Vec<(i64, f64)>,
}

/// Readings from `from` on and before `to`: all if there are at most about `limit`, otherwise the minimum and maximum
/// of each period.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn downsampled(
    store: &Store,
    sensor: u32,
    from: i64,
    to: i64,
    limit: usize,
) -> Result<Downsampled, StoreError> {
    if from >= to {
        return Ok(Downsampled::default());
    }
    let hours = hours(store, sensor, from, to)?;
    let total: u64 = hours.iter().map(|hour| hour.count).sum();
    if total > MAX_DECODED {
        let pairs = hours.iter().flat_map(|hour| {
            [(hour.hour.max(from), hour.min), (hour.hour.saturating_add(HOUR / 2).clamp(from, to - 1), hour.max)]
        });
        return Ok(Downsampled { count: total, readings: extremes(pairs.collect(), limit) });
    }
    let mut downsampled = Downsampled::default();
    for (begin, end, count) in periods(&hours, from, to) {
        let (times, values) = store.readings(sensor, begin, end)?;
        downsampled.count += times.len() as u64;
        // The points of this period, in proportion to its readings.
        let share = u128::from(count) * limit as u128 / u128::from(total.max(1));
        let share = usize::try_from(share).unwrap_or(limit).max(2);
        downsampled.readings.extend(extremes(times.into_iter().zip(values).collect(), share));
    }
    Ok(downsampled)
}

/// At least the `limit` newest readings from `from` on, if there are so many, in order of time.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn newest(store: &Store, sensor: u32, from: i64, limit: u64) -> Result<Vec<(i64, f64)>, StoreError> {
    let hours = hours(store, sensor, from, i64::MAX)?;
    let (mut count, mut begin) = (0, from);
    for hour in hours.iter().rev() {
        begin = hour.hour.max(from);
        count += hour.count;
        if count >= limit {
            break;
        }
    }
    let (times, values) = store.readings(sensor, begin, i64::MAX)?;
    Ok(times.into_iter().zip(values).collect())
}

/// The hours with readings between `from` and `to`.
fn hours(store: &Store, sensor: u32, from: i64, to: i64) -> Result<Vec<HourlyAggregate>, StoreError> {
    store.hourly_aggregates(sensor, from.saturating_sub(HOUR - 1), to)
}

/// Periods of about [`MAX_READ`] readings, with their counts. Together they cover all of the time.
fn periods(hours: &[HourlyAggregate], from: i64, to: i64) -> Vec<(i64, i64, u64)> {
    let mut periods = Vec::new();
    let (mut begin, mut count) = (from, 0);
    for hour in hours {
        if count > 0 && count + hour.count > MAX_READ && hour.hour > begin {
            periods.push((begin, hour.hour, count));
            (begin, count) = (hour.hour, 0);
        }
        count += hour.count;
    }
    periods.push((begin, to, count));
    periods
}

/// At most about `limit` readings: the minimum and maximum of each bucket, in order of time. A chart of them looks the
/// same (MinMax preselection: Van Der Donckt et al., "MinMaxLTTB", IEEE VIS 2023).
pub(super) fn extremes(readings: Vec<(i64, f64)>, limit: usize) -> Vec<(i64, f64)> {
    if readings.len() <= limit {
        return readings;
    }
    let bucket_size = readings.len().div_ceil((limit / 2).max(1));
    let mut kept = Vec::with_capacity(limit + 2);
    for bucket in readings.chunks(bucket_size) {
        let lowest = bucket.iter().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let highest = bucket.iter().enumerate().max_by(|a, b| a.1.1.total_cmp(&b.1.1));
        if let (Some((low, &at_low)), Some((high, &at_high))) = (lowest, highest) {
            match low.cmp(&high) {
                std::cmp::Ordering::Less => kept.extend([at_low, at_high]),
                std::cmp::Ordering::Equal => kept.push(at_low),
                std::cmp::Ordering::Greater => kept.extend([at_high, at_low]),
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downsampling_keeps_the_extremes() {
        let readings: Vec<(i64, f64)> =
            (0..100_000).map(|at| (at, if at == 77_777 { 9.0 } else { (at % 7) as f64 * 0.1 })).collect();
        let kept = extremes(readings.clone(), 1_000);
        assert!(kept.len() <= 1_002, "{}", kept.len());
        assert!(kept.contains(&(77_777, 9.0)));
        assert!(kept.is_sorted_by_key(|&(time, _)| time));
        assert_eq!(extremes(readings.clone(), 100_000), readings);
    }

    #[test]
    fn a_long_time_range_is_read_in_periods() {
        let hour = |at: i64, count| HourlyAggregate { hour: at * HOUR, avg: 0.0, min: 0.0, max: 0.0, std: 0.0, count };
        let hours: Vec<HourlyAggregate> = (0..10).map(|at| hour(at, 200_000)).collect();
        let periods = periods(&hours, 5, 10 * HOUR);
        assert_eq!(periods.len(), 5);
        assert_eq!((periods[0].0, periods[4].1), (5, 10 * HOUR));
        assert!(periods.windows(2).all(|two| two[0].1 == two[1].0), "they join: {periods:?}");
        assert_eq!(periods.iter().map(|period| period.2).sum::<u64>(), 2_000_000);
        assert_eq!(super::periods(&[], i64::MIN, i64::MAX), [(i64::MIN, i64::MAX, 0)]);
        // A single hour with more than the limit cannot be split.
        assert_eq!(super::periods(&[hour(0, 9_000_000)], 0, HOUR).len(), 1);
    }
}
