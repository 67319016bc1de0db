//! Correlations between features, and each feature minus its expectation given the others.
//!
//! With the correlation `R` of the deviations `u` and `P = R⁻¹`, `(P u)ⱼ / √Pⱼⱼ` is the residual of feature `j`
//! regressed on all others, divided by its standard deviation (D. Hawkins, "Multivariate quality control based on
//! regression-adjusted variables", Technometrics 1991). This is the statistic in which a shift of one feature shows
//! best. `R` is shrunk towards the identity.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::rows;

/// A square matrix in row-major order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SquareMatrix {
    size: usize,
    values: Vec<f64>,
}

impl SquareMatrix {
    fn from_fn(size: usize, mut value: impl FnMut(usize, usize) -> f64) -> Self {
        let values = (0..size * size).map(|at| value(at / size.max(1), at % size.max(1))).collect();
        Self { size, values }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks(self.size.max(1))
    }

    /// Product with a vector.
    pub(crate) fn mul_vector<'a>(&'a self, vector: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.rows().map(move |row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
    }

    /// Divides column `j` by `by[j]`.
    pub(crate) fn divide_columns(&mut self, by: &[f64]) {
        for row in self.values.chunks_mut(self.size.max(1)) {
            for (value, by) in row.iter_mut().zip(by) {
                *value /= by;
            }
        }
    }

    /// Divides row `j` by `by[j]`.
    pub(crate) fn divide_rows(&mut self, by: &[f64]) {
        for (row, by) in self.values.chunks_mut(self.size.max(1)).zip(by) {
            for value in row {
                *value /= by;
            }
        }
    }

    /// Shrinks the matrix towards the identity: `(1 − share) R + share I`.
    pub(crate) fn shrunk(&self, share: f64) -> Self {
        Self::from_fn(self.size, |row, column| {
            let value = self.values.get(row * self.size + column).copied().unwrap_or(0.0);
            (1.0 - share) * value + if row == column { share } else { 0.0 }
        })
    }

    /// Computes `P / √Pⱼⱼ` row by row for a positive definite correlation; the identity for any other.
    pub(crate) fn adjustment(&self) -> Self {
        let at = |row: usize, column: usize| self.values.get(row * self.size + column).copied().unwrap_or(0.0);
        let matrix = DMatrix::from_fn(self.size, self.size, at);
        let inverse = matrix.cholesky().map(|factor| factor.inverse());
        let Some(inverse) = inverse.filter(|inverse| inverse.iter().all(|value| value.is_finite())) else {
            return Self::from_fn(self.size, |row, column| f64::from(u8::from(row == column)));
        };
        let of = |row: usize, column: usize| inverse.get((row, column)).copied().unwrap_or(0.0);
        Self::from_fn(self.size, |row, column| of(row, column) / of(row, row).max(f64::MIN_POSITIVE).sqrt())
    }
}

/// Share of the identity: at least `min`, and more the fewer rows there are per feature.
pub(crate) fn shrinkage(features: usize, rows: usize, min: f64) -> f64 {
    (rows::to_float(features) / rows::to_float((features + rows).max(1))).max(min)
}

/// Second moments around 0, with `diagonal` added on the diagonal, as correlation and scales.
pub(crate) fn correlation(series: &[Vec<f64>], diagonal: &[f64]) -> (SquareMatrix, Vec<f64>) {
    let rows = rows::to_float(series.first().map_or(0, Vec::len).max(1));
    let moment = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / rows;
    let scales: Vec<f64> = series
        .iter()
        .zip(diagonal)
        .map(|(values, offset)| (moment(values, values) + offset).max(f64::MIN_POSITIVE).sqrt())
        .collect();
    let unit: Vec<Vec<f64>> =
        series.iter().zip(&scales).map(|(values, scale)| values.iter().map(|value| value / scale).collect()).collect();
    let of = |row: usize, column: usize| match (unit.get(row), unit.get(column)) {
        _ if row == column => 1.0,
        (Some(a), Some(b)) => moment(a, b),
        _ => 0.0,
    };
    let mut matrix =
        SquareMatrix::from_fn(series.len(), |row, column| if row <= column { of(row, column) } else { 0.0 });
    let upper = matrix.values.clone();
    let size = series.len();
    matrix = SquareMatrix::from_fn(size, |row, column| {
        upper.get(row.min(column) * size + row.max(column)).copied().unwrap_or(0.0)
    });
    (matrix, scales)
}

/// Returns the series minus their means.
pub(crate) fn centered(series: &[Vec<f64>]) -> Vec<Vec<f64>> {
    series
        .iter()
        .map(|values| {
            let mean = rows::mean(values);
            values.iter().map(|value| value - mean).collect()
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use super::super::smooth::Smoother;
    use super::{correlation, shrinkage};
    use crate::rows;

    /// Reference values of NumPy, pandas, SciPy and scikit-learn, from the research prototype's `py/fixture.py`.
    #[derive(serde::Deserialize)]
    struct Reference {
        series: Vec<Vec<f64>>,
        correlation: Vec<Vec<f64>>,
        regression_adjusted: Vec<Vec<f64>>,
        shrunk: Vec<Vec<f64>>,
        shrunk_mahalanobis_squared: Vec<f64>,
        shrunk_precision_diagonal: Vec<f64>,
        quantiles: Vec<(f64, f64)>,
        median: f64,
        std: f64,
        ewma: Vec<f64>,
    }

    fn reference() -> Reference {
        serde_json::from_str(include_str!("../../tests/data/process_reference.json")).unwrap()
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{a} is not {b}");
    }

    fn row(series: &[Vec<f64>], at: usize) -> Vec<f64> {
        series.iter().filter_map(|values| values.get(at).copied()).collect()
    }

    #[test]
    fn correlation_and_shrinkage_match_scikit_learn() {
        let reference = reference();
        let (matrix, scales) = correlation(&reference.series, &[0.0; 4]);
        scales.iter().for_each(|scale| close(*scale, 1.0));
        for (row, expected) in matrix.rows().zip(&reference.correlation) {
            row.iter().zip(expected).for_each(|(a, b)| close(*a, *b));
        }
        for (row, expected) in matrix.shrunk(0.2).rows().zip(&reference.shrunk) {
            row.iter().zip(expected).for_each(|(a, b)| close(*a, *b));
        }
        close(shrinkage(10, 90, 0.05), 0.1);
    }

    #[test]
    fn adjusted_deviations_match_the_residuals_of_scikit_learn() {
        let reference = reference();
        let adjustment = correlation(&reference.series, &[0.0; 4]).0.adjustment();
        for (at, expected) in reference.regression_adjusted.iter().enumerate() {
            adjustment.mul_vector(&row(&reference.series, at)).zip(expected).for_each(|(a, b)| close(a, *b));
        }
    }

    #[test]
    fn adjusted_deviations_give_the_mahalanobis_distance_of_scipy() {
        let reference = reference();
        let adjustment = correlation(&reference.series, &[0.0; 4]).0.shrunk(0.2).adjustment();
        for (at, expected) in reference.shrunk_mahalanobis_squared.iter().enumerate() {
            let row = row(&reference.series, at);
            let parts = adjustment.mul_vector(&row).zip(&row).zip(&reference.shrunk_precision_diagonal);
            close(parts.map(|((adjusted, value), precision)| value * adjusted * precision.sqrt()).sum(), *expected);
        }
    }

    #[test]
    fn a_matrix_without_an_inverse_adjusts_nothing() {
        let twice = vec![vec![1.0, -1.0, 1.0], vec![1.0, -1.0, 1.0]];
        let adjustment = correlation(&twice, &[0.0; 2]).0.adjustment();
        let adjusted: Vec<f64> = adjustment.mul_vector(&[2.0, 3.0]).collect();
        assert!(adjusted.iter().all(|value| value.is_finite()), "{adjusted:?}");
    }

    #[test]
    fn order_statistics_match_numpy() {
        let reference = reference();
        let first = reference.series.first().unwrap();
        for (share, expected) in &reference.quantiles {
            close(rows::quantile(first, *share), *expected);
        }
        close(rows::median(first), reference.median);
        close(rows::deviation(reference.series.get(1).unwrap()), reference.std);
    }

    #[test]
    fn smoothing_within_the_bound_matches_pandas() {
        let reference = reference();
        let mut smoother = Smoother::new(&reference.series, &[1.0; 4], 0.1);
        for (at, expected) in reference.ewma.iter().enumerate() {
            smoother.step(&row(&reference.series, at));
            close(smoother.levels().next().unwrap(), *expected);
        }
    }
}
