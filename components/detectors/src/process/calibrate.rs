//! Scatter of the deviations in the fitted rows, corrected for rows that were not fitted.
//!
//! The matrix that adjusts deviations is fitted to the rows on which it is measured, and the effect grows with the
//! number of features. So it is fitted again without one block of rows at a time and without the neighbouring rows,
//! which are correlated (blocked cross-validation, P. Burman, E. Chow, D. Nolan, "A cross-validatory method for
//! dependent data", Biometrika 1994). The adjusted deviations of a feature are divided by their root mean square in the
//! left-out blocks, if that is above 1. The sum of the resulting deviations is compared with the limit in the same way.

use super::{whiten, whiten::SquareMatrix};
use crate::rows;

/// Most blocks of the cross-validation.
const MAX_FOLDS: usize = 8;
/// Most rows on either side of a block that are left out with it.
const MAX_GAP: usize = 30;
/// Smallest share of the identity in the shrunk correlation.
const MIN_SHRINKAGE: f64 = 0.1;
/// Share of the variance of smoothed white noise that is added to each variance.
const NOISE_SHARE: f64 = 0.3;
/// The limit of the sum is at least this many times the 99 % quantile of the cross-validated rows.
const MARGIN: f64 = 2.0;

/// Measurements in the fitted rows.
pub(crate) struct CalibrationData<'a> {
    /// Deviations of the smoothed features from the reference, one series per feature.
    pub(crate) deviations: &'a [Vec<f64>],
    /// White noise of the features before smoothing.
    pub(crate) noises: &'a [f64],
    /// Independent values per row, `λ / (2 − λ)`.
    pub(crate) independent_per_row: f64,
}

/// Result of the calibration.
pub(crate) struct Calibration {
    /// Standard deviation of each feature's deviation.
    pub(crate) scatter: Vec<f64>,
    /// Matrix that adjusts deviations in units of the scatter.
    pub(crate) adjustment: SquareMatrix,
    /// Divisor of the sum that makes normal rows stay below the limit.
    pub(crate) sum_divisor: f64,
}

impl CalibrationData<'_> {
    fn fit_adjustment(&self, left_out: std::ops::Range<usize>) -> (Vec<f64>, SquareMatrix) {
        let remaining = |values: &Vec<f64>| -> Vec<f64> {
            values.iter().enumerate().filter(|(at, _)| !left_out.contains(at)).map(|(_, value)| *value).collect()
        };
        let deviations: Vec<Vec<f64>> = self.deviations.iter().map(remaining).collect();
        let floor: Vec<f64> =
            self.noises.iter().map(|noise| self.independent_per_row * NOISE_SHARE * (noise * noise).max(0.1)).collect();
        let (matrix, scatter) = whiten::correlation(&deviations, &floor);
        let rows = deviations.first().map_or(0, Vec::len);
        let share = whiten::shrinkage(deviations.len(), rows, MIN_SHRINKAGE);
        (scatter, matrix.shrunk(share).adjustment())
    }

    /// Returns the adjusted deviations of one row.
    fn adjusted_row(&self, row: usize, scatter: &[f64], adjustment: &SquareMatrix) -> Vec<f64> {
        let value = |(series, scatter): (&Vec<f64>, &f64)| series.get(row).copied().unwrap_or(0.0) / scatter;
        let unit: Vec<f64> = self.deviations.iter().zip(scatter).map(value).collect();
        adjustment.mul_vector(&unit).collect()
    }

    pub(crate) fn calibrate(&self, deadband: f64, limit: f64) -> Calibration {
        let rows = self.deviations.first().map_or(0, Vec::len);
        let blocks = MAX_FOLDS.min(rows / 12).max(3);
        let gap = MAX_GAP.min(rows / 8);
        let mut validated = Vec::with_capacity(rows);
        for block in 0..blocks {
            let (from, to) = (block * rows / blocks, (block + 1) * rows / blocks);
            let (scatter, adjustment) = self.fit_adjustment(from.saturating_sub(gap)..(to + gap).min(rows));
            validated.extend((from..to).map(|row| self.adjusted_row(row, &scatter, &adjustment)));
        }
        let mut squares = vec![0.0; self.deviations.len()];
        for row in &validated {
            for (square, value) in squares.iter_mut().zip(row) {
                *square += value * value / rows::to_float(rows.max(1));
            }
        }
        let excess: Vec<f64> = squares.iter().map(|square| square.sqrt().max(1.0)).collect();
        let sum = |row: &Vec<f64>| -> f64 {
            row.iter().zip(&excess).map(|(value, excess)| ((value / excess).abs() - deadband).max(0.0).powi(2)).sum()
        };
        let sums: Vec<f64> = validated.iter().map(sum).collect();
        let (scatter, mut adjustment) = self.fit_adjustment(0..0);
        adjustment.divide_rows(&excess);
        Calibration { scatter, adjustment, sum_divisor: (MARGIN * rows::quantile(&sums, 0.99) / limit).max(1.0) }
    }
}
