//! Robust statistics.

/// Ratio of the standard deviation to the median absolute deviation of normal noise: 1 / Φ⁻¹(3/4).
const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;

/// Median of the finite values; NaN if there are none. Removes the other values and sorts the rest.
pub(crate) fn median(values: &mut Vec<f64>) -> f64 {
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match (values.get(half.saturating_sub(1)), values.get(half)) {
        (Some(low), Some(high)) if values.len().is_multiple_of(2) => low.midpoint(*high),
        (_, Some(middle)) => *middle,
        _ => f64::NAN,
    }
}

/// Median and scale of the finite values. The scale is the larger of 1.4826 times the median absolute deviation and the
/// standard deviation; the former alone underestimates it with few values.
#[allow(clippy::cast_precision_loss, reason = "counts")]
pub(crate) fn center_and_scale(values: &mut Vec<f64>) -> (f64, f64) {
    let center = median(values);
    let count = values.len() as f64;
    let std = (values.iter().map(|value| (value - center) * (value - center)).sum::<f64>() / count).sqrt();
    for value in values.iter_mut() {
        *value = (*value - center).abs();
    }
    (center, (MAD_TO_SIGMA * median(values)).max(std))
}
