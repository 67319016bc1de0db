//! Decaying record: the ratio of evidence to the highest it has reached before.
//!
//! `M_t = max(r_t, M_{t−1} · 2^(−1/h))`, and the ratio is `r_t / max(M_{t−1}, floor)`. A ratio above 1 is a new record,
//! where the old one decays with half-life `h`. This needs no distribution of `r`, only its own past as a scale. A
//! series that bursts every day soon produces no new records with a burst.

use serde::{Deserialize, Serialize};

/// Decaying record of one kind of evidence; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DecayingRecord {
    highest: f64,
    decay: f64,
    floor: f64,
}

impl DecayingRecord {
    /// `floor` is the evidence, in its own unit, that never matters; the half-life is in rows.
    pub(crate) fn new(half_life: f64, floor: f64) -> Self {
        Self { highest: 0.0, decay: 0.5_f64.powf(half_life.recip()), floor }
    }

    /// Returns the ratio to the record, then adds the evidence to the record.
    pub(crate) fn ratio(&mut self, evidence: f64) -> f64 {
        let ratio = evidence / self.highest.max(self.floor);
        self.highest = (self.highest * self.decay).max(evidence);
        ratio
    }
}

#[cfg(test)]
mod tests {
    use super::DecayingRecord;

    #[test]
    fn halves_in_its_half_life() {
        let mut record = DecayingRecord::new(10.0, 0.1);
        assert_eq!(record.ratio(2.0), 20.0);
        assert_eq!(record.ratio(2.0), 1.0);
        for _ in 0..10 {
            record.ratio(0.0);
        }
        assert!((record.ratio(2.0) - 2.0).abs() < 1e-12);
    }
}
