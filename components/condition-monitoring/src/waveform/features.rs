//! All features of a waveform in one call.

use super::{
    bands::{self, Band},
    cepstrum::{self, CepstralPeak},
    envelope::WaveformSpectrum,
    fft::FftPlans,
    gear::{self, GearMesh},
    iso20816::{MachineClass, Zone},
    level::{self, GRAVITY, TimeLevels},
    welch::{self, OCTAVE_CENTRES, OctaveLevel},
};
use crate::{
    bearing::{
        diagnosis::{self, Diagnosis, DiagnosisLimits},
        geometry::FaultOrders,
    },
    stats::is_positive,
};

/// Unit of the samples of a waveform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleUnit {
    /// Multiples of standard gravity.
    G,
    /// m/s².
    MetrePerSecondSquared,
    /// mm/s: a velocity sensor.
    MillimetrePerSecond,
}

impl SampleUnit {
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
const MIN_OCTAVE_LINES: usize = 4;

/// What is known about the machine; every field is optional.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineInfo {
    /// Shaft speed in Hz.
    pub shaft_speed: Option<f64>,
    /// Fault orders of the bearing.
    pub fault_orders: Option<FaultOrders>,
    /// Number of teeth of the gear wheel on this shaft.
    pub teeth: Option<u32>,
    /// Machine class for the severity zones of ISO 20816-3.
    pub class: Option<MachineClass>,
    /// Limits of the bearing diagnosis; the defaults if absent.
    pub limits: Option<DiagnosisLimits>,
}

/// The features of one waveform.
#[derive(Clone, Debug)]
pub struct WaveformFeatures {
    /// Time-domain levels, in the sensor's unit.
    pub levels: TimeLevels,
    /// Velocity RMS from 10 to 1,000 Hz, in mm/s; NaN when the waveform is shorter than 0.4 s or its unit is unknown.
    pub velocity_rms: f64,
    /// Severity zone of the velocity.
    pub zone: Option<Zone>,
    /// The most impulsive band and its spectral kurtosis.
    pub impulsive_band: Option<(Band, f64)>,
    /// Octave levels, highest frequency first.
    pub octaves: Vec<OctaveLevel>,
    /// Levels of the octaves at the nominal centres, in dB re 1 unit²; NaN when not resolved.
    pub nominal_octaves: [f64; OCTAVE_CENTRES.len()],
    /// Highest cepstral peak for families from 5 Hz (or half the shaft's speed) to 1,000 Hz.
    pub rahmonic: Option<CepstralPeak>,
    /// Bearing diagnosis, if shaft speed and bearing are known.
    pub bearing_diagnosis: Option<Diagnosis>,
    /// Gear mesh, if shaft speed and number of teeth are known.
    pub gear_mesh: Option<GearMesh>,
}

/// Computes the features. Returns `None` for fewer than 64 samples, a sample that is not finite, or a rate that is not
/// above 0.
pub fn extract_features(
    plans: &mut FftPlans,
    samples: &[f64],
    rate: f64,
    unit: Option<SampleUnit>,
    machine: &MachineInfo,
) -> Option<WaveformFeatures> {
    if samples.len() < 64 || !is_positive(rate) || samples.iter().any(|sample| !sample.is_finite()) {
        return None;
    }
    let velocity = match unit {
        Some(SampleUnit::G) => GRAVITY * level::velocity_rms(plans, samples, rate, 10.0, 1000.0),
        Some(SampleUnit::MetrePerSecondSquared) => level::velocity_rms(plans, samples, rate, 10.0, 1000.0),
        Some(SampleUnit::MillimetrePerSecond) => level::band_rms(plans, samples, rate, 10.0, 1000.0),
        None => f64::NAN,
    };
    let source = WaveformSpectrum::new(plans, samples, rate);
    let limits = machine.limits.unwrap_or_default();
    let candidates = bands::candidate_bands(rate, limits.min_bandwidth);
    let slowest = machine.shaft_speed.map_or(5.0, |shaft| (0.5 * shaft).max(1.0));
    Some(WaveformFeatures {
        levels: level::time_levels(samples),
        velocity_rms: velocity,
        zone: machine.class.and_then(|class| class.zone(velocity)),
        impulsive_band: bands::most_impulsive_band(plans, &source, &candidates),
        octaves: welch::octave_levels(plans, samples, rate, 12),
        nominal_octaves: welch::nominal_octave_levels(plans, samples, rate, MIN_OCTAVE_LINES),
        rahmonic: cepstrum::cepstral_peak(plans, samples, rate, slowest, 1000.0),
        bearing_diagnosis: machine
            .shaft_speed
            .zip(machine.fault_orders)
            .and_then(|(shaft, orders)| diagnosis::diagnose(plans, samples, rate, shaft, &orders, &limits)),
        gear_mesh: machine
            .shaft_speed
            .zip(machine.teeth)
            .and_then(|(shaft, teeth)| gear::gear_mesh(plans, samples, rate, shaft, teeth)),
    })
}
