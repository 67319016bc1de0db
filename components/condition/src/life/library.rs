//! Remaining life from a library of runs to failure.

use serde::{Deserialize, Serialize};

use super::{
    Remaining,
    fusion::Fusion,
    history::History,
    residual::Residuals,
    similarity::{PENALTIES, Similarity},
    tracker::{FEATURES, Spans, Tracker},
};

/// Smallest number of runs to failure in a library: with 5 the error on C-MAPSS was twice that with 10. With fewer runs
/// use the degradation model ([`wiener`](super::wiener)).
pub const FEWEST: usize = 10;
/// Folds of the cross-validation that yields the residuals; whole units are held out.
const FOLDS: usize = 5;
/// Every n-th window of a unit is a training row.
const STRIDE: usize = 5;

/// Why a library cannot be fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LibraryError {
    /// Too few runs; the number of runs given.
    Few(usize),
    /// The horizon, in windows, is not above 0.
    Horizon(f64),
    /// The runs have different numbers of sensors.
    Widths,
    /// No sensor rises or falls with age in all runs.
    NoTrend,
    /// The runs are too short, or the equations have no solution.
    Unsolved,
}

impl std::fmt::Display for LibraryError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Few(count) => write!(formatter, "{count} runs to failure; expected at least {FEWEST}"),
            Self::Horizon(got) => write!(formatter, "the horizon is {got} windows; expected more than 0"),
            Self::Widths => formatter.write_str("the runs do not have the same number of sensors"),
            Self::NoTrend => formatter.write_str("no sensor rises or falls with age in all runs"),
            Self::Unsolved => formatter.write_str("the runs are too short to learn from"),
        }
    }
}

impl std::error::Error for LibraryError {}

/// A model of remaining life, fitted on runs to failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Library {
    horizon: f64,
    spans: Spans,
    fusion: Fusion,
    similarity: Similarity,
    residuals: Residuals,
}

impl Library {
    /// Fits the library on runs to failure. `horizon` is the remaining life, in windows, beyond which units do not
    /// differ (125 for C-MAPSS). Expected values are capped there; quantiles are not.
    ///
    /// # Errors
    /// [`LibraryError`] when there are too few runs, the runs do not fit together, or nothing can be learnt from them.
    pub fn fit(units: &[History], horizon: f64) -> Result<Self, LibraryError> {
        if !crate::stats::positive(horizon) {
            return Err(LibraryError::Horizon(horizon));
        }
        if units.len() < FEWEST {
            return Err(LibraryError::Few(units.len()));
        }
        if units.iter().any(|unit| unit.width() != units[0].width()) {
            return Err(LibraryError::Widths);
        }
        let spans = Spans::new(horizon);
        // Predicted and true remaining lives of held-out units, one list per penalty.
        let mut pairs = vec![Vec::new(); PENALTIES.len()];
        for fold in 0..FOLDS {
            let select = |held_out: bool| -> Vec<&History> {
                units
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| (i % FOLDS == fold) == held_out)
                    .map(|(_, unit)| unit)
                    .collect()
            };
            let (fusion, models) = learn(&select(false), horizon, &spans, &PENALTIES)?;
            let (rows, lives) = snapshots(&select(true), &fusion, &spans);
            for (pairs, model) in pairs.iter_mut().zip(&models) {
                pairs
                    .extend(rows.iter().zip(&lives).map(|(row, life)| (model.predict(row).clamp(0.0, horizon), *life)));
            }
        }
        let error = |pairs: &[(f64, f64)]| -> f64 {
            pairs.iter().map(|(predicted, life)| (predicted - life.min(horizon)).powi(2)).sum()
        };
        let (penalty, pairs) = PENALTIES
            .iter()
            .zip(&pairs)
            .min_by(|(_, a), (_, b)| error(a).total_cmp(&error(b)))
            .ok_or(LibraryError::Unsolved)?;
        let (fusion, models) = learn(&units.iter().collect::<Vec<_>>(), horizon, &spans, &[*penalty])?;
        let similarity = models.into_iter().next().ok_or(LibraryError::Unsolved)?;
        let residuals = Residuals::fit(pairs, horizon, units.len()).ok_or(LibraryError::Unsolved)?;
        Ok(Self { horizon, spans, fusion, similarity, residuals })
    }

    /// Adds the sensor values of one window to the state of a unit; ignores a window whose health index is not finite.
    pub fn push(&self, unit: &mut Tracker, row: &[f64]) {
        let index = self.fusion.index(row);
        if index.is_finite() {
            unit.push(index, &self.spans);
        }
    }

    /// Returns the fusion of the sensors into a health index.
    #[must_use]
    pub fn fusion(&self) -> &Fusion {
        &self.fusion
    }

    /// Returns the remaining life of a unit, or `None` before its first window.
    #[must_use]
    pub fn remaining(&self, unit: &Tracker) -> Option<Remaining> {
        if unit.age() == 0 {
            return None;
        }
        let expected = self.similarity.predict(&unit.features(&self.spans)).clamp(0.0, self.horizon);
        let [p10, p50, p90] = self.residuals.at(expected).map(|residual| (expected + residual).max(0.0));
        Some(Remaining { expected, p10, p50, p90 })
    }
}

fn learn(
    units: &[&History],
    horizon: f64,
    spans: &Spans,
    penalties: &[f64],
) -> Result<(Fusion, Vec<Similarity>), LibraryError> {
    let early = ((0.24 * horizon).round() as usize).max(5);
    let fusion = Fusion::fit(units, horizon, early).ok_or(LibraryError::NoTrend)?;
    let (rows, lives) = snapshots(units, &fusion, spans);
    let targets: Vec<f64> = lives.iter().map(|life| life.min(horizon)).collect();
    let models = Similarity::fit(&rows, &targets, penalties).ok_or(LibraryError::Unsolved)?;
    Ok((fusion, models))
}

/// Returns features and true remaining life of every [`STRIDE`]-th window from the 20th on, with a different offset for
/// each unit.
fn snapshots(units: &[&History], fusion: &Fusion, spans: &Spans) -> (Vec<[f64; FEATURES]>, Vec<f64>) {
    let (mut rows, mut lives) = (Vec::new(), Vec::new());
    for (number, unit) in units.iter().enumerate() {
        let mut tracker = Tracker::default();
        for (index, row) in unit.rows().enumerate() {
            tracker.push(fusion.index(row), spans);
            let age = index + 1;
            let first = 20 + number % STRIDE;
            if age >= first && (age - first).is_multiple_of(STRIDE) {
                rows.push(tracker.features(spans));
                lives.push((unit.life() - age) as f64);
            }
        }
    }
    (rows, lives)
}
