//! Models that are learnt once, with an edge from rows they were not learnt from.
//!
//! A model fits what it is learnt from better than what comes then, all the more the more numbers and the fewer rows there are.
//! So it is learnt again without one block of rows at a time (and its neighbours, which are alike; P. Burman, E. Chow, D. Nolan
//! 1994), the distances of the rows left out are taken together, and the edge is where peaks over threshold (`pot.rs`) say that
//! one normal row in 1,000 is beyond; never below the model's own limit.

use serde::{Deserialize, Serialize};

use crate::{Detector, FitError, Layout, pot, rows};

/// A model of what is normal.
pub trait Model: Default {
    /// Learns from rows; what was learnt before is forgotten.
    fn learn(&mut self, layout: Layout, rows: &[Vec<f64>]);
    /// How far a row is from that.
    fn distance(&self, row: &[f64]) -> f64;
    /// The distance that one normal row in 1,000 has by the model's own theory.
    fn predicted(&self) -> f64;
    /// The largest distance there is.
    fn largest(&self) -> f64 {
        f64::INFINITY
    }
    /// What each number of the row has in its distance; in no unit.
    fn parts(&self, row: &[f64]) -> Vec<f64>;
}

/// Blocks left out in turn.
const BLOCKS: usize = 5;
/// Rows next to a block that are left out with it, at most.
const GAP: usize = 10;
/// Fewer rows do not show what is normal.
const LEAST_ROWS: usize = 10;
/// Rows that are learnt from, at most: the last of them.
const MOST_ROWS: usize = 4000;

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Calibrated<M> {
    model: M,
    edge: f64,
    last: Vec<f64>,
}

/// Distances of rows that were not learnt from, in units of the model's own limit.
pub(crate) fn validated<M: Model>(layout: Layout, rows: &[Vec<f64>]) -> Vec<f64> {
    let count = rows.len();
    let gap = GAP.min(count / 12);
    let mut all = Vec::with_capacity(count);
    for block in 0..BLOCKS {
        let (from, to) = (block * count / BLOCKS, (block + 1) * count / BLOCKS);
        let near = from.saturating_sub(gap)..(to + gap).min(count);
        let kept = rows.iter().enumerate().filter(|(at, _)| !near.contains(at)).map(|(_, row)| row.clone());
        let mut model = M::default();
        model.learn(layout, &kept.collect::<Vec<_>>());
        let out = rows.iter().skip(from).take(to - from);
        all.extend(out.map(|row| rows::ratio(model.distance(row), model.predicted())));
    }
    all
}

impl<M: Model> Detector for Calibrated<M> {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable(layout, rows, LEAST_ROWS)?;
        let rows = rows.get(rows.len().saturating_sub(MOST_ROWS)..).unwrap_or(&rows);
        let validated = validated::<M>(layout, rows);
        let mut model = M::default();
        model.learn(layout, rows);
        let (predicted, largest) = (model.predicted(), model.largest());
        let most = predicted * validated.iter().copied().fold(0.0, f64::max);
        self.edge = predicted.max((predicted * pot::edge(&validated)).min(f64::midpoint(most, largest)));
        self.last = vec![0.0; layout.width()];
        self.model = model;
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        self.last = rows::shares(self.model.parts(row));
        rows::ratio(self.model.distance(row), self.edge)
    }

    fn explain(&self) -> Vec<f64> {
        self.last.clone()
    }
}
