//! How long an asset has left.
//!
//! Without failures in the past: a health index, the distance of the levels from their beginning, is followed as a drifting
//! Brownian motion, whose first passage through the limit has 10, 50 and 90 % quantiles
//! ([`wheeltapper_condition::life::wiener`]). With a library of runs to failure: the life that units with a similar course had
//! left ([`wheeltapper_condition::life::library`]).

use serde::{Deserialize, Serialize};
use wheeltapper_condition::life::{
    Remaining, health::Beginning, library::Library, tracker::Tracker, wiener::Degradation,
};

use crate::{explain::Context, unit::Window};

/// Windows that are averaged for one step of the degradation.
const BLOCK: u32 = 6;
/// Steps that the degradation begins with.
const FIRST: usize = 10;
/// Steps, each worse than the beginning, from one estimate to the next.
const EVERY: u32 = 5;
/// A health index below this is no degradation to speak of.
const WORSE: f64 = 2.0;
/// The limit is known to about this factor (one deviation of its logarithm).
const GUESS: f64 = 0.4;

/// Remaining life, as far as it can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Prognosis {
    /// The asset's id.
    pub asset: String,
    /// End of the window that it was made at, in ns since 1970.
    pub time: i64,
    /// 1: as in the beginning; 0: at the limit.
    pub health: f64,
    /// In hours: 90 %, 50 % and 10 % of such assets last longer. None: no end in sight.
    pub hours: [Option<f64>; 3],
    /// `library` or `degradation`.
    pub model: &'static str,
}

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Life {
    beginning: Option<Beginning>,
    sum: f64,
    counted: u32,
    first: Vec<f64>,
    degradation: Option<Degradation>,
    /// In a row that were worse.
    steps: u32,
    tracker: Tracker,
    /// Starts of the last two windows tell how much time one stands for, in ns.
    last: Option<i64>,
    step: i64,
}

/// A library, and the sensors that it knows, by the last part of their ids.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) sensors: Vec<String>,
    pub(crate) horizon: f64,
    pub(crate) library: Library,
}

impl Life {
    /// The levels (in scales) of the windows that were learnt from. Learnt again, the scales are others: it begins anew.
    pub(crate) fn begin(&mut self, rows: &[Vec<f64>]) {
        let sound: Vec<&[f64]> =
            rows.iter().filter(|row| row.iter().all(|value| value.is_finite())).map(Vec::as_slice).collect();
        if let Some(beginning) = Beginning::fit(&sound) {
            self.beginning = Some(beginning);
            (self.sum, self.counted) = (0.0, 0);
            self.first.clear();
            self.degradation = None;
        }
    }

    /// Takes a window: its levels in scales and as they are.
    pub(crate) fn push(
        &mut self,
        window: &Window,
        scaled: &[f64],
        levels: &[f64],
        context: &Context<'_>,
    ) -> Option<Prognosis> {
        if let Some(last) = self.last {
            let step = window.start.saturating_sub(last);
            self.step = if self.step > 0 { self.step.min(step.max(1)) } else { step };
        }
        self.last = Some(window.start);
        if let Some(runs) = context.runs.filter(|runs| runs.row(levels, context).is_some()) {
            return self.by_library(window, levels, runs, context);
        }
        self.by_degradation(window, scaled, context)
    }

    /// A window before anything was learnt: only a library can make something of it.
    pub(crate) fn early(&mut self, window: &Window, levels: &[f64], context: &Context<'_>) -> Option<Prognosis> {
        context.runs?;
        self.push(window, &[], levels, context)
    }

    fn by_library(&mut self, window: &Window, levels: &[f64], runs: &Runs, context: &Context<'_>) -> Option<Prognosis> {
        let row = runs.row(levels, context)?;
        runs.library.push(&mut self.tracker, &row);
        let remaining = runs.library.remaining(&self.tracker)?;
        let health = (remaining.expected / runs.horizon).clamp(0.0, 1.0);
        Some(self.prognosis(window, context, remaining, health, 1.0, "library"))
    }

    fn by_degradation(&mut self, window: &Window, scaled: &[f64], context: &Context<'_>) -> Option<Prognosis> {
        let index = self.beginning.as_ref()?.index(scaled);
        if !index.is_finite() {
            return None;
        }
        self.sum += index;
        self.counted += 1;
        if self.counted < BLOCK {
            return None;
        }
        let index = std::mem::take(&mut self.sum) / f64::from(std::mem::take(&mut self.counted));
        let Some(degradation) = &mut self.degradation else {
            self.first.push(index);
            if self.first.len() >= FIRST {
                self.degradation = Degradation::new(&self.first);
                self.first = Vec::new();
            }
            return None;
        };
        degradation.push(index);
        // One step that is worse may be chance: so many in a row are none.
        self.steps = if index < WORSE { 0 } else { self.steps.saturating_add(1) };
        if self.steps == 0 || !self.steps.is_multiple_of(EVERY) {
            return None;
        }
        let limit = context.config.life_limit;
        let remaining = degradation.remaining(limit, GUESS)?;
        let health = 1.0 - ((index - 1.0) / (limit - 1.0)).clamp(0.0, 1.0);
        Some(self.prognosis(window, context, remaining, health, f64::from(BLOCK), "degradation"))
    }

    #[allow(clippy::cast_precision_loss, reason = "a length of time")]
    fn prognosis(
        &self,
        window: &Window,
        context: &Context<'_>,
        remaining: Remaining,
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

impl Runs {
    /// The levels in the library's order; none when a sensor is not there.
    fn row(&self, levels: &[f64], context: &Context<'_>) -> Option<Vec<f64>> {
        self.sensors
            .iter()
            .map(|name| {
                let place = context.members.iter().position(|member| {
                    member.name.rsplit('/').next().is_some_and(|short| short == name) || *member.name == **name
                })?;
                levels.get(place).copied().filter(|level| level.is_finite())
            })
            .collect()
    }
}
