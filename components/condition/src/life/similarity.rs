//! Regression by similarity to snapshots of the library: ridge regression on the features and on their Gaussian
//! similarities to landmarks. Landmarks are snapshots of the units, evenly spread over remaining life (kernel ridge
//! regression after Nyström: Williams & Seeger 2001; similarity-based prognostics: Wang et al. 2008). Deterministic.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::tracker::FEATURES;
use crate::stats::{deviation, mean};

/// Largest number of landmarks.
const LANDMARKS: usize = 250;
/// Kernel width, in standard deviations per feature: exp(−d² / (2 · KERNEL_WIDTH² · features)).
const WIDTH: f64 = 1.0;
/// Candidate ridge penalties per row; a small library needs a larger one.
pub const PENALTIES: [f64; 4] = [1e-4, 1e-3, 1e-2, 1e-1];
/// Standardised features are clamped to this many standard deviations.
const CLIP: f64 = 4.0;

/// A fitted regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Similarity {
    middle: [f64; FEATURES],
    scale: [f64; FEATURES],
    landmarks: Vec<[f64; FEATURES]>,
    weights: Vec<f64>,
    offset: f64,
}

impl Similarity {
    /// Fits `targets` on `rows`, once for each of `penalties`. Returns `None` for fewer than 16 rows or when the
    /// equations have no solution.
    #[must_use]
    pub fn fit(rows: &[[f64; FEATURES]], targets: &[f64], penalties: &[f64]) -> Option<Vec<Self>> {
        if rows.len() < 16 || rows.len() != targets.len() {
            return None;
        }
        let (mut middle, mut scale) = ([0.0; FEATURES], [1.0; FEATURES]);
        for feature in 0..FEATURES {
            let column: Vec<f64> = rows.iter().map(|row| row[feature]).collect();
            middle[feature] = mean(&column);
            scale[feature] = deviation(&column).max(1e-12);
        }
        let mut model = Self { middle, scale, landmarks: Vec::new(), weights: Vec::new(), offset: mean(targets) };
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| targets[*a].total_cmp(&targets[*b]));
        let count = LANDMARKS.min(rows.len() / 4);
        model.landmarks = (0..count)
            .map(|index| model.standard(&rows[order[index * (rows.len() - 1) / (count - 1).max(1)]]))
            .collect();
        let width = FEATURES + count;
        let mut design = DMatrix::<f64>::zeros(rows.len(), width);
        for (index, row) in rows.iter().enumerate() {
            for (column, value) in model.columns(row).enumerate() {
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
    pub fn predict(&self, row: &[f64; FEATURES]) -> f64 {
        self.offset + self.columns(row).zip(&self.weights).map(|(value, weight)| value * weight).sum::<f64>()
    }

    fn standard(&self, row: &[f64; FEATURES]) -> [f64; FEATURES] {
        std::array::from_fn(|feature| ((row[feature] - self.middle[feature]) / self.scale[feature]).clamp(-CLIP, CLIP))
    }

    fn columns(&self, row: &[f64; FEATURES]) -> impl Iterator<Item = f64> {
        let standardised = self.standard(row);
        let precision = 1.0 / (2.0 * WIDTH * WIDTH * FEATURES as f64);
        standardised.into_iter().chain(self.landmarks.iter().map(move |landmark| {
            let square: f64 = standardised.iter().zip(landmark).map(|(a, b)| (a - b) * (a - b)).sum();
            (-square * precision).exp()
        }))
    }
}
