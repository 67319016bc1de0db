//! Remaining life as the first passage of a drifting Brownian motion through a limit. It needs no observed failure.
//!
//! Kalman filters follow level x and drift μ of the health index, or of its logarithm (exponential degradation):
//! x ← x + μ + N(0, r), μ ← μ + N(0, q), y = x + N(0, v) (adaptive Wiener degradation: Si et al. 2013; the
//! exponential one: Gebraeel et al. 2005). There are 18 filters with different r, q and scale, weighted by how well they
//! predicted the windows so far. First passage through the limit at distance d is inverse Gaussian,
//! F(t) = Φ((μt − d)/σ√t) + e^(2μd/σ²) Φ(−(d + μt)/σ√t), σ² = r (Folks & Chhikara 1978), averaged over the uncertainty of
//! level, limit and drift.
//!
//! A trend predicts only degradation that has begun. For degradation that has not, a second risk is combined with it:
//! after a windows of life, P(T ≤ t) = t / (t + a) (Gott 1993), which depends on the age alone. This makes the
//! quantiles wide.

use serde::{Deserialize, Serialize};

use super::RemainingLife;
use crate::stats::{erfcx, is_positive, mean, normal_quantile, standard_deviation};

/// Variances of diffusion and drift noise as shares of the variance of the measurement noise.
const DIFFUSION_VARIANCES: [f64; 3] = [1e-3, 1e-2, 1e-1];
const DRIFT_VARIANCES: [f64; 3] = [1e-6, 1e-5, 1e-4];
/// The log likelihood is discounted by 2 % per window.
const FORGETTING_FACTOR: f64 = 0.98;
/// Nodes of the Gauss–Hermite quadrature over the drift (weight exp(−x²/2)), 9 points.
const HERMITE_NODES: [(f64, f64); 9] = [
    (-4.512_745_863_399_783, 2.234_584_400_774_658_4e-5),
    (-3.205_429_002_856_47, 2.789_141_321_231_769e-3),
    (-2.076_847_978_677_83, 4.991_640_676_521_788e-2),
    (-1.023_255_663_789_133, 2.440_975_028_949_394_6e-1),
    (0.0, 4.063_492_063_492_063_5e-1),
    (1.023_255_663_789_133, 2.440_975_028_949_394_6e-1),
    (2.076_847_978_677_83, 4.991_640_676_521_788e-2),
    (3.205_429_002_856_47, 2.789_141_321_231_769e-3),
    (4.512_745_863_399_783, 2.234_584_400_774_658_4e-5),
];
/// Number of strata over the distance to the limit.
const STRATA: usize = 7;
/// Number of points in time.
const TIME_POINTS: usize = 80;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct KalmanFilter {
    is_logarithmic: bool,
    noise: f64,
    diffusion: f64,
    drift_noise: f64,
    level: f64,
    drift: f64,
    /// Covariance: variance of the level, covariance, variance of the drift.
    covariance: [f64; 3],
    log_likelihood: f64,
}

/// The degradation state of one unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DegradationModel {
    filters: Vec<KalmanFilter>,
    age: u32,
}

impl DegradationModel {
    /// Starts from the health indices (above 0) of the first windows of a unit. Returns `None` for fewer than 8 of
    /// them, or when they are all equal.
    #[must_use]
    pub fn new(first_indices: &[f64]) -> Option<Self> {
        if first_indices.len() < 8 || first_indices.iter().any(|value| !is_positive(*value)) {
            return None;
        }
        let mut filters = Vec::new();
        for is_logarithmic in [false, true] {
            let values: Vec<f64> =
                first_indices.iter().map(|value| if is_logarithmic { value.ln() } else { *value }).collect();
            let noise = standard_deviation(&values).powi(2);
            if !is_positive(noise) {
                return None;
            }
            for diffusion in DIFFUSION_VARIANCES {
                for drift_variance in DRIFT_VARIANCES {
                    filters.push(KalmanFilter {
                        is_logarithmic,
                        noise,
                        diffusion: diffusion * noise,
                        drift_noise: drift_variance * noise,
                        level: mean(&values),
                        drift: 0.0,
                        covariance: [noise / values.len() as f64, 0.0, 100.0 * drift_variance * noise],
                        log_likelihood: 0.0,
                    });
                }
            }
        }
        Some(Self { filters, age: u32::try_from(first_indices.len()).unwrap_or(u32::MAX) })
    }

    /// Adds the health index of one window; ignores one that is not finite or not above 0, which still counts for the
    /// age.
    pub fn push(&mut self, index: f64) {
        self.age = self.age.saturating_add(1);
        if is_positive(index) {
            self.filters.iter_mut().for_each(|filter| filter.push(index));
        }
    }

    /// Returns the remaining life until `limit`, which is known to within a factor e^±`spread` (one standard deviation;
    /// 0.3 if it is a guess). Returns `None` when the limit is not above 0 or the spread is negative or NaN.
    #[must_use]
    pub fn remaining(&self, limit: f64, spread: f64) -> Option<RemainingLife> {
        if !is_positive(limit) || spread.is_nan() || spread < 0.0 {
            return None;
        }
        let age = f64::from(self.age);
        let longest = (20.0 * age).max(1000.0);
        let times: Vec<f64> =
            (0..TIME_POINTS).map(|index| longest.powf(index as f64 / (TIME_POINTS - 1) as f64)).collect();
        let best = self.filters.iter().map(|filter| filter.log_likelihood).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = self.filters.iter().map(|filter| (filter.log_likelihood - best).exp()).sum();
        let mut passage = vec![0.0; TIME_POINTS];
        for filter in &self.filters {
            let weight = (filter.log_likelihood - best).exp() / total;
            if weight > 1e-3 {
                filter.add_passage_probability(limit, spread, &times, weight, &mut passage);
            }
        }
        let mut highest = 0.0_f64;
        let probabilities: Vec<f64> = times
            .iter()
            .zip(&passage)
            .map(|(time, probability)| {
                highest = highest.max(*probability).min(1.0);
                1.0 - (1.0 - highest) * (1.0 - time / (time + age))
            })
            .collect();
        let [p10, p50, p90] = [0.1, 0.5, 0.9].map(|share| time_of_probability(&times, &probabilities, share));
        Some(RemainingLife { expected: p50, p10, p50, p90 })
    }
}

impl KalmanFilter {
    fn push(&mut self, index: f64) {
        let value = if self.is_logarithmic { index.ln() } else { index };
        let [level, covariance, drift] = self.covariance;
        // Predict.
        let predicted = level + 2.0 * covariance + drift + self.diffusion;
        let covariance = covariance + drift;
        let drift = drift + self.drift_noise;
        self.level += self.drift;
        // Correct.
        let total = predicted + self.noise;
        let error = value - self.level;
        let (gain, drift_gain) = (predicted / total, covariance / total);
        self.level += gain * error;
        self.drift += drift_gain * error;
        self.covariance = [predicted * (1.0 - gain), covariance * (1.0 - gain), drift - drift_gain * covariance];
        // The density of the logarithm is that of the index times 1/index; an outlier counts at most five standard
        // deviations.
        let jacobian = if self.is_logarithmic { -index.ln() } else { 0.0 };
        self.log_likelihood = FORGETTING_FACTOR * self.log_likelihood
            - 0.5 * (2.0 * std::f64::consts::PI * total).ln()
            - 0.5 * (error * error / total).min(25.0)
            + jacobian;
    }

    /// Adds `weight` times the probability of first passage by each of `times`.
    fn add_passage_probability(&self, limit: f64, spread: f64, times: &[f64], weight: f64, passage: &mut [f64]) {
        let (limit, spread) = if self.is_logarithmic { (limit.ln(), spread) } else { (limit, limit * spread) };
        let distance = limit - self.level;
        let deviation = (self.covariance[0] + spread * spread).sqrt().max(1e-12);
        // The unit has not failed, so the part of the limit's distribution below the level is excluded.
        let excluded = crate::stats::normal_cdf(-distance / deviation);
        for stratum in 0..STRATA {
            let share = (stratum as f64 + 0.5) / STRATA as f64;
            let quantile = (excluded + (1.0 - excluded) * share).min(1.0 - 1e-9);
            let d = (distance + deviation * normal_quantile(quantile)).max(1e-6 * deviation);
            for (time, sum) in times.iter().zip(passage.iter_mut()) {
                let drift_deviation = (self.covariance[2] + self.drift_noise * time / 3.0).max(0.0).sqrt();
                let root = (2.0 * self.diffusion * time).sqrt();
                for (node, share) in HERMITE_NODES {
                    let drift = self.drift + node * drift_deviation;
                    *sum += weight * share / STRATA as f64 * first_passage(d, drift * time, root);
                }
            }
        }
    }
}

/// First-passage probability F for distance `d` after a drift of `drift_distance`, with `root` = sqrt(2σ²t). The second
/// term is e^(−a²) erfcx(b) / 2, which does not overflow.
fn first_passage(d: f64, drift_distance: f64, root: f64) -> f64 {
    let (a, b) = ((d - drift_distance) / root, (d + drift_distance) / root);
    let gauss = (-a * a).exp();
    let half = |x: f64| 0.5 * erfcx(x);
    let first = if a >= 0.0 { gauss * half(a) } else { 1.0 - gauss * half(-a) };
    // b < 0: e^(b² − a²) (1 − erfc(−b)/2), with b² − a² = 4 d travel / root² < 0.
    let second = if b >= 0.0 { gauss * half(b) } else { (b * b - a * a).exp() - gauss * half(-b) };
    (first + second).clamp(0.0, 1.0)
}

/// Returns the time at which the probability reaches `share`, interpolated; infinite if it never does.
fn time_of_probability(times: &[f64], probabilities: &[f64], share: f64) -> f64 {
    let mut before = (0.0, 0.0);
    for (time, probability) in times.iter().zip(probabilities) {
        if *probability >= share {
            let (last, below) = before;
            return if *probability > below {
                last + (time - last) * (share - below) / (probability - below)
            } else {
                *time
            };
        }
        before = (*time, *probability);
    }
    f64::INFINITY
}
