//! Gear mesh and its sidebands.

use crate::stats::positive;

use super::{fft::Transforms, order::Lines};

/// What the gear mesh shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GearMesh {
    /// teeth · shaft, in Hz.
    pub frequency: f64,
    /// Amplitude of the mesh line over its background.
    pub ratio: f64,
    /// Sideband energy ratio: the amplitudes of three sidebands at shaft spacing on each side, summed, over the mesh
    /// line's amplitude (Hanna & Jovanovic 2009, "Sideband Energy Ratio"). Below 1 is healthy by its authors' rule.
    pub sideband_ratio: f64,
    /// Sidebands, of six, that stand three times over their background.
    pub sidebands: u32,
}

/// Mesh line and sidebands of a wheel of `teeth` teeth on a shaft of `shaft` Hz, from the acceleration spectrum. None
/// when the mesh lies beyond the spectrum or a shaft line is not resolved (fewer than four revolutions).
pub fn mesh(transforms: &mut Transforms, samples: &[f64], rate: f64, shaft: f64, teeth: u32) -> Option<GearMesh> {
    let duration = samples.len() as f64 / rate;
    if !positive(shaft) || duration * shaft < 4.0 {
        return None;
    }
    let powers: Vec<f64> = super::level::windowed(transforms, samples).iter().map(|line| line.norm_sqr()).collect();
    let lines = Lines { powers: &powers, step: 1.0 / duration, duration };
    // A mesh runs exactly at its ratio; half a line is enough.
    let centre = lines.at(f64::from(teeth) * shaft, 0.0, 6.0 * shaft)?;
    let (mut sum, mut count) = (0.0, 0);
    for side in [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0] {
        let line = lines.at((f64::from(teeth) + side) * shaft, 0.0, 6.0 * shaft)?;
        sum += line.power.sqrt();
        count += u32::from(line.ratio >= 3.0);
    }
    Some(GearMesh {
        frequency: centre.frequency,
        ratio: centre.ratio,
        sideband_ratio: sum / centre.power.sqrt(),
        sidebands: count,
    })
}
