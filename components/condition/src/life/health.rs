//! A health index without any failure seen: distance from the unit's own beginning.

use serde::{Deserialize, Serialize};

use crate::stats::{deviation, mean};

/// Deviations at which a sensor's distance is held.
const CLIP: f64 = 30.0;

/// A unit's beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beginning {
    /// Column, mean, deviation.
    sensors: Vec<(usize, f64, f64)>,
}

impl Beginning {
    /// From the unit's first windows. Sensors that take fewer values than a quarter of the windows are left out
    /// (constant, or a step counter). None for fewer than 8 windows or when no sensor is left.
    #[must_use]
    pub fn fit(rows: &[&[f64]]) -> Option<Self> {
        let width = rows.first()?.len();
        if rows.len() < 8 || rows.iter().any(|row| row.len() != width) {
            return None;
        }
        let sensors: Vec<(usize, f64, f64)> = (0..width)
            .filter_map(|column| {
                let mut values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
                let (middle, spread) = (mean(&values), deviation(&values));
                values.sort_by(f64::total_cmp);
                values.dedup();
                (spread > 1e-9 * middle.abs().max(1.0) && values.len() > rows.len() / 4)
                    .then_some((column, middle, spread))
            })
            .collect();
        (!sensors.is_empty()).then_some(Self { sensors })
    }

    /// sqrt(mean z²) over the sensors: about 1 while the unit is as in the beginning.
    #[must_use]
    pub fn index(&self, row: &[f64]) -> f64 {
        let sum: f64 = self
            .sensors
            .iter()
            .filter_map(|(column, middle, spread)| {
                row.get(*column).map(|value| ((value - middle) / spread).clamp(-CLIP, CLIP).powi(2))
            })
            .sum();
        (sum / self.sensors.len() as f64).sqrt()
    }
}
