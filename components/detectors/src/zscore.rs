//! Robust z-score: finds the sensor that stands out most, by the root mean square of its three largest z-values. A
//! single large number can be chance, three of one sensor seldom are. If fewer numbers of a sensor vary, all of these
//! count.

use serde::{Deserialize, Serialize};

use crate::{
    Detector, FitError, Layout,
    calibrated::DistanceModel,
    rows::{self, Scales},
};

/// Number of z-values of a sensor that count.
const MAX_COUNTED: usize = 3;
/// In normal noise, three numbers of a sensor seldom exceed this many scales together.
const THEORETICAL_LIMIT: f64 = 4.5;
/// Fewest rows that show what is normal.
const MIN_ROWS: usize = 5;

/// Robust z-score detector; see the module documentation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ZScore {
    scales: Scales,
    columns: usize,
    /// Number of z-values of each sensor that count.
    counted: Vec<usize>,
    limit: f64,
    last_shares: Vec<f64>,
}

impl ZScore {
    fn max_sensor_z(&self, z: &[f64]) -> f64 {
        let of = |(values, largest): (&[f64], &usize)| sensor_z(values, *largest);
        z.chunks(self.columns.max(1)).zip(&self.counted).map(of).fold(0.0, f64::max)
    }
}

fn sensor_z(values: &[f64], count: usize) -> f64 {
    let mut largest = [0.0; MAX_COUNTED];
    for value in values.iter().map(|value| value.abs()) {
        if let Some(rank) = largest.iter().position(|&other| value > other) {
            largest[rank..].rotate_right(1);
            largest[rank] = value;
        }
    }
    let count = count.clamp(1, MAX_COUNTED);
    (largest[..count].iter().map(|value| value * value).sum::<f64>() / rows::to_float(count)).sqrt()
}

impl DistanceModel for ZScore {
    fn train(&mut self, layout: Layout, rows: &[Vec<f64>]) {
        let scales = Scales::fit(rows);
        let varies: Vec<bool> = scales.varying().collect();
        let of = |of: &[bool]| of.iter().filter(|varies| **varies).count();
        let counted = varies.chunks(layout.columns.max(1)).map(of).collect();
        *self = Self { scales, columns: layout.columns, counted, limit: 0.0, last_shares: vec![0.0; layout.width()] };
    }

    fn distance(&self, row: &[f64]) -> f64 {
        self.max_sensor_z(&self.scales.to_scales(row))
    }

    fn theoretical_limit(&self) -> f64 {
        THEORETICAL_LIMIT
    }

    fn contributions(&self, row: &[f64]) -> Vec<f64> {
        self.scales.to_scales(row).iter().map(|value| value * value).collect()
    }
}

impl Detector for ZScore {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable_rows(layout, rows, MIN_ROWS)?;
        self.train(layout, &rows);
        self.limit = rows::training_limit(THEORETICAL_LIMIT, rows.iter().map(|row| self.distance(row)));
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        self.last_shares = rows::to_shares(self.contributions(row));
        rows::ratio(self.distance(row), self.limit)
    }

    fn explain(&self) -> Vec<f64> {
        self.last_shares.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_largest_count() {
        assert!((sensor_z(&[1.0, -3.0, 2.0, 0.5, 2.0], 12) - (17.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((sensor_z(&[1.0, -3.0, 2.0], 1) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn one_outlying_level_among_constant_numbers_is_found() {
        let rows: Vec<Vec<f64>> =
            (0..50).map(|at| vec![f64::from(at % 7), 4.0, 4.0, f64::from(at % 5), 4.0, 4.0]).collect();
        let mut detector = ZScore::default();
        detector.fit(Layout { sensors: 2, columns: 3, level: 0, spread: None }, &rows).unwrap();
        assert!(detector.score(0, &[3.0, 4.0, 4.0, 2.0, 4.0, 4.0]) < 0.5);
        assert!(detector.score(0, &[40.0, 4.0, 4.0, 2.0, 4.0, 4.0]) > 2.0);
        assert!(detector.explain()[0] > 0.9);
    }
}
