//! Principal components: Hotelling's T² within the components that hold 90 % of the variance, and the squared
//! prediction error Q outside of them (J. E. Jackson, "A User's Guide to Principal Components", 1991).
//!
//! The limit of T² for new rows is `a (n² − 1) / (n (n − a)) · F(a, n − a)`. The limit of Q is that of J. E. Jackson
//! and G. S. Mudholkar ("Control procedures for residuals associated with principal component analysis", Technometrics
//! 1979), from the first three power sums of the omitted eigenvalues.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::{
    Layout,
    calibrated::DistanceModel,
    mahalanobis,
    rows::{self, Scales},
    special,
};

/// Fitted principal components with the limits of T² and Q.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Components {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    /// Loadings, component after component.
    loadings: Vec<f64>,
    /// Variance along each component.
    variances: Vec<f64>,
    /// Limits of T² and Q.
    limits: (f64, f64),
}

/// T² and Q of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct PcaStatistics {
    /// Hotelling's T².
    pub t2: f64,
    /// The squared prediction error.
    pub q: f64,
    /// Contribution of each number to T²; they sum to it.
    t2_contributions: Vec<f64>,
    /// Contribution of each number to Q.
    q_contributions: Vec<f64>,
}

impl Components {
    /// Fits rows of equal length, with each number standardised. Keeps components for at least this share of the
    /// variance. Normal rows exceed the limits with the probability `rate`. None with fewer than three rows or without
    /// numbers.
    pub fn fit(points: &[Vec<f64>], share: f64, rate: f64) -> Option<Self> {
        let (count, width) = (points.len(), points.first().map_or(0, Vec::len));
        if count < 3 || width == 0 {
            return None;
        }
        let columns: Vec<Vec<f64>> = (0..width).map(|at| rows::column(points, at)).collect();
        let mean: Vec<f64> = columns.iter().map(|values| rows::mean(values)).collect();
        let deviation: Vec<f64> = columns
            .iter()
            .map(|values| rows::deviation(values))
            .map(|deviation| if deviation > 0.0 { deviation } else { 1.0 })
            .collect();
        let of = |row: usize, at: usize| {
            let value = columns.get(at).and_then(|values| values.get(row)).copied().unwrap_or(0.0);
            (value - mean.get(at).copied().unwrap_or(0.0)) / deviation.get(at).copied().unwrap_or(1.0)
        };
        let data = DMatrix::from_fn(count, width, of);
        let eigen = (data.transpose() * &data / rows::to_float(count - 1)).symmetric_eigen();
        let mut order: Vec<(f64, usize)> = eigen.eigenvalues.iter().map(|value| value.max(0.0)).zip(0..).collect();
        order.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let total: f64 = order.iter().map(|(value, _)| value).sum();
        if total.is_nan() || total <= 0.0 {
            return None;
        }
        let (mut sum, mut component_count) = (0.0, 0);
        while component_count < width.min(count - 2) && sum < share * total - 1e-12 * total {
            sum += order.get(component_count).map_or(0.0, |(value, _)| *value);
            component_count += 1;
        }
        let (retained, discarded) = order.split_at(component_count);
        let loadings =
            retained.iter().flat_map(|(_, at)| eigen.eigenvectors.column(*at).iter().copied().collect::<Vec<_>>());
        let variances: Vec<f64> = retained.iter().map(|(value, _)| *value).collect();
        let (n, a) = (rows::to_float(count), rows::to_float(component_count));
        let t2 = a * (n * n - 1.0) / (n * (n - a)) * special::f_quantile(1.0 - rate, a, n - a);
        let q = q_limit(&discarded.iter().map(|(value, _)| *value).collect::<Vec<_>>(), rate);
        Some(Self { mean, deviation, loadings: loadings.collect(), variances, limits: (t2, q) })
    }

    /// Returns the limits of T² and Q.
    pub fn limits(&self) -> (f64, f64) {
        self.limits
    }

    /// Number of components.
    pub fn len(&self) -> usize {
        self.variances.len()
    }

    /// True if there are no components.
    pub fn is_empty(&self) -> bool {
        self.variances.is_empty()
    }

    /// Computes T² and Q of a row.
    pub fn statistics(&self, point: &[f64]) -> PcaStatistics {
        let scaled: Vec<f64> = point
            .iter()
            .zip(&self.mean)
            .zip(&self.deviation)
            .map(|((value, mean), deviation)| (value - mean) / deviation)
            .collect();
        let mut residual = scaled.clone();
        let mut weights = vec![0.0; scaled.len()];
        let mut t2 = 0.0;
        for (loading, variance) in self.loadings.chunks(self.mean.len().max(1)).zip(&self.variances) {
            let score: f64 = loading.iter().zip(&scaled).map(|(a, b)| a * b).sum();
            let unit = score / variance.max(f64::MIN_POSITIVE);
            t2 += score * unit;
            for ((residual, weight), loading) in residual.iter_mut().zip(&mut weights).zip(loading) {
                *residual -= score * loading;
                *weight += unit * loading;
            }
        }
        let q_parts: Vec<f64> = residual.iter().map(|value| value * value).collect();
        let t2_parts = weights.iter().zip(&scaled).map(|(weight, value)| weight * value).collect();
        PcaStatistics { t2, q: q_parts.iter().sum(), t2_contributions: t2_parts, q_contributions: q_parts }
    }
}

/// Jackson and Mudholkar's limit of Q, from the omitted eigenvalues; 0 if these are all 0.
fn q_limit(discarded: &[f64], rate: f64) -> f64 {
    let power = |k: i32| discarded.iter().map(|value| value.powi(k)).sum::<f64>();
    let (one, two, three) = (power(1), power(2), power(3));
    if one.is_nan() || one <= 1e-9 {
        return 0.0;
    }
    let h = 1.0 - 2.0 * one * three / (3.0 * two * two);
    let z = special::normal_quantile(1.0 - rate);
    let base = z * (2.0 * two * h * h).sqrt() / one + 1.0 + two * h * (h - 1.0) / (one * one);
    one * base.max(0.0).powf(1.0 / h)
}

/// Most numbers that are used; with more, only levels and spreads are used.
const MAX_NUMBERS: usize = 128;
/// Share of the variance that the components hold.
const VARIANCE_SHARE: f64 = 0.9;
/// False-alarm rate of each of the two limits; together 1 in 1,000.
const LIMIT_RATE: f64 = 5e-4;

/// T² and Q of all numbers that vary in the training rows; the one that is farther beyond its limit counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pca {
    scales: Scales,
    used: Vec<usize>,
    components: Option<Components>,
}

impl Pca {
    fn point(&self, row: &[f64]) -> Vec<f64> {
        mahalanobis::select_clamped(&self.scales.to_scales(row), &self.used)
    }

    /// T² and Q in units of their limits, and the statistics themselves.
    fn in_limits(&self, row: &[f64]) -> Option<(f64, f64, PcaStatistics)> {
        let components = self.components.as_ref()?;
        let statistics = components.statistics(&self.point(row));
        let (t2, q) = components.limits;
        Some((rows::ratio(statistics.t2, t2), rows::ratio(statistics.q, q), statistics))
    }
}

impl DistanceModel for Pca {
    fn train(&mut self, layout: Layout, rows: &[Vec<f64>]) {
        self.scales = Scales::fit(rows);
        let varying: Vec<usize> =
            self.scales.varying().enumerate().filter(|(_, varies)| *varies).map(|(at, _)| at).collect();
        self.used = if varying.len() <= MAX_NUMBERS {
            varying
        } else {
            mahalanobis::used_numbers(layout, &self.scales, MAX_NUMBERS)
        };
        let points: Vec<Vec<f64>> = rows.iter().map(|row| self.point(row)).collect();
        self.components = Components::fit(&points, VARIANCE_SHARE, LIMIT_RATE);
    }

    fn distance(&self, row: &[f64]) -> f64 {
        self.in_limits(row).map_or(0.0, |(t2, q, _)| t2.max(q).sqrt())
    }

    fn theoretical_limit(&self) -> f64 {
        1.0
    }

    fn contributions(&self, row: &[f64]) -> Vec<f64> {
        let parts = match self.in_limits(row) {
            Some((t2, q, statistics)) if t2 > q => statistics.t2_contributions,
            Some((.., statistics)) => statistics.q_contributions,
            None => Vec::new(),
        };
        mahalanobis::shares_of_row(self.scales.len(), &self.used, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Reference {
        points: Vec<Vec<f64>>,
        components: usize,
        t2: Vec<f64>,
        q: Vec<f64>,
        t2_limit: f64,
        q_limit: f64,
    }

    /// scikit-learn's `PCA` on `StandardScaler`'s output, and SciPy's F and normal quantiles; to 1e-9 of the value.
    #[test]
    fn statistics_and_limits_match_the_reference() {
        let reference: Reference = serde_json::from_str(include_str!("../tests/data/pca.json")).unwrap();
        let components = Components::fit(&reference.points, 0.9, 0.001).unwrap();
        let close = |mine: f64, expected: f64| {
            assert!((mine - expected).abs() < 1e-9 * expected.abs().max(1.0), "{mine} {expected}");
        };
        assert_eq!(components.len(), reference.components);
        close(components.limits().0, reference.t2_limit);
        close(components.limits().1, reference.q_limit);
        for ((point, t2), q) in reference.points.iter().zip(&reference.t2).zip(&reference.q) {
            let statistics = components.statistics(point);
            close(statistics.t2, *t2);
            close(statistics.q, *q);
            close(statistics.t2_contributions.iter().sum(), *t2);
        }
    }

    #[test]
    fn constant_rows_have_no_components() {
        assert_eq!(Components::fit(&vec![vec![1.0, 2.0]; 20], 0.9, 0.001), None);
        assert_eq!(Components::fit(&[], 0.9, 0.001), None);
    }
}
