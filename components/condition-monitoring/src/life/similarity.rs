//! Regression by similarity to snapshots of the library: ridge regression on the features and on their Gaussian
//! similarities to landmarks. Landmarks are snapshots of the units, evenly spread over remaining life (kernel ridge
//! regression after Nyström: Williams & Seeger 2001; similarity-based prognostics: Wang et al. 2008). Deterministic.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::tracker::FEATURE_COUNT;
use crate::stats::{mean, standard_deviation};

/// Largest number of landmarks.
const MAX_LANDMARKS: usize = 250;
/// Kernel width, in standard deviations per feature: exp(−d² / (2 · KERNEL_WIDTH² · features)).
const KERNEL_WIDTH: f64 = 1.0;
/// Candidate ridge penalties per row; a small library needs a larger one.
pub const PENALTIES: [f64; 4] = [1e-4, 1e-3, 1e-2, 1e-1];
/// Standardised features are clamped to this many standard deviations.
const MAX_DEVIATIONS: f64 = 4.0;

/// A fitted regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimilarityRegression {
    mean: [f64; FEATURE_COUNT],
    scale: [f64; FEATURE_COUNT],
    landmarks: Vec<[f64; FEATURE_COUNT]>,
    weights: Vec<f64>,
    offset: f64,
}

impl SimilarityRegression {
    /// Fits `targets` on `rows`, once for each of `penalties`. Returns `None` for fewer than 16 rows or when the
    /// equations have no solution.
    #[must_use]
    pub fn fit(rows: &[[f64; FEATURE_COUNT]], targets: &[f64], penalties: &[f64]) -> Option<Vec<Self>> {
        if rows.len() < 16 || rows.len() != targets.len() {
            return None;
        }
        let (mut middle, mut scale) = ([0.0; FEATURE_COUNT], [1.0; FEATURE_COUNT]);
        for feature in 0..FEATURE_COUNT {
            let column: Vec<f64> = rows.iter().map(|row| row[feature]).collect();
            middle[feature] = mean(&column);
            scale[feature] = standard_deviation(&column).max(1e-12);
        }
        let mut model = Self { mean: middle, scale, landmarks: Vec::new(), weights: Vec::new(), offset: mean(targets) };
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| targets[*a].total_cmp(&targets[*b]));
        let count = MAX_LANDMARKS.min(rows.len() / 4);
        model.landmarks = (0..count)
            .map(|index| model.standardise(&rows[order[index * (rows.len() - 1) / (count - 1).max(1)]]))
            .collect();
        let width = FEATURE_COUNT + count;
        let mut design = DMatrix::<f64>::zeros(rows.len(), width);
        for (index, row) in rows.iter().enumerate() {
            for (column, value) in model.design_row(row).enumerate() {
                design[(index, column)] = value;
            }
        }
        let centres: Vec<f64> = design.column_iter().map(|column| column.mean()).collect();
        for (mut column, centre) in design.column_iter_mut().zip(&centres) {
            column.add_scalar_mut(-centre);
        }
        let share = 1.0 / rows.len() as f64;
        let right = DVector::from_iterator(rows.len(), targets.iter().map(|target| target - model.offset));
        let gram = design.tr_mul(&design) * share;
        let right = design.tr_mul(&right) * share;
        penalties
            .iter()
            .map(|penalty| {
                let mut gram = gram.clone();
                for diagonal in 0..width {
                    gram[(diagonal, diagonal)] += penalty;
                }
                let solution = gram.cholesky()?.solve(&right);
                let mut fitted = model.clone();
                fitted.offset -= solution.iter().zip(&centres).map(|(weight, centre)| weight * centre).sum::<f64>();
                fitted.weights = solution.iter().copied().collect();
                Some(fitted)
            })
            .collect()
    }

    /// Returns the predicted remaining life for one row of features.
    #[must_use]
    pub fn predict(&self, row: &[f64; FEATURE_COUNT]) -> f64 {
        self.offset + self.design_row(row).zip(&self.weights).map(|(value, weight)| value * weight).sum::<f64>()
    }

    fn standardise(&self, row: &[f64; FEATURE_COUNT]) -> [f64; FEATURE_COUNT] {
        std::array::from_fn(|feature| {
            ((row[feature] - self.mean[feature]) / self.scale[feature]).clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS)
        })
    }

    fn design_row(&self, row: &[f64; FEATURE_COUNT]) -> impl Iterator<Item = f64> {
        let standardised = self.standardise(row);
        let precision = 1.0 / (2.0 * KERNEL_WIDTH * KERNEL_WIDTH * FEATURE_COUNT as f64);
        standardised.into_iter().chain(self.landmarks.iter().map(move |landmark| {
            let square: f64 = standardised.iter().zip(landmark).map(|(a, b)| (a - b) * (a - b)).sum();
            (-square * precision).exp()
        }))
    }
}
