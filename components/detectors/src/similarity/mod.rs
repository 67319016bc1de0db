//! Similarity to the states seen so far, with any number of operating states.
//!
//! [`Memory`] is the method. [`Similarity`] applies it to rows whose numbers are all of the same kind: each row is
//! compared with the rows that resemble it, and the number that is furthest from its expectation counts. The detect
//! stage uses the memory directly, because it also knows which sensors drive the machine.

mod memory;

pub use memory::{Estimate, Memory, Metric, Range, Role, State};
use serde::{Deserialize, Serialize};

use crate::{
    Detector, FitError, Layout,
    rows::{self, Scales},
};

/// Most states.
const MAX_STATES: usize = 48;
/// Fewest rows that show what is normal.
const MIN_ROWS: usize = 10;
/// Smallest limit, in scales.
const MIN_LIMIT: f64 = 4.0;

/// Detector by similarity; see the module documentation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Similarity {
    scales: Scales,
    memory: Memory,
    limit: f64,
    last_shares: Vec<f64>,
}

impl Similarity {
    /// Distance of each number from its expectation, in scales; 0 if it is missing.
    fn residuals(&self, row: &[f64]) -> Vec<f64> {
        let width = row.len();
        let metric = Metric { columns: 1, roles: &vec![Role::Response; width], scales: &vec![1.0; width] };
        match self.memory.estimate(&metric, row) {
            Some(estimate) => {
                row.iter().zip(&estimate.ranges).map(|(value, range)| value - range.nearest(*value)).collect()
            }
            None => vec![0.0; width],
        }
    }
}

fn largest(residuals: &[f64]) -> f64 {
    residuals.iter().map(|residual| residual.abs()).filter(|residual| residual.is_finite()).fold(0.0, f64::max)
}

impl Detector for Similarity {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable_rows(layout, rows, MIN_ROWS)?;
        let width = layout.width();
        let metric = Metric { columns: 1, roles: &vec![Role::Response; width], scales: &vec![1.0; width] };
        let mut new = Self { scales: Scales::fit(&rows), memory: Memory::new(MAX_STATES), ..Self::default() };
        let mut distances = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let scaled = new.scales.to_scales(row);
            // Each row is first estimated from those before it, as later rows will be.
            if at >= rows.len() / 2 {
                distances.push(largest(&new.residuals(&scaled)));
            }
            new.memory.learn(&metric, &scaled, 1.0);
        }
        new.limit = rows::training_limit(MIN_LIMIT, distances.into_iter());
        *self = new;
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        let residuals = self.residuals(&self.scales.to_scales(row));
        let ratio = rows::ratio(largest(&residuals), self.limit);
        self.last_shares = rows::to_shares(residuals.into_iter().map(|residual| residual * residual).collect());
        ratio
    }

    fn explain(&self) -> Vec<f64> {
        self.last_shares.clone()
    }
}
