//! The features that only windows of readings have; see [`crate::features`].

use crate::feature_names::{BASIC_FEATURES, TREND_FEATURES};

/// Above this standard deviation the values are scaled by its reciprocal.
const SCALING_THRESHOLD: f64 = 1e150;

/// Returns the features in the order of [`TREND_FEATURES`]. `basic` are the features of [`BASIC_FEATURES`] of the
/// window, `expected` is the expected number of readings. Takes one pass, because this code runs for each reading of
/// the plant three times.
#[allow(clippy::cast_precision_loss, reason = "counts and spans of time")]
#[inline]
pub(crate) fn features(
    times: &[i64],
    values: &[f64],
    basic: &[f64; BASIC_FEATURES.len()],
    expected: f64,
) -> [f64; TREND_FEATURES.len()] {
    let [mean, std, min, max, ..] = *basic;
    let (Some(&first), Some(&last), false) = (times.first(), times.last(), mean.is_nan()) else {
        return [f64::NAN; TREND_FEATURES.len()];
    };
    let count = values.len() as f64;
    // The products of such large values with times would be infinite.
    let scale = if std > SCALING_THRESHOLD { SCALING_THRESHOLD.recip() } else { 1.0 };
    // Times are in nanoseconds since the first reading.
    let (mut time_sum, mut time_square, mut cross) = (0.0, 0.0, 0.0);
    let (mut sum, mut max_sum) = (0.0_f64, 0.0_f64);
    let (mut previous, mut run, mut longest) = (f64::NAN, 0_u32, 0_u32);
    for (&time, &value) in times.iter().zip(values) {
        let elapsed = time.wrapping_sub(first) as f64;
        let deviation = (value - mean) * scale;
        time_sum += elapsed;
        time_square += elapsed * elapsed;
        cross += elapsed * deviation;
        sum += deviation;
        let abs_sum = sum.abs();
        max_sum = if abs_sum > max_sum { abs_sum } else { max_sum };
        #[allow(clippy::float_cmp, reason = "a stuck sensor repeats exactly the same value")]
        let is_repeat = value == previous;
        run = if is_repeat { run + 1 } else { 1 };
        longest = longest.max(run);
        previous = value;
    }
    let spread = time_square - time_sum * time_sum / count;
    let (slope, change) = if last > first {
        let step = values.last().copied().unwrap_or(f64::NAN) - values.first().copied().unwrap_or(f64::NAN);
        // `sum` is 0 except for rounding.
        ((cross - time_sum / count * sum) / spread / scale * 1e9, step / (last.wrapping_sub(first) as f64 / 1e9))
    } else {
        (f64::NAN, f64::NAN)
    };
    // The mean of equal samples may differ from them by rounding, so that `std` is not 0.
    let cusum = if std > 0.0 && min < max { max_sum / (std * scale * count.sqrt()) } else { f64::NAN };
    let missing = if expected > 0.0 { (1.0 - count / expected).max(0.0) } else { f64::NAN };
    [slope, change, cusum, missing, f64::from(longest) / count]
}
