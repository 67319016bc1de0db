//! Candidate bands, and the one with the highest spectral kurtosis.

use super::{
    envelope::{SquaredEnvelope, WaveformSpectrum},
    fft::FftPlans,
};

/// A frequency band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// Lower edge in Hz.
    pub low: f64,
    /// Upper edge in Hz.
    pub high: f64,
}

/// Numbers of equal bands that the spectrum is divided into: the levels 0, 1, 1.6, 2, 2.6, 3 of the fast kurtogram
/// (Antoni 2007).
const BAND_COUNTS: [u32; 6] = [1, 2, 3, 4, 6, 8];

/// Returns the bands of a waveform with sample rate `rate` (Hz) that are at least `narrowest` Hz wide. The whole
/// spectrum is always one of them.
#[must_use]
pub fn candidate_bands(rate: f64, narrowest: f64) -> Vec<Band> {
    let mut bands = Vec::new();
    for count in BAND_COUNTS {
        let width = rate / 2.0 / f64::from(count);
        if count > 1 && width < narrowest {
            break;
        }
        bands
            .extend((0..count).map(|index| Band { low: f64::from(index) * width, high: f64::from(index + 1) * width }));
    }
    bands
}

/// Returns the band whose envelope has the highest spectral kurtosis, with that kurtosis; the first one of equals.
/// `None` when no kurtosis is finite.
pub fn most_impulsive_band(plans: &mut FftPlans, source: &WaveformSpectrum, bands: &[Band]) -> Option<(Band, f64)> {
    let mut best: Option<(Band, f64)> = None;
    for band in bands {
        let kurtosis = SquaredEnvelope::kurtosis(&source.squared_envelope(plans, band.low, band.high));
        if kurtosis.is_finite() && best.is_none_or(|(_, highest)| kurtosis > highest) {
            best = Some((*band, kurtosis));
        }
    }
    best
}
