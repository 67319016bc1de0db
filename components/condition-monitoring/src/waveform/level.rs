//! Levels of the waveform in the time domain, and its velocity.

use rustfft::num_complex::Complex64;

use super::fft::FftPlans;

/// Metres per second squared in one g (standard gravity, ISO 80000-3).
pub const GRAVITY: f64 = 9.806_65;

/// Levels of a waveform after its mean is removed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeLevels {
    /// sqrt(Σ(x − mean)² / n), in the sensor's unit.
    pub rms: f64,
    /// max |x − mean|, in the sensor's unit.
    pub peak: f64,
    /// peak / rms (ISO 13373-1); NaN when all samples are equal.
    pub crest_factor: f64,
    /// m₄ / m₂² − 3, as `scipy.stats.kurtosis`; NaN when all samples are equal.
    pub kurtosis: f64,
}

/// Computes the levels of `samples`.
#[must_use]
pub fn time_levels(samples: &[f64]) -> TimeLevels {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let (mut second, mut fourth, mut peak) = (0.0, 0.0, 0.0_f64);
    for sample in samples {
        let square = (sample - mean) * (sample - mean);
        second += square;
        fourth += square * square;
        peak = peak.max(square);
    }
    let rms = (second / count).sqrt();
    TimeLevels {
        rms,
        peak: peak.sqrt(),
        crest_factor: peak.sqrt() / rms,
        kurtosis: fourth * count / (second * second) - 3.0,
    }
}

/// Lines outside a band that a tone at its edge spreads into: under the Hann window a tone covers four lines, of which
/// these contain all but 2 % of its power.
const EDGE_LINES: f64 = 1.5;

/// Velocity RMS in mm/s of an acceleration in m/s², over `low` to `high` Hz: each line of the Hann-windowed spectrum
/// divided by 2πf, v² = 2 Σ |X/(2πf)|² / (n Σw²) (Parseval). ISO 20816-1 requires 10 to 1,000 Hz (machines above 600
/// rpm). Power of a tone in the band that spills over its edges is included, divided as if it were at the edge. NaN
/// when the waveform is shorter than four periods of `low`, as the band is then not resolved.
pub fn velocity_rms(plans: &mut FftPlans, samples: &[f64], rate: f64, low: f64, high: f64) -> f64 {
    1e3 * weighted_rms(plans, samples, rate, (low, high), |frequency| {
        1.0 / (2.0 * std::f64::consts::PI * frequency).powi(2)
    })
}

/// RMS over a band including its edges, with the power of each line multiplied by a weight of its frequency.
fn weighted_rms(
    plans: &mut FftPlans,
    samples: &[f64],
    rate: f64,
    (low, high): (f64, f64),
    weight: impl Fn(f64) -> f64,
) -> f64 {
    let count = samples.len();
    let step = rate / count as f64;
    if count == 0 || 4.0 * step > low || !low.is_finite() {
        return f64::NAN;
    }
    let lines = hann_spectrum(plans, samples);
    let nyquist = if count.is_multiple_of(2) { count / 2 } else { usize::MAX };
    let mut power = 0.0;
    for (index, line) in lines.iter().enumerate().skip(1) {
        let frequency = index as f64 * step;
        if frequency >= low - EDGE_LINES * step && frequency <= high + EDGE_LINES * step {
            let sides = if index == nyquist { 1.0 } else { 2.0 };
            power += sides * line.norm_sqr() * weight(frequency.clamp(low, high));
        }
    }
    // Σw² of the periodic Hann window is 3n/8.
    (power / (count as f64 * 0.375 * count as f64)).sqrt()
}

/// RMS of the samples over `low` to `high` Hz, in their unit; as [`velocity_rms`], but without integration.
pub fn band_rms(plans: &mut FftPlans, samples: &[f64], rate: f64, low: f64, high: f64) -> f64 {
    weighted_rms(plans, samples, rate, (low, high), |_| 1.0)
}

/// Spectrum of the samples less their mean, under a Hann window.
pub(crate) fn hann_spectrum(plans: &mut FftPlans, samples: &[f64]) -> Vec<Complex64> {
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let window = plans.hann(samples.len());
    let mut work: Vec<f64> =
        samples.iter().zip(window.iter()).map(|(sample, weight)| (sample - mean) * weight).collect();
    plans.forward(&mut work)
}
