//! Real cepstrum and its highest peak.

use rustfft::num_complex::Complex64;

use super::fft::FftPlans;

/// The highest peak of a cepstrum: an evenly spaced family of spectral lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CepstralPeak {
    /// Period in seconds.
    pub quefrency: f64,
    /// 1 / quefrency, in Hz: the spacing of the family of lines.
    pub frequency: f64,
    /// Height above the median divided by the robust spread (1.4826 MAD) of the searched range.
    pub prominence: f64,
}

/// Returns the highest peak of the real cepstrum, F⁻¹(ln |F(x)|²), between the quefrencies 1/`high` and 1/`low`
/// (Randall 2017, "A history of cepstrum analysis and its application to mechanical problems"). A family of sidebands
/// spaced by f shows at 1/f. Returns `None` for fewer than 16 samples, an invalid range, or a range of fewer than 9
/// values.
pub fn cepstral_peak(plans: &mut FftPlans, samples: &[f64], rate: f64, low: f64, high: f64) -> Option<CepstralPeak> {
    let count = samples.len();
    if count < 16 || !(low > 0.0 && high > low) {
        return None;
    }
    let lines = super::level::hann_spectrum(plans, samples);
    let total = lines.iter().map(|line| line.norm_sqr()).sum::<f64>() / lines.len() as f64;
    // A floor 120 dB below the mean, as ln 0 is not finite.
    let logs: Vec<Complex64> =
        lines.iter().map(|line| Complex64::new((line.norm_sqr() + total * 1e-12 + 1e-300).ln(), 0.0)).collect();
    let cepstrum = plans.inverse(&logs, count);
    let first = (rate / high).ceil() as usize;
    let last = ((rate / low).floor() as usize).min(count / 2);
    // An extreme rate saturates `first`.
    if last.checked_sub(first).is_none_or(|more| more < 8) {
        return None;
    }
    let range = &cepstrum[first..=last];
    let mut sorted = range.to_vec();
    let middle = crate::stats::median(&mut sorted);
    let mut distances: Vec<f64> = range.iter().map(|value| (value - middle).abs()).collect();
    let spread = 1.4826 * crate::stats::median(&mut distances);
    let (offset, height) = range
        .iter()
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (index, value)| if *value > best.1 { (index, *value) } else { best });
    let quefrency = (first + offset) as f64 / rate;
    Some(CepstralPeak { quefrency, frequency: 1.0 / quefrency, prominence: (height - middle) / spread })
}
