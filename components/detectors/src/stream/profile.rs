//! Profile of the usual values by time of day or of the week.
//!
//! Each slot `k` of the period has a level `p_k` that follows its values `x` by `p_k += max(a, 1/n_k) (x − p_k)`: the
//! plain mean at first and exponentially weighted later (seasonal exponential smoothing without a trend: Holt 1957,
//! Winters 1960). The evidence is the mean of the last `S` residuals `x − p_k`, in standard deviations of a residual.

use serde::{Deserialize, Serialize};

use crate::ring_buffer::RingBuffer;

/// Smallest weight of a new residual in the variance.
const MIN_VARIANCE_WEIGHT: f64 = 0.0005;
/// Residuals before there is evidence.
const MIN_RESIDUALS: u32 = 50;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    level: f64,
    count: u32,
}

/// Periodic profile of one series; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    period_ns: i64,
    rate: f64,
    slots: Vec<Slot>,
    recent: RingBuffer,
    variance: f64,
    residual_count: u32,
}

impl Profile {
    pub(crate) fn new(period_ns: i64, slots: usize, rate: f64, recent: usize) -> Self {
        Self {
            period_ns: period_ns.max(1),
            rate,
            slots: vec![Slot::default(); slots.max(1)],
            recent: RingBuffer::new(recent),
            variance: 0.0,
            residual_count: 0,
        }
    }

    fn slot(&self, time_ns: i64) -> usize {
        let at = i128::from(time_ns.rem_euclid(self.period_ns)) * self.slots.len() as i128 / i128::from(self.period_ns);
        usize::try_from(at).unwrap_or(0).min(self.slots.len() - 1)
    }

    /// Adds a value and returns its evidence; `unit` is the smallest standard deviation that is used.
    pub(crate) fn observe(&mut self, time_ns: i64, value: f64, unit: f64) -> f64 {
        let at = self.slot(time_ns);
        let Some(slot) = self.slots.get_mut(at) else { return 0.0 };
        let residual = if slot.count > 0 { value - slot.level } else { 0.0 };
        self.recent.push(residual);
        let evidence = if self.residual_count > MIN_RESIDUALS && self.recent.is_full() {
            self.recent.mean().abs() / self.variance.sqrt().max(unit)
        } else {
            0.0
        };
        if slot.count > 0 {
            self.residual_count = self.residual_count.saturating_add(1);
            self.variance +=
                MIN_VARIANCE_WEIGHT.max(f64::from(self.residual_count).recip()) * (residual * residual - self.variance);
            slot.level += self.rate.max((f64::from(slot.count) + 1.0).recip()) * residual;
        } else {
            slot.level = value;
        }
        slot.count = slot.count.saturating_add(1);
        evidence
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn a_usual_value_at_the_wrong_hour_is_evidence() {
        let mut profile = Profile::new(24 * HOUR, 24, 0.2, 1);
        let mut noise = 0.1;
        for hour in 0..24 * 20 {
            noise = -noise;
            let value = if (8..18).contains(&(hour % 24)) { 100.0 } else { 10.0 };
            assert!(profile.observe(hour * HOUR, value + noise, 1e-6) < 3.0);
        }
        assert!(profile.observe(24 * 20 * HOUR, 100.0, 1e-6) > 100.0);
        // Times before 1970 work too.
        assert_eq!(profile.slot(-HOUR), 23);
    }
}
