//! Special functions of statistics: gamma, incomplete gamma and beta, and the quantiles that the detectors' limits
//! need.
//!
//! ln Γ by the Lanczos approximation (g = 7, n = 9), the incomplete gamma function by its series and continued
//! fraction, the incomplete beta function by its continued fraction (Lentz's method; W. Press et al., "Numerical
//! Recipes"). Quantiles by bisection, to the last digits.

use std::f64::consts::PI;

/// ln Γ(x), x > 0.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let mut sum = 0.999_999_999_999_809_9;
    for (coefficient, at) in COEFFICIENTS.iter().zip(1_u32..) {
        sum += coefficient / (x + f64::from(at));
    }
    let t = x + 7.5;
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The regularised lower incomplete gamma function P(a, x).
pub(crate) fn gamma_p(a: f64, x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return 0.0;
    }
    let prefactor = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..10_000 {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        return (prefactor * sum).min(1.0);
    }
    let mut b = x + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut h = d;
    for i in 1..10_000_u32 {
        let i = f64::from(i);
        let an = -i * (i - a);
        b += 2.0;
        d = 1.0 / nonzero(an * d + b);
        c = nonzero(b + an / c);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    1.0 - prefactor * h
}

fn nonzero(value: f64) -> f64 {
    if value.abs() < 1e-300 { 1e-300 } else { value }
}

/// The regularised incomplete beta function Iₓ(a, b).
pub(crate) fn beta_i(x: f64, a: f64, b: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_i(1.0 - x, b, a);
    }
    let prefactor = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    let mut c = 1.0;
    let mut d = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..10_000_u32 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / nonzero(1.0 + even * d);
        c = nonzero(1.0 + even / c);
        h *= d * c;
        let numerator = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / nonzero(1.0 + numerator * d);
        c = nonzero(1.0 + numerator / c);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    prefactor * h
}

/// Argument, from 0 on, at which a growing function has the value `share`.
fn invert(share: f64, function: impl Fn(f64) -> f64) -> f64 {
    let mut high = 1.0;
    while function(high) < share && high < 1e300 {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if function(middle) < share { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Quantile of the chi-squared distribution.
pub(crate) fn chi_squared_quantile(share: f64, degrees: f64) -> f64 {
    invert(share, |x| gamma_p(degrees / 2.0, x / 2.0))
}

/// Distribution function of the chi-squared distribution.
pub(crate) fn chi_squared_cdf(x: f64, degrees: f64) -> f64 {
    gamma_p(degrees / 2.0, x / 2.0)
}

/// Quantile of the F distribution.
pub(crate) fn f_quantile(share: f64, a: f64, b: f64) -> f64 {
    invert(share, |x| beta_i(a * x / (a * x + b), a / 2.0, b / 2.0))
}

/// Distribution function of the standard normal distribution.
pub(crate) fn normal_cdf(x: f64) -> f64 {
    let half = 0.5 * gamma_p(0.5, x * x / 2.0);
    if x < 0.0 { 0.5 - half } else { 0.5 + half }
}

/// Quantile of the standard normal distribution; exact for shares from a half on, by symmetry for smaller ones.
pub(crate) fn normal_quantile(share: f64) -> f64 {
    if share < 0.5 { -normal_quantile(1.0 - share) } else { invert(share, normal_cdf).min(40.0) }
}

/// Density of the standard normal distribution, for tests of the above.
#[cfg(test)]
fn density(x: f64) -> f64 {
    (-x * x / 2.0).exp() / (2.0 * PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SciPy 1.17.1: `chi2.ppf`, `f.ppf`, `norm.ppf`, `gammaln`; to 1e-9 of the value.
    #[test]
    fn quantiles_match_scipy() {
        let close = |mine: f64, expected: f64| {
            assert!((mine - expected).abs() < 1e-9 * expected.abs().max(1.0), "{mine} {expected}")
        };
        for (mine, expected) in [
            (chi_squared_quantile(0.999, 1.0), 10.827566170662733),
            (chi_squared_quantile(0.999, 8.0), 26.12448155837614),
            (chi_squared_quantile(0.99, 52.0), 78.6157557150025),
            (chi_squared_quantile(0.5, 3.0), 2.3659738843753377),
            (chi_squared_quantile(0.75, 96.0), 104.94782796408188),
            (f_quantile(0.999, 3.0, 20.0), 8.098379786583402),
            (f_quantile(0.99, 17.0, 483.0), 2.0028740134134466),
            (f_quantile(0.999, 40.0, 5.0), 24.602030958943864),
            (normal_quantile(0.999), 3.090232306167813),
            (normal_quantile(0.9), 1.2815515655446004),
            (normal_quantile(0.01), -2.3263478740408408),
            (ln_gamma(0.1), 2.252712651734206),
            (ln_gamma(0.5), 0.5723649429247),
            (ln_gamma(3.3), 0.9870985778947343),
            (ln_gamma(120.0), 453.0248962384961),
        ] {
            close(mine, expected);
        }
        assert!(((normal_cdf(1.0 + 1e-5) - normal_cdf(1.0 - 1e-5)) / 2e-5 / density(1.0) - 1.0).abs() < 1e-8);
    }
}
