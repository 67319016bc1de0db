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

/// Fewest units that make a library: with 5 the error on C-MAPSS was twice that with 10. Below it use
/// [`Degradation`](super::wiener::Degradation).
pub const FEWEST: usize = 10;
/// Folds by which the residuals are found; whole units are held back.
const FOLDS: usize = 5;
/// Every n-th window of a unit is a snapshot.
const STRIDE: usize = 5;

/// Why no library came about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LibraryError {
    /// Fewer than [`FEWEST`] units.
    Few(usize),
    /// Not above 0.
    Horizon(f64),
    /// Units do not have the same sensors.
    Widths,
    /// No sensor goes the same way in all units as they age.
    NoTrend,
    /// Units too short, or the equations could not be solved.
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

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Library {
    horizon: f64,
    spans: Spans,
    fusion: Fusion,
    similarity: Similarity,
    residuals: Residuals,
}

impl Library {
    /// Learns from runs to failure. `horizon`: the remaining life, in windows, beyond which no difference shows (125 for
    /// C-MAPSS). Predictions are capped there; quantiles are not.
    ///
    /// # Errors
    /// [`LibraryError`].
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
        // Predicted and true lives of units held back, one list a penalty.
        let mut pairs = vec![Vec::new(); PENALTIES.len()];
        for fold in 0..FOLDS {
            let part = |held: bool| -> Vec<&History> {
                units.iter().enumerate().filter(|(i, _)| (i % FOLDS == fold) == held).map(|(_, unit)| unit).collect()
            };
            let (fusion, models) = learn(&part(false), horizon, &spans, &PENALTIES)?;
            let (rows, lives) = snapshots(&part(true), &fusion, &spans);
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

    /// Adds a window's sensors to a unit's state; a window with a number that is not finite is passed over.
    pub fn push(&self, unit: &mut Tracker, row: &[f64]) {
        let index = self.fusion.index(row);
        if index.is_finite() {
            unit.push(index, &self.spans);
        }
    }

    /// How the sensors are fused.
    #[must_use]
    pub fn fusion(&self) -> &Fusion {
        &self.fusion
    }

    /// Remaining life of a unit; none before it had a window.
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

/// Features and true remaining life at every [`STRIDE`]-th window from the 20th on, each unit begun elsewhere.
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
