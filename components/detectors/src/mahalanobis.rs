//! Mahalanobis distance: how unusual the sensors are together, such as a current that falls while the flow rises.
//!
//! Of each sensor the level and the spread count. The covariance is shrunk towards the identity (O. Ledoit, M. Wolf, "A
//! well-conditioned estimator for large-dimensional covariance matrices", 2004), as there are few rows to learn from.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::{
    Detector, FitError, Layout,
    calibrated::Model,
    rows::{self, Scales},
    special,
};

/// At most so many numbers count; the work grows with the square.
const MOST: usize = 80;
/// One z-value counts up to here: what is far out for itself is the z-score's to find.
pub(crate) const CLAMP: f64 = 20.0;
/// Fewer rows do not show what is normal.
const LEAST_ROWS: usize = 5;
/// What is missing is completed as if the rest were at most so many scales out.
const NORMAL: f64 = 3.0;
/// The share of normal rows within the edge.
pub(crate) const WITHIN: f64 = 0.999;

/// Which numbers of a row count: levels, then spreads, that ever moved.
pub(crate) fn picked(layout: Layout, scales: &Scales, most: usize) -> Vec<usize> {
    let moves: Vec<bool> = scales.moves().collect();
    let spreads = layout
        .spread
        .into_iter()
        .flat_map(|spread| (0..layout.sensors).map(move |sensor| sensor * layout.columns + spread));
    layout.levels().chain(spreads).filter(|at| moves.get(*at) == Some(&true)).take(most).collect()
}

/// A distance from a center by the inverse of a covariance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Metric {
    mean: Vec<f64>,
    /// Inverse of the covariance, row by row.
    precision: Vec<f64>,
}

impl Metric {
    /// The identity's for a covariance without an inverse.
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

    /// From the mean of these points by their covariance, shrunk.
    pub(crate) fn shrunk(points: &[Vec<f64>]) -> Self {
        let (count, width) = (points.len(), points.first().map_or(0, Vec::len));
        let mean: Vec<f64> = (0..width).map(|at| rows::mean(&rows::column(points, at))).collect();
        let value = |row: usize, at: usize| points.get(row).and_then(|row| row.get(at)).copied().unwrap_or(0.0);
        let data = DMatrix::from_fn(count, width, |row, at| value(row, at) - mean.get(at).copied().unwrap_or(0.0));
        Self::new(mean, shrunk(&data))
    }

    /// Each number's part of the squared distance.
    pub(crate) fn parts(&self, values: &[f64]) -> Vec<f64> {
        let from: Vec<f64> = values.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect();
        let rows = self.precision.chunks(from.len().max(1));
        rows.zip(&from).map(|(row, value)| value * row.iter().zip(&from).map(|(a, b)| a * b).sum::<f64>()).collect()
    }

    pub(crate) fn squared(&self, values: &[f64]) -> f64 {
        self.parts(values).iter().sum::<f64>().max(0.0)
    }

    /// The values that are not `known` where they are the least unusual beside the others: the mean of a normal
    /// distribution given these, `μₘ − Pₘₘ⁻¹ Pₘₖ (xₖ − μₖ)` with `P` the inverse of the covariance.
    fn complete(&self, values: &[f64], known: &[bool]) -> Option<Vec<f64>> {
        let width = self.mean.len();
        let (there, missing): (Vec<usize>, Vec<usize>) =
            (0..width).partition(|at| known.get(*at).copied().unwrap_or(false));
        if missing.is_empty() || there.is_empty() {
            return None;
        }
        let precision = |row: usize, column: usize| self.precision.get(row * width + column).copied().unwrap_or(0.0);
        let mean = |at: usize| self.mean.get(at).copied().unwrap_or(0.0);
        let away = |at: &usize| (values.get(*at).copied().unwrap_or(0.0) - mean(*at)).clamp(-NORMAL, NORMAL);
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
                *value = mean(*at) + away.clamp(-NORMAL, NORMAL);
            }
        }
        Some(completed)
    }
}

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mahalanobis {
    scales: Scales,
    /// Places of the numbers that count.
    picked: Vec<usize>,
    metric: Metric,
    edge: f64,
    last: Vec<f64>,
}

impl Mahalanobis {
    fn values(&self, row: &[f64]) -> Vec<f64> {
        select(&self.scales.of(row), &self.picked)
    }
}

/// Some of a row's z-values, clamped.
pub(crate) fn select(z: &[f64], picked: &[usize]) -> Vec<f64> {
    picked.iter().map(|at| z.get(*at).copied().unwrap_or(0.0).clamp(-CLAMP, CLAMP)).collect()
}

/// Parts of some numbers, as shares of all.
pub(crate) fn spread_out(width: usize, picked: &[usize], parts: Vec<f64>) -> Vec<f64> {
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
        let picked = picked(layout, &scales, MOST);
        *self = Self { scales, picked, metric: Metric::default(), edge: 0.0, last: vec![0.0; layout.width()] };
        if !self.picked.is_empty() {
            let rows: Vec<Vec<f64>> = rows.iter().map(|row| self.values(row)).collect();
            self.metric = Metric::shrunk(&rows);
        }
    }

    fn distance(&self, row: &[f64]) -> f64 {
        self.metric.squared(&self.values(row)).sqrt()
    }

    fn predicted(&self) -> f64 {
        special::chi_squared_quantile(WITHIN, rows::count(self.picked.len().max(1))).sqrt()
    }

    fn parts(&self, row: &[f64]) -> Vec<f64> {
        spread_out(self.scales.len(), &self.picked, self.metric.parts(&self.values(row)))
    }
}

impl Detector for Mahalanobis {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable(layout, rows, LEAST_ROWS)?;
        self.learn(layout, &rows);
        self.edge = rows::edge(self.predicted(), rows.iter().map(|row| self.distance(row)));
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        self.last = self.parts(row);
        rows::ratio(self.distance(row), self.edge)
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

/// Ledoit and Wolf's estimate of the covariance of centred rows.
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
        // What is missing goes with what is there, but stays within what is normal.
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
