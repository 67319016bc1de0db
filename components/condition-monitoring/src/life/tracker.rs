//! State of a unit's health index from window to window.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Number of features of a unit's history.
pub const FEATURE_COUNT: usize = 8;

/// Lengths of the averages and slopes in windows, as shares of the horizon (5, 15, 40, 20, 50 and 20 for a horizon of
/// 125).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowLengths {
    mean_lengths: [usize; 3],
    slope_lengths: [usize; 2],
    early_length: usize,
}

impl WindowLengths {
    /// Computes the lengths for a horizon in windows.
    #[must_use]
    pub fn new(horizon: f64) -> Self {
        let length = |share: f64| ((share * horizon).round() as usize).max(2);
        Self {
            mean_lengths: [length(0.04), length(0.12), length(0.32)],
            slope_lengths: [length(0.16), length(0.4)],
            early_length: length(0.16),
        }
    }
}

/// The state of one unit: the newest health indices and the mean of the first ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HealthTracker {
    recent: VecDeque<f64>,
    early_mean: f64,
    age: usize,
}

impl HealthTracker {
    /// Adds the health index of one window.
    pub fn push(&mut self, index: f64, window_lengths: &WindowLengths) {
        if self.age < window_lengths.early_length {
            self.early_mean += (index - self.early_mean) / (self.age + 1) as f64;
        }
        self.age += 1;
        self.recent.push_back(index);
        let longest =
            window_lengths.mean_lengths.iter().chain(&window_lengths.slope_lengths).copied().max().unwrap_or(1);
        while self.recent.len() > longest {
            self.recent.pop_front();
        }
    }

    /// Returns the number of windows so far.
    #[must_use]
    pub fn age(&self) -> usize {
        self.age
    }

    /// Returns three means, two slopes (times their lengths), the mean of the first windows, ln age, and age / 200.
    #[must_use]
    pub fn features(&self, window_lengths: &WindowLengths) -> [f64; FEATURE_COUNT] {
        let [short_mean, middle_mean, long_mean] = window_lengths.mean_lengths.map(|length| {
            let count = length.min(self.recent.len());
            self.recent.iter().rev().take(count).sum::<f64>() / count as f64
        });
        let [short_slope, long_slope] = window_lengths.slope_lengths.map(|length| {
            let count = length.min(self.recent.len());
            let centre = (count as f64 - 1.0) / 2.0;
            let (mut cross, mut square) = (0.0, 0.0);
            for (back, value) in self.recent.iter().rev().take(count).enumerate() {
                let at = centre - back as f64;
                cross += at * value;
                square += at * at;
            }
            if square > 0.0 { cross / square * length as f64 } else { 0.0 }
        });
        let age = self.age as f64;
        [short_mean, middle_mean, long_mean, short_slope, long_slope, self.early_mean, age.max(1.0).ln(), age / 200.0]
    }
}
