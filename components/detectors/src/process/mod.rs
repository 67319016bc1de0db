//! Tells when a unit's sensors, taken together, are no longer as they were: online, causal, without labels.
//!
//! [`Process`] looks at the level of each sensor. [`Detector::fit`] learns from rows that are held to be normal;
//! [`Detector::score`] then takes one row at a time. The steps, each in a file of its own with its source:
//!
//! 1. **Scale** (`scale.rs`): median and standard deviation of the fitted rows.
//! 2. **Smooth** (`smooth.rs`): an exponentially weighted mean of each channel that outliers do not move and that steps do.
//! 3. **Spread** (`spread.rs`): how far a row is from that mean, adjusted for what the other channels do; its square root,
//!    smoothed likewise. So there are two features a channel: level and spread.
//! 4. **Reference** (`reference.rs`): each feature is compared with a reference that follows slow drift and stands still
//!    while the feature is abnormal.
//! 5. **Adjust** (`whiten.rs`): each feature's deviation, less what is expected from all others' deviations, in units of its
//!    own scatter. The scatter is what blocked cross-validation within the fitted rows finds (`calibrate.rs`).
//! 6. **Sum** (`detector.rs`): `G = Σ max(|U| − 2, 0)²`, so that a single channel stands out among many; score
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

pub use detector::{Detector, Feature, Kind};
use serde::{Deserialize, Serialize};
pub use settings::Settings;

use crate::{FitError, Layout, rows};

/// The detector on the level of each sensor.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Process {
    settings: Settings,
    layout: Layout,
    inner: Option<Detector>,
}

impl Process {
    /// With other settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// The present state is normal from now on: see [`Detector::accept`].
    pub fn accept(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.accept();
        }
    }

    /// The detector itself, once fitted.
    pub fn inner(&self) -> Option<&Detector> {
        self.inner.as_ref()
    }

    fn levels(layout: Layout, row: &[f64]) -> Vec<f64> {
        layout.levels().map(|at| row.get(at).copied().unwrap_or(f64::NAN)).collect()
    }
}

impl crate::Detector for Process {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        layout.check(rows)?;
        let levels: Vec<Vec<f64>> = rows.iter().map(|row| Self::levels(layout, row)).collect();
        self.inner = Some(Detector::fit(self.settings.clone(), &levels)?);
        self.layout = layout;
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        let Some(inner) = &mut self.inner else { return 0.0 };
        inner.score(&Self::levels(self.layout, row));
        rows::ratio(inner.ratio(), 1.0)
    }

    /// A spread's share is laid to the column of the spread, where there is one.
    fn explain(&self) -> Vec<f64> {
        let mut parts = vec![0.0; self.layout.width()];
        for feature in self.inner.iter().flat_map(Detector::features) {
            let column = match feature.kind {
                Kind::Level => self.layout.level,
                Kind::Spread => self.layout.spread.unwrap_or(self.layout.level),
            };
            if let Some(part) = parts.get_mut(feature.channel * self.layout.columns + column) {
                *part += feature.share;
            }
        }
        rows::shares(parts)
    }
}

#[cfg(test)]
mod tests;
