//! Compares the latest values with the earlier ones: less movement, more or less activity, wider or narrower spread.

use serde::{Deserialize, Serialize};

use crate::ring_buffer::RingBuffer;

/// Values in the baseline before there is evidence.
const MIN_BASELINE: u32 = 50;

/// A window of the latest values, and the exponentially weighted mean and variance of those that left it: `m += a d`,
/// `v = (1 − a)(v + a d²)` with `d = x − m` and `a = max(1/n, 1/memory)` (West 1979; Finch 2009).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BaselineChange {
    recent: RingBuffer,
    memory: f64,
    mean: f64,
    variance: f64,
    count: u32,
}

impl BaselineChange {
    pub(crate) fn new(recent: usize, memory: f64) -> Self {
        Self { recent: RingBuffer::new(recent), memory, mean: 0.0, variance: 0.0, count: 0 }
    }

    pub(crate) fn push(&mut self, value: f64) {
        if let Some(old) = self.recent.push(value) {
            self.count = self.count.saturating_add(1);
            let rate = f64::from(self.count).min(self.memory).recip();
            let deviation = old - self.mean;
            self.mean += rate * deviation;
            self.variance = (1.0 - rate) * (self.variance + rate * deviation * deviation);
        }
    }

    fn is_ready(&self) -> bool {
        self.count > MIN_BASELINE
    }

    /// Decrease of the mean of non-negative values: `max(0, ln(m / s))` with the baseline's mean `m` and the recent
    /// mean `s`. Values below a fiftieth of `m` make no difference.
    pub(crate) fn quietness(&self, unit: f64) -> f64 {
        if !self.is_ready() {
            return 0.0;
        }
        ((self.mean + unit) / (self.recent.mean() + 0.02 * self.mean + unit)).ln().max(0.0)
    }

    /// Shift of the mean, `|s − m|`, in standard deviations of the baseline.
    pub(crate) fn mean_shift(&self, unit: f64) -> f64 {
        if self.is_ready() { (self.recent.mean() - self.mean).abs() / self.variance.sqrt().max(unit) } else { 0.0 }
    }

    /// Change of the variance, `|ln(s² / v)|`, with a thousandth of `v` added to both.
    pub(crate) fn spread_change(&self, unit: f64) -> f64 {
        if !self.is_ready() {
            return 0.0;
        }
        let variance = self.variance.max(unit * unit);
        let floor = 1e-3 * variance;
        ((self.recent.moments().1 + floor) / (variance + floor)).ln().abs()
    }
}

#[cfg(test)]
mod tests {
    use super::BaselineChange;

    #[test]
    fn reports_what_changed() {
        let mut change = BaselineChange::new(20, 500.0);
        for at in 0..400_i32 {
            change.push(f64::from(at % 5));
        }
        assert!(change.quietness(1e-9) < 0.05 && change.mean_shift(1e-9) < 0.05 && change.spread_change(1e-9) < 0.05);
        for _ in 0..20 {
            change.push(0.0);
        }
        assert!(change.quietness(1e-9) > 3.8 && change.mean_shift(1e-9) > 1.3 && change.spread_change(1e-9) > 6.0);
    }
}
