//! Streaming detector for single series: six kinds of evidence, each compared with its own decaying record
//! (`detector.rs`). One detector per sensor, on its level; the sensor that is farthest out counts.

mod change;
mod detector;
mod novelty;
mod profile;
mod record;

pub use detector::{Evidence, EvidenceDetector, ScoredValue, StreamConfig};
use serde::{Deserialize, Serialize};

use crate::{FitError, Layout, rows};

/// Most training rows that are buffered until their times are known.
const MAX_PENDING_ROWS: usize = 20_000;
/// Correction of the limit for `n` sensors: it rises by this factor times ln n, so that alarms do not grow more
/// frequent.
const SENSOR_COUNT_FACTOR: f64 = 0.15;

/// The detector applied to the level of each sensor; its evidence counts from the 150th row on.
///
/// Training rows have no times. They are processed when two rows have been scored, as if they had come before these at
/// the same distance; the first row's ratio is 0.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stream {
    config: StreamConfig,
    layout: Layout,
    detectors: Vec<EvidenceDetector>,
    /// Levels of rows whose times are not known yet, oldest first, and the time of the first scored row.
    pending_levels: Vec<Vec<f64>>,
    first_time: Option<i64>,
    last_shares: Vec<f64>,
}

impl Stream {
    /// Creates a detector with these settings that is not fitted yet.
    pub fn new(config: StreamConfig) -> Self {
        Self { config, ..Self::default() }
    }

    fn step(&mut self, time: i64, levels: &[f64]) -> f64 {
        let alarm = self.config.alarm;
        let ratio = |(detector, level): (&mut EvidenceDetector, &f64)| {
            let score = detector.score(time, *level);
            // The score is ratio / (ratio + alarm).
            if score < 1.0 { score / (1.0 - score) } else { alarm.max(1e6) }
        };
        let ratios: Vec<f64> = self.detectors.iter_mut().zip(levels).map(ratio).collect();
        let max = ratios.iter().copied().fold(0.0, f64::max);
        let mut parts = vec![0.0; self.layout.width()];
        for (at, ratio) in self.layout.level_indices().zip(&ratios) {
            if let Some(part) = parts.get_mut(at) {
                // The fourth power gives almost all of the share to the outlying sensors.
                *part = ratio.min(1e6).powi(4);
            }
        }
        self.last_shares = rows::to_shares(parts);
        rows::ratio(max, 1.0 + SENSOR_COUNT_FACTOR * rows::to_float(self.detectors.len().max(1)).ln())
    }
}

impl crate::Detector for Stream {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        layout.validate(rows)?;
        let levels =
            |row: &Vec<f64>| layout.level_indices().map(|at| row.get(at).copied().unwrap_or(f64::NAN)).collect();
        let from = rows.len().saturating_sub(MAX_PENDING_ROWS);
        self.pending_levels = rows.iter().skip(from).map(levels).collect();
        self.detectors = vec![EvidenceDetector::new(self.config.clone()); layout.sensors];
        (self.layout, self.first_time, self.last_shares) = (layout, None, vec![0.0; layout.width()]);
        Ok(())
    }

    fn score(&mut self, time: i64, row: &[f64]) -> f64 {
        let levels: Vec<f64> = self.layout.level_indices().map(|at| row.get(at).copied().unwrap_or(f64::NAN)).collect();
        if self.detectors.is_empty() {
            return 0.0;
        }
        if !self.pending_levels.is_empty() {
            let Some(first) = self.first_time else {
                self.first_time = Some(time);
                self.pending_levels.push(levels);
                self.last_shares.fill(0.0);
                return 0.0;
            };
            let step = time.saturating_sub(first);
            let pending = std::mem::take(&mut self.pending_levels);
            let mut before = i64::try_from(pending.len()).unwrap_or(i64::MAX);
            for levels in &pending {
                self.step(time.saturating_sub(step.saturating_mul(before)), levels);
                before -= 1;
            }
        }
        self.step(time, &levels)
    }

    fn explain(&self) -> Vec<f64> {
        self.last_shares.clone()
    }
}

#[cfg(test)]
mod tests;
