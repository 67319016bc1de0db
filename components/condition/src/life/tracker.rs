//! State of a unit's health index from window to window.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Number of features of a unit's history.
pub const FEATURES: usize = 8;

/// Lengths of the averages and slopes in windows, as shares of the horizon (5, 15, 40, 20, 50 and 20 for a horizon of
/// 125).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spans {
    means: [usize; 3],
    slopes: [usize; 2],
    early: usize,
}

impl Spans {
    /// Computes the lengths for a horizon in windows.
    #[must_use]
    pub fn new(horizon: f64) -> Self {
        let length = |share: f64| ((share * horizon).round() as usize).max(2);
        Self {
            means: [length(0.04), length(0.12), length(0.32)],
            slopes: [length(0.16), length(0.4)],
            early: length(0.16),
        }
    }
}

/// The state of one unit: the newest health indices and the mean of the first ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    newest: VecDeque<f64>,
    early: f64,
    age: usize,
}

impl Tracker {
    /// Adds the health index of one window.
    pub fn push(&mut self, index: f64, spans: &Spans) {
        if self.age < spans.early {
            self.early += (index - self.early) / (self.age + 1) as f64;
        }
        self.age += 1;
        self.newest.push_back(index);
        let longest = spans.means.iter().chain(&spans.slopes).copied().max().unwrap_or(1);
        while self.newest.len() > longest {
            self.newest.pop_front();
        }
    }

    /// Returns the number of windows so far.
    #[must_use]
    pub fn age(&self) -> usize {
        self.age
    }

    /// Returns three means, two slopes (times their lengths), the mean of the first windows, ln age, and age / 200.
    #[must_use]
    pub fn features(&self, spans: &Spans) -> [f64; FEATURES] {
        let [short, middle, long] = spans.means.map(|span| {
            let count = span.min(self.newest.len());
            self.newest.iter().rev().take(count).sum::<f64>() / count as f64
        });
        let [quick, slow] = spans.slopes.map(|span| {
            let count = span.min(self.newest.len());
            let centre = (count as f64 - 1.0) / 2.0;
            let (mut cross, mut square) = (0.0, 0.0);
            for (back, value) in self.newest.iter().rev().take(count).enumerate() {
                let at = centre - back as f64;
                cross += at * value;
                square += at * at;
            }
            if square > 0.0 { cross / square * span as f64 } else { 0.0 }
        });
        let age = self.age as f64;
        [short, middle, long, quick, slow, self.early, age.max(1.0).ln(), age / 200.0]
    }
}
