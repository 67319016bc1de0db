//! Power spectral density by Welch's method, and octave bands.

use super::fft::{FftPlans, hann};

/// One-sided power spectral density in unit²/Hz, as `scipy.signal.welch(x, rate, nperseg=segment)`: Hann window, half
/// overlap, each segment's mean removed (Welch 1967). Line `i` is at `i · rate / segment`. Empty when the waveform is
/// shorter than a segment.
pub fn power_spectral_density(plans: &mut FftPlans, samples: &[f64], rate: f64, segment: usize) -> Vec<f64> {
    if segment < 2 || samples.len() < segment {
        return Vec::new();
    }
    let window = hann(segment);
    let scale = 1.0 / (rate * window.iter().map(|weight| weight * weight).sum::<f64>());
    let mut powers = vec![0.0; segment / 2 + 1];
    let mut count = 0.0;
    let mut start = 0;
    while start + segment <= samples.len() {
        let segment_samples = &samples[start..start + segment];
        let mean = segment_samples.iter().sum::<f64>() / segment as f64;
        let mut work: Vec<f64> =
            segment_samples.iter().zip(&window).map(|(sample, weight)| (sample - mean) * weight).collect();
        for (power, line) in powers.iter_mut().zip(plans.forward(&mut work)) {
            *power += line.norm_sqr() * scale;
        }
        count += 1.0;
        start += segment - segment / 2;
    }
    let last = powers.len() - 1;
    for (index, power) in powers.iter_mut().enumerate() {
        let single = index == 0 || (index == last && segment.is_multiple_of(2));
        *power *= if single { 1.0 } else { 2.0 } / count;
    }
    powers
}

/// Level of one octave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OctaveLevel {
    /// Lower edge in Hz (the upper edge is twice it).
    pub low: f64,
    /// 10 log₁₀ of the mean square in the octave, in dB re 1 unit².
    pub decibel: f64,
    /// Number of spectral lines in the octave.
    pub line_count: usize,
}

/// Levels of the octaves below `rate` / 2, highest first, down to the last with `min_lines` lines of the Hann-windowed
/// spectrum of the whole waveform. The octaves start at the Nyquist frequency and not at the IEC 61260 centres, so that
/// each is complete.
pub fn octave_levels(plans: &mut FftPlans, samples: &[f64], rate: f64, min_lines: usize) -> Vec<OctaveLevel> {
    let count = samples.len();
    if count < 4 {
        return Vec::new();
    }
    let lines = super::level::hann_spectrum(plans, samples);
    let scale = 2.0 / (count as f64 * 0.375 * count as f64);
    let mut levels = Vec::new();
    let mut high = count as f64 / 2.0;
    loop {
        let low = high / 2.0;
        let (first, last) = (low.ceil() as usize, (high.ceil() as usize).min(lines.len()));
        if first >= last || last - first < min_lines.max(1) {
            return levels;
        }
        let power = lines[first..last].iter().map(|line| line.norm_sqr()).sum::<f64>() * scale;
        levels.push(OctaveLevel {
            low: low * rate / count as f64,
            decibel: 10.0 * (power + 1e-20).log10(),
            line_count: last - first,
        });
        high = low;
    }
}

/// Octave centres of IEC 61260-1, base 2, in Hz: 1,000 · 2^k, nominally 16, 31.5, 63 and so on.
pub const OCTAVE_CENTRES: [f64; 11] =
    [15.625, 31.25, 62.5, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0];

/// Levels of the octaves at the nominal centres, from centre / √2 to centre · √2, in dB re 1 unit²: 10 log₁₀ of the
/// mean square in the Hann-windowed spectrum of the whole waveform. NaN for an octave beyond `rate` / 2 or with fewer
/// than `min_lines` lines.
pub fn nominal_octave_levels(
    plans: &mut FftPlans,
    samples: &[f64],
    rate: f64,
    min_lines: usize,
) -> [f64; OCTAVE_CENTRES.len()] {
    let count = samples.len();
    if count < 4 {
        return [f64::NAN; OCTAVE_CENTRES.len()];
    }
    let lines = super::level::hann_spectrum(plans, samples);
    let scale = 2.0 / (count as f64 * 0.375 * count as f64);
    let line = |frequency: f64| frequency * count as f64 / rate;
    OCTAVE_CENTRES.map(|centre| {
        let high = line(centre * std::f64::consts::SQRT_2);
        let (first, last) = (line(centre * std::f64::consts::FRAC_1_SQRT_2).ceil() as usize, high.ceil() as usize);
        if high > count as f64 / 2.0 || last < first + min_lines.max(1) {
            return f64::NAN;
        }
        let power = lines.get(first..last).unwrap_or_default().iter().map(|line| line.norm_sqr()).sum::<f64>() * scale;
        10.0 * (power + 1e-20).log10()
    })
}
