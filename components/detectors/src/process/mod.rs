//! Detects when the sensors of a group, taken together, change: online, causal, without labels.
//!
//! [`Process`] uses the level of each sensor. [`ProcessDetector::fit`] learns from normal rows;
//! [`ProcessDetector::score`] then takes one row at a time. The steps, each in its own file with its source:
//!
//! 1. **Scale** (`scale.rs`): median and standard deviation of the fitted rows.
//! 2. **Smooth** (`smooth.rs`): an exponentially weighted mean of each channel that follows steps and resists outliers.
//! 3. **Spread** (`spread.rs`): the distance of a row from that mean, adjusted for the other channels; its square root
//!    is smoothed in the same way. So there are two features per channel: level and spread.
//! 4. **Reference** (`reference.rs`): each feature is compared with a reference that follows slow drift and stops while
//!    the feature is abnormal.
//! 5. **Adjust** (`whiten.rs`): each feature's deviation minus its expectation given all other deviations, in units of
//!    its own scatter. The scatter comes from blocked cross-validation within the fitted rows (`calibrate.rs`).
//! 6. **Sum** (`detector.rs`): `G = Σ max(|U| − 2, 0)²`, so that a single channel stands out among many; the score is
//!    `1 − 10^(−3 G / limit)`, which is 0.999 at the limit.
//!
//! Nothing depends on the row's number, the clock or random numbers.

mod calibrate;
mod detector;
mod reference;
mod scale;
mod settings;
mod smooth;
mod spread;
mod whiten;

pub use detector::{Feature, FeatureKind, ProcessDetector};
use serde::{Deserialize, Serialize};
pub use settings::ProcessSettings;

use crate::{FitError, Layout, rows};

/// The detector applied to the level of each sensor.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Process {
    settings: ProcessSettings,
    layout: Layout,
    inner: Option<ProcessDetector>,
}

impl Process {
    /// Creates a detector with these settings that is not fitted yet.
    pub fn new(settings: ProcessSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Accepts the present state as normal; see [`ProcessDetector::accept`].
    pub fn accept(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.accept();
        }
    }

    /// The fitted detector; None before the first fit.
    pub fn inner(&self) -> Option<&ProcessDetector> {
        self.inner.as_ref()
    }

    fn levels(layout: Layout, row: &[f64]) -> Vec<f64> {
        layout.level_indices().map(|at| row.get(at).copied().unwrap_or(f64::NAN)).collect()
    }
}

impl crate::Detector for Process {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        layout.validate(rows)?;
        let levels: Vec<Vec<f64>> = rows.iter().map(|row| Self::levels(layout, row)).collect();
        self.inner = Some(ProcessDetector::fit(self.settings.clone(), &levels)?);
        self.layout = layout;
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        let Some(inner) = &mut self.inner else { return 0.0 };
        inner.score(&Self::levels(self.layout, row));
        rows::ratio(inner.ratio(), 1.0)
    }

    /// The share of a spread goes to the spread's column, or to that of the level if there is none.
    fn explain(&self) -> Vec<f64> {
        let mut parts = vec![0.0; self.layout.width()];
        for feature in self.inner.iter().flat_map(ProcessDetector::features) {
            let column = match feature.kind {
                FeatureKind::Level => self.layout.level,
                FeatureKind::Spread => self.layout.spread.unwrap_or(self.layout.level),
            };
            if let Some(part) = parts.get_mut(feature.channel * self.layout.columns + column) {
                *part += feature.share;
            }
        }
        rows::to_shares(parts)
    }
}

#[cfg(test)]
mod tests;
