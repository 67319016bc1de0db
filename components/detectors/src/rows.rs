//! What the detectors share: rows in their own scales, and edges.

use serde::{Deserialize, Serialize};

use crate::{FitError, Layout};

/// Values are cut off here, in scales.
const MOST: f64 = 1e4;
/// Share of the level that is the scale of what never moved.
const CONSTANT: f64 = 0.01;
/// From the median absolute deviation to the standard deviation, of normal values.
pub(crate) const MAD: f64 = 1.4826;

/// Count as a number.
#[allow(clippy::cast_precision_loss, reason = "counts of rows and numbers")]
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

/// Quantile by linear interpolation (type 7 of Hyndman and Fan 1996); 0 of none.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place between two values")]
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let place = share.clamp(0.0, 1.0) * count(last);
    let low = place.floor();
    let mut values = values.to_vec();
    // Sorting all of them would cost several times as much, and a fit asks for two medians a column.
    let (_, &mut below, above) = values.select_nth_unstable_by((low as usize).min(last), f64::total_cmp);
    match above.iter().min_by(|a, b| a.total_cmp(b)) {
        Some(next) => below + (next - below) * (place - low),
        None => below,
    }
}

/// Median; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The parts as shares: they sum to 1, or are all 0.
pub(crate) fn shares(mut parts: Vec<f64>) -> Vec<f64> {
    for part in &mut parts {
        *part = if part.is_finite() { part.max(0.0) } else { 0.0 };
    }
    let total: f64 = parts.iter().sum();
    for part in &mut parts {
        *part = if total > 0.0 && total.is_finite() { *part / total } else { 0.0 };
    }
    parts
}

/// A ratio that is a number: nothing is infinitely far.
pub(crate) fn ratio(value: f64, edge: f64) -> f64 {
    let ratio = if edge > 0.0 { value / edge } else { 0.0 };
    if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, 1e6) }
}

/// Median and scale of one number: the larger of 1.4826 MAD and the standard deviation. Of a number that never moved the
/// scale is 1 % of its level, or 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    center: f64,
    scale: f64,
    /// It moved.
    pub(crate) moves: bool,
}

impl Scale {
    pub(crate) fn fit(values: &[f64]) -> Self {
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let center = median(&finite);
        let away: Vec<f64> = finite.iter().map(|value| (value - center).abs()).collect();
        let spread = (MAD * median(&away)).max(deviation(&finite));
        let moves = spread.is_finite() && spread > 1e-9 * center.abs();
        let scale = if moves { spread } else { CONSTANT * center.abs() };
        Self { center, scale: if scale > 0.0 && scale.is_finite() { scale } else { 1.0 }, moves }
    }

    /// In scales; 0 for what is missing.
    pub(crate) fn of(self, value: f64) -> f64 {
        if value.is_finite() { ((value - self.center) / self.scale).clamp(-MOST, MOST) } else { 0.0 }
    }

    /// The value at so many scales.
    pub(crate) fn at(self, scales: f64) -> f64 {
        self.center + self.scale * scales
    }
}

/// The scales of all numbers of a row.
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

    /// Which numbers moved.
    pub(crate) fn moves(&self) -> impl Iterator<Item = bool> {
        self.0.iter().map(|scale| scale.moves)
    }

    /// A row in scales, always of the fitted length; what is missing is 0.
    pub(crate) fn of(&self, row: &[f64]) -> Vec<f64> {
        self.0.iter().enumerate().map(|(at, scale)| scale.of(row.get(at).copied().unwrap_or(f64::NAN))).collect()
    }

    /// The value of one number at so many scales.
    pub(crate) fn at(&self, number: usize, scales: f64) -> f64 {
        self.0.get(number).map_or(f64::NAN, |scale| scale.at(scales))
    }
}

/// One number of all rows.
pub(crate) fn column(rows: &[Vec<f64>], at: usize) -> Vec<f64> {
    rows.iter().map(|row| row.get(at).copied().unwrap_or(f64::NAN)).collect()
}

/// The rows in which anything is finite, once the layout is checked and there are `least`.
pub(crate) fn usable(layout: Layout, rows: &[Vec<f64>], least: usize) -> Result<Vec<Vec<f64>>, FitError> {
    layout.check(rows)?;
    let rows: Vec<Vec<f64>> = rows.iter().filter(|row| row.iter().any(|value| value.is_finite())).cloned().collect();
    if rows.len() < least { Err(FitError::Rows { got: rows.len(), least }) } else { Ok(rows) }
}

/// The edge of what is normal, from the distances of the rows that were learnt from: never below what the model itself
/// predicts, and with room above the farthest, which others will pass.
pub(crate) fn edge(predicted: f64, distances: impl Iterator<Item = f64>) -> f64 {
    /// Room above the farthest of a few dozen rows.
    const ROOM: f64 = 2.0;
    predicted.max(ROOM * distances.fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quantile_lies_where_it_does_among_the_sorted(
            values in prop::collection::vec(prop_oneof![-9.0..9.0, (-3..3).prop_map(f64::from)], 1..40),
            share in 0.0..=1.0,
        ) {
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let place: f64 = share * count(sorted.len() - 1);
            let low = sorted[place.floor() as usize];
            let high = sorted.get(place.floor() as usize + 1).copied().unwrap_or(low);
            prop_assert_eq!(quantile(&values, share), low + (high - low) * (place - place.floor()));
        }
    }

    #[test]
    fn of_nothing_the_quantile_is_0() {
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn scales_are_robust_and_never_0() {
        let scale = Scale::fit(&[1.0, 2.0, 3.0, f64::NAN, f64::INFINITY]);
        assert_eq!((scale.of(2.0), scale.of(f64::NAN)), (0.0, 0.0));
        assert!((scale.of(2.0 + MAD) - 1.0).abs() < 1e-12);
        assert!((Scale::fit(&[50.0; 9]).of(51.0) - 2.0).abs() < 1e-12);
        assert!((Scale::fit(&[0.0; 9]).of(3.0) - 3.0).abs() < 1e-12);
        assert!((Scale::fit(&[]).of(3.0) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn shares_sum_to_1_or_are_0() {
        assert_eq!(shares(vec![1.0, f64::NAN, 3.0, -2.0]), [0.25, 0.0, 0.75, 0.0]);
        assert_eq!(shares(vec![0.0, -1.0]), [0.0, 0.0]);
    }
}
