//! The forgetting record: how far evidence tops what it has reached before.
//!
//! `M_t = max(r_t, M_{t−1} · 2^(−1/h))`, and the ratio is `r_t / max(M_{t−1}, floor)`. Above 1 is a new record, where the
//! old one fades with half-life `h`. It needs no distribution of `r`, and only its own past for a scale; a series that
//! bursts every day soon has no news in a burst.

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    highest: f64,
    keep: f64,
    floor: f64,
}

impl Record {
    /// `floor` is what is never worth a mention, in the evidence's own unit.
    pub(crate) fn new(half_life: f64, floor: f64) -> Self {
        Self { highest: 0.0, keep: 0.5_f64.powf(half_life.recip()), floor }
    }

    /// The ratio; then the evidence is part of the record.
    pub(crate) fn ratio(&mut self, evidence: f64) -> f64 {
        let ratio = evidence / self.highest.max(self.floor);
        self.highest = (self.highest * self.keep).max(evidence);
        ratio
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn halves_in_its_half_life() {
        let mut record = Record::new(10.0, 0.1);
        assert_eq!(record.ratio(2.0), 20.0);
        assert_eq!(record.ratio(2.0), 1.0);
        for _ in 0..10 {
            record.ratio(0.0);
        }
        assert!((record.ratio(2.0) - 2.0).abs() < 1e-12);
    }
}
