//! Location, scale and noise of single series.

/// Scaled values are cut off here.
const MOST: f64 = 1e4;

/// Count as a number.
#[allow(clippy::cast_precision_loss, reason = "counts of rows and channels")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// Mean; 0 of none.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len().max(1))
}

/// Standard deviation, by the count; 0 of none.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    let center = mean(values);
    (values.iter().map(|value| (value - center).powi(2)).sum::<f64>() / count(values.len().max(1))).sqrt()
}

/// Mean of the first values, at most so many.
pub(crate) fn first_mean(values: &[f64], most: usize) -> f64 {
    mean(values.get(..most.min(values.len())).unwrap_or(values))
}

/// Median of finite values; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Quantile by linear interpolation (R. Hyndman, Y. Fan, "Sample quantiles in statistical packages", 1996, type 7).
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place between two values")]
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = share.clamp(0.0, 1.0) * count(sorted.len().saturating_sub(1));
    let low = place.floor();
    match (sorted.get(low as usize), sorted.get(low as usize + 1)) {
        (Some(a), Some(b)) => a + (b - a) * (place - low),
        (Some(a), None) => *a,
        _ => 0.0,
    }
}

/// Median and standard deviation of a channel in the fitted rows. Of a channel that never moved the scale is 1 % of its
/// level, or 1 if that is 0.
pub(crate) fn center_and_scale(values: &[f64]) -> (f64, f64) {
    let center = median(values);
    let spread = deviation(values);
    let scale = if spread > 1e-9 * center.abs() { spread } else { 0.01 * center.abs() };
    (center, if scale > 0.0 { scale } else { 1.0 })
}

/// A value in units of the channel.
pub(crate) fn scaled(value: f64, center: f64, scale: f64) -> f64 {
    ((value - center) / scale).clamp(-MOST, MOST)
}

/// White noise in a series of scale 1, from its differences: `σ(xₜ − xₜ₋₁) / √2` (J. von Neumann, 1941). Not below 0.05.
pub(crate) fn noise(values: &[f64]) -> f64 {
    let steps: Vec<f64> = values.iter().zip(values.iter().skip(1)).map(|(a, b)| b - a).collect();
    (deviation(&steps) / std::f64::consts::SQRT_2).max(0.05)
}
