//! Candidate bands, and the one of the highest spectral kurtosis.

use super::{
    envelope::{Source, SquaredEnvelope},
    fft::Transforms,
};

/// A band in Hz.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// From.
    pub low: f64,
    /// To.
    pub high: f64,
}

/// Into how many parts the spectrum is cut: the levels 0, 1, 1.6, 2, 2.6, 3 of the fast kurtogram (Antoni 2007).
const PARTS: [u32; 6] = [1, 2, 3, 4, 6, 8];

/// The bands of a waveform of `rate` Hz that are at least `narrowest` Hz wide (the whole is always one).
#[must_use]
pub fn candidates(rate: f64, narrowest: f64) -> Vec<Band> {
    let mut bands = Vec::new();
    for parts in PARTS {
        let width = rate / 2.0 / f64::from(parts);
        if parts > 1 && width < narrowest {
            break;
        }
        bands.extend((0..parts).map(|part| Band { low: f64::from(part) * width, high: f64::from(part + 1) * width }));
    }
    bands
}

/// The band whose envelope has the highest spectral kurtosis, the first of equals, with its kurtosis.
pub fn most_impulsive(transforms: &mut Transforms, source: &Source, bands: &[Band]) -> Option<(Band, f64)> {
    let mut best: Option<(Band, f64)> = None;
    for band in bands {
        let kurtosis = SquaredEnvelope::kurtosis(&source.band(transforms, band.low, band.high));
        if kurtosis.is_finite() && best.is_none_or(|(_, highest)| kurtosis > highest) {
            best = Some((*band, kurtosis));
        }
    }
    best
}
