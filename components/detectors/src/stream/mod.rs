//! Streaming detector for single series: six kinds of evidence, each against its own forgetting record (`detector.rs`). One a
//! sensor, on its level; the sensor that is farthest out counts.

mod change;
mod detector;
mod novelty;
mod profile;
mod record;

pub use detector::{Config, Detector, Evidence, Reading};
use serde::{Deserialize, Serialize};

use crate::{FitError, Layout, rows};

/// Rows to learn from that are kept until their times are known, at most.
const MOST_ROWS: usize = 20_000;
/// The evidence of one sensor is no alarm more often than this when there are more of them.
const SENSORS: f64 = 0.15;

/// The detector on the level of each sensor; its evidence counts from the 150th row on.
///
/// Rows to learn from come without times. They are run when two rows were scored, as if they had come before these at the same
/// distance; the first row's ratio is 0.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stream {
    config: Config,
    layout: Layout,
    all: Vec<Detector>,
    /// Levels of rows that wait for their times, oldest first, and the time of the first row that was scored.
    waiting: Vec<Vec<f64>>,
    first: Option<i64>,
    last: Vec<f64>,
}

impl Stream {
    /// With other settings.
    pub fn new(config: Config) -> Self {
        Self { config, ..Self::default() }
    }

    fn step(&mut self, time: i64, levels: &[f64]) -> f64 {
        let alarm = self.config.alarm;
        let ratio = |(detector, level): (&mut Detector, &f64)| {
            let score = detector.score(time, *level);
            // The score is ratio / (ratio + alarm).
            if score < 1.0 { score / (1.0 - score) } else { alarm.max(1e6) }
        };
        let ratios: Vec<f64> = self.all.iter_mut().zip(levels).map(ratio).collect();
        let most = ratios.iter().copied().fold(0.0, f64::max);
        let mut parts = vec![0.0; self.layout.width()];
        for (at, ratio) in self.layout.levels().zip(&ratios) {
            if let Some(part) = parts.get_mut(at) {
                // Far more to those that are out than to those that are not.
                *part = ratio.min(1e6).powi(4);
            }
        }
        self.last = rows::shares(parts);
        rows::ratio(most, 1.0 + SENSORS * rows::count(self.all.len().max(1)).ln())
    }
}

impl crate::Detector for Stream {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        layout.check(rows)?;
        let levels = |row: &Vec<f64>| layout.levels().map(|at| row.get(at).copied().unwrap_or(f64::NAN)).collect();
        let from = rows.len().saturating_sub(MOST_ROWS);
        self.waiting = rows.iter().skip(from).map(levels).collect();
        self.all = vec![Detector::new(self.config.clone()); layout.sensors];
        (self.layout, self.first, self.last) = (layout, None, vec![0.0; layout.width()]);
        Ok(())
    }

    fn score(&mut self, time: i64, row: &[f64]) -> f64 {
        let levels: Vec<f64> = self.layout.levels().map(|at| row.get(at).copied().unwrap_or(f64::NAN)).collect();
        if self.all.is_empty() {
            return 0.0;
        }
        if !self.waiting.is_empty() {
            let Some(first) = self.first else {
                self.first = Some(time);
                self.waiting.push(levels);
                self.last.fill(0.0);
                return 0.0;
            };
            let step = time.saturating_sub(first);
            let waiting = std::mem::take(&mut self.waiting);
            let mut before = i64::try_from(waiting.len()).unwrap_or(i64::MAX);
            for levels in &waiting {
                self.step(time.saturating_sub(step.saturating_mul(before)), levels);
                before -= 1;
            }
        }
        self.step(time, &levels)
    }

    fn explain(&self) -> Vec<f64> {
        self.last.clone()
    }
}

#[cfg(test)]
mod tests;
