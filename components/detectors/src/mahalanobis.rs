//! Mahalanobis distance: finds unusual combinations of sensors, such as a current that falls while the flow rises.
//!
//! It uses the level and the spread of each sensor. The covariance is shrunk towards the identity (O. Ledoit, M. Wolf,
//! "A well-conditioned estimator for large-dimensional covariance matrices", 2004), because there are few training
//! rows.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::{
    Detector, FitError, Layout,
    calibrated::Model,
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
/// Share of normal rows within the limit.
pub(crate) const NORMAL_SHARE: f64 = 0.999;

/// Indices of the numbers that are used: levels, then spreads, if they vary in the training rows.
pub(crate) fn picked(layout: Layout, scales: &Scales, max: usize) -> Vec<usize> {
    let moves: Vec<bool> = scales.moves().collect();
    let spreads = layout
        .spread
        .into_iter()
        .flat_map(|spread| (0..layout.sensors).map(move |sensor| sensor * layout.columns + spread));
    layout.levels().chain(spreads).filter(|at| moves.get(*at) == Some(&true)).take(max).collect()
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
    pub(crate) fn shrunk(points: &[Vec<f64>]) -> Self {
        let (count, width) = (points.len(), points.first().map_or(0, Vec::len));
        let mean: Vec<f64> = (0..width).map(|at| rows::mean(&rows::column(points, at))).collect();
        let value = |row: usize, at: usize| points.get(row).and_then(|row| row.get(at)).copied().unwrap_or(0.0);
        let data = DMatrix::from_fn(count, width, |row, at| value(row, at) - mean.get(at).copied().unwrap_or(0.0));
        Self::new(mean, shrunk(&data))
    }

    /// Contribution of each number to the squared distance.
    pub(crate) fn parts(&self, values: &[f64]) -> Vec<f64> {
        let from: Vec<f64> = values.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect();
        let rows = self.precision.chunks(from.len().max(1));
        rows.zip(&from).map(|(row, value)| value * row.iter().zip(&from).map(|(a, b)| a * b).sum::<f64>()).collect()
    }

    pub(crate) fn squared(&self, values: &[f64]) -> f64 {
        self.parts(values).iter().sum::<f64>().max(0.0)
    }

    /// Replaces the values that are not `known` by those that are the least unusual given the others: the conditional
    /// mean of a normal distribution, `μₘ − Pₘₘ⁻¹ Pₘₖ (xₖ − μₖ)` with `P` the inverse of the covariance.
    fn complete(&self, values: &[f64], known: &[bool]) -> Option<Vec<f64>> {
        let width = self.mean.len();
        let (there, missing): (Vec<usize>, Vec<usize>) =
            (0..width).partition(|at| known.get(*at).copied().unwrap_or(false));
        if missing.is_empty() || there.is_empty() {
            return None;
        }
        let precision = |row: usize, column: usize| self.precision.get(row * width + column).copied().unwrap_or(0.0);
        let mean = |at: usize| self.mean.get(at).copied().unwrap_or(0.0);
        let away = |at: &usize| (values.get(*at).copied().unwrap_or(0.0) - mean(*at)).clamp(-MAX_KNOWN_Z, MAX_KNOWN_Z);
        let among = DMatrix::from_iterator(
            missing.len(),
            missing.len(),
            missing.iter().flat_map(|column| missing.iter().map(move |row| precision(*row, *column))),
        );
        let pull = DVector::from_iterator(
            missing.len(),
            missing.iter().map(|row| -there.iter().map(|at| precision(*row, *at) * away(at)).sum::<f64>()),
        );
        let found = among.cholesky()?.solve(&pull);
        let mut completed = values.to_vec();
        for (at, away) in missing.iter().zip(found.iter()) {
            if let Some(value) = completed.get_mut(*at) {
                *value = mean(*at) + away.clamp(-MAX_KNOWN_Z, MAX_KNOWN_Z);
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
    picked: Vec<usize>,
    metric: Metric,
    limit: f64,
    last: Vec<f64>,
}

impl Mahalanobis {
    fn values(&self, row: &[f64]) -> Vec<f64> {
        select(&self.scales.of(row), &self.picked)
    }
}

/// Returns the picked z-values of a row, clamped.
pub(crate) fn select(z: &[f64], picked: &[usize]) -> Vec<f64> {
    picked.iter().map(|at| z.get(*at).copied().unwrap_or(0.0).clamp(-MAX_Z, MAX_Z)).collect()
}

/// Spreads the contributions of the picked numbers over the whole row, as shares.
pub(crate) fn shares_of_row(width: usize, picked: &[usize], parts: Vec<f64>) -> Vec<f64> {
    let mut all = vec![0.0; width];
    for (at, part) in picked.iter().zip(parts) {
        if let Some(place) = all.get_mut(*at) {
            *place = part;
        }
    }
    rows::shares(all)
}

impl Model for Mahalanobis {
    fn learn(&mut self, layout: Layout, rows: &[Vec<f64>]) {
        let scales = Scales::fit(rows);
        let picked = picked(layout, &scales, MAX_NUMBERS);
        *self = Self { scales, picked, metric: Metric::default(), limit: 0.0, last: vec![0.0; layout.width()] };
        if !self.picked.is_empty() {
            let rows: Vec<Vec<f64>> = rows.iter().map(|row| self.values(row)).collect();
            self.metric = Metric::shrunk(&rows);
        }
    }

    fn distance(&self, row: &[f64]) -> f64 {
        self.metric.squared(&self.values(row)).sqrt()
    }

    fn predicted(&self) -> f64 {
        special::chi_squared_quantile(NORMAL_SHARE, rows::count(self.picked.len().max(1))).sqrt()
    }

    fn parts(&self, row: &[f64]) -> Vec<f64> {
        shares_of_row(self.scales.len(), &self.picked, self.metric.parts(&self.values(row)))
    }
}

impl Detector for Mahalanobis {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable(layout, rows, MIN_ROWS)?;
        self.learn(layout, &rows);
        self.limit = rows::edge(self.predicted(), rows.iter().map(|row| self.distance(row)));
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        self.last = self.parts(row);
        rows::ratio(self.distance(row), self.limit)
    }

    fn explain(&self) -> Vec<f64> {
        self.last.clone()
    }

    fn complete(&self, row: &mut [f64]) {
        let known: Vec<bool> =
            self.picked.iter().map(|at| row.get(*at).is_some_and(|value| value.is_finite())).collect();
        let Some(values) = self.metric.complete(&self.values(row), &known) else { return };
        for ((at, value), known) in self.picked.iter().zip(values).zip(known) {
            if let Some(place) = row.get_mut(*at).filter(|_| !known) {
                *place = self.scales.at(*at, value);
            }
        }
    }
}

/// Ledoit-Wolf estimate of the covariance of centred rows.
pub(crate) fn shrunk(data: &DMatrix<f64>) -> DMatrix<f64> {
    let (count, width) = (rows::count(data.nrows()), data.ncols());
    let sample = data.transpose() * data / count;
    let level = (sample.trace() / rows::count(width)).max(1e-12);
    let target = DMatrix::identity(width, width) * level;
    let apart = (&sample - &target).norm_squared();
    let mut noise = 0.0;
    for row in data.row_iter() {
        let row: DVector<f64> = row.transpose();
        noise += (&row * row.transpose() - &sample).norm_squared();
    }
    noise /= count * count;
    let share = if apart > 0.0 { (noise / apart).clamp(0.05, 1.0) } else { 1.0 };
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
            detector.complete(&mut row);
            row
        };
        let [level, other] = completed(11.0);
        assert!((level, (6.0..8.0).contains(&other)) == (11.0, true), "{other}");
        assert!((9.0..12.0).contains(&completed(1000.0)[1]), "{:?}", completed(1000.0));
        let mut nothing = [f64::NAN; 2];
        detector.complete(&mut nothing);
        assert!(nothing.iter().all(|value| value.is_nan()));
    }
}
