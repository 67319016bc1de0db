//! A sensor's stored readings in bounded memory: thinned for a picture, or the newest. Hourly sums tell how many readings
//! there are where, so that a part is read at a time.

use wheeltapper_store::{Hour, Store, StoreError};

/// Readings that are held at once, besides those that are kept.
const AT_ONCE: u64 = 500_000;
/// Above so many the extremes of hours stand for the readings: decoding more keeps a core busy for seconds.
const DECODED: u64 = 10_000_000;
const HOUR: i64 = 3_600_000_000_000;

/// Readings of one sensor, thinned.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Thinned {
    /// How many there are.
    pub(crate) count: u64,
    /// Times and values in order of time.
    pub(crate) readings: Vec<(i64, f64)>,
}

/// Readings from `from` on and before `to`: all where there are about `most`, otherwise the least and the greatest of each
/// stretch.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn thinned(store: &Store, sensor: u32, from: i64, to: i64, most: usize) -> Result<Thinned, StoreError> {
    if from >= to {
        return Ok(Thinned::default());
    }
    let hours = hours(store, sensor, from, to)?;
    let all: u64 = hours.iter().map(|hour| hour.count).sum();
    if all > DECODED {
        let pairs = hours.iter().flat_map(|hour| {
            [(hour.hour.max(from), hour.min), (hour.hour.saturating_add(HOUR / 2).clamp(from, to - 1), hour.max)]
        });
        return Ok(Thinned { count: all, readings: extremes(pairs.collect(), most) });
    }
    let mut thinned = Thinned::default();
    for (begin, end, count) in parts(&hours, from, to) {
        let (times, values) = store.readings(sensor, begin, end)?;
        thinned.count += times.len() as u64;
        // Its share of what is kept, by its share of the readings.
        let share = u128::from(count) * most as u128 / u128::from(all.max(1));
        let share = usize::try_from(share).unwrap_or(most).max(2);
        thinned.readings.extend(extremes(times.into_iter().zip(values).collect(), share));
    }
    Ok(thinned)
}

/// At least the `most` newest readings from `from` on, if there are so many, in order of time.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn newest(store: &Store, sensor: u32, from: i64, most: u64) -> Result<Vec<(i64, f64)>, StoreError> {
    let hours = hours(store, sensor, from, i64::MAX)?;
    let (mut count, mut begin) = (0, from);
    for hour in hours.iter().rev() {
        begin = hour.hour.max(from);
        count += hour.count;
        if count >= most {
            break;
        }
    }
    let (times, values) = store.readings(sensor, begin, i64::MAX)?;
    Ok(times.into_iter().zip(values).collect())
}

/// The hours that have readings in that time.
fn hours(store: &Store, sensor: u32, from: i64, to: i64) -> Result<Vec<Hour>, StoreError> {
    store.hourly(sensor, from.saturating_sub(HOUR - 1), to)
}

/// Stretches of time of about [`AT_ONCE`] readings, with their counts. They cover all of the time.
fn parts(hours: &[Hour], from: i64, to: i64) -> Vec<(i64, i64, u64)> {
    let mut parts = Vec::new();
    let (mut begin, mut count) = (from, 0);
    for hour in hours {
        if count > 0 && count + hour.count > AT_ONCE && hour.hour > begin {
            parts.push((begin, hour.hour, count));
            (begin, count) = (hour.hour, 0);
        }
        count += hour.count;
    }
    parts.push((begin, to, count));
    parts
}

/// At most about `most` readings: of each stretch the least and the greatest, in order of time. What a picture shows
/// stays the same (MinMax preselection: Van Der Donckt et al., "MinMaxLTTB", IEEE VIS 2023).
pub(super) fn extremes(readings: Vec<(i64, f64)>, most: usize) -> Vec<(i64, f64)> {
    if readings.len() <= most {
        return readings;
    }
    let stretch = readings.len().div_ceil((most / 2).max(1));
    let mut kept = Vec::with_capacity(most + 2);
    for part in readings.chunks(stretch) {
        let least = part.iter().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let greatest = part.iter().enumerate().max_by(|a, b| a.1.1.total_cmp(&b.1.1));
        if let (Some((low, &at_low)), Some((high, &at_high))) = (least, greatest) {
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
    fn a_long_course_keeps_its_extremes() {
        let readings: Vec<(i64, f64)> =
            (0..100_000).map(|at| (at, if at == 77_777 { 9.0 } else { (at % 7) as f64 * 0.1 })).collect();
        let kept = extremes(readings.clone(), 1_000);
        assert!(kept.len() <= 1_002, "{}", kept.len());
        assert!(kept.contains(&(77_777, 9.0)));
        assert!(kept.is_sorted_by_key(|&(time, _)| time));
        assert_eq!(extremes(readings.clone(), 100_000), readings);
    }

    #[test]
    fn a_long_time_is_read_in_parts() {
        let hour = |at: i64, count| Hour { hour: at * HOUR, avg: 0.0, min: 0.0, max: 0.0, std: 0.0, count };
        let hours: Vec<Hour> = (0..10).map(|at| hour(at, 200_000)).collect();
        let parts = parts(&hours, 5, 10 * HOUR);
        assert_eq!(parts.len(), 5);
        assert_eq!((parts[0].0, parts[4].1), (5, 10 * HOUR));
        assert!(parts.windows(2).all(|two| two[0].1 == two[1].0), "they join: {parts:?}");
        assert_eq!(parts.iter().map(|part| part.2).sum::<u64>(), 2_000_000);
        assert_eq!(super::parts(&[], i64::MIN, i64::MAX), [(i64::MIN, i64::MAX, 0)]);
        // One hour that alone has more than is read at once cannot be told apart.
        assert_eq!(super::parts(&[hour(0, 9_000_000)], 0, HOUR).len(), 1);
    }
}
