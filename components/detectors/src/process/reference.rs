//! Reference of each feature: a level that follows slow drift and stops while the feature is abnormal.
//!
//! As in a local-level model (A. Harvey, "Forecasting, structural time series models and the Kalman filter", 1989) the
//! reference `m` moves by a share of `d = f − m`. As the adjusted deviation `U` goes from the deadband to `freeze`, the
//! share falls from 1 / `reference_rows` to 0 by Tukey's biweight `(1 − a²)²`: robust filtering with a redescending
//! function (R. Martin, "Robust estimation of the first-order autoregressive parameter", 1979). Two effects still move
//! it then:
//!
//! - it always catches up a little, by at most 1/2000 of the series' scale per row, so that nothing stays abnormal
//!   indefinitely;
//! - a previous drift continues, damped (E. Gardner, E. McKenzie, "Forecasting trends in time series", 1985), if it
//!   goes in the direction of the feature.

use serde::{Deserialize, Serialize};

use super::scale;

/// The mean of this many first rows is the initial reference.
const INITIAL_ROWS: usize = 40;
/// Step that the reference always makes per row: this share of the deviation, but no more than so many scales of the
/// series.
const MIN_FOLLOW: (f64, f64) = (0.05, 0.0005);
/// Time constant of the drift estimate, in rows.
const DRIFT_ROWS: f64 = 100.0;
/// Time constant in which a drift decays that is no longer observed, in rows.
const DRIFT_DECAY_ROWS: f64 = 300.0;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct FeatureReference {
    level: f64,
    drift: f64,
}

/// References, one per feature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reference {
    gain: f64,
    features: Vec<FeatureReference>,
}

impl FeatureReference {
    /// Step towards `value`, with `share` of the gain.
    fn step(&self, value: f64, gain: f64, share: f64) -> f64 {
        let deviation = value - self.level;
        let step = gain * share * deviation;
        let min_step = (MIN_FOLLOW.0 * deviation).clamp(-MIN_FOLLOW.1, MIN_FOLLOW.1);
        if min_step.abs() > step.abs() { min_step } else { step }
    }
}

impl Reference {
    /// Starts at the first rows of these series of features, before smoothing. `rows` is the time constant.
    pub(crate) fn new(series: &[Vec<f64>], rows: f64) -> Self {
        let all = series
            .iter()
            .map(|values| FeatureReference { level: scale::first_mean(values, INITIAL_ROWS), drift: 0.0 })
            .collect();
        Self { gain: 1.0 / rows, features: all }
    }

    /// Deviations of the features from the reference.
    pub(crate) fn deviations<'a>(&'a self, features: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.features.iter().zip(features).map(|(feature, value)| value - feature.level)
    }

    /// The reference of each feature.
    pub(crate) fn levels(&self) -> impl Iterator<Item = f64> {
        self.features.iter().map(|feature| feature.level)
    }

    /// Moves to these values at once and forgets the drift.
    pub(crate) fn move_to(&mut self, features: &[f64]) {
        for (feature, value) in self.features.iter_mut().zip(features) {
            *feature = FeatureReference { level: *value, drift: 0.0 };
        }
    }

    /// Follows a row of the fit with the full gain.
    pub(crate) fn follow(&mut self, features: &[f64]) {
        for (feature, value) in self.features.iter_mut().zip(features) {
            feature.level += feature.step(*value, self.gain, 1.0);
        }
    }

    /// Follows a row with a share of the gain per feature; None for a missing feature.
    pub(crate) fn follow_partially(&mut self, features: &[f64], shares: impl Iterator<Item = Option<f64>>) {
        for ((feature, value), share) in self.features.iter_mut().zip(features).zip(shares) {
            let Some(share) = share else { continue };
            let mut step = feature.step(*value, self.gain, share);
            if share >= 0.5 {
                feature.drift += (step - feature.drift) / DRIFT_ROWS;
            } else {
                feature.drift *= 1.0 - 1.0 / DRIFT_DECAY_ROWS;
                if feature.drift * (value - feature.level) > 0.0 && feature.drift.abs() > step.abs() {
                    step = feature.drift;
                }
            }
            feature.level += step;
        }
    }
}

/// Share of the gain for an adjusted deviation.
pub(crate) fn follow_share(adjusted: f64, deadband: f64, freeze: f64) -> f64 {
    let position = ((adjusted.abs() - deadband) / (freeze - deadband)).max(0.0);
    if position < 1.0 { (1.0 - position * position).powi(2) } else { 0.0 }
}
