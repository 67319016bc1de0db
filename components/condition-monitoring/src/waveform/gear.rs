//! Gear mesh frequency and its sidebands.

use crate::stats::is_positive;

use super::{fft::FftPlans, spectrum::PowerSpectrum};

/// Strength of the gear mesh and its sidebands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GearMesh {
    /// teeth · shaft, in Hz.
    pub frequency: f64,
    /// Amplitude of the mesh line divided by its background.
    pub background_ratio: f64,
    /// Sideband energy ratio: the sum of the amplitudes of three sidebands at shaft spacing on each side, divided by
    /// the amplitude of the mesh line (Hanna & Jovanovic 2009, "Sideband Energy Ratio"). Below 1 is healthy according
    /// to its authors.
    pub sideband_ratio: f64,
    /// Number of sidebands, at most six, with an amplitude of at least three times their background.
    pub sidebands: u32,
}

/// Computes mesh line and sidebands of a wheel with `teeth` teeth on a shaft of `shaft` Hz, from the acceleration
/// spectrum. Returns `None` when a line is beyond the spectrum or the waveform covers fewer than four revolutions, so
/// that lines of the shaft are not resolved.
pub fn gear_mesh(plans: &mut FftPlans, samples: &[f64], rate: f64, shaft: f64, teeth: u32) -> Option<GearMesh> {
    let duration = samples.len() as f64 / rate;
    if !is_positive(shaft) || duration * shaft < 4.0 {
        return None;
    }
    let powers: Vec<f64> = super::level::hann_spectrum(plans, samples).iter().map(|line| line.norm_sqr()).collect();
    let lines = PowerSpectrum { powers: &powers, line_spacing: 1.0 / duration, duration };
    // The mesh frequency is an exact multiple of the shaft speed, so half a line of tolerance is enough.
    let centre = lines.peak_near(f64::from(teeth) * shaft, 0.0, 6.0 * shaft)?;
    let (mut sum, mut count) = (0.0, 0);
    for side in [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0] {
        let line = lines.peak_near((f64::from(teeth) + side) * shaft, 0.0, 6.0 * shaft)?;
        sum += line.power.sqrt();
        count += u32::from(line.background_ratio >= 3.0);
    }
    Some(GearMesh {
        frequency: centre.frequency,
        background_ratio: centre.background_ratio,
        sideband_ratio: sum / centre.power.sqrt(),
        sidebands: count,
    })
}
