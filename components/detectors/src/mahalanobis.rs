//! Mahalanobis distance: finds unusual combinations of sensors, such as a current that falls while the flow rises.
//!
//! It uses the level and the spread of each sensor. The covariance is shrunk towards the identity (O. Ledoit, M. Wolf,
//! "A well-conditioned estimator for large-dimensional covariance matrices", 2004), because there are few training
//! rows.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::{
    Detector, FitError, Layout,
    calibrated::DistanceModel,
    rows::{self, Scales},
    special,
};

/// Most numbers that are used; the work grows with the square.
const MAX_NUMBERS: usize = 80;
/// z-values are capped here; numbers that are far out by themselves are left to the z-score.
pub(crate) const MAX_Z: f64 = 20.0;
/// Fewest rows that show what is normal.
const MIN_ROWS: usize = 5;
/// Missing values are estimated as if the present ones were at most this many scales out.
const MAX_KNOWN_Z: f64 = 3.0;

/// Indices of the numbers that are used: levels, then spreads, if they vary in the training rows.
pub(crate) fn used_numbers(layout: Layout, scales: &Scales, max: usize) -> Vec<usize> {
    let varies: Vec<bool> = scales.varying().collect();
    let spreads = layout
        .spread
        .into_iter()
        .flat_map(|spread| (0..layout.sensors).map(move |sensor| sensor * layout.columns + spread));
    layout.level_indices().chain(spreads).filter(|at| varies.get(*at) == Some(&true)).take(max).collect()
}

/// Distance from a center by the inverse of a covariance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Metric {
    mean: Vec<f64>,
    /// Inverse of the covariance, in row-major order.
    precision: Vec<f64>,
}

impl Metric {
    /// Uses the identity if the covariance has no inverse.
    pub(crate) fn new(mean: Vec<f64>, covariance: DMatrix<f64>) -> Self {
        let width = covariance.nrows();
        let inverse = covariance.cholesky().map(|factor| factor.inverse());
        let inverse = inverse.filter(|inverse| inverse.iter().all(|value| value.is_finite()));
        let precision = inverse.unwrap_or_else(|| DMatrix::identity(width, width));
        Self::from_inverse(mean, &precision)
    }

    pub(crate) fn from_inverse(mean: Vec<f64>, precision: &DMatrix<f64>) -> Self {
        Self { mean, precision: precision.iter().copied().collect() }
    }

    /// Distance from the mean of these points by their shrunk covariance.
    pub(crate) fn from_shrunk_covariance(points: &[Vec<f64>]) -> Self {
        let (count, width) = (points.len(), points.first().map_or(0, Vec::len));
        let mean: Vec<f64> = (0..width).map(|at| rows::mean(&rows::column(points, at))).collect();
        let value = |row: usize, at: usize| points.get(row).and_then(|row| row.get(at)).copied().unwrap_or(0.0);
        let data = DMatrix::from_fn(count, width, |row, at| value(row, at) - mean.get(at).copied().unwrap_or(0.0));
        Self::new(mean, shrunk_covariance(&data))
    }

    /// Contribution of each number to the squared distance.
    pub(crate) fn contributions(&self, values: &[f64]) -> Vec<f64> {
        let deviations: Vec<f64> = values.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect();
        let rows = self.precision.chunks(deviations.len().max(1));
        rows.zip(&deviations)
            .map(|(row, value)| value * row.iter().zip(&deviations).map(|(a, b)| a * b).sum::<f64>())
            .collect()
    }

    pub(crate) fn squared_distance(&self, values: &[f64]) -> f64 {
        self.contributions(values).iter().sum::<f64>().max(0.0)
    }

    /// Replaces the missing values by those that are the least unusual given the others: the conditional
    /// mean of a normal distribution, `μₘ − Pₘₘ⁻¹ Pₘₖ (xₖ − μₖ)` with `P` the inverse of the covariance.
    fn impute(&self, values: &[f64], is_present: &[bool]) -> Option<Vec<f64>> {
        let width = self.mean.len();
        let (present, missing): (Vec<usize>, Vec<usize>) =
            (0..width).partition(|at| is_present.get(*at).copied().unwrap_or(false));
        if missing.is_empty() || present.is_empty() {
            return None;
        }
        let precision = |row: usize, column: usize| self.precision.get(row * width + column).copied().unwrap_or(0.0);
        let mean = |at: usize| self.mean.get(at).copied().unwrap_or(0.0);
        let deviation =
            |at: &usize| (values.get(*at).copied().unwrap_or(0.0) - mean(*at)).clamp(-MAX_KNOWN_Z, MAX_KNOWN_Z);
        let missing_precision = DMatrix::from_iterator(
            missing.len(),
            missing.len(),
            missing.iter().flat_map(|column| missing.iter().map(move |row| precision(*row, *column))),
        );
        let right_side = DVector::from_iterator(
            missing.len(),
            missing.iter().map(|row| -present.iter().map(|at| precision(*row, *at) * deviation(at)).sum::<f64>()),
        );
        let solution = missing_precision.cholesky()?.solve(&right_side);
        let mut completed = values.to_vec();
        for (at, deviation) in missing.iter().zip(solution.iter()) {
            if let Some(value) = completed.get_mut(*at) {
                *value = mean(*at) + deviation.clamp(-MAX_KNOWN_Z, MAX_KNOWN_Z);
            }
        }
        Some(completed)
    }
}

/// Mahalanobis detector; see the module documentation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mahalanobis {
    scales: Scales,
    /// Indices of the numbers that are used.
    used: Vec<usize>,
    metric: Metric,
    limit: f64,
    last_shares: Vec<f64>,
}

impl Mahalanobis {
    fn used_values(&self, row: &[f64]) -> Vec<f64> {
        select_clamped(&self.scales.to_scales(row), &self.used)
    }
}

/// Returns the picked z-values of a row, clamped.
pub(crate) fn select_clamped(z: &[f64], indices: &[usize]) -> Vec<f64> {
    indices.iter().map(|at| z.get(*at).copied().unwrap_or(0.0).clamp(-MAX_Z, MAX_Z)).collect()
}

/// Spreads the contributions of the picked numbers over the whole row, as shares.
pub(crate) fn shares_of_row(width: usize, indices: &[usize], parts: Vec<f64>) -> Vec<f64> {
    let mut all = vec![0.0; width];
    for (at, part) in indices.iter().zip(parts) {
        if let Some(slot) = all.get_mut(*at) {
            *slot = part;
        }
    }
    rows::to_shares(all)
}

impl DistanceModel for Mahalanobis {
    fn train(&mut self, layout: Layout, rows: &[Vec<f64>]) {
        let scales = Scales::fit(rows);
        let used = used_numbers(layout, &scales, MAX_NUMBERS);
        *self = Self { scales, used, metric: Metric::default(), limit: 0.0, last_shares: vec![0.0; layout.width()] };
        if !self.used.is_empty() {
            let rows: Vec<Vec<f64>> = rows.iter().map(|row| self.used_values(row)).collect();
            self.metric = Metric::from_shrunk_covariance(&rows);
        }
    }

    fn distance(&self, row: &[f64]) -> f64 {
        self.metric.squared_distance(&self.used_values(row)).sqrt()
    }

    fn theoretical_limit(&self) -> f64 {
        special::chi_squared_quantile(rows::NORMAL_SHARE, rows::to_float(self.used.len().max(1))).sqrt()
    }

    fn contributions(&self, row: &[f64]) -> Vec<f64> {
        shares_of_row(self.scales.len(), &self.used, self.metric.contributions(&self.used_values(row)))
    }
}

impl Detector for Mahalanobis {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable_rows(layout, rows, MIN_ROWS)?;
        self.train(layout, &rows);
        self.limit = rows::training_limit(self.theoretical_limit(), rows.iter().map(|row| self.distance(row)));
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        self.last_shares = self.contributions(row);
        rows::ratio(self.distance(row), self.limit)
    }

    fn explain(&self) -> Vec<f64> {
        self.last_shares.clone()
    }

    fn impute(&self, row: &mut [f64]) {
        let is_present: Vec<bool> =
            self.used.iter().map(|at| row.get(*at).is_some_and(|value| value.is_finite())).collect();
        let Some(values) = self.metric.impute(&self.used_values(row), &is_present) else { return };
        for ((at, value), is_present) in self.used.iter().zip(values).zip(is_present) {
            if let Some(slot) = row.get_mut(*at).filter(|_| !is_present) {
                *slot = self.scales.to_value(*at, value);
            }
        }
    }
}

/// Ledoit-Wolf estimate of the covariance of centred rows.
pub(crate) fn shrunk_covariance(data: &DMatrix<f64>) -> DMatrix<f64> {
    let (count, width) = (rows::to_float(data.nrows()), data.ncols());
    let sample = data.transpose() * data / count;
    let level = (sample.trace() / rows::to_float(width)).max(1e-12);
    let target = DMatrix::identity(width, width) * level;
    let dispersion = (&sample - &target).norm_squared();
    let mut noise = 0.0;
    for row in data.row_iter() {
        let row: DVector<f64> = row.transpose();
        noise += (&row * row.transpose() - &sample).norm_squared();
    }
    noise /= count * count;
    let share = if dispersion > 0.0 { (noise / dispersion).clamp(0.05, 1.0) } else { 1.0 };
    target * share + sample * (1.0 - share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn sensors_that_do_not_fit_together_are_found() {
        let mut random = Random::new(1);
        let mut row = |sign: f64| {
            let common = random.normal();
            vec![10.0 + common + 0.1 * random.normal(), 5.0 + sign * 2.0 * common + 0.2 * random.normal()]
        };
        let rows: Vec<Vec<f64>> = (0..400).map(|_| row(1.0)).collect();
        let mut detector = Mahalanobis::default();
        detector.fit(Layout::levels_only(2), &rows).unwrap();
        assert!((0..200).all(|_| detector.score(0, &row(1.0)) < 1.0));
        assert!(detector.score(0, &[12.0, 1.0]) > 1.0);
        assert!((detector.explain().iter().sum::<f64>() - 1.0).abs() < 1e-9);
        // The estimate follows the present value, but stays within the normal range.
        let completed = |level: f64| {
            let mut row = [level, f64::NAN];
            detector.impute(&mut row);
            row
        };
        let [level, other] = completed(11.0);
        assert!((level, (6.0..8.0).contains(&other)) == (11.0, true), "{other}");
        assert!((9.0..12.0).contains(&completed(1000.0)[1]), "{:?}", completed(1000.0));
        let mut nothing = [f64::NAN; 2];
        detector.impute(&mut nothing);
        assert!(nothing.iter().all(|value| value.is_nan()));
    }
}
