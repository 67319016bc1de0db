//! The length of a sensor's windows by the pace of its readings.

/// Lengths of windows, in multiples of the shortest: 30 s, 1, 2, 5, 10 and 30 minutes, 1, 2, 4 and 8 hours, a day.
const FACTORS: [u32; 11] = [1, 2, 4, 10, 20, 60, 120, 240, 480, 960, 2_880];
/// Readings that a window should have.
const READINGS: usize = 8;
/// A window with so many times the readings is too long.
const TOO_MANY: usize = 6;
/// Newest intervals that are looked at.
const INTERVALS: usize = 8;

/// Returns the factor that gives windows of [`READINGS`] readings at the median interval between the newest of these
/// times (in ns, ascending); 1 for fewer than two times. `shortest` is the length of the shortest window.
pub(crate) fn factor(times: &[i64], shortest: i64) -> u32 {
    let newest = times.get(times.len().saturating_sub(INTERVALS + 1)..).unwrap_or_default();
    let mut intervals: Vec<i64> =
        newest.windows(2).filter_map(|pair| Some(pair.get(1)?.saturating_sub(*pair.first()?))).collect();
    intervals.sort_unstable();
    let Some(&median) = intervals.get(intervals.len().saturating_sub(1) / 2) else { return 1 };
    let needed = median.saturating_mul(i64::try_from(READINGS).unwrap_or(i64::MAX));
    let fits = |factor: &&u32| shortest.saturating_mul(i64::from(**factor)) >= needed;
    FACTORS.iter().find(fits).or(FACTORS.last()).copied().unwrap_or(1)
}

/// Returns whether a window has far more readings than needed.
pub(crate) fn is_too_many(readings: usize) -> bool {
    readings > TOO_MANY * READINGS
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn factor_at(interval: i64) -> u32 {
        let times: Vec<i64> = (0..20).map(|at| at * interval * S).collect();
        factor(&times, 30 * S)
    }

    #[test]
    fn slow_sensors_have_longer_windows() {
        let expected =
            [(1, 1), (3, 1), (5, 2), (10, 4), (60, 20), (300, 120), (600, 240), (3600, 960), (86_400, 2_880)];
        for (interval, factor) in expected {
            assert_eq!(factor_at(interval), factor, "{interval} s");
        }
        assert_eq!(factor(&[], S), 1);
        assert_eq!(factor(&[5], S), 1);
        // One gap does not make a fast sensor slow.
        let times: Vec<i64> = (0..20).map(|at| if at < 17 { at } else { at + 3600 }).map(|at| at * S).collect();
        assert_eq!(factor(&times, 30 * S), 1);
    }
}
