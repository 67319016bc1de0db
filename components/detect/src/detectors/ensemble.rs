//! The ensemble: the larger of the z-score's and the Mahalanobis ratio, each of which is 1 at its own edge. The one sees a
//! sensor that stands out, the other sensors that do not fit together.

use serde::{Deserialize, Serialize};

use super::{Detector, Mahalanobis, ZScore};

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ensemble {
    zscore: ZScore,
    mahalanobis: Mahalanobis,
}

impl Detector for Ensemble {
    fn fit(&mut self, windows: &[Vec<f64>], columns: usize) {
        self.zscore.fit(windows, columns);
        self.mahalanobis.fit(windows, columns);
    }
    fn ratio(&self, window: &[f64]) -> f64 {
        self.zscore.ratio(window).max(self.mahalanobis.ratio(window))
    }
    fn weights(&self, window: &[f64]) -> Vec<f64> {
        if self.zscore.ratio(window) >= self.mahalanobis.ratio(window) {
            self.zscore.weights(window)
        } else {
            self.mahalanobis.weights(window)
        }
    }
}
