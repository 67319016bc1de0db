//! Metrics for estimates of remaining life. All lives are in cycles, in the same order.

use super::confusion::{mean, ratio};

/// Root mean square of estimate minus truth, in cycles; NaN if there are no values.
#[must_use]
pub fn rmse(estimates: &[f64], truths: &[f64]) -> f64 {
    mean(estimates.iter().zip(truths).map(|(estimate, truth)| (estimate - truth).powi(2))).sqrt()
}

/// The score of the PHM 2008 data challenge (Saxena et al. 2008, "Damage propagation modeling for aircraft engine
/// run-to-failure simulation"): the sum of `exp(-d / 13) - 1` for `d < 0` and `exp(d / 10) - 1` otherwise, with `d` the
/// estimate minus the truth. Late estimates cost more than early ones. The score grows with the number of units; 0 is
/// best.
#[must_use]
pub fn phm08(estimates: &[f64], truths: &[f64]) -> f64 {
    let cost = |d: f64| if d < 0.0 { (-d / 13.0).exp_m1() } else { (d / 10.0).exp_m1() };
    estimates.iter().zip(truths).map(|(estimate, truth)| cost(estimate - truth)).sum()
}

/// Share of the truths within their band, ends included, in percent; NaN if there are no values. A calibrated 10-90
/// band has 80 %.
#[must_use]
pub fn coverage(bands: &[(f64, f64)], truths: &[f64]) -> f64 {
    let within = bands.iter().zip(truths).filter(|((low, high), truth)| (low..=high).contains(truth)).count();
    100.0 * ratio(within as u64, bands.len().min(truths.len()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn metrics_match_a_manual_calculation() {
        assert!((rmse(&[13.0, 20.0], &[10.0, 24.0]) - 12.5_f64.sqrt()).abs() < 1e-12);
        // 13 early and 10 late each cost e - 1.
        assert!((phm08(&[0.0, 20.0], &[13.0, 10.0]) - 2.0 * (std::f64::consts::E - 1.0)).abs() < 1e-12);
        assert_eq!(coverage(&[(1.0, 3.0), (1.0, 3.0), (1.0, 3.0), (1.0, 3.0)], &[1.0, 3.0, 3.5, 0.0]), 50.0);
        assert!(rmse(&[], &[]).is_nan());
    }

    proptest! {
        #[test]
        fn late_estimates_cost_more_than_early_ones(truth in 0.0..300.0_f64, d in 0.01..100.0_f64) {
            let (late, early) = (phm08(&[truth + d], &[truth]), phm08(&[truth - d], &[truth]));
            prop_assert!(late > early && early > 0.0);
            prop_assert!((rmse(&[truth + d], &[truth]) - d).abs() < 1e-9);
            prop_assert_eq!(phm08(&[truth], &[truth]), 0.0);
        }
    }
}
