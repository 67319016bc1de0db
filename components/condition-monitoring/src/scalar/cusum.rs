//! One-sided cumulative sum (CUSUM, Page 1954) of z-values, with a limit learnt from the healthy part.

use serde::{Deserialize, Serialize};

use crate::stats::{is_positive, median, standard_deviation};

/// Allowance per window, in standard deviations: half of the shift (1.5) that is to be detected fastest.
const ALLOWANCE: f64 = 0.75;
/// Largest z-value that counts, so that a single outlier does not raise an alarm.
const MAX_Z: f64 = 6.0;
/// Lowest limit. With this allowance about 4e5 independent normal windows pass between false alarms (Siegmund 1985).
const MIN_LIMIT: f64 = 8.0;

/// The state of one feature.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    median: f64,
    deviation: f64,
    limit: f64,
    sum: f64,
}

impl Cusum {
    /// Fits the detector on healthy values in order of time. It uses their median; the larger of 1.4826 MAD and the
    /// standard deviation; and as limit the larger of 8 and twice the highest sum over these values, as they are not
    /// white noise. Returns `None` for fewer than 20 values, equal values, or a value that is not finite. Pass levels
    /// as logarithms.
    #[must_use]
    pub fn fit(healthy: &[f64]) -> Option<Self> {
        if healthy.len() < 20 || healthy.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let middle = median(&mut healthy.to_vec());
        let mut distances: Vec<f64> = healthy.iter().map(|value| (value - middle).abs()).collect();
        let deviation = (1.4826 * median(&mut distances)).max(standard_deviation(healthy));
        if !is_positive(deviation) {
            return None;
        }
        let mut state = Self { median: middle, deviation, limit: f64::INFINITY, sum: 0.0 };
        let mut highest = 0.0_f64;
        for value in healthy {
            state.push(*value);
            highest = highest.max(state.sum);
        }
        Some(Self { limit: MIN_LIMIT.max(2.0 * highest), sum: 0.0, ..state })
    }

    /// Adds the value of one window, S ← clamp(S + min(z, 6) − 0.75, 0, 3 limit), and returns S / limit: above 1 is an
    /// alarm.
    pub fn push(&mut self, value: f64) -> f64 {
        let z = ((value - self.median) / self.deviation).min(MAX_Z);
        if z.is_finite() {
            self.sum = (self.sum + z - ALLOWANCE).clamp(0.0, 3.0 * self.limit);
        }
        self.sum / self.limit
    }
}
