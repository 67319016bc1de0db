//! Exponentially weighted means that follow steps and resist outliers.
//!
//! With `e = x − f` and the bound `K = 5` noises, the part of `e` within `±K` moves `f` by `λ`. The part beyond moves
//! it fully, as in the adaptive EWMA (G. Capizzi, G. Masarotto, "An adaptive exponentially weighted moving average
//! control chart", Technometrics 2003, with Huber's function), but only as far as the previous row was beyond on the
//! same side. So a single outlier moves `f` by at most `λ K`, and a step is followed within two rows, both up and down.

use serde::{Deserialize, Serialize};

use super::scale;

/// The bound `K`, in noises.
const BOUND: f64 = 5.0;
/// The mean of this many first rows is the initial level.
const INITIAL_ROWS: usize = 10;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SeriesSmoother {
    level: f64,
    /// How far the previous row was beyond the bound.
    excess: f64,
    bound: f64,
}

/// Smoothers, one per series.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Smoother {
    weight: f64,
    smoothers: Vec<SeriesSmoother>,
}

impl Smoother {
    /// Starts at the first rows of these series; `noises` has the white noise of each.
    pub(crate) fn new(series: &[Vec<f64>], noises: &[f64], weight: f64) -> Self {
        let all = series
            .iter()
            .zip(noises)
            .map(|(values, noise)| SeriesSmoother {
                level: scale::first_mean(values, INITIAL_ROWS),
                excess: 0.0,
                bound: BOUND * noise,
            })
            .collect();
        Self { weight, smoothers: all }
    }

    /// Adds a row; values that are not finite are missing.
    pub(crate) fn step(&mut self, row: &[f64]) {
        for (smoother, value) in self.smoothers.iter_mut().zip(row).filter(|(_, value)| value.is_finite()) {
            let error = value - smoother.level;
            let bounded = error.clamp(-smoother.bound, smoother.bound);
            let excess = error - bounded;
            let repeated_excess = if excess * smoother.excess > 0.0 {
                excess.abs().min(smoother.excess.abs()).copysign(excess)
            } else {
                0.0
            };
            smoother.excess = excess;
            smoother.level += self.weight * bounded + repeated_excess;
        }
    }

    /// Returns the smoothed values.
    pub(crate) fn levels(&self) -> impl Iterator<Item = f64> {
        self.smoothers.iter().map(|smoother| smoother.level)
    }
}
