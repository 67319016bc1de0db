//! The scatter of the deviations in the fitted rows, and what of it holds for rows that were not fitted.
//!
//! The matrix that adjusts deviations is fitted to what it is measured on, all the more the more features there are. So it
//! is fitted again without one block of rows at a time (and without those next to it, which are alike: blocked
//! cross-validation, P. Burman, E. Chow, D. Nolan, "A cross-validatory method for dependent data", Biometrika 1994), and
//! the adjusted deviations in that block are divided by what makes their root mean square 1, if it was larger. What the
//! sum of those deviations then reaches is compared with the limit likewise.

use super::{whiten, whiten::Square};
use crate::rows;

/// Blocks left out in turn, at most.
const BLOCKS: usize = 8;
/// Rows next to a block that are left out with it, at most.
const GAP: usize = 30;
/// Least share of the identity.
const SHRUNK: f64 = 0.1;
/// Variance that white noise would have if smoothed, of which this share is added.
const FLOOR: f64 = 0.3;
/// The sum's limit is at least so many times what all but 1 in 100 cross-validated rows reach.
const ROOM: f64 = 2.0;

/// What is measured in the fitted rows.
pub(crate) struct Fitted<'a> {
    /// Deviations of the smoothed features from the reference, one series a feature.
    pub(crate) deviations: &'a [Vec<f64>],
    /// White noise of the features before they are smoothed.
    pub(crate) noises: &'a [f64],
    /// λ / (2 − λ).
    pub(crate) independent: f64,
}

/// What is learnt from it.
pub(crate) struct Calibration {
    /// Standard deviation of each feature's deviation.
    pub(crate) scatter: Vec<f64>,
    /// Adjusts deviations in units of the scatter.
    pub(crate) adjusting: Square,
    /// Makes the sum of new rows keep the limit.
    pub(crate) room: f64,
}

impl Fitted<'_> {
    fn adjusting(&self, left_out: std::ops::Range<usize>) -> (Vec<f64>, Square) {
        let kept = |values: &Vec<f64>| -> Vec<f64> {
            values.iter().enumerate().filter(|(at, _)| !left_out.contains(at)).map(|(_, value)| *value).collect()
        };
        let deviations: Vec<Vec<f64>> = self.deviations.iter().map(kept).collect();
        let floor: Vec<f64> =
            self.noises.iter().map(|noise| self.independent * FLOOR * (noise * noise).max(0.1)).collect();
        let (matrix, scatter) = whiten::correlation(&deviations, &floor);
        let rows = deviations.first().map_or(0, Vec::len);
        let share = whiten::shrinkage(deviations.len(), rows, SHRUNK);
        (scatter, matrix.shrunk(share).adjusting())
    }

    /// Adjusted deviations of one row.
    fn adjusted(&self, row: usize, scatter: &[f64], adjusting: &Square) -> Vec<f64> {
        let value = |(series, scatter): (&Vec<f64>, &f64)| series.get(row).copied().unwrap_or(0.0) / scatter;
        let unit: Vec<f64> = self.deviations.iter().zip(scatter).map(value).collect();
        adjusting.times(&unit).collect()
    }

    pub(crate) fn calibrate(&self, deadband: f64, limit: f64) -> Calibration {
        let rows = self.deviations.first().map_or(0, Vec::len);
        let blocks = BLOCKS.min(rows / 12).max(3);
        let gap = GAP.min(rows / 8);
        let mut validated = Vec::with_capacity(rows);
        for block in 0..blocks {
            let (from, to) = (block * rows / blocks, (block + 1) * rows / blocks);
            let (scatter, adjusting) = self.adjusting(from.saturating_sub(gap)..(to + gap).min(rows));
            validated.extend((from..to).map(|row| self.adjusted(row, &scatter, &adjusting)));
        }
        let mut squares = vec![0.0; self.deviations.len()];
        for row in &validated {
            for (square, value) in squares.iter_mut().zip(row) {
                *square += value * value / rows::count(rows.max(1));
            }
        }
        let excess: Vec<f64> = squares.iter().map(|square| square.sqrt().max(1.0)).collect();
        let sum = |row: &Vec<f64>| -> f64 {
            row.iter().zip(&excess).map(|(value, excess)| ((value / excess).abs() - deadband).max(0.0).powi(2)).sum()
        };
        let sums: Vec<f64> = validated.iter().map(sum).collect();
        let (scatter, mut adjusting) = self.adjusting(0..0);
        adjusting.divide_rows(&excess);
        Calibration { scatter, adjusting, room: (ROOM * rows::quantile(&sums, 0.99) / limit).max(1.0) }
    }
}
