//! Distributions and order statistics, in the forms that this crate needs.

use std::f64::consts::{PI, SQRT_2};

/// Whether `value` is finite and above 0.
#[must_use]
pub fn is_positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

/// Arithmetic mean; NaN for an empty slice.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample standard deviation (n − 1); 0 for fewer than 2 values.
#[must_use]
pub fn standard_deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let middle = mean(values);
    (values.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

/// Quantile `share` (0 to 1) with linear interpolation, as `numpy.quantile`; NaN for an empty slice. Sorts `values`.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    let position = share.clamp(0.0, 1.0) * last as f64;
    let low = position.floor() as usize;
    let high = (low + 1).min(last);
    values[low] + (values[high] - values[low]) * (position - low as f64)
}

/// Median; NaN for an empty slice. Sorts `values`.
pub fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// exp(x²) erfc(x) for x ≥ 0, relative error below 1.2e-7 (Press et al., Numerical Recipes, 6.2).
#[must_use]
pub fn erfcx(x: f64) -> f64 {
    const C: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * x);
    t * C.iter().rev().fold(0.0, |sum, c| sum * t + c).exp()
}

/// Φ(x), the standard normal distribution function.
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    let z = x.abs() / SQRT_2;
    let tail = 0.5 * (-z * z).exp() * erfcx(z);
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// Φ⁻¹(p), by bisection; ±9 at the ends.
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    find_crossing(-9.0, 9.0, |x| normal_cdf(x) < p)
}

/// ln Γ(x) for x > 0 (Lanczos, g = 7, relative error below 1e-14).
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let series = C.iter().zip(1..).fold(0.999_999_999_999_809_9, |sum, (c, index)| sum + c / (x + f64::from(index)));
    let t = x + 7.5;
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + series.ln()
}

/// Regularised incomplete beta function Iₓ(a, b), by Lentz's continued fraction (Numerical Recipes, 6.4).
#[must_use]
pub fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let tiny = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let prefactor = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp() / a;
    let (mut c, mut d) = (1.0, 1.0 / tiny(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for step in 1..300 {
        let m = f64::from(step);
        for numerator in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / tiny(1.0 + numerator * d);
            c = tiny(1.0 + numerator / c);
            fraction *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-14 {
            break;
        }
    }
    prefactor * fraction
}

/// The t that Student's distribution with `freedom` degrees of freedom exceeds with probability `tail`.
#[must_use]
pub fn student_upper_quantile(tail: f64, freedom: f64) -> f64 {
    find_crossing(0.0, 1e6, |t| 0.5 * incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t)) > tail)
}

/// −log₁₀ of the probability that F with (2 `half`, `freedom`) degrees of freedom exceeds `f`. Closed form for an even
/// numerator: x^b Σᵢ (b)ᵢ/i! (1 − x)^i, i < half, with b = freedom/2, x = freedom/(freedom + 2 half f) (Abramowitz &
/// Stegun 26.6.4).
#[must_use]
pub fn f_test_evidence(f: f64, half: usize, freedom: f64) -> f64 {
    let b = freedom / 2.0;
    let x = freedom / (freedom + 2.0 * half as f64 * f.max(0.0));
    let (mut term, mut sum) = (1.0, 1.0);
    for i in 1..half {
        term *= (b + i as f64 - 1.0) / i as f64 * (1.0 - x);
        sum += term;
    }
    -(b * x.log10() + sum.log10())
}

/// Returns the point where `below` changes from true to false.
fn find_crossing(low: f64, high: f64, below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if below(middle) { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    // References: scipy.stats 1.17.
    #[test]
    fn distributions_match_scipy() {
        assert!((normal_cdf(1.0) - 0.841_344_746_068_542_9).abs() < 1e-7);
        assert!((normal_cdf(-5.0) / 2.866_515_718_791_939e-7 - 1.0).abs() < 1e-6);
        assert!((normal_quantile(0.9) - 1.281_551_565_544_600_4).abs() < 1e-6);
        // t.isf(5e-7, 9); -log10 f.sf(8, 6, 26)
        assert!((student_upper_quantile(5e-7, 9.0) / 11.636_782_027_328_891 - 1.0).abs() < 1e-9);
        assert!((f_test_evidence(8.0, 3, 26.0) / 4.226_656_270_580_8 - 1.0).abs() < 1e-9);
        assert!((student_upper_quantile(0.05, 10.0) - 1.812_461_122_8).abs() < 1e-8);
    }
}
