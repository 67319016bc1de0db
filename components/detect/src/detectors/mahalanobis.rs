//! Mahalanobis distance: how unusual the sensors are together, such as a current that falls while the flow rises.
//!
//! Of each sensor the level (first column) and the spread (fourth column: `std`) count. The covariance is shrunk towards
//! the identity (O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004), as
//! there are few windows to learn from.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::{Detector, edge};

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mahalanobis {
    /// Places of the z-values that count.
    picked: Vec<usize>,
    mean: Vec<f64>,
    /// Inverse of the covariance, row by row.
    precision: Vec<f64>,
    edge: f64,
}

/// The columns of a sensor that count.
const COLUMNS: [usize; 2] = [0, 3];
/// At most so many z-values count; the work grows with the square.
const MOST: usize = 40;
/// One z-value counts up to here: what is far out for itself is the z-score's to find.
const CLAMP: f64 = 20.0;

impl Mahalanobis {
    fn centered(&self, window: &[f64]) -> Vec<f64> {
        let value = |at: &usize| window.get(*at).copied().unwrap_or(0.0).clamp(-CLAMP, CLAMP);
        self.picked.iter().zip(&self.mean).map(|(at, mean)| value(at) - mean).collect()
    }

    /// Each z-value's part of the squared distance.
    fn parts(&self, window: &[f64]) -> Vec<f64> {
        let from = self.centered(window);
        let row = |at: usize| self.precision.iter().skip(at * from.len()).zip(&from).map(|(a, b)| a * b).sum::<f64>();
        from.iter().enumerate().map(|(at, value)| value * row(at)).collect()
    }

    fn distance(&self, window: &[f64]) -> f64 {
        self.parts(window).iter().sum::<f64>().max(0.0).sqrt()
    }
}

impl Detector for Mahalanobis {
    #[allow(clippy::cast_precision_loss, reason = "counts")]
    fn fit(&mut self, windows: &[Vec<f64>], columns: usize) {
        let length = windows.first().map_or(0, Vec::len);
        let sensors = length / columns.max(1);
        self.picked = (0..sensors)
            .flat_map(|sensor| COLUMNS.map(|column| sensor * columns + column))
            .filter(|&at| at < length)
            .take(MOST)
            .collect();
        self.mean = vec![0.0; self.picked.len()];
        let (count, width) = (windows.len(), self.picked.len());
        if count < 2 || width == 0 {
            self.edge = 0.0;
            return;
        }
        let rows: Vec<Vec<f64>> = windows.iter().map(|window| self.centered(window)).collect();
        for row in &rows {
            for (mean, value) in self.mean.iter_mut().zip(row) {
                *mean += value / count as f64;
            }
        }
        let data = DMatrix::from_fn(count, width, |row, column| {
            rows.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0.0)
                - self.mean.get(column).copied().unwrap_or(0.0)
        });
        let covariance = shrunk(&data);
        // Shrinkage leaves it positive definite; were it not, each value would stand for itself.
        let precision =
            covariance.cholesky().map_or_else(|| DMatrix::identity(width, width), |factor| factor.inverse());
        self.precision = precision.transpose().iter().copied().collect();
        // Wilson and Hilferty's cube root gives the chi-square quantile; 3.09 is the normal one of 0.999.
        let degrees = width as f64;
        let spread = 2.0 / (9.0 * degrees);
        let predicted = (degrees * (1.0 - spread + 3.09 * spread.sqrt()).powi(3)).sqrt();
        self.edge = edge(predicted, windows.iter().map(|window| self.distance(window)));
    }
    fn ratio(&self, window: &[f64]) -> f64 {
        if self.edge > 0.0 { self.distance(window) / self.edge } else { 0.0 }
    }
    fn weights(&self, window: &[f64]) -> Vec<f64> {
        let mut weights = vec![0.0; window.len()];
        for (at, part) in self.picked.iter().zip(self.parts(window)) {
            if let Some(weight) = weights.get_mut(*at) {
                *weight = part.max(0.0);
            }
        }
        weights
    }
}

/// Ledoit and Wolf's estimate of the covariance of centred rows.
#[allow(clippy::cast_precision_loss, reason = "counts")]
fn shrunk(data: &DMatrix<f64>) -> DMatrix<f64> {
    let (count, width) = (data.nrows() as f64, data.ncols());
    let sample = data.transpose() * data / count;
    let level = (sample.trace() / width as f64).max(1e-12);
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
