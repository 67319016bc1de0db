//! Metrics of how well scores rank anomalous rows first, independent of a threshold.

/// Area under the precision-recall curve as average precision: the sum over distinct thresholds, from the highest down,
/// of `(recall - recall before) * precision`, without interpolation (like scikit-learn's `average_precision_score`). 0
/// to 1; a random score gives the share of anomalous rows. NaN if no row is anomalous.
#[must_use]
pub fn auc_pr(scores: &[f64], labels: &[bool]) -> f64 {
    let mut rows: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    rows.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let anomalous = rows.iter().filter(|(_, label)| *label).count() as f64;
    let (mut area, mut seen, mut found) = (0.0, 0.0, 0.0);
    for tied in rows.chunk_by(|(one, _), (other, _)| one == other) {
        let new = tied.iter().filter(|(_, label)| *label).count() as f64;
        seen += tied.len() as f64;
        found += new;
        area += new / anomalous * found / seen;
    }
    if anomalous > 0.0 { area } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn area_matches_known_values() {
        // scikit-learn's own example: 0.83.
        let area = auc_pr(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]);
        assert!((area - 5.0 / 6.0).abs() < 1e-12);
        // All tied: the share of anomalous rows.
        assert_eq!(auc_pr(&[1.0; 4], &[true, false, false, false]), 0.25);
        assert!(auc_pr(&[1.0], &[false]).is_nan());
    }

    proptest! {
        /// By definition: precision and recall computed separately for each threshold.
        #[test]
        fn area_matches_its_definition(rows in proptest::collection::vec((0_u8..20, any::<bool>()), 1..60)) {
            let scores: Vec<f64> = rows.iter().map(|(score, _)| f64::from(*score)).collect();
            let labels: Vec<bool> = rows.iter().map(|(_, label)| *label).collect();
            prop_assume!(labels.contains(&true));
            let all = labels.iter().filter(|label| **label).count() as f64;
            let (mut area, mut before) = (0.0, 0.0);
            for threshold in (0..20).rev().map(f64::from) {
                let alarms: Vec<bool> = scores.iter().map(|score| *score >= threshold).collect();
                let counts = crate::metrics::Confusion::from_alarms(&alarms, &labels);
                if counts.tp + counts.fp > 0 {
                    let recall = counts.tp as f64 / all;
                    area += (recall - before) * counts.tp as f64 / (counts.tp + counts.fp) as f64;
                    before = recall;
                }
            }
            prop_assert!((auc_pr(&scores, &labels) - area).abs() < 1e-12);
        }
    }
}
