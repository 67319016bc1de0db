//! Peaks over threshold: the limit that normal values exceed with a given small probability, from the tail of past
//! values.
//!
//! Excesses over a high threshold follow approximately a generalised Pareto distribution (J. Pickands 1975). Its
//! parameters are found by maximum likelihood with S. Grimshaw's reduction to one dimension ("Computing maximum
//! likelihood estimates for the generalized Pareto distribution", Technometrics 1993): for `θ = ξ/σ` the best shape is
//! `ξ = mean ln(1 + θ y)`. The alternative is probability-weighted moments (J. Hosking, J. Wallis 1987), which are more
//! stable for few excesses. [`Pot`] is the streaming variant, SPOT (A. Siffer et al., "Anomaly detection in streams
//! with extreme value theory", KDD 2017).

use serde::{Deserialize, Serialize};

use crate::rows;

/// Generalised Pareto distribution of excesses: `P(Y > y) = (1 + ξ y / σ)^(−1/ξ)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pareto {
    /// Shape ξ: heavy-tailed above 0, bounded below 0.
    pub shape: f64,
    /// Scale σ, in the unit of the values.
    pub scale: f64,
}

/// The likelihood is unbounded for shapes below this.
const MIN_SHAPE: f64 = -1.0;
/// Grid points of the first search on either side of 0.
const GRID: i32 = 40;
/// Shapes and products closer to 0 mean the exponential distribution.
const ZERO_SHAPE: f64 = 1e-9;

impl Pareto {
    /// Fits positive excesses by maximum likelihood. None with fewer than two different ones.
    pub fn fit_likelihood(excesses: &[f64]) -> Option<Self> {
        let max = excesses.iter().copied().fold(0.0, f64::max);
        let mean = rows::mean(excesses);
        if excesses.len() < 2 || !(mean > 0.0 && mean.is_finite()) || excesses.iter().any(|value| *value < 0.0) {
            return None;
        }
        let count = rows::to_float(excesses.len());
        let shape = |theta: f64| excesses.iter().map(|value| (theta * value).ln_1p()).sum::<f64>() / count;
        // The log-likelihood of the best shape for θ, up to constants.
        let likelihood = |theta: f64| {
            if (theta * mean).abs() < ZERO_SHAPE {
                return -mean.ln() - 1.0;
            }
            let shape = shape(theta);
            let scale = shape / theta;
            if shape < MIN_SHAPE || scale.is_nan() || scale <= 0.0 {
                f64::NEG_INFINITY
            } else {
                -scale.ln() - shape - 1.0
            }
        };
        // θ from just above −1 / max to 1000 / mean, on a grid that is finer near 0 and the lower end.
        let theta_at = |at: f64| {
            let part = at.abs() / f64::from(GRID);
            if at < 0.0 { -(1.0 - (-8.0 * part).exp()) / max } else { (1e3_f64.powf(part * 2.0 - 1.0) - 1e-3) / mean }
        };
        let best = (-GRID..=GRID)
            .map(f64::from)
            .map(|at| (at, likelihood(theta_at(at))))
            .max_by(|(_, one), (_, other)| one.total_cmp(other))?
            .0;
        // Golden-section search between the neighbouring grid points.
        let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
        let (mut low, mut high) =
            (theta_at((best - 1.0).max(f64::from(-GRID))), theta_at((best + 1.0).min(f64::from(GRID))));
        for _ in 0..60 {
            let (left, right) = (high - golden * (high - low), low + golden * (high - low));
            if likelihood(left) < likelihood(right) { low = left } else { high = right }
        }
        let theta = f64::midpoint(low, high);
        if (theta * mean).abs() < ZERO_SHAPE {
            return Some(Self { shape: 0.0, scale: mean });
        }
        let shape = shape(theta);
        Some(Self { shape, scale: shape / theta })
    }

    /// Fits positive excesses by probability-weighted moments. None with fewer than two different ones.
    pub fn fit_moments(excesses: &[f64]) -> Option<Self> {
        let mut sorted = excesses.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let count = rows::to_float(sorted.len());
        let mean = rows::mean(&sorted);
        let plotting_position = |at: usize| 1.0 - (rows::to_float(at + 1) - 0.35) / count;
        let weighted = sorted.iter().enumerate().map(|(at, value)| plotting_position(at) * value).sum::<f64>() / count;
        let denominator = mean - 2.0 * weighted;
        (sorted.len() >= 2 && denominator > 0.0 && denominator.is_finite())
            .then(|| Self { shape: 2.0 - mean / denominator, scale: 2.0 * mean * weighted / denominator })
    }

    /// Excess that is exceeded with this probability.
    pub fn excess_at(self, probability: f64) -> f64 {
        let log = -probability.max(f64::MIN_POSITIVE).ln();
        if self.shape.abs() < ZERO_SHAPE {
            self.scale * log
        } else {
            self.scale * (self.shape * log).exp_m1() / self.shape
        }
    }
}

/// Streaming limit (SPOT) and alarms above it.
///
/// The paper learns from values that raise no alarm. But a tail that is cut at the limit looks shorter than it is, so
/// the limit keeps falling. To prevent that, values up to twice as far above the threshold as the limit are learnt from
/// too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pot {
    /// Target false-alarm rate.
    rate: f64,
    /// Values above this are excesses.
    threshold: f64,
    /// The latest excesses.
    excesses: Vec<f64>,
    /// Index of the oldest excess, once the buffer is full.
    oldest: usize,
    /// Number of values learnt from, and of excesses among them.
    value_count: f64,
    excess_count: f64,
    limit: f64,
}

/// Values up to this many times as far above the threshold as the limit are learnt from.
const MAX_LEARNT_EXCESS: f64 = 2.0;
/// Capacity of the buffer of excesses.
const MAX_EXCESSES: usize = 500;

impl Pot {
    /// Fits normal values. The threshold is the value that this share of them is below (0.98 in the paper).
    pub fn fit(values: &[f64], below: f64, rate: f64) -> Self {
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let threshold = rows::quantile(&finite, below);
        let mut excesses: Vec<f64> =
            finite.iter().map(|value| value - threshold).filter(|value| *value > 0.0).collect();
        let excess_count = rows::to_float(excesses.len());
        excesses.drain(..excesses.len().saturating_sub(MAX_EXCESSES));
        let value_count = rows::to_float(finite.len());
        let mut pot = Self { rate, threshold, excesses, oldest: 0, value_count, excess_count, limit: threshold };
        pot.refit();
        pot
    }

    fn refit(&mut self) {
        let probability = (self.rate * self.value_count / self.excess_count.max(1.0)).min(1.0);
        let max = self.excesses.iter().copied().fold(0.0, f64::max);
        let excess = Pareto::fit_likelihood(&self.excesses).map_or(2.0 * max, |fitted| fitted.excess_at(probability));
        self.limit = self.threshold + excess;
    }

    /// Current limit, in the unit of the values.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// Adds the next value and returns true if it is above the limit.
    pub fn push(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return value == f64::INFINITY;
        }
        let exceeds_limit = value > self.limit;
        if value - self.threshold > MAX_LEARNT_EXCESS * (self.limit - self.threshold) {
            return exceeds_limit;
        }
        self.value_count += 1.0;
        if value > self.threshold {
            self.excess_count += 1.0;
            let excess = value - self.threshold;
            match self.excesses.get_mut(self.oldest) {
                Some(slot) if self.excess_count > rows::to_float(MAX_EXCESSES) => {
                    *slot = excess;
                    self.oldest = (self.oldest + 1) % MAX_EXCESSES;
                }
                _ => self.excesses.push(excess),
            }
            self.refit();
        }
        exceeds_limit
    }
}

/// Range of tail shapes for few values: neither bounded nor heavier than this.
const SHAPE_RANGE: (f64, f64) = (0.0, 0.3);

/// Limit that normal values exceed once in 1,000 times, estimated from a few dozen to some hundred values that may be
/// correlated: peaks over threshold by moments, with the ten largest values (or the largest tenth, if that is more) and
/// a margin for the uncertainty of few values.
pub(crate) fn tail_limit(values: &[f64]) -> f64 {
    let rate = 1.0 - crate::rows::NORMAL_SHARE;
    let count = rows::to_float(values.len());
    let share = (10.0 / count.max(10.0)).max(0.1);
    let threshold = rows::quantile(values, 1.0 - share);
    let excesses: Vec<f64> = values.iter().map(|value| value - threshold).filter(|value| *value > 0.0).collect();
    let max = values.iter().copied().fold(0.0, f64::max);
    let Some(fitted) = Pareto::fit_moments(&excesses) else { return 2.0 * max };
    let peaks = rows::to_float(excesses.len());
    let shape = fitted.shape.clamp(SHAPE_RANGE.0, SHAPE_RANGE.1);
    // The scale that keeps the mean with the clamped shape.
    let scale = rows::mean(&excesses) * (1.0 - shape) * (1.0 + 8.0 / peaks);
    (threshold + Pareto { shape, scale }.excess_at((rate * count / peaks).min(1.0))).max(max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[derive(serde::Deserialize)]
    struct Reference {
        cases: Vec<Case>,
    }
    #[derive(serde::Deserialize)]
    struct Case {
        excesses: Vec<f64>,
        shape: f64,
        scale: f64,
    }

    /// `scipy.stats.genpareto.fit(excesses, floc=0)`; shape and scale within 2 % (of 1 for the shape).
    #[test]
    fn the_fit_matches_scipy() {
        let reference: Reference = serde_json::from_str(include_str!("../tests/data/pareto.json")).unwrap();
        for case in &reference.cases {
            let mine = Pareto::fit_likelihood(&case.excesses).unwrap();
            assert!((mine.shape - case.shape).abs() < 0.02, "{mine:?} {} {}", case.shape, case.scale);
            assert!((mine.scale / case.scale - 1.0).abs() < 0.02, "{mine:?} {} {}", case.shape, case.scale);
        }
    }

    #[test]
    fn both_fits_recover_the_parameters() {
        let mut random = Random::new(1);
        for shape in [-0.3, 0.0, 0.3] {
            let pareto = Pareto { shape, scale: 2.0 };
            let excesses: Vec<f64> = (0..20_000).map(|_| pareto.excess_at(random.uniform())).collect();
            for fit in [Pareto::fit_likelihood(&excesses), Pareto::fit_moments(&excesses)] {
                let fit = fit.unwrap();
                assert!((fit.shape - shape).abs() < 0.03 && (fit.scale - 2.0).abs() < 0.08, "{shape}: {fit:?}");
            }
        }
    }

    /// Normal and exponential values exceed the limit for 1 in 1,000 about that often, over a long stream.
    #[test]
    fn the_limit_is_exceeded_at_the_target_rate() {
        for exponential in [false, true] {
            let mut random = Random::new(2);
            let mut draw = || if exponential { -random.uniform().ln() } else { random.normal() };
            let values: Vec<f64> = (0..2000).map(|_| draw()).collect();
            let mut pot = Pot::fit(&values, 0.98, 1e-3);
            let alarms = (0..100_000).filter(|_| pot.push(draw())).count();
            assert!((50..200).contains(&alarms), "{alarms} of 100000");
            assert!(pot.excesses.len() == MAX_EXCESSES);
        }
    }

    #[test]
    fn few_values_give_a_margin() {
        let mut random = Random::new(3);
        for count in [20, 60, 400] {
            let mut exceedances = 0;
            for _ in 0..200 {
                let values: Vec<f64> = (0..count).map(|_| random.normal().abs()).collect();
                let limit = tail_limit(&values);
                exceedances += (0..200).filter(|_| random.normal().abs() > limit).count();
            }
            assert!(exceedances <= 40, "{count}: {exceedances} of 40000");
        }
        assert_eq!(tail_limit(&[]), 0.0);
        assert_eq!(tail_limit(&[3.0; 20]), 6.0);
    }
}
