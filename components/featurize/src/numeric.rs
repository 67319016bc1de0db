//! Sums and quantiles in the same order of operations as NumPy, so that the results agree to the last digits even for a
//! small spread on a huge offset.

/// NumPy's pairwise summation (`numpy/_core/src/umath/loops_utils.h.src`): eight running sums in blocks of at most 128,
/// halves above. The error grows with log n instead of n (N. J. Higham, "The accuracy of floating point summation",
/// 1993).
pub(crate) fn sum(values: &[f64]) -> f64 {
    sum_map(values, |value| value)
}

/// The [`sum`] of `map` of each value.
pub(crate) fn sum_map(values: &[f64], map: impl Fn(f64) -> f64 + Copy) -> f64 {
    let count = values.len();
    if count < 8 {
        return values.iter().fold(0.0, |sum, &value| sum + map(value));
    }
    if count <= 128 {
        let (chunks, rest) = values.as_chunks::<8>();
        let mut sums = [-0.0; 8];
        for chunk in chunks {
            for (sum, &value) in sums.iter_mut().zip(chunk) {
                *sum += map(value);
            }
        }
        let [a, b, c, d, e, f, g, h] = sums;
        let total = ((a + b) + (c + d)) + ((e + f) + (g + h));
        return rest.iter().fold(total, |sum, &value| sum + map(value));
    }
    let half = count / 2;
    let (left, right) = values.split_at(half - half % 8);
    sum_map(left, map) + sum_map(right, map)
}

/// `numpy.quantile(…, method="linear")` of sorted values; `probability` is 0 to 1. NaN for no values.
pub(crate) fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[allow(clippy::cast_precision_loss, reason = "an index")]
    let position = probability * last as f64;
    // The cast of a value that is not negative is its floor.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to last")]
    let below = (position as usize).min(last);
    #[allow(clippy::cast_precision_loss, reason = "an index")]
    let fraction = position - below as f64;
    let (Some(&a), Some(&b)) = (sorted.get(below), sorted.get((below + 1).min(last))) else { return f64::NAN };
    let step = b - a;
    if fraction >= 0.5 { b - step * (1.0 - fraction) } else { a + step * fraction }
}
