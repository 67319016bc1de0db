//! Models that are trained once, with a limit from cross-validation.
//!
//! A model fits its training rows better than later rows; the effect grows with the number of columns and falls with
//! the number of rows. So the model is trained again without one block of rows at a time (and without the neighbours of
//! the block, which are correlated with it; P. Burman, E. Chow, D. Nolan 1994), and the distances of all left-out rows
//! are collected. The limit is the value that one normal row in 1,000 exceeds by peaks over threshold (`pot.rs`). It is
//! never below the model's theoretical limit.

use serde::{Deserialize, Serialize};

use crate::{Detector, FitError, Layout, pot, rows};

/// A model of normal rows that measures the distance of a row from normal.
pub trait DistanceModel: Default {
    /// Trains the model on rows and replaces what it learnt before.
    fn train(&mut self, layout: Layout, rows: &[Vec<f64>]);
    /// Distance of a row from normal, in the model's own unit.
    fn distance(&self, row: &[f64]) -> f64;
    /// Distance that one normal row in 1,000 exceeds according to the model's own theory.
    fn theoretical_limit(&self) -> f64;
    /// Upper bound of the distance.
    fn max_distance(&self) -> f64 {
        f64::INFINITY
    }
    /// Contribution of each number of the row to its distance; only the proportions matter.
    fn contributions(&self, row: &[f64]) -> Vec<f64>;
}

/// Blocks of the cross-validation.
const FOLDS: usize = 5;
/// Rows on either side of a block that are left out with it, at most.
const MAX_GAP: usize = 10;
/// Fewest rows that show what is normal.
const MIN_ROWS: usize = 10;
/// Most training rows; the latest ones are used.
const MAX_ROWS: usize = 4000;

/// A [`DistanceModel`] with a cross-validated limit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Calibrated<M> {
    model: M,
    limit: f64,
    last_shares: Vec<f64>,
}

/// Distances of the left-out rows of the cross-validation, in units of the model's own limit.
pub(crate) fn cross_validated_ratios<M: DistanceModel>(layout: Layout, rows: &[Vec<f64>]) -> Vec<f64> {
    let count = rows.len();
    let gap = MAX_GAP.min(count / 12);
    let mut all = Vec::with_capacity(count);
    for block in 0..FOLDS {
        let (from, to) = (block * count / FOLDS, (block + 1) * count / FOLDS);
        let excluded = from.saturating_sub(gap)..(to + gap).min(count);
        let training_rows =
            rows.iter().enumerate().filter(|(at, _)| !excluded.contains(at)).map(|(_, row)| row.clone());
        let mut model = M::default();
        model.train(layout, &training_rows.collect::<Vec<_>>());
        let left_out = rows.iter().skip(from).take(to - from);
        all.extend(left_out.map(|row| rows::ratio(model.distance(row), model.theoretical_limit())));
    }
    all
}

impl<M: DistanceModel> Detector for Calibrated<M> {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable_rows(layout, rows, MIN_ROWS)?;
        let rows = rows.get(rows.len().saturating_sub(MAX_ROWS)..).unwrap_or(&rows);
        let validated = cross_validated_ratios::<M>(layout, rows);
        let mut model = M::default();
        model.train(layout, rows);
        let (predicted, largest) = (model.theoretical_limit(), model.max_distance());
        let max = predicted * validated.iter().copied().fold(0.0, f64::max);
        self.limit = predicted.max((predicted * pot::tail_limit(&validated)).min(f64::midpoint(max, largest)));
        self.last_shares = vec![0.0; layout.width()];
        self.model = model;
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        self.last_shares = rows::to_shares(self.model.contributions(row));
        rows::ratio(self.model.distance(row), self.limit)
    }

    fn explain(&self) -> Vec<f64> {
        self.last_shares.clone()
    }
}
