//! What each feature is compared with: a level that follows slow drift and stands still while the feature is abnormal.
//!
//! As in a local-level model (A. Harvey, "Forecasting, structural time series models and the Kalman filter", 1989) the
//! reference `m` moves by a share of `d = f − m`. The share falls from 1 in `reference_rows` to 0 as the adjusted deviation
//! `U` goes from the deadband to `freeze`, by Tukey's biweight `(1 − a²)²`: robust filtering with a redescending function
//! (R. Martin, "Robust estimation of the first-order autoregressive parameter", 1979). Two things still move it then:
//!
//! - it always makes up a little, 1/2000 of the series' scale in a row, so that nothing stays abnormal for ever;
//! - a drift that was under way goes on, damped (E. Gardner, E. McKenzie, "Forecasting trends in time series", 1985), if
//!   it goes the feature's way.

use serde::{Deserialize, Serialize};

use super::scale;

/// Rows whose mean is the start.
const START: usize = 40;
/// What is always made up in a row: this share of the deviation, but no more than so many scales of the series.
const ALWAYS: (f64, f64) = (0.05, 0.0005);
/// Rows that the drift is learnt from.
const DRIFT: f64 = 100.0;
/// Rows in which a drift that is no longer seen fades.
const DAMPED: f64 = 300.0;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct One {
    at: f64,
    drift: f64,
}

/// One reference a feature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reference {
    gain: f64,
    all: Vec<One>,
}

impl One {
    /// The step towards `value` if the gain counts by `share`.
    fn step(&self, value: f64, gain: f64, share: f64) -> f64 {
        let away = value - self.at;
        let slow = gain * share * away;
        let always = (ALWAYS.0 * away).clamp(-ALWAYS.1, ALWAYS.1);
        if always.abs() > slow.abs() { always } else { slow }
    }
}

impl Reference {
    /// At its start for these series of features, before they are smoothed.
    pub(crate) fn new(series: &[Vec<f64>], rows: f64) -> Self {
        let all = series.iter().map(|values| One { at: scale::first_mean(values, START), drift: 0.0 }).collect();
        Self { gain: 1.0 / rows, all }
    }

    /// Deviations from the reference.
    pub(crate) fn away<'a>(&'a self, features: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.all.iter().zip(features).map(|(one, value)| value - one.at)
    }

    /// The reference.
    pub(crate) fn levels(&self) -> impl Iterator<Item = f64> {
        self.all.iter().map(|one| one.at)
    }

    /// Goes there at once.
    pub(crate) fn move_to(&mut self, features: &[f64]) {
        for (one, value) in self.all.iter_mut().zip(features) {
            *one = One { at: *value, drift: 0.0 };
        }
    }

    /// Follows, in the fitted rows.
    pub(crate) fn follow(&mut self, features: &[f64]) {
        for (one, value) in self.all.iter_mut().zip(features) {
            one.at += one.step(*value, self.gain, 1.0);
        }
    }

    /// Follows by the share of each feature; none for a feature that is missing.
    pub(crate) fn adapt(&mut self, features: &[f64], shares: impl Iterator<Item = Option<f64>>) {
        for ((one, value), share) in self.all.iter_mut().zip(features).zip(shares) {
            let Some(share) = share else { continue };
            let mut step = one.step(*value, self.gain, share);
            if share >= 0.5 {
                one.drift += (step - one.drift) / DRIFT;
            } else {
                one.drift *= 1.0 - 1.0 / DAMPED;
                if one.drift * (value - one.at) > 0.0 && one.drift.abs() > step.abs() {
                    step = one.drift;
                }
            }
            one.at += step;
        }
    }
}

/// The share for an adjusted deviation.
pub(crate) fn share(adjusted: f64, deadband: f64, freeze: f64) -> f64 {
    let along = ((adjusted.abs() - deadband) / (freeze - deadband)).max(0.0);
    if along < 1.0 { (1.0 - along * along).powi(2) } else { 0.0 }
}
