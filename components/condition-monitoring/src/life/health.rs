//! A health index that needs no observed failure: the distance of the unit from its own beginning.

use serde::{Deserialize, Serialize};

use crate::stats::{mean, standard_deviation};

/// Largest distance of a sensor that counts, in standard deviations.
const MAX_DEVIATIONS: f64 = 30.0;

/// Mean and spread of each sensor in the first windows of a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthBaseline {
    /// Column, mean and standard deviation of each sensor.
    sensors: Vec<(usize, f64, f64)>,
}

impl HealthBaseline {
    /// Fits the first windows of a unit. Omits sensors with at most a quarter as many distinct values as windows
    /// (constants and step counters). Returns `None` for fewer than 8 windows or when no sensor remains.
    #[must_use]
    pub fn fit(rows: &[&[f64]]) -> Option<Self> {
        let width = rows.first()?.len();
        if rows.len() < 8 || rows.iter().any(|row| row.len() != width) {
            return None;
        }
        let sensors: Vec<(usize, f64, f64)> = (0..width)
            .filter_map(|column| {
                let mut values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
                let (middle, spread) = (mean(&values), standard_deviation(&values));
                values.sort_by(f64::total_cmp);
                values.dedup();
                (spread > 1e-9 * middle.abs().max(1.0) && values.len() > rows.len() / 4)
                    .then_some((column, middle, spread))
            })
            .collect();
        (!sensors.is_empty()).then_some(Self { sensors })
    }

    /// Returns sqrt(mean z²) over the sensors: about 1 while the unit is unchanged.
    #[must_use]
    pub fn index(&self, row: &[f64]) -> f64 {
        let sum: f64 = self
            .sensors
            .iter()
            .filter_map(|(column, middle, spread)| {
                row.get(*column).map(|value| ((value - middle) / spread).clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS).powi(2))
            })
            .sum();
        (sum / self.sensors.len() as f64).sqrt()
    }
}
