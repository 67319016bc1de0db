//! The two-sample Kolmogorov-Smirnov test, and the Benjamini-Hochberg procedure for many tests at once.

/// Result of a test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KsResult {
    /// Largest distance between the two empirical distribution functions.
    pub statistic: f64,
    /// Probability of a statistic of at least this size if both samples have the same distribution.
    pub p_value: f64,
}

/// Largest product of the lengths for which the p-value is exact, as in SciPy.
const MAX_EXACT_PRODUCT: usize = 100_000_000;

/// Two-sided test; ignores values that are not finite. The p-value is exact, by counting lattice paths, for products of
/// the lengths up to 100 million (without ties; with ties it errs on the safe side). Beyond that it uses the limiting
/// distribution. Returns None if a sample is empty.
pub fn two_sample_test(one: &[f64], other: &[f64]) -> Option<KsResult> {
    let (one, other) = (sorted(one), sorted(other));
    let statistic = statistic(&one, &other)?;
    let (m, n) = (one.len(), other.len());
    let p = if m.saturating_mul(n) <= MAX_EXACT_PRODUCT { exact(statistic, m, n) } else { asymptotic(statistic, m, n) };
    Some(KsResult { statistic, p_value: p })
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Test statistic of sorted samples.
#[allow(clippy::cast_precision_loss, reason = "lengths")]
fn statistic(one: &[f64], other: &[f64]) -> Option<f64> {
    if one.is_empty() || other.is_empty() {
        return None;
    }
    let (mut i, mut j, mut max) = (0, 0, 0.0_f64);
    while let (Some(a), Some(b)) = (one.get(i), other.get(j)) {
        let value = a.min(*b);
        i += one.iter().skip(i).take_while(|next| **next <= value).count();
        j += other.iter().skip(j).take_while(|next| **next <= value).count();
        max = max.max((i as f64 / one.len() as f64 - j as f64 / other.len() as f64).abs());
    }
    Some(max)
}

/// Share of the paths from (0, 0) to (m, n) that are at least this far from the diagonal at some point (J. Hodges, "The
/// significance probability of the Smirnov two-sample test", 1958). Computed for each point as the share of the paths
/// to it.
#[allow(clippy::cast_precision_loss, reason = "lengths")]
pub fn exact(statistic: f64, m: usize, n: usize) -> f64 {
    // Statistics are multiples of 1 / (m n); half of that step protects against rounding.
    let min_distance = statistic - 0.5 / (m as f64 * n as f64);
    let mut shares = vec![0.0; n + 1];
    for i in 0..=m {
        let mut previous = 0.0;
        for (j, share) in shares.iter_mut().enumerate() {
            let is_beyond = (i as f64 / m as f64 - j as f64 / n as f64).abs() >= min_distance;
            let both = (i + j) as f64;
            *share = match (is_beyond, i + j) {
                (true, _) => 1.0,
                (false, 0) => 0.0,
                (false, _) => i as f64 / both * *share + j as f64 / both * previous,
            };
            previous = *share;
        }
    }
    shares.last().copied().unwrap_or(1.0).clamp(0.0, 1.0)
}

/// p-value by the limiting distribution of `√(m n / (m + n)) D`.
#[allow(clippy::cast_precision_loss, reason = "lengths")]
pub fn asymptotic(statistic: f64, m: usize, n: usize) -> f64 {
    let (m, n) = (m as f64, n as f64);
    kolmogorov((m * n / (m + n)).sqrt() * statistic)
}

/// `P(K > x)` of Kolmogorov's distribution, by the series that converges faster.
fn kolmogorov(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x < 1.0 {
        let term = |k: i32| (-f64::from(2 * k - 1).powi(2) * std::f64::consts::PI.powi(2) / (8.0 * x * x)).exp();
        return 1.0 - (std::f64::consts::TAU.sqrt() / x) * (1..20).map(term).sum::<f64>();
    }
    let term = |k: i32| if k % 2 == 1 { 2.0 } else { -2.0 } * (-2.0 * f64::from(k).powi(2) * x * x).exp();
    (1..20).map(term).sum()
}

/// Adjusts the p-values of many tests so that among those below a level at most that share is false on average
/// (Y. Benjamini, Y. Hochberg 1995). Returns them in the order given.
#[allow(clippy::cast_precision_loss, reason = "counts")]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    let of = |at: usize| p.get(at).copied().unwrap_or(1.0);
    order.sort_by(|a, b| of(*b).total_cmp(&of(*a)));
    let mut adjusted = vec![1.0; p.len()];
    let mut min = 1.0_f64;
    for (behind, at) in order.iter().enumerate() {
        min = min.min(of(*at) * p.len() as f64 / (p.len() - behind) as f64);
        if let Some(slot) = adjusted.get_mut(*at) {
            *slot = min;
        }
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Reference {
        cases: Vec<Case>,
        p: Vec<f64>,
        adjusted: Vec<f64>,
    }
    #[derive(serde::Deserialize)]
    struct Case {
        one: Vec<f64>,
        other: Vec<f64>,
        statistic: f64,
        exact: f64,
        limiting: f64,
    }

    /// `scipy.stats.ks_2samp(method="exact")`, `scipy.special.kolmogorov`, `scipy.stats.false_discovery_control`; to
    /// 1e-9.
    #[test]
    fn tests_match_scipy() {
        let reference: Reference = serde_json::from_str(include_str!("../tests/data/ks.json")).unwrap();
        for case in &reference.cases {
            let mine = two_sample_test(&case.one, &case.other).unwrap();
            assert!((mine.statistic - case.statistic).abs() < 1e-12);
            assert!((mine.p_value - case.exact).abs() < 1e-9, "{} {}", mine.p_value, case.exact);
            let limiting = asymptotic(mine.statistic, case.one.len(), case.other.len());
            assert!((limiting - case.limiting).abs() < 1e-9, "{limiting} {}", case.limiting);
        }
        for (mine, expected) in benjamini_hochberg(&reference.p).iter().zip(&reference.adjusted) {
            assert!((mine - expected).abs() < 1e-9, "{mine} {expected}");
        }
    }

    /// Long samples: `scipy.stats.ks_2samp` of 3,000 values each, for which its limiting distribution gives 0.1764.
    #[test]
    fn long_samples_are_counted_exactly() {
        let values = || (0..3000).map(|at| f64::from(at) / 3000.0);
        let (one, other): (Vec<f64>, Vec<f64>) = (values().collect(), values().map(|at| at.powf(1.08)).collect());
        let mine = two_sample_test(&one, &other).unwrap();
        assert!((mine.statistic - 0.028_333_333_333_333_33).abs() < 1e-12, "{}", mine.statistic);
        assert!((mine.p_value - 0.179_813_918_730_013_07).abs() < 1e-9, "{}", mine.p_value);
    }

    #[test]
    fn empty_samples_give_no_result() {
        assert_eq!(two_sample_test(&[f64::NAN], &[1.0]), None);
        assert_eq!(
            two_sample_test(&[1.0, 2.0], &[2.0, 1.0]).map(|test| (test.statistic, test.p_value)),
            Some((0.0, 1.0))
        );
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
