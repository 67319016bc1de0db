//! Compares alarms with labels, row by row.

/// Confusion matrix: counts of rows. There is no point adjustment; each row counts separately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// True positives: anomalous rows with an alarm.
    pub tp: u64,
    /// False positives: normal rows with an alarm.
    pub fp: u64,
    /// False negatives: anomalous rows without an alarm.
    pub fn_: u64,
    /// True negatives: normal rows without an alarm.
    pub tn: u64,
}

impl Confusion {
    /// Counts the rows. Alarms and labels are in the same order.
    #[must_use]
    pub fn from_alarms(alarms: &[bool], labels: &[bool]) -> Self {
        let mut counts = Self::default();
        for (alarm, label) in alarms.iter().zip(labels) {
            match (alarm, label) {
                (true, true) => counts.tp += 1,
                (true, false) => counts.fp += 1,
                (false, true) => counts.fn_ += 1,
                (false, false) => counts.tn += 1,
            }
        }
        counts
    }

    /// Adds the counts of another matrix: pooling, not averaging.
    pub fn add(&mut self, other: Self) {
        self.tp += other.tp;
        self.fp += other.fp;
        self.fn_ += other.fn_;
        self.tn += other.tn;
    }

    /// `2 TP / (2 TP + FP + FN)`, 0 to 1; NaN if no row is anomalous and no alarm was raised.
    #[must_use]
    pub fn f1(&self) -> f64 {
        ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn_)
    }

    /// False-alarm rate `FP / (FP + TN)`, in percent; NaN if no row is normal.
    #[must_use]
    pub fn far(&self) -> f64 {
        100.0 * ratio(self.fp, self.fp + self.tn)
    }

    /// Missed-alarm rate `FN / (FN + TP)`, in percent; NaN if no row is anomalous.
    #[must_use]
    pub fn mar(&self) -> f64 {
        100.0 * ratio(self.fn_, self.fn_ + self.tp)
    }

    /// Fault-detection rate `TP / (TP + FN)`, in percent; NaN if no row is anomalous.
    #[must_use]
    pub fn fdr(&self) -> f64 {
        100.0 * ratio(self.tp, self.fn_ + self.tp)
    }
}

/// `part / whole`; NaN if both are 0.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// The mean; NaN if there are no values.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}

/// The quantile `share` (0 to 1) of the values, the nearest below; NaN if there are none.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (share * values.len().saturating_sub(1) as f64) as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_match_a_manual_calculation() {
        let alarms = [true, true, true, false, false, false, true, false];
        let labels = [true, true, false, true, false, false, false, false];
        let counts = Confusion::from_alarms(&alarms, &labels);
        assert_eq!(counts, Confusion { tp: 2, fp: 2, fn_: 1, tn: 3 });
        assert!((counts.f1() - 4.0 / 7.0).abs() < 1e-15);
        assert!((counts.far() - 40.0).abs() < 1e-12);
        assert!((counts.mar() - 100.0 / 3.0).abs() < 1e-12);
        assert!((counts.fdr() - 200.0 / 3.0).abs() < 1e-12);
        assert!(Confusion::default().f1().is_nan());
    }

    proptest! {
        /// F1 is the harmonic mean of precision and recall; pooling equals counting all rows at once.
        #[test]
        fn f1_is_the_harmonic_mean_and_pooling_adds_counts(
            rows in proptest::collection::vec(any::<(bool, bool)>(), 1..200),
            cut in 0_usize..200,
        ) {
            let (alarms, labels): (Vec<bool>, Vec<bool>) = rows.into_iter().unzip();
            let cut = cut.min(alarms.len());
            let whole = Confusion::from_alarms(&alarms, &labels);
            let mut pooled = Confusion::from_alarms(&alarms[..cut], &labels[..cut]);
            pooled.add(Confusion::from_alarms(&alarms[cut..], &labels[cut..]));
            prop_assert_eq!(whole, pooled);
            if whole.tp > 0 {
                let precision = whole.tp as f64 / (whole.tp + whole.fp) as f64;
                let recall = whole.fdr() / 100.0;
                prop_assert!((whole.f1() - 2.0 * precision * recall / (precision + recall)).abs() < 1e-12);
                prop_assert!((whole.fdr() + whole.mar() - 100.0).abs() < 1e-9);
            }
        }
    }
}
