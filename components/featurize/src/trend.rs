//! What a window of readings has besides the features that bursts share; see [`crate::features`].

use crate::features::{BASIC, TREND};

/// A standard deviation from which on sums are kept in units of this.
const HUGE: f64 = 1e150;

/// In the order of [`TREND`]. `basic` are the window's features of [`BASIC`], `expected` the readings that should be
/// there. One pass, since every reading of the plant comes by here three times.
#[allow(clippy::cast_precision_loss, reason = "counts and spans of time")]
#[inline]
pub(crate) fn features(times: &[i64], values: &[f64], basic: &[f64; BASIC.len()], expected: f64) -> [f64; TREND.len()] {
    let [mean, std, min, max, ..] = *basic;
    let (Some(&first), Some(&last), false) = (times.first(), times.last(), mean.is_nan()) else {
        return [f64::NAN; TREND.len()];
    };
    let count = values.len() as f64;
    // Products of values as large as these with times would be infinite.
    let shrink = if std > HUGE { HUGE.recip() } else { 1.0 };
    // Nanoseconds since the first reading.
    let (mut time_sum, mut time_square, mut cross) = (0.0, 0.0, 0.0);
    let (mut sum, mut furthest) = (0.0_f64, 0.0_f64);
    let (mut before, mut run, mut longest) = (f64::NAN, 0_u32, 0_u32);
    for (&time, &value) in times.iter().zip(values) {
        let since = time.wrapping_sub(first) as f64;
        let away = (value - mean) * shrink;
        time_sum += since;
        time_square += since * since;
        cross += since * away;
        sum += away;
        let far = sum.abs();
        furthest = if far > furthest { far } else { furthest };
        #[allow(clippy::float_cmp, reason = "a stuck sensor says the very same")]
        let same = value == before;
        run = if same { run + 1 } else { 1 };
        longest = longest.max(run);
        before = value;
    }
    let spread = time_square - time_sum * time_sum / count;
    let (slope, change) = if last > first {
        let step = values.last().copied().unwrap_or(f64::NAN) - values.first().copied().unwrap_or(f64::NAN);
        // `sum` is 0 but for rounding.
        ((cross - time_sum / count * sum) / spread / shrink * 1e9, step / (last.wrapping_sub(first) as f64 / 1e9))
    } else {
        (f64::NAN, f64::NAN)
    };
    // Of equal samples the mean may be off by a digit, and then all of them from it.
    let cusum = if std > 0.0 && min < max { furthest / (std * shrink * count.sqrt()) } else { f64::NAN };
    let missing = if expected > 0.0 { (1.0 - count / expected).max(0.0) } else { f64::NAN };
    [slope, change, cusum, missing, f64::from(longest) / count]
}
