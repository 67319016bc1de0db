//! A health index by monotone fusion: the sensors that rise or fall with age in every unit, turned so that they rise,
//! weighted without a negative weight so that the index runs from 0 (well) to 1 (failed).

use serde::{Deserialize, Serialize};

use super::history::History;
use crate::stats::{deviation, mean};

/// Least mean |correlation with age| of a sensor that is taken (its monotonicity/trendability: Coble & Hines 2009).
const TREND: f64 = 0.4;
/// Share of the units in which it must go the same way.
const AGREEMENT: f64 = 0.95;

/// Learnt from runs to failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fusion {
    sensors: Vec<Sensor>,
    offset: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Sensor {
    column: usize,
    middle: f64,
    /// Signed: negative for a sensor that falls.
    scale: f64,
    weight: f64,
}

impl Fusion {
    /// `horizon` is the remaining life, in windows, from which on a unit counts as well; the first `early` windows of
    /// each unit are the reference. Solves min Σ (Σ wⱼ zⱼ + b − (1 − min(RUL, h)/h))² for wⱼ ≥ 0 by coordinate descent.
    /// None when no sensor qualifies or widths differ.
    #[must_use]
    pub fn fit(units: &[&History], horizon: f64, early: usize) -> Option<Self> {
        let width = units.first()?.width();
        if units.iter().any(|unit| unit.width() != width) {
            return None;
        }
        let mut sensors: Vec<Sensor> = (0..width).filter_map(|column| sensor(units, column, early)).collect();
        if sensors.is_empty() {
            return None;
        }
        // Normal equations of the standardised sensors and a constant.
        let size = sensors.len() + 1;
        let (mut gram, mut right, mut count) = (vec![0.0; size * size], vec![0.0; size], 0.0);
        let mut z = vec![1.0; size];
        for unit in units {
            let life = unit.life();
            for (index, row) in unit.rows().enumerate() {
                let target = 1.0 - ((life - 1 - index) as f64).min(horizon) / horizon;
                for (value, sensor) in z.iter_mut().zip(&sensors) {
                    *value = sensor.z(row);
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
            let mut moved = 0.0_f64;
            for i in 0..size {
                let rest: f64 = (0..size).map(|j| gram[i * size + j] * weights[j]).sum();
                let mut next = weights[i] + (right[i] - rest) / gram[i * size + i];
                if i + 1 < size {
                    next = next.max(0.0);
                }
                moved = moved.max((next - weights[i]).abs() * (gram[i * size + i] / count).sqrt());
                weights[i] = next;
            }
            if moved < 1e-10 {
                break;
            }
        }
        for (sensor, weight) in sensors.iter_mut().zip(&weights) {
            sensor.weight = *weight;
        }
        sensors.retain(|sensor| sensor.weight > 0.0);
        (!sensors.is_empty()).then(|| Self { sensors, offset: weights.last().copied().unwrap_or_default() })
    }

    /// The index of one window: 0 well, about 1 at failure.
    #[must_use]
    pub fn index(&self, row: &[f64]) -> f64 {
        self.offset + self.sensors.iter().map(|sensor| sensor.weight * sensor.z(row)).sum::<f64>()
    }

    /// Columns that are in the index, and their weights (per deviation of early life).
    pub fn weights(&self) -> impl Iterator<Item = (usize, f64)> {
        self.sensors.iter().map(|sensor| (sensor.column, sensor.weight * sensor.scale.signum()))
    }
}

impl Sensor {
    fn z(&self, row: &[f64]) -> f64 {
        row.get(self.column).map_or(0.0, |value| (value - self.middle) / self.scale)
    }
}

fn sensor(units: &[&History], column: usize, early: usize) -> Option<Sensor> {
    let start: Vec<f64> = units.iter().flat_map(|unit| unit.rows().take(early).map(|row| row[column])).collect();
    let (middle, spread) = (mean(&start), deviation(&start));
    if spread.is_nan() || spread <= 1e-9 * middle.abs().max(1.0) {
        return None;
    }
    let trends: Vec<f64> = units.iter().map(|unit| correlation(unit.rows().map(|row| row[column]))).collect();
    let trend = mean(&trends);
    let agree = trends.iter().filter(|own| **own * trend > 0.0).count() as f64 / trends.len() as f64;
    (trend.abs() > TREND && agree > AGREEMENT).then(|| Sensor {
        column,
        middle,
        scale: spread * trend.signum(),
        weight: 0.0,
    })
}

/// Pearson's correlation with the index; 0 when the values do not differ.
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
