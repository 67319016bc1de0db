//! Location, scale and noise of single series.

use crate::rows::{deviation, mean, median};

/// Scaled values are capped here.
const MAX_SCALED: f64 = 1e4;

/// Mean of the first values, at most `max` of them.
pub(crate) fn first_mean(values: &[f64], max: usize) -> f64 {
    mean(values.get(..max.min(values.len())).unwrap_or(values))
}

/// Median and standard deviation of a channel in the fitted rows. The scale of a constant channel is 1 % of its level,
/// or 1 if that is 0.
pub(crate) fn center_and_scale(values: &[f64]) -> (f64, f64) {
    let center = median(values);
    let spread = deviation(values);
    let scale = if spread > 1e-9 * center.abs() { spread } else { 0.01 * center.abs() };
    (center, if scale > 0.0 { scale } else { 1.0 })
}

/// Converts a value to scales from the center.
pub(crate) fn scaled(value: f64, center: f64, scale: f64) -> f64 {
    ((value - center) / scale).clamp(-MAX_SCALED, MAX_SCALED)
}

/// White noise in a series of scale 1, from its differences: `σ(xₜ − xₜ₋₁) / √2` (J. von Neumann, 1941); at least 0.05.
pub(crate) fn noise(values: &[f64]) -> f64 {
    let steps: Vec<f64> = values.iter().zip(values.iter().skip(1)).map(|(a, b)| b - a).collect();
    (deviation(&steps) / std::f64::consts::SQRT_2).max(0.05)
}
