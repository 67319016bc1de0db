//! A health index by monotone fusion. It selects the sensors that rise or fall with age in every unit, flips the
//! falling ones, and combines them with non-negative weights so that the index runs from 0 (healthy) to 1 (failed).

use serde::{Deserialize, Serialize};

use super::history::RunToFailure;
use crate::stats::{mean, standard_deviation};

/// Smallest mean |correlation with age| of a selected sensor (its monotonicity/trendability: Coble & Hines 2009).
const MIN_TREND: f64 = 0.4;
/// Smallest share of the units in which a selected sensor trends in the same direction.
const MIN_AGREEMENT: f64 = 0.95;

/// A fusion fitted on runs to failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fusion {
    sensors: Vec<FusedSensor>,
    offset: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct FusedSensor {
    column: usize,
    mean: f64,
    /// Standard deviation in early life; negative for a sensor that falls with age.
    scale: f64,
    weight: f64,
}

impl Fusion {
    /// Fits the fusion. A unit counts as healthy while its remaining life is at least `horizon` windows; the first
    /// `early` windows of each unit are the reference. Solves min Σ (Σ wⱼ zⱼ + b − (1 − min(RUL, h)/h))² for wⱼ ≥ 0 by
    /// coordinate descent. Returns `None` when no sensor qualifies or the units have different numbers of sensors.
    #[must_use]
    pub fn fit(units: &[&RunToFailure], horizon: f64, early: usize) -> Option<Self> {
        let width = units.first()?.sensor_count();
        if units.iter().any(|unit| unit.sensor_count() != width) {
            return None;
        }
        let mut sensors: Vec<FusedSensor> =
            (0..width).filter_map(|column| select_sensor(units, column, early)).collect();
        if sensors.is_empty() {
            return None;
        }
        // Normal equations of the standardised sensors and a constant.
        let size = sensors.len() + 1;
        let (mut gram, mut right, mut count) = (vec![0.0; size * size], vec![0.0; size], 0.0);
        let mut z = vec![1.0; size];
        for unit in units {
            let life = unit.window_count();
            for (index, row) in unit.rows().enumerate() {
                let target = 1.0 - ((life - 1 - index) as f64).min(horizon) / horizon;
                for (value, sensor) in z.iter_mut().zip(&sensors) {
                    *value = sensor.z_score(row);
                }
                for (i, first) in z.iter().enumerate() {
                    right[i] += first * target;
                    for (j, second) in z.iter().enumerate() {
                        gram[i * size + j] += first * second;
                    }
                }
                count += 1.0;
            }
        }
        let mut weights = vec![0.0_f64; size];
        for _ in 0..5000 {
            let mut largest_change = 0.0_f64;
            for i in 0..size {
                let product: f64 = (0..size).map(|j| gram[i * size + j] * weights[j]).sum();
                let mut next = weights[i] + (right[i] - product) / gram[i * size + i];
                if i + 1 < size {
                    next = next.max(0.0);
                }
                largest_change = largest_change.max((next - weights[i]).abs() * (gram[i * size + i] / count).sqrt());
                weights[i] = next;
            }
            if largest_change < 1e-10 {
                break;
            }
        }
        for (sensor, weight) in sensors.iter_mut().zip(&weights) {
            sensor.weight = *weight;
        }
        sensors.retain(|sensor| sensor.weight > 0.0);
        (!sensors.is_empty()).then(|| Self { sensors, offset: weights.last().copied().unwrap_or_default() })
    }

    /// Returns the health index of one window: 0 when healthy, about 1 at failure.
    #[must_use]
    pub fn index(&self, row: &[f64]) -> f64 {
        self.offset + self.sensors.iter().map(|sensor| sensor.weight * sensor.z_score(row)).sum::<f64>()
    }

    /// Returns the columns that are part of the index and their weights per standard deviation of early life.
    pub fn weights(&self) -> impl Iterator<Item = (usize, f64)> {
        self.sensors.iter().map(|sensor| (sensor.column, sensor.weight * sensor.scale.signum()))
    }
}

impl FusedSensor {
    fn z_score(&self, row: &[f64]) -> f64 {
        row.get(self.column).map_or(0.0, |value| (value - self.mean) / self.scale)
    }
}

fn select_sensor(units: &[&RunToFailure], column: usize, early: usize) -> Option<FusedSensor> {
    let start: Vec<f64> = units.iter().flat_map(|unit| unit.rows().take(early).map(|row| row[column])).collect();
    let (middle, spread) = (mean(&start), standard_deviation(&start));
    if spread.is_nan() || spread <= 1e-9 * middle.abs().max(1.0) {
        return None;
    }
    let trends: Vec<f64> = units.iter().map(|unit| correlation(unit.rows().map(|row| row[column]))).collect();
    let trend = mean(&trends);
    let agreement = trends.iter().filter(|unit_trend| **unit_trend * trend > 0.0).count() as f64 / trends.len() as f64;
    (trend.abs() > MIN_TREND && agreement > MIN_AGREEMENT).then(|| FusedSensor {
        column,
        mean: middle,
        scale: spread * trend.signum(),
        weight: 0.0,
    })
}

/// Pearson correlation of the values with their index; 0 when all values are equal.
fn correlation(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    let (t, x) = ((values.len() as f64 - 1.0) / 2.0, mean(&values));
    let (mut tx, mut tt, mut xx) = (0.0, 0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let (a, b) = (index as f64 - t, value - x);
        tx += a * b;
        tt += a * a;
        xx += b * b;
    }
    if tt > 0.0 && xx > 0.0 { tx / (tt * xx).sqrt() } else { 0.0 }
}
