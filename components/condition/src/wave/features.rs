//! All features of a waveform in one call.

use super::{
    bands::{self, Band},
    cepstrum::{self, Rahmonic},
    envelope::Source,
    fft::Transforms,
    gear::{self, GearMesh},
    iso20816::{MachineClass, Zone},
    level::{self, GRAVITY, Levels},
    welch::{self, CENTRES, OctaveLevel},
};
use crate::{
    bearing::{
        diagnosis::{self, Diagnosis, Limits},
        geometry::Orders,
    },
    stats::positive,
};

/// Unit of the samples of a waveform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Multiples of standard gravity.
    G,
    /// m/s².
    MetrePerSecondSquared,
    /// mm/s: a velocity sensor.
    MillimetrePerSecond,
}

impl Unit {
    /// Parses a unit as people write it: `g`, `gn`, `m/s2`, `m/s^2`, `m/s²`, `m/s**2`, `mm/s`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "g" | "gn" | "g_n" => Some(Self::G),
            "m/s2" | "m/s^2" | "m/s²" | "m/s**2" => Some(Self::MetrePerSecondSquared),
            "mm/s" => Some(Self::MillimetrePerSecond),
            _ => None,
        }
    }
}

/// Smallest number of spectral lines in an octave at a nominal centre: the width of one line under the Hann window.
const RESOLVED: usize = 4;

/// What is known about the machine; every field is optional.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// Shaft speed in Hz.
    pub shaft: Option<f64>,
    /// Fault orders of the bearing.
    pub bearing: Option<Orders>,
    /// Number of teeth of the gear wheel on this shaft.
    pub teeth: Option<u32>,
    /// Machine class for the severity zones of ISO 20816-3.
    pub class: Option<MachineClass>,
    /// Limits of the bearing diagnosis; the defaults if absent.
    pub limits: Option<Limits>,
}

/// The features of one waveform.
#[derive(Clone, Debug)]
pub struct WaveFeatures {
    /// Time-domain levels, in the sensor's unit.
    pub levels: Levels,
    /// Velocity RMS from 10 to 1,000 Hz, in mm/s; NaN when the waveform is shorter than 0.4 s or its unit is unknown.
    pub velocity: f64,
    /// Severity zone of the velocity.
    pub zone: Option<Zone>,
    /// The most impulsive band and its spectral kurtosis.
    pub impulsive: Option<(Band, f64)>,
    /// Octave levels, highest frequency first.
    pub octaves: Vec<OctaveLevel>,
    /// Levels of the octaves at the nominal centres, in dB re 1 unit²; NaN when not resolved.
    pub nominal: [f64; CENTRES.len()],
    /// Highest cepstral peak for families from 5 Hz (or half the shaft's speed) to 1,000 Hz.
    pub rahmonic: Option<Rahmonic>,
    /// Bearing diagnosis, if shaft speed and bearing are known.
    pub bearing: Option<Diagnosis>,
    /// Gear mesh, if shaft speed and number of teeth are known.
    pub gear: Option<GearMesh>,
}

/// Computes the features. Returns `None` for fewer than 64 samples, a sample that is not finite, or a rate that is not
/// above 0.
pub fn features(
    transforms: &mut Transforms,
    samples: &[f64],
    rate: f64,
    unit: Option<Unit>,
    machine: &Machine,
) -> Option<WaveFeatures> {
    if samples.len() < 64 || !positive(rate) || samples.iter().any(|sample| !sample.is_finite()) {
        return None;
    }
    let velocity = match unit {
        Some(Unit::G) => GRAVITY * level::velocity_rms(transforms, samples, rate, 10.0, 1000.0),
        Some(Unit::MetrePerSecondSquared) => level::velocity_rms(transforms, samples, rate, 10.0, 1000.0),
        Some(Unit::MillimetrePerSecond) => level::band_rms(transforms, samples, rate, 10.0, 1000.0),
        None => f64::NAN,
    };
    let source = Source::new(transforms, samples, rate);
    let limits = machine.limits.unwrap_or_default();
    let candidates = bands::candidates(rate, limits.narrowest);
    let slowest = machine.shaft.map_or(5.0, |shaft| (0.5 * shaft).max(1.0));
    Some(WaveFeatures {
        levels: level::levels(samples),
        velocity,
        zone: machine.class.and_then(|class| class.zone(velocity)),
        impulsive: bands::most_impulsive(transforms, &source, &candidates),
        octaves: welch::octaves(transforms, samples, rate, 12),
        nominal: welch::nominal(transforms, samples, rate, RESOLVED),
        rahmonic: cepstrum::peak(transforms, samples, rate, slowest, 1000.0),
        bearing: machine
            .shaft
            .zip(machine.bearing)
            .and_then(|(shaft, orders)| diagnosis::diagnose(transforms, samples, rate, shaft, &orders, &limits)),
        gear: machine
            .shaft
            .zip(machine.teeth)
            .and_then(|(shaft, teeth)| gear::mesh(transforms, samples, rate, shaft, teeth)),
    })
}
