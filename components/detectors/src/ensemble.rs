//! The default detector: several detectors of different kinds, each with its own limit, weighted by its false-alarm
//! rate.
//!
//! **Members.** One [`crate::process`] follows the levels over time, a second one the spreads. [`crate::zscore`] and
//! [`crate::mahalanobis`] look at single rows: one finds a sensor with outlying numbers of any kind, the other levels
//! and spreads that do not fit together. Tried and left out: `pca` (three quarters of the cost, finds next to nothing
//! that the others miss), `mcd` (like `mahalanobis`, at a hundred times the cost to fit), `isolation_forest` (raises
//! hardly any alarm), `forecast` (finds the first rows of a fault, which the others find too). The README has the
//! figures.
//!
//! **Drift.** The members that look at single rows do not know time. Their rows are reduced by a slow reference, one
//! per number, which stops while the number is far out. For the levels `process` is the better judge once it has learnt
//! from enough rows: the references of the levels then stop while its ratio is high, and follow within some rows when
//! it is not. So a fault ends at the same time for all members.
//!
//! **Limits.** The limit of the members that look at single rows is the value that one normal row in 1,000 exceeds, by
//! peaks over threshold on cross-validated normal rows ([`crate::calibrated`]). `zscore` uses its own limit if that is
//! lower, because single numbers leave little to overfit. `process` cross-validates itself, and is checked on the last
//! part of the rows after it has learnt from the first.
//!
//! **Weights.** A member that called a share `f` of the held-out normal rows abnormal by its own theory has the weight
//! `1 / (1 + f / 0.01)`, at least a half. With the ratios `r` to the limits the combined ratio is `(Σ w r⁴)^(1/4)`:
//! nearly the largest, with some credit where several agree. A member of weight `w` alone needs `r = w^(−1/4)` for an
//! alarm.

use serde::{Deserialize, Serialize};

use crate::{
    Detector, FitError, Layout,
    calibrated::{self, DistanceModel},
    mahalanobis::Mahalanobis,
    pot,
    process::Process,
    rows::{self, Scales},
    zscore::ZScore,
};

/// Fewest rows that show what is normal.
const MIN_ROWS: usize = 10;
/// Exponent of the power mean that combines the ratios.
const EXPONENT: i32 = 4;
/// A member's ratio is capped at this value.
const MAX_RATIO: f64 = 100.0;
/// False-alarm share that halves a member's weight.
const HALVING_RATE: f64 = 0.01;
/// Smallest weight, because the limits already depend on the same rows.
const MIN_WEIGHT: f64 = 0.5;
/// Time constant of the slow reference, in rows.
const REFERENCE_ROWS: f64 = 60.0;
/// Fewest training rows in which drift is visible.
const MIN_DRIFT_ROWS: usize = 100;
/// A reference follows freely up to the first distance from it and not at all beyond the second, in scales.
const FOLLOW_RANGE: (f64, f64) = (2.0, 4.0);
/// A reference always moves per row by this share of the distance, but by no more than so many scales.
const MIN_FOLLOW: (f64, f64) = (0.05, 0.0005);
/// Rows that `process` must have seen before the references of the levels follow its ratio.
const PROCESS_TRUSTED_ROWS: f64 = 200.0;
/// Gain per row of the references of the levels once they follow `process`.
const LEVEL_GAIN: f64 = 0.1;
/// The references of the levels follow freely up to the first ratio of `process`, and not at all beyond the second.
const LEVEL_RATIO_RANGE: (f64, f64) = (0.4, 1.0);
/// Smallest limit of `process` on levels and on spreads; the second is above 1 because there are two of them.
const MIN_PROCESS_LIMITS: (f64, f64) = (1.0, 1.2);
/// Factor on the limit of a member that looks at single rows, because there are two of them.
const LIMIT_MARGIN: f64 = 1.05;
/// Limit of `process` if there are too few rows to check it.
const UNCHECKED_LIMIT: f64 = 1.5;
/// Increase of the limits with few rows: this share at 30 of them, falling by a factor e with every 60 more. The first
/// is for `process`, the second for the members that look at single rows.
const FEW_ROWS_MARGIN: (f64, f64) = (0.5, 0.15);
/// Fewest rows that `process` can be fitted on.
const MIN_PROCESS_ROWS: usize = 30;

/// Names of the members; `process` on levels and on spreads counts as one.
const MEMBERS: [&str; 3] = ["process", "zscore", "mahalanobis"];

/// A member that looks at single rows, with its limit and weight.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RowMember<M> {
    model: M,
    limit: f64,
    weight: f64,
}

impl<M: DistanceModel> RowMember<M> {
    fn fit(layout: Layout, rows: &[Vec<f64>]) -> Self {
        let validated = calibrated::cross_validated_ratios::<M>(layout, rows);
        let mut model = M::default();
        model.train(layout, rows);
        let margin = LIMIT_MARGIN * few_rows_factor(rows.len(), FEW_ROWS_MARGIN.1);
        let limit = model.theoretical_limit() * margin * pot::tail_limit(&validated).max(1.0);
        Self { model, limit, weight: member_weight(&validated) }
    }

    fn ratio(&self, row: &[f64]) -> f64 {
        rows::ratio(self.model.distance(row), self.limit)
    }
}

/// A member that follows the levels or the spreads over time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct ProcessMember {
    process: Process,
    limit: f64,
    weight: f64,
}

impl ProcessMember {
    /// Fits on the first part of the rows and sets the limit from the rest; then fits on all rows. None with too few
    /// rows.
    fn fit(layout: Layout, rows: &[Vec<f64>], min_limit: f64) -> Option<Self> {
        let mut process = Process::default();
        process.fit(layout, rows).ok()?;
        let (before, after) = rows.split_at((rows.len() * 3 / 5).max(MIN_PROCESS_ROWS).min(rows.len()));
        let mut early = Process::default();
        if after.len() < MIN_PROCESS_ROWS / 2 || early.fit(layout, before).is_err() {
            return Some(Self { process, limit: UNCHECKED_LIMIT * min_limit, weight: 1.0 });
        }
        let ratios: Vec<f64> = after.iter().map(|row| early.score(0, row)).collect();
        let min_limit = min_limit * few_rows_factor(rows.len(), FEW_ROWS_MARGIN.0);
        let limit = rows::quantile(&ratios, 0.99).clamp(min_limit, UNCHECKED_LIMIT.max(min_limit));
        Some(Self { process, limit, weight: member_weight(&ratios) })
    }

    fn ratio(&mut self, time: i64, row: &[f64]) -> f64 {
        rows::ratio(self.process.score(time, row), self.limit)
    }
}

/// Weight of a member, from the share of its ratios above 1.
fn member_weight(ratios: &[f64]) -> f64 {
    let exceedances = ratios.iter().filter(|ratio| **ratio > 1.0).count();
    (1.0 + rows::to_float(exceedances) / rows::to_float(ratios.len().max(1)) / HALVING_RATE).recip().max(MIN_WEIGHT)
}

/// The default detector; see the module documentation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ensemble {
    layout: Layout,
    scales: Scales,
    /// Slow reference of each number, in scales.
    references: Vec<f64>,
    /// Rows that `process` was fitted on or has scored.
    seen_rows: f64,
    /// None with too few training rows.
    levels: Option<ProcessMember>,
    spreads: Option<ProcessMember>,
    zscore: RowMember<ZScore>,
    mahalanobis: RowMember<Mahalanobis>,
    last_shares: Vec<f64>,
}

/// Contributions of the members to the combined ratio: weight times ratio to the fourth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct MemberContributions {
    /// `process` on the levels.
    levels: f64,
    /// `process` on the spreads.
    spreads: f64,
    /// `zscore`.
    zscore: f64,
    /// `mahalanobis`.
    mahalanobis: f64,
}

impl Ensemble {
    /// Returns a row in scales, minus the references; missing values are 0.
    fn detrended(&self, row: &[f64]) -> Vec<f64> {
        let z = self.scales.to_scales(row).into_iter().zip(&self.references).enumerate();
        z.map(|(at, (z, reference))| if is_present(row, at) { z - reference } else { 0.0 }).collect()
    }

    /// Moves the references towards the row. `levels`: ratio of `process` on the levels, if they are to follow it.
    fn update_references(&mut self, row: &[f64], detrended: &[f64], levels: Option<f64>) {
        let columns = self.layout.columns.max(1);
        for (at, (reference, detrended)) in self.references.iter_mut().zip(detrended).enumerate() {
            if !is_present(row, at) {
                continue;
            }
            let min_step = (MIN_FOLLOW.0 * detrended).clamp(-MIN_FOLLOW.1, MIN_FOLLOW.1);
            let step = match levels {
                Some(ratio) if at % columns == self.layout.level => {
                    LEVEL_GAIN * detrended * biweight(ratio, LEVEL_RATIO_RANGE)
                }
                _ => biweight(detrended.abs(), FOLLOW_RANGE) * detrended / REFERENCE_ROWS,
            };
            *reference += if min_step.abs() > step.abs() { min_step } else { step };
        }
    }
}

/// Factor on limits that were learnt from few rows.
fn few_rows_factor(rows: usize, share: f64) -> f64 {
    1.0 + share * ((rows::to_float(MIN_PROCESS_ROWS) - rows::to_float(rows)) / 60.0).exp().min(1.0)
}

/// Falls from 1 at the first bound to 0 at the second, by Tukey's biweight.
fn biweight(value: f64, bounds: (f64, f64)) -> f64 {
    let position = ((value - bounds.0) / (bounds.1 - bounds.0)).clamp(0.0, 1.0);
    (1.0 - position * position).powi(2)
}

fn is_present(row: &[f64], at: usize) -> bool {
    row.get(at).is_some_and(|value| value.is_finite())
}

impl Detector for Ensemble {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable_rows(layout, rows, MIN_ROWS)?;
        let mut new = Self {
            layout,
            scales: Scales::fit(&rows),
            references: vec![0.0; layout.width()],
            last_shares: vec![0.0; layout.width()],
            ..Self::default()
        };
        new.levels = ProcessMember::fit(layout, &rows, MIN_PROCESS_LIMITS.0);
        if new.levels.is_some() {
            new.seen_rows = rows::to_float(rows.len());
        }
        let spreads = layout.spread.map(|spread| Layout { level: spread, spread: None, ..layout });
        let varies: Vec<bool> = new.scales.varying().collect();
        let spreads = spreads.filter(|spreads| spreads.level_indices().any(|at| varies.get(at) == Some(&true)));
        new.spreads = spreads.and_then(|spreads| ProcessMember::fit(spreads, &rows, MIN_PROCESS_LIMITS.1));
        let detrended: Vec<Vec<f64>> = if rows.len() < MIN_DRIFT_ROWS {
            rows.iter().map(|row| new.detrended(row)).collect()
        } else {
            // The references start at the first rows.
            let first: Vec<Vec<f64>> =
                rows.iter().take(MIN_DRIFT_ROWS / 5).map(|row| new.scales.to_scales(row)).collect();
            new.references = (0..layout.width()).map(|at| rows::median(&rows::column(&first, at))).collect();
            rows.iter()
                .map(|row| {
                    let detrended = new.detrended(row);
                    new.update_references(row, &detrended, None);
                    detrended
                })
                .collect()
        };
        new.zscore = RowMember::fit(layout, &detrended);
        let distances = detrended.iter().map(|row| new.zscore.model.distance(row));
        new.zscore.limit = new.zscore.limit.min(
            LIMIT_MARGIN
                * few_rows_factor(rows.len(), FEW_ROWS_MARGIN.1)
                * rows::training_limit(new.zscore.model.theoretical_limit(), distances),
        );
        new.mahalanobis = RowMember::fit(layout, &detrended);
        *self = new;
        Ok(())
    }

    fn score(&mut self, time: i64, row: &[f64]) -> f64 {
        if self.references.is_empty() {
            return 0.0;
        }
        let power = |weight: f64, ratio: f64| weight * ratio.min(MAX_RATIO).powi(EXPONENT);
        let detrended = self.detrended(row);
        let levels = self.levels.as_mut().map(|levels| levels.ratio(time, row));
        let spreads = self.spreads.as_mut().map(|spreads| spreads.ratio(time, row));
        let weight = |process_member: &Option<ProcessMember>| {
            process_member.as_ref().map_or(0.0, |process_member| process_member.weight)
        };
        let parts = MemberContributions {
            levels: power(weight(&self.levels), levels.unwrap_or(0.0)),
            spreads: power(weight(&self.spreads), spreads.unwrap_or(0.0)),
            zscore: power(self.zscore.weight, self.zscore.ratio(&detrended)),
            mahalanobis: power(self.mahalanobis.weight, self.mahalanobis.ratio(&detrended)),
        };
        self.seen_rows += 1.0;
        self.update_references(row, &detrended, levels.filter(|_| self.seen_rows > PROCESS_TRUSTED_ROWS));

        let mut shares = vec![0.0; self.layout.width()];
        let mut add = |part: f64, of: Vec<f64>| {
            for (share, of) in shares.iter_mut().zip(rows::to_shares(of)) {
                *share += part * of;
            }
        };
        for (part, process_member) in [(parts.levels, &self.levels), (parts.spreads, &self.spreads)] {
            add(
                part,
                process_member.as_ref().map(|process_member| process_member.process.explain()).unwrap_or_default(),
            );
        }
        add(parts.zscore, self.zscore.model.contributions(&detrended));
        add(parts.mahalanobis, self.mahalanobis.model.contributions(&detrended));
        self.last_shares = rows::to_shares(shares);
        let sum = parts.levels + parts.spreads + parts.zscore + parts.mahalanobis;
        rows::ratio(sum.powf(f64::from(EXPONENT).recip()), 1.0)
    }

    fn explain(&self) -> Vec<f64> {
        self.last_shares.clone()
    }

    fn impute(&self, row: &mut [f64]) {
        let z = self.scales.to_scales(row).into_iter().zip(&self.references).enumerate();
        let mut detrended: Vec<f64> =
            z.map(|(at, (z, reference))| if is_present(row, at) { z - reference } else { f64::NAN }).collect();
        self.mahalanobis.model.impute(&mut detrended);
        for (at, (detrended, reference)) in detrended.iter().zip(&self.references).enumerate() {
            if let Some(slot) = row.get_mut(at).filter(|slot| !slot.is_finite() && detrended.is_finite()) {
                *slot = self.scales.to_value(at, detrended + reference);
            }
        }
    }

    fn members(&self) -> &'static [&'static str] {
        &MEMBERS
    }

    fn score_with_member(&mut self, member: &str, time: i64, row: &[f64]) -> Option<f64> {
        let detrended = self.detrended(row);
        let (ratio, shares) = match member {
            "process" => {
                let process_member = [&mut self.levels, &mut self.spreads].into_iter().flatten();
                let all: Vec<_> = process_member
                    .map(|process_member| (process_member.ratio(time, row), process_member.process.explain()))
                    .collect();
                all.into_iter().max_by(|(one, _), (other, _)| one.total_cmp(other)).unwrap_or_default()
            }
            "zscore" => (self.zscore.ratio(&detrended), rows::to_shares(self.zscore.model.contributions(&detrended))),
            "mahalanobis" => {
                (self.mahalanobis.ratio(&detrended), rows::to_shares(self.mahalanobis.model.contributions(&detrended)))
            }
            _ => return None,
        };
        self.seen_rows += 1.0;
        self.update_references(row, &detrended, None);
        self.last_shares = shares;
        Some(ratio)
    }
}
