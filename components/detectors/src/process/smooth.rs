//! Exponentially weighted means that outliers do not move and steps do.
//!
//! With `e = x − f` and the edge `K = 5` noises, the part of `e` within `±K` moves `f` by `λ`; what is beyond moves it fully,
//! as in the adaptive EWMA (G. Capizzi, G. Masarotto, "An adaptive exponentially weighted moving average control chart",
//! Technometrics 2003, with Huber's function), but only as far as the row before was beyond on the same side. So a
//! single outlier moves `f` by `λ K` at most and a step is followed in two rows, both up and down.

use serde::{Deserialize, Serialize};

use super::scale;

/// The edge, in noises.
const EDGE: f64 = 5.0;
/// Rows whose mean is the start.
const START: usize = 10;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct One {
    level: f64,
    /// How far the row before was beyond the edge.
    excess: f64,
    edge: f64,
}

/// One smoother a series.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Smoother {
    weight: f64,
    all: Vec<One>,
}

impl Smoother {
    /// At its start for these series, from `noises` (one a series).
    pub(crate) fn new(series: &[Vec<f64>], noises: &[f64], weight: f64) -> Self {
        let all = series
            .iter()
            .zip(noises)
            .map(|(values, noise)| One { level: scale::first_mean(values, START), excess: 0.0, edge: EDGE * noise })
            .collect();
        Self { weight, all }
    }

    /// Takes a row in; values that are not finite are missing.
    pub(crate) fn step(&mut self, row: &[f64]) {
        for (one, value) in self.all.iter_mut().zip(row).filter(|(_, value)| value.is_finite()) {
            let error = value - one.level;
            let within = error.clamp(-one.edge, one.edge);
            let excess = error - within;
            let twice =
                if excess * one.excess > 0.0 { excess.abs().min(one.excess.abs()).copysign(excess) } else { 0.0 };
            one.excess = excess;
            one.level += self.weight * within + twice;
        }
    }

    /// The smoothed values.
    pub(crate) fn levels(&self) -> impl Iterator<Item = f64> {
        self.all.iter().map(|one| one.level)
    }
}
