//! Shared functions of the detectors: rows in scales, statistics and limits.

use serde::{Deserialize, Serialize};

use crate::{FitError, Layout};

/// Scaled values are capped here.
const MAX_SCALED: f64 = 1e4;
/// Scale of a constant number, as a share of its level.
const CONSTANT_SHARE: f64 = 0.01;
/// Share of normal rows within the limit.
pub(crate) const NORMAL_SHARE: f64 = 0.999;
/// Ratio of the standard deviation to the median absolute deviation of normal values.
pub(crate) const MAD_TO_SIGMA: f64 = 1.4826;

/// Converts a count to a float.
#[allow(clippy::cast_precision_loss, reason = "counts of rows and numbers")]
pub(crate) fn to_float(number: usize) -> f64 {
    number as f64
}

/// Mean; 0 without values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / to_float(values.len().max(1))
}

/// Population standard deviation; 0 without values.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    let center = mean(values);
    (values.iter().map(|value| (value - center).powi(2)).sum::<f64>() / to_float(values.len().max(1))).sqrt()
}

/// Quantile by linear interpolation (type 7 of Hyndman and Fan 1996); 0 without values.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index between two values")]
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let position = share.clamp(0.0, 1.0) * to_float(last);
    let low = position.floor();
    let mut values = values.to_vec();
    // Selection costs a fraction of sorting, and a fit needs two medians per column.
    let (_, &mut below, above) = values.select_nth_unstable_by((low as usize).min(last), f64::total_cmp);
    match above.iter().min_by(|a, b| a.total_cmp(b)) {
        Some(next) => below + (next - below) * (position - low),
        None => below,
    }
}

/// Median; 0 without values.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Normalises contributions to shares: they sum to 1, or are all 0.
pub(crate) fn to_shares(mut parts: Vec<f64>) -> Vec<f64> {
    for part in &mut parts {
        *part = if part.is_finite() { part.max(0.0) } else { 0.0 };
    }
    let total: f64 = parts.iter().sum();
    for part in &mut parts {
        *part = if total > 0.0 && total.is_finite() { *part / total } else { 0.0 };
    }
    parts
}

/// Ratio of a distance to a limit, from 0 to 1e6; never NaN or infinite.
pub(crate) fn ratio(value: f64, limit: f64) -> f64 {
    let ratio = if limit > 0.0 { value / limit } else { 0.0 };
    if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, 1e6) }
}

/// Median and scale of one number. The scale is the larger of 1.4826 MAD_TO_SIGMA and the standard deviation; for a
/// constant number it is 1 % of its level, or 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    center: f64,
    scale: f64,
    /// The number varies in the training rows.
    pub(crate) varies: bool,
}

impl Scale {
    pub(crate) fn fit(values: &[f64]) -> Self {
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let center = median(&finite);
        let deviations: Vec<f64> = finite.iter().map(|value| (value - center).abs()).collect();
        let spread = (MAD_TO_SIGMA * median(&deviations)).max(deviation(&finite));
        let varies = spread.is_finite() && spread > 1e-9 * center.abs();
        let scale = if varies { spread } else { CONSTANT_SHARE * center.abs() };
        Self { center, scale: if scale > 0.0 && scale.is_finite() { scale } else { 1.0 }, varies }
    }

    /// Converts a value to scales from the median; 0 if it is missing.
    pub(crate) fn to_scales(self, value: f64) -> f64 {
        if value.is_finite() { ((value - self.center) / self.scale).clamp(-MAX_SCALED, MAX_SCALED) } else { 0.0 }
    }

    /// Converts scales from the median back to a value.
    pub(crate) fn to_value(self, scales: f64) -> f64 {
        self.center + self.scale * scales
    }
}

/// Median and scale of every number of a row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scales(Vec<Scale>);

impl Scales {
    pub(crate) fn fit(rows: &[Vec<f64>]) -> Self {
        let width = rows.first().map_or(0, Vec::len);
        Self((0..width).map(|at| Scale::fit(&column(rows, at))).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// For each number, true if it varies in the training rows.
    pub(crate) fn varying(&self) -> impl Iterator<Item = bool> {
        self.0.iter().map(|scale| scale.varies)
    }

    /// Converts a row to scales. The result has the fitted length; missing values are 0.
    pub(crate) fn to_scales(&self, row: &[f64]) -> Vec<f64> {
        self.0.iter().enumerate().map(|(at, scale)| scale.to_scales(row.get(at).copied().unwrap_or(f64::NAN))).collect()
    }

    /// Converts one number from scales back to a value; NaN if there is no such number.
    pub(crate) fn to_value(&self, number: usize, scales: f64) -> f64 {
        self.0.get(number).map_or(f64::NAN, |scale| scale.to_value(scales))
    }
}

/// One column of all rows; NaN where a row is too short.
pub(crate) fn column(rows: &[Vec<f64>], at: usize) -> Vec<f64> {
    rows.iter().map(|row| row.get(at).copied().unwrap_or(f64::NAN)).collect()
}

/// Validates the layout and returns the rows with a finite value, if there are at least `min`.
pub(crate) fn usable_rows(layout: Layout, rows: &[Vec<f64>], min: usize) -> Result<Vec<Vec<f64>>, FitError> {
    layout.validate(rows)?;
    let rows: Vec<Vec<f64>> = rows.iter().filter(|row| row.iter().any(|value| value.is_finite())).cloned().collect();
    if rows.len() < min { Err(FitError::TooFewRows { got: rows.len(), min }) } else { Ok(rows) }
}

/// Limit of what is normal, from the distances of the training rows: at least the model's own prediction, with a margin
/// above the largest distance, which new rows will exceed.
pub(crate) fn training_limit(predicted: f64, distances: impl Iterator<Item = f64>) -> f64 {
    /// Margin above the largest distance of a few dozen rows.
    const MARGIN: f64 = 2.0;
    predicted.max(MARGIN * distances.fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantiles_match_those_of_sorted_values(
            values in prop::collection::vec(prop_oneof![-9.0..9.0, (-3..3).prop_map(f64::from)], 1..40),
            share in 0.0..=1.0,
        ) {
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let position: f64 = share * to_float(sorted.len() - 1);
            let low = sorted[position.floor() as usize];
            let high = sorted.get(position.floor() as usize + 1).copied().unwrap_or(low);
            prop_assert_eq!(quantile(&values, share), low + (high - low) * (position - position.floor()));
        }
    }

    #[test]
    fn the_quantile_of_no_values_is_0() {
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn scales_are_robust_and_never_0() {
        let scale = Scale::fit(&[1.0, 2.0, 3.0, f64::NAN, f64::INFINITY]);
        assert_eq!((scale.to_scales(2.0), scale.to_scales(f64::NAN)), (0.0, 0.0));
        assert!((scale.to_scales(2.0 + MAD_TO_SIGMA) - 1.0).abs() < 1e-12);
        assert!((Scale::fit(&[50.0; 9]).to_scales(51.0) - 2.0).abs() < 1e-12);
        assert!((Scale::fit(&[0.0; 9]).to_scales(3.0) - 3.0).abs() < 1e-12);
        assert!((Scale::fit(&[]).to_scales(3.0) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn shares_sum_to_1_or_are_0() {
        assert_eq!(to_shares(vec![1.0, f64::NAN, 3.0, -2.0]), [0.25, 0.0, 0.75, 0.0]);
        assert_eq!(to_shares(vec![0.0, -1.0]), [0.0, 0.0]);
    }
}
