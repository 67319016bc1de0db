//! The default: several detectors of different kinds, each by its own edge, weighted by how quiet it is.
//!
//! **Members.** [`crate::process`] follows the levels in time, and a second one the spreads. [`crate::zscore`] and
//! [`crate::mahalanobis`] see single rows: a sensor that stands out by numbers of any kind, and levels and spreads that do not
//! fit together. What was tried and left out: `pca` (three quarters of the cost, next to nothing that the others do not find),
//! `mcd` (as `mahalanobis`, at a hundred times the cost to fit), `isolation_forest` (hardly an alarm), `forecast` (the first
//! rows of a fault, which the others find too). The README has the figures.
//!
//! **Drift.** The members that see single rows do not know time; their rows come less a slow reference, one a number, that stands
//! still while the number is far out. Of the levels `process` knows better once it has learnt from enough rows: their references
//! then stand still while its ratio is high, and follow within some rows when it is not. So a fault's end is one for all.
//!
//! **Edges.** Of these members the edge is where peaks over threshold on cross-validated normal rows say that one in 1,000 is
//! beyond ([`crate::calibrated`]), for `zscore` its own if that is lower: single numbers have little to overfit. `process`
//! does likewise in itself, and is checked on the last part of the rows after it has learnt from the first.
//!
//! **Weights.** A member that called a share `f` of the held-out normal rows abnormal by its own theory has the weight
//! `1 / (1 + f / 0.01)`, at least a half. With the ratios `r` to the edges the whole is `(Σ w r⁴)^(1/4)`: nearly the largest,
//! with some credit where several agree; a member of weight `w` alone needs `r = w^(−1/4)` for an alarm.

use serde::{Deserialize, Serialize};

use crate::{
    Detector, FitError, Layout,
    calibrated::{self, Model},
    mahalanobis::Mahalanobis,
    pot,
    process::Process,
    rows::{self, Scales},
    zscore::ZScore,
};

/// Fewer rows do not show what is normal.
const LEAST_ROWS: usize = 10;
/// The exponent by which ratios are joined.
const EXPONENT: i32 = 4;
/// Above so many edges a member counts no more.
const MOST: f64 = 100.0;
/// A false-alarm share that halves the weight.
const HALVES: f64 = 0.01;
/// The least weight: the edges are by the same rows already.
const LEAST: f64 = 0.5;
/// Rows in which the slow reference follows.
const SLOW: f64 = 60.0;
/// With fewer rows to learn from there is no drift to be seen in them.
const DRIFTS: usize = 100;
/// A number follows freely up to so many scales from its reference, and not at all beyond the second.
const FREE: (f64, f64) = (2.0, 4.0);
/// What a reference makes up in a row in any case: this share, but no more than so many scales.
const ALWAYS: (f64, f64) = (0.05, 0.0005);
/// Rows that `process` has learnt from when the levels' references follow it, and how fast.
const KNOWS: f64 = 200.0;
const FAST: f64 = 0.1;
/// They follow freely up to the first ratio of it, and not at all beyond the second.
const CALM: (f64, f64) = (0.4, 1.0);
/// The least edge of `process` on levels and on spreads: there are two of them.
const LEAST_EDGES: (f64, f64) = (1.0, 1.2);
/// Room above the edge of a member that looks at single rows, as there are two of them.
const ROOM: f64 = 1.05;
/// The edge of `process` where there are too few rows to check it.
const UNCHECKED: f64 = 1.5;
/// More room with few rows, by this share at 30 of them and less by a factor e with every 60 more: for `process`, and for the
/// members that look at single rows.
const FEW: (f64, f64) = (0.5, 0.15);
/// Rows that it needs.
const PROCESS_ROWS: usize = 30;

/// Its members by name; `process` on levels and on spreads counts as one.
const MEMBERS: [&str; 3] = ["process", "zscore", "mahalanobis"];

/// A member that looks at single rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Static<M> {
    model: M,
    edge: f64,
    weight: f64,
}

impl<M: Model> Static<M> {
    fn fit(layout: Layout, rows: &[Vec<f64>]) -> Self {
        let validated = calibrated::validated::<M>(layout, rows);
        let mut model = M::default();
        model.learn(layout, rows);
        let room = ROOM * few(rows.len(), FEW.1);
        let edge = model.predicted() * room * pot::edge(&validated).max(1.0);
        Self { model, edge, weight: weight(&validated) }
    }

    fn ratio(&self, row: &[f64]) -> f64 {
        rows::ratio(self.model.distance(row), self.edge)
    }
}

/// A member that follows the levels, or the spreads, in time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Timed {
    process: Process,
    edge: f64,
    weight: f64,
}

impl Timed {
    /// It learns from the first part of the rows and must be quiet in the rest; then it learns from all.
    fn fit(layout: Layout, rows: &[Vec<f64>], least: f64) -> Option<Self> {
        let mut process = Process::default();
        process.fit(layout, rows).ok()?;
        let (before, after) = rows.split_at((rows.len() * 3 / 5).max(PROCESS_ROWS).min(rows.len()));
        let mut early = Process::default();
        if after.len() < PROCESS_ROWS / 2 || early.fit(layout, before).is_err() {
            return Some(Self { process, edge: UNCHECKED * least, weight: 1.0 });
        }
        let ratios: Vec<f64> = after.iter().map(|row| early.score(0, row)).collect();
        let least = least * few(rows.len(), FEW.0);
        let edge = rows::quantile(&ratios, 0.99).clamp(least, UNCHECKED.max(least));
        Some(Self { process, edge, weight: weight(&ratios) })
    }

    fn ratio(&mut self, time: i64, row: &[f64]) -> f64 {
        rows::ratio(self.process.score(time, row), self.edge)
    }
}

/// By the share of ratios past 1.
fn weight(ratios: &[f64]) -> f64 {
    let past = ratios.iter().filter(|ratio| **ratio > 1.0).count();
    (1.0 + rows::count(past) / rows::count(ratios.len().max(1)) / HALVES).recip().max(LEAST)
}

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ensemble {
    layout: Layout,
    scales: Scales,
    /// The slow reference of each number, in scales.
    references: Vec<f64>,
    /// Rows that `process` learnt from or has seen.
    rows: f64,
    /// None with fewer rows than they need.
    levels: Option<Timed>,
    spreads: Option<Timed>,
    zscore: Static<ZScore>,
    mahalanobis: Static<Mahalanobis>,
    last: Vec<f64>,
}

/// What members came to, weighted and to the fourth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Parts {
    /// Of `process` on the levels.
    levels: f64,
    /// And on the spreads.
    spreads: f64,
    /// Of `zscore`.
    zscore: f64,
    /// Of `mahalanobis`.
    mahalanobis: f64,
}

impl Ensemble {
    /// A row in scales, less the references; what is missing is 0.
    fn moved(&self, row: &[f64]) -> Vec<f64> {
        let z = self.scales.of(row).into_iter().zip(&self.references).enumerate();
        z.map(|(at, (z, reference))| if is_there(row, at) { z - reference } else { 0.0 }).collect()
    }

    /// The references follow the row.
    fn follow(&mut self, row: &[f64], moved: &[f64], levels: Option<f64>) {
        let columns = self.layout.columns.max(1);
        for (at, (reference, moved)) in self.references.iter_mut().zip(moved).enumerate() {
            if !is_there(row, at) {
                continue;
            }
            let always = (ALWAYS.0 * moved).clamp(-ALWAYS.1, ALWAYS.1);
            let step = match levels {
                Some(ratio) if at % columns == self.layout.level => FAST * moved * fading(ratio, CALM),
                _ => fading(moved.abs(), FREE) * moved / SLOW,
            };
            *reference += if always.abs() > step.abs() { always } else { step };
        }
    }
}

/// The factor of edges learnt from few rows.
fn few(rows: usize, share: f64) -> f64 {
    1.0 + share * ((rows::count(PROCESS_ROWS) - rows::count(rows)) / 60.0).exp().min(1.0)
}

/// From 1 at the first edge to 0 at the second, by Tukey's biweight.
fn fading(value: f64, edges: (f64, f64)) -> f64 {
    let along = ((value - edges.0) / (edges.1 - edges.0)).clamp(0.0, 1.0);
    (1.0 - along * along).powi(2)
}

fn is_there(row: &[f64], at: usize) -> bool {
    row.get(at).is_some_and(|value| value.is_finite())
}

impl Detector for Ensemble {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable(layout, rows, LEAST_ROWS)?;
        let mut new = Self {
            layout,
            scales: Scales::fit(&rows),
            references: vec![0.0; layout.width()],
            last: vec![0.0; layout.width()],
            ..Self::default()
        };
        new.levels = Timed::fit(layout, &rows, LEAST_EDGES.0);
        if new.levels.is_some() {
            new.rows = rows::count(rows.len());
        }
        let spreads = layout.spread.map(|spread| Layout { level: spread, spread: None, ..layout });
        let moves: Vec<bool> = new.scales.moves().collect();
        let spreads = spreads.filter(|spreads| spreads.levels().any(|at| moves.get(at) == Some(&true)));
        new.spreads = spreads.and_then(|spreads| Timed::fit(spreads, &rows, LEAST_EDGES.1));
        let moved: Vec<Vec<f64>> = if rows.len() < DRIFTS {
            rows.iter().map(|row| new.moved(row)).collect()
        } else {
            // From where the rows start.
            let first: Vec<Vec<f64>> = rows.iter().take(DRIFTS / 5).map(|row| new.scales.of(row)).collect();
            new.references = (0..layout.width()).map(|at| rows::median(&rows::column(&first, at))).collect();
            rows.iter()
                .map(|row| {
                    let moved = new.moved(row);
                    new.follow(row, &moved, None);
                    moved
                })
                .collect()
        };
        new.zscore = Static::fit(layout, &moved);
        let farthest = moved.iter().map(|row| new.zscore.model.distance(row));
        new.zscore.edge =
            new.zscore.edge.min(ROOM * few(rows.len(), FEW.1) * rows::edge(new.zscore.model.predicted(), farthest));
        new.mahalanobis = Static::fit(layout, &moved);
        *self = new;
        Ok(())
    }

    fn score(&mut self, time: i64, row: &[f64]) -> f64 {
        if self.references.is_empty() {
            return 0.0;
        }
        let power = |weight: f64, ratio: f64| weight * ratio.min(MOST).powi(EXPONENT);
        let moved = self.moved(row);
        let levels = self.levels.as_mut().map(|levels| levels.ratio(time, row));
        let spreads = self.spreads.as_mut().map(|spreads| spreads.ratio(time, row));
        let weight = |timed: &Option<Timed>| timed.as_ref().map_or(0.0, |timed| timed.weight);
        let parts = Parts {
            levels: power(weight(&self.levels), levels.unwrap_or(0.0)),
            spreads: power(weight(&self.spreads), spreads.unwrap_or(0.0)),
            zscore: power(self.zscore.weight, self.zscore.ratio(&moved)),
            mahalanobis: power(self.mahalanobis.weight, self.mahalanobis.ratio(&moved)),
        };
        self.rows += 1.0;
        self.follow(row, &moved, levels.filter(|_| self.rows > KNOWS));

        let mut shares = vec![0.0; self.layout.width()];
        let mut add = |part: f64, of: Vec<f64>| {
            for (share, of) in shares.iter_mut().zip(rows::shares(of)) {
                *share += part * of;
            }
        };
        for (part, timed) in [(parts.levels, &self.levels), (parts.spreads, &self.spreads)] {
            add(part, timed.as_ref().map(|timed| timed.process.explain()).unwrap_or_default());
        }
        add(parts.zscore, self.zscore.model.parts(&moved));
        add(parts.mahalanobis, self.mahalanobis.model.parts(&moved));
        self.last = rows::shares(shares);
        let sum = parts.levels + parts.spreads + parts.zscore + parts.mahalanobis;
        rows::ratio(sum.powf(f64::from(EXPONENT).recip()), 1.0)
    }

    fn explain(&self) -> Vec<f64> {
        self.last.clone()
    }

    fn complete(&self, row: &mut [f64]) {
        let z = self.scales.of(row).into_iter().zip(&self.references).enumerate();
        let mut moved: Vec<f64> =
            z.map(|(at, (z, reference))| if is_there(row, at) { z - reference } else { f64::NAN }).collect();
        self.mahalanobis.model.complete(&mut moved);
        for (at, (moved, reference)) in moved.iter().zip(&self.references).enumerate() {
            if let Some(place) = row.get_mut(at).filter(|place| !place.is_finite() && moved.is_finite()) {
                *place = self.scales.at(at, moved + reference);
            }
        }
    }

    fn members(&self) -> &'static [&'static str] {
        &MEMBERS
    }

    fn score_by(&mut self, member: &str, time: i64, row: &[f64]) -> Option<f64> {
        let moved = self.moved(row);
        let (ratio, shares) = match member {
            "process" => {
                let timed = [&mut self.levels, &mut self.spreads].into_iter().flatten();
                let all: Vec<_> = timed.map(|timed| (timed.ratio(time, row), timed.process.explain())).collect();
                all.into_iter().max_by(|(one, _), (other, _)| one.total_cmp(other)).unwrap_or_default()
            }
            "zscore" => (self.zscore.ratio(&moved), rows::shares(self.zscore.model.parts(&moved))),
            "mahalanobis" => (self.mahalanobis.ratio(&moved), rows::shares(self.mahalanobis.model.parts(&moved))),
            _ => return None,
        };
        self.rows += 1.0;
        self.follow(row, &moved, None);
        self.last = shares;
        Some(ratio)
    }
}
