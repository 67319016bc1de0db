//! Decimation with an anti-aliasing filter.

use std::f64::consts::PI;

/// Attenuation in the stop band in dB.
const ATTENUATION: f64 = 80.0;
/// Width of the transition band, as a share of the new Nyquist frequency.
const TRANSITION_WIDTH: f64 = 0.1;

/// Returns every `factor`th sample after a linear-phase low-pass filter: a sinc with a Kaiser window (J. F. Kaiser
/// 1974; Oppenheim and Schafer, "Discrete-Time Signal Processing", 7.6), with 80 dB attenuation from the new Nyquist
/// frequency on and flat up to 0.9 of it. Only samples for which the filter lies within the signal are returned, so the
/// result is shorter by the filter's length at the old rate.
#[must_use]
pub fn decimate(samples: &[f32], factor: usize) -> Vec<f32> {
    if factor <= 1 {
        return samples.to_vec();
    }
    let taps = low_pass(factor);
    let value =
        |window: &[f32]| window.iter().zip(&taps).map(|(sample, tap)| f64::from(*sample) * tap).sum::<f64>() as f32;
    samples.windows(taps.len()).step_by(factor).map(value).collect()
}

/// The taps of the filter; their sum is 1.
fn low_pass(factor: usize) -> Vec<f64> {
    let nyquist = 1.0 / factor as f64;
    let width = PI * nyquist * TRANSITION_WIDTH;
    let half = ((ATTENUATION - 7.95) / (2.285 * width) / 2.0).ceil() as i64;
    let cutoff = nyquist * (1.0 - TRANSITION_WIDTH / 2.0);
    let beta = 0.1102 * (ATTENUATION - 8.7);
    let tap = |at: i64| {
        let x = at as f64;
        let sinc = if at == 0 { cutoff } else { (PI * cutoff * x).sin() / (PI * x) };
        let inside = (1.0 - (x / half as f64).powi(2)).max(0.0);
        sinc * bessel(beta * inside.sqrt())
    };
    let taps: Vec<f64> = (-half..=half).map(tap).collect();
    let sum: f64 = taps.iter().sum();
    taps.into_iter().map(|tap| tap / sum).collect()
}

/// The modified Bessel function of the first kind, order 0, by its series.
fn bessel(x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root mean square of a sine with this frequency in Hz, sampled at 48 kHz, after decimation by 4.
    fn left(frequency: f64) -> f64 {
        let wave: Vec<f32> =
            (0..48_000).map(|at| (2.0 * PI * frequency * f64::from(at) / 48_000.0).sin() as f32).collect();
        let less = decimate(&wave, 4);
        (less.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / less.len() as f64).sqrt()
    }

    #[test]
    fn low_frequencies_pass_and_high_ones_are_removed() {
        for frequency in [300.0, 1000.0, 3000.0, 5300.0] {
            assert!((left(frequency) - 0.5_f64.sqrt()).abs() < 1e-3, "{frequency} Hz: {}", left(frequency));
        }
        for frequency in [6010.0, 7000.0, 11_999.0, 20_000.0] {
            assert!(left(frequency) < 1.1e-4, "{frequency} Hz: {}", left(frequency));
        }
    }

    #[test]
    fn decimation_keeps_the_mean_and_the_sample_grid() {
        let level = decimate(&[3.0; 10_000], 4);
        assert!(level.iter().all(|sample| (sample - 3.0).abs() < 1e-5));
        assert_eq!(level.len(), (10_000 - low_pass(4).len()) / 4 + 1);
        assert_eq!(decimate(&[1.0, 2.0], 1), [1.0, 2.0]);
        assert!(decimate(&[1.0, 2.0], 4).is_empty());
        assert!((bessel(1.0) - 1.266_065_877_752_008_4).abs() < 1e-14);
    }
}
