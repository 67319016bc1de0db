//! Remaining life from a library of runs to failure.

use serde::{Deserialize, Serialize};

use super::{
    RemainingLife,
    fusion::Fusion,
    history::RunToFailure,
    residual::ResidualQuantiles,
    similarity::{PENALTIES, SimilarityRegression},
    tracker::{FEATURE_COUNT, HealthTracker, WindowLengths},
};

/// Smallest number of runs to failure in a library: with 5 the error on C-MAPSS was twice that with 10. With fewer runs
/// use the degradation model ([`wiener`](super::wiener)).
pub const MIN_RUNS: usize = 10;
/// Folds of the cross-validation that yields the residuals; whole units are held out.
const FOLDS: usize = 5;
/// Every n-th window of a unit is a training row.
const STRIDE: usize = 5;

/// Why a library cannot be fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LibraryError {
    /// Too few runs; the number of runs given.
    TooFewRuns(usize),
    /// The horizon, in windows, is not above 0.
    InvalidHorizon(f64),
    /// The runs have different numbers of sensors.
    SensorCountMismatch,
    /// No sensor rises or falls with age in all runs.
    NoTrend,
    /// The runs are too short, or the equations have no solution.
    NotSolvable,
}

impl std::fmt::Display for LibraryError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooFewRuns(count) => write!(formatter, "{count} runs to failure; expected at least {MIN_RUNS}"),
            Self::InvalidHorizon(got) => write!(formatter, "the horizon is {got} windows; expected more than 0"),
            Self::SensorCountMismatch => formatter.write_str("the runs do not have the same number of sensors"),
            Self::NoTrend => formatter.write_str("no sensor rises or falls with age in all runs"),
            Self::NotSolvable => formatter.write_str("the runs are too short to learn from"),
        }
    }
}

impl std::error::Error for LibraryError {}

/// A model of remaining life, fitted on runs to failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Library {
    horizon: f64,
    window_lengths: WindowLengths,
    fusion: Fusion,
    similarity: SimilarityRegression,
    residuals: ResidualQuantiles,
}

impl Library {
    /// Fits the library on runs to failure. `horizon` is the remaining life, in windows, beyond which units do not
    /// differ (125 for C-MAPSS). Expected values are capped there; quantiles are not.
    ///
    /// # Errors
    /// [`LibraryError`] when there are too few runs, the runs do not fit together, or nothing can be learnt from them.
    pub fn fit(units: &[RunToFailure], horizon: f64) -> Result<Self, LibraryError> {
        if !crate::stats::is_positive(horizon) {
            return Err(LibraryError::InvalidHorizon(horizon));
        }
        if units.len() < MIN_RUNS {
            return Err(LibraryError::TooFewRuns(units.len()));
        }
        if units.iter().any(|unit| unit.sensor_count() != units[0].sensor_count()) {
            return Err(LibraryError::SensorCountMismatch);
        }
        let window_lengths = WindowLengths::new(horizon);
        // Predicted and true remaining lives of held-out units, one list per penalty.
        let mut pairs = vec![Vec::new(); PENALTIES.len()];
        for fold in 0..FOLDS {
            let select = |held_out: bool| -> Vec<&RunToFailure> {
                units
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| (i % FOLDS == fold) == held_out)
                    .map(|(_, unit)| unit)
                    .collect()
            };
            let (fusion, models) = fit_models(&select(false), horizon, &window_lengths, &PENALTIES)?;
            let (rows, remaining_lives) = training_rows(&select(true), &fusion, &window_lengths);
            for (pairs, model) in pairs.iter_mut().zip(&models) {
                pairs.extend(
                    rows.iter()
                        .zip(&remaining_lives)
                        .map(|(row, life)| (model.predict(row).clamp(0.0, horizon), *life)),
                );
            }
        }
        let error = |pairs: &[(f64, f64)]| -> f64 {
            pairs.iter().map(|(predicted, life)| (predicted - life.min(horizon)).powi(2)).sum()
        };
        let (penalty, pairs) = PENALTIES
            .iter()
            .zip(&pairs)
            .min_by(|(_, a), (_, b)| error(a).total_cmp(&error(b)))
            .ok_or(LibraryError::NotSolvable)?;
        let (fusion, models) = fit_models(&units.iter().collect::<Vec<_>>(), horizon, &window_lengths, &[*penalty])?;
        let similarity = models.into_iter().next().ok_or(LibraryError::NotSolvable)?;
        let residuals = ResidualQuantiles::fit(pairs, horizon, units.len()).ok_or(LibraryError::NotSolvable)?;
        Ok(Self { horizon, window_lengths, fusion, similarity, residuals })
    }

    /// Adds the sensor values of one window to the state of a unit; ignores a window whose health index is not finite.
    pub fn push(&self, unit: &mut HealthTracker, row: &[f64]) {
        let index = self.fusion.index(row);
        if index.is_finite() {
            unit.push(index, &self.window_lengths);
        }
    }

    /// Returns the fusion of the sensors into a health index.
    #[must_use]
    pub fn fusion(&self) -> &Fusion {
        &self.fusion
    }

    /// Returns the remaining life of a unit, or `None` before its first window.
    #[must_use]
    pub fn remaining(&self, unit: &HealthTracker) -> Option<RemainingLife> {
        if unit.age() == 0 {
            return None;
        }
        let expected = self.similarity.predict(&unit.features(&self.window_lengths)).clamp(0.0, self.horizon);
        let [p10, p50, p90] = self.residuals.quantiles_at(expected).map(|residual| (expected + residual).max(0.0));
        Some(RemainingLife { expected, p10, p50, p90 })
    }
}

fn fit_models(
    units: &[&RunToFailure],
    horizon: f64,
    window_lengths: &WindowLengths,
    penalties: &[f64],
) -> Result<(Fusion, Vec<SimilarityRegression>), LibraryError> {
    let early = ((0.24 * horizon).round() as usize).max(5);
    let fusion = Fusion::fit(units, horizon, early).ok_or(LibraryError::NoTrend)?;
    let (rows, remaining_lives) = training_rows(units, &fusion, window_lengths);
    let targets: Vec<f64> = remaining_lives.iter().map(|life| life.min(horizon)).collect();
    let models = SimilarityRegression::fit(&rows, &targets, penalties).ok_or(LibraryError::NotSolvable)?;
    Ok((fusion, models))
}

/// Returns features and true remaining life of every [`STRIDE`]-th window from the 20th on, with a different offset for
/// each unit.
fn training_rows(
    units: &[&RunToFailure],
    fusion: &Fusion,
    window_lengths: &WindowLengths,
) -> (Vec<[f64; FEATURE_COUNT]>, Vec<f64>) {
    let (mut rows, mut remaining_lives) = (Vec::new(), Vec::new());
    for (number, unit) in units.iter().enumerate() {
        let mut tracker = HealthTracker::default();
        for (index, row) in unit.rows().enumerate() {
            tracker.push(fusion.index(row), window_lengths);
            let age = index + 1;
            let first = 20 + number % STRIDE;
            if age >= first && (age - first).is_multiple_of(STRIDE) {
                rows.push(tracker.features(window_lengths));
                remaining_lives.push((unit.window_count() - age) as f64);
            }
        }
    }
    (rows, remaining_lives)
}
