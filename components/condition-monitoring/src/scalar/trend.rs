//! Slopes of a scalar sensor over time.

/// Least-squares slope Σ(t − t̄)(x − x̄) / Σ(t − t̄)², in unit per unit of time; NaN when all times are equal.
#[must_use]
pub fn least_squares_slope(times: &[f64], values: &[f64]) -> f64 {
    let count = times.len().min(values.len());
    let (t, x) = (crate::stats::mean(&times[..count]), crate::stats::mean(&values[..count]));
    let (mut cross, mut square) = (0.0, 0.0);
    for (time, value) in times.iter().zip(values) {
        cross += (time - t) * (value - x);
        square += (time - t) * (time - t);
    }
    cross / square
}

/// Largest number of pairs of the Theil–Sen slope; with more, only every n-th reading is used.
const MAX_PAIRS: usize = 20_000;

/// Median of the slopes of all pairs (Theil 1950, Sen 1968), as `scipy.stats.theilslopes`: robust to 29 % wrong
/// readings. More than 200 readings are thinned evenly to bound the cost. NaN when all times are equal.
#[must_use]
pub fn theil_sen_slope(times: &[f64], values: &[f64]) -> f64 {
    let count = times.len().min(values.len());
    let max_readings = (MAX_PAIRS as f64 * 2.0).sqrt() as usize;
    let stride = count.div_ceil(max_readings).max(1);
    let mut slopes = Vec::new();
    for first in (0..count).step_by(stride) {
        for second in (first + stride..count).step_by(stride) {
            let span = times[second] - times[first];
            if span != 0.0 {
                slopes.push((values[second] - values[first]) / span);
            }
        }
    }
    crate::stats::median(&mut slopes)
}

/// Rate of change: (last − first) / time between them, in unit per unit of time; NaN for fewer than 2 readings or equal
/// times.
#[must_use]
pub fn rate_of_change(times: &[f64], values: &[f64]) -> f64 {
    match (times, values) {
        ([t0, .., t1], [x0, .., x1]) if t1 > t0 => (x1 - x0) / (t1 - t0),
        _ => f64::NAN,
    }
}
