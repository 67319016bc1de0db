//! Robust z-score: the sensor that stands out most, by the root mean square of its three largest z-values. One feature
//! alone can be chance; three of a sensor seldom are.

use serde::{Deserialize, Serialize};

use super::{Detector, edge};

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ZScore {
    columns: usize,
    edge: f64,
}

/// How many of a sensor's z-values count.
const LARGEST: usize = 3;
/// Beyond so many scales three features of a sensor are together seldom, in normal noise.
const PREDICTED: f64 = 4.5;

impl ZScore {
    fn distance(&self, window: &[f64]) -> f64 {
        window.chunks(self.columns.max(1)).map(of_sensor).fold(0.0, f64::max)
    }
}

fn of_sensor(values: &[f64]) -> f64 {
    let mut largest = [0.0; LARGEST];
    for value in values.iter().map(|value| value.abs()) {
        if let Some(place) = largest.iter().position(|&kept| value > kept) {
            largest[place..].rotate_right(1);
            largest[place] = value;
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "3")]
    (largest.iter().map(|value| value * value).sum::<f64>() / LARGEST as f64).sqrt()
}

impl Detector for ZScore {
    fn fit(&mut self, windows: &[Vec<f64>], columns: usize) {
        self.columns = columns;
        self.edge = edge(PREDICTED, windows.iter().map(|window| self.distance(window)));
    }
    fn ratio(&self, window: &[f64]) -> f64 {
        if self.edge > 0.0 { self.distance(window) / self.edge } else { 0.0 }
    }
    fn weights(&self, window: &[f64]) -> Vec<f64> {
        window.iter().map(|value| value * value).collect()
    }
}
