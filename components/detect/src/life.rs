//! Remaining life of an asset.
//!
//! Without past failures: the health index, which is the distance of the levels from their beginning, is modelled as a
//! drifting Brownian motion. Its first passage through the limit has 10, 50 and 90 % quantiles
//! ([`wheeltapper_condition_monitoring::life::wiener`]). With a library of runs to failure: the remaining life of past
//! runs with a similar history ([`wheeltapper_condition_monitoring::life::library`]).

use serde::{Deserialize, Serialize};
use wheeltapper_condition_monitoring::life::{
    RemainingLife, health::HealthBaseline, tracker::HealthTracker, wiener::DegradationModel,
};

use crate::{explain::AssetContext, run_library::RunLibrary, window::Window};

/// Windows that are averaged for one step of the degradation.
const WINDOWS_PER_STEP: u32 = 6;
/// Initial steps that the degradation model is fitted on.
const INITIAL_STEPS: usize = 10;
/// Number of consecutive degraded steps from one prognosis to the next.
const PROGNOSIS_INTERVAL: u32 = 5;
/// Health index from which a step counts as degraded.
const DEGRADED_INDEX: f64 = 2.0;
/// Uncertainty of the limit: one standard deviation of its logarithm.
const LIMIT_UNCERTAINTY: f64 = 0.4;

/// Estimate of the remaining life.
#[derive(Clone, Debug, PartialEq)]
pub struct Prognosis {
    /// Id of the asset.
    pub asset: String,
    /// End of the window of the estimate, in ns since 1970.
    pub time: i64,
    /// Health: 1 at the beginning, 0 at the limit.
    pub health: f64,
    /// Hours that 90 %, 50 % and 10 % of such assets exceed. None: no failure in sight.
    pub hours: [Option<f64>; 3],
    /// Model of the estimate: `library` or `degradation`.
    pub model: &'static str,
}

/// Remaining-life state of one asset; see the module documentation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LifeEstimator {
    baseline: Option<HealthBaseline>,
    sum: f64,
    summed_windows: u32,
    initial_indices: Vec<f64>,
    degradation: Option<DegradationModel>,
    /// Consecutive degraded steps.
    degraded_steps: u32,
    tracker: HealthTracker,
    /// Start of the last window; `step` is the distance between the starts of consecutive windows, in ns.
    last_start: Option<i64>,
    step: i64,
}

impl LifeEstimator {
    /// Starts from the levels (in scales) of the training windows. A new training changes the scales, so the state is
    /// reset.
    pub(crate) fn reset(&mut self, rows: &[Vec<f64>]) {
        let finite_rows: Vec<&[f64]> =
            rows.iter().filter(|row| row.iter().all(|value| value.is_finite())).map(Vec::as_slice).collect();
        if let Some(baseline) = HealthBaseline::fit(&finite_rows) {
            self.baseline = Some(baseline);
            (self.sum, self.summed_windows) = (0.0, 0);
            self.initial_indices.clear();
            self.degradation = None;
        }
    }

    /// Adds a window with its levels in scales and in the sensors' units.
    pub(crate) fn push(
        &mut self,
        window: &Window,
        scaled: &[f64],
        levels: &[f64],
        context: &AssetContext<'_>,
    ) -> Option<Prognosis> {
        if let Some(last) = self.last_start {
            let step = window.start.saturating_sub(last);
            self.step = if self.step > 0 { self.step.min(step.max(1)) } else { step };
        }
        self.last_start = Some(window.start);
        if let Some(runs) = context.library.filter(|runs| runs.row(levels, context.members).is_some()) {
            return self.estimate_by_library(window, levels, runs, context);
        }
        self.estimate_by_degradation(window, scaled, context)
    }

    /// Adds a window of the warm-up, for which only the library can give an estimate.
    pub(crate) fn push_during_warmup(
        &mut self,
        window: &Window,
        levels: &[f64],
        context: &AssetContext<'_>,
    ) -> Option<Prognosis> {
        context.library?;
        self.push(window, &[], levels, context)
    }

    fn estimate_by_library(
        &mut self,
        window: &Window,
        levels: &[f64],
        runs: &RunLibrary,
        context: &AssetContext<'_>,
    ) -> Option<Prognosis> {
        let row = runs.row(levels, context.members)?;
        runs.library.push(&mut self.tracker, &row);
        let remaining = runs.library.remaining(&self.tracker)?;
        let health = (remaining.expected / runs.horizon).clamp(0.0, 1.0);
        Some(self.prognosis(window, context, remaining, health, 1.0, "library"))
    }

    fn estimate_by_degradation(
        &mut self,
        window: &Window,
        scaled: &[f64],
        context: &AssetContext<'_>,
    ) -> Option<Prognosis> {
        let index = self.baseline.as_ref()?.index(scaled);
        if !index.is_finite() {
            return None;
        }
        self.sum += index;
        self.summed_windows += 1;
        if self.summed_windows < WINDOWS_PER_STEP {
            return None;
        }
        let index = std::mem::take(&mut self.sum) / f64::from(std::mem::take(&mut self.summed_windows));
        let Some(degradation) = &mut self.degradation else {
            self.initial_indices.push(index);
            if self.initial_indices.len() >= INITIAL_STEPS {
                self.degradation = DegradationModel::new(&self.initial_indices);
                self.initial_indices = Vec::new();
            }
            return None;
        };
        degradation.push(index);
        // One degraded step may be chance; this many in a row are not.
        self.degraded_steps = if index < DEGRADED_INDEX { 0 } else { self.degraded_steps.saturating_add(1) };
        if self.degraded_steps == 0 || !self.degraded_steps.is_multiple_of(PROGNOSIS_INTERVAL) {
            return None;
        }
        let limit = context.config.life_limit;
        let remaining = degradation.remaining(limit, LIMIT_UNCERTAINTY)?;
        let health = 1.0 - ((index - 1.0) / (limit - 1.0)).clamp(0.0, 1.0);
        Some(self.prognosis(window, context, remaining, health, f64::from(WINDOWS_PER_STEP), "degradation"))
    }

    #[allow(clippy::cast_precision_loss, reason = "a length of time")]
    fn prognosis(
        &self,
        window: &Window,
        context: &AssetContext<'_>,
        remaining: RemainingLife,
        health: f64,
        windows: f64,
        model: &'static str,
    ) -> Prognosis {
        let step = if self.step > 0 { self.step } else { window.end.saturating_sub(window.start) };
        let hours = |steps: f64| steps.is_finite().then_some(steps * windows * step as f64 / 3.6e12);
        Prognosis {
            asset: context.asset.to_owned(),
            time: window.end,
            health,
            hours: [remaining.p10, remaining.p50, remaining.p90].map(hours),
            model,
        }
    }
}
