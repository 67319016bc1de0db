//! The features that only waveforms have; see [`crate::features`].

use wheeltapper_condition_monitoring::{
    bearing::diagnosis::{Fault, FaultEvidence},
    waveform::{
        features::{MachineInfo, WaveformFeatures},
        fft::FftPlans,
        iso20816::Zone,
    },
};

use crate::{config, feature_names::MACHINE_FEATURES};

/// The machine features are computed from this many samples at most, the first of a waveform. Their cost grows faster
/// than the length of the waveform and must not delay the stream.
const MAX_SAMPLES: usize = 1 << 15;

/// Returns the features in the order of [`MACHINE_FEATURES`]. `rate` and `shaft` are in Hz.
pub(crate) fn features(
    plans: &mut FftPlans,
    samples: &[f64],
    rate: f64,
    machine: Option<&config::MachineProperties>,
    shaft: Option<f64>,
) -> [f64; MACHINE_FEATURES.len()] {
    let mut out = FeatureWriter { values: [f64::NAN; MACHINE_FEATURES.len()], next: 0 };
    // The largest absolute value; NaN is ignored.
    out.add(samples.iter().fold(0.0, |peak, value| value.abs().max(peak)));
    let properties = MachineInfo {
        shaft_speed: shaft,
        fault_orders: machine.and_then(|machine| machine.bearing),
        teeth: machine.and_then(|machine| machine.teeth),
        class: machine.and_then(|machine| machine.class),
        limits: None,
    };
    let unit = machine.and_then(|machine| machine.unit);
    let samples = samples.get(..MAX_SAMPLES).unwrap_or(samples);
    let features =
        wheeltapper_condition_monitoring::waveform::features::extract_features(plans, samples, rate, unit, &properties);
    out.add_wave_features(features.as_ref());
    out.add(shaft.unwrap_or(f64::NAN));
    let bearing = features.as_ref().and_then(|features| features.bearing_diagnosis.as_ref());
    for fault in FAULTS {
        out.add_finding(bearing.and_then(|bearing| bearing.candidates.iter().find(|finding| finding.fault == fault)));
    }
    out.add(bearing.map_or(f64::NAN, |bearing| {
        let number = |finding: &FaultEvidence| FAULTS.iter().zip(1..).find(|(fault, _)| **fault == finding.fault);
        bearing.detected_fault().and_then(number).map_or(0.0, |(_, number)| f64::from(number))
    }));
    let gear = features.as_ref().and_then(|features| features.gear_mesh);
    out.add(gear.map_or(f64::NAN, |gear| gear.background_ratio));
    out.add(gear.map_or(f64::NAN, |gear| f64::from(gear.sidebands)));
    out.values
}

/// The faults in the order of their features; `bearing_named` is the index plus 1.
const FAULTS: [Fault; 4] = [Fault::Outer, Fault::Inner, Fault::Element, Fault::Cage];

/// Writes the features in order. A feature that is skipped stays NaN.
struct FeatureWriter {
    values: [f64; MACHINE_FEATURES.len()],
    next: usize,
}

impl FeatureWriter {
    fn add(&mut self, value: f64) {
        if let Some(slot) = self.values.get_mut(self.next) {
            *slot = value;
        }
        self.next += 1;
    }

    /// Adds `velocity_rms` to `cepstrum_peak`.
    fn add_wave_features(&mut self, features: Option<&WaveformFeatures>) {
        let Some(features) = features else {
            self.next += 18;
            return;
        };
        self.add(features.velocity_rms);
        self.add(features.zone.map_or(f64::NAN, |zone| match zone {
            Zone::A => 1.0,
            Zone::B => 2.0,
            Zone::C => 3.0,
            Zone::D => 4.0,
        }));
        let band = features.impulsive_band;
        self.add(band.map_or(f64::NAN, |(_, kurtosis)| kurtosis));
        self.add(band.map_or(f64::NAN, |(band, _)| band.low));
        self.add(band.map_or(f64::NAN, |(band, _)| band.high));
        for level in features.nominal_octaves {
            self.add(level);
        }
        self.add(features.rahmonic.map_or(f64::NAN, |rahmonic| rahmonic.quefrency));
        self.add(features.rahmonic.map_or(f64::NAN, |rahmonic| rahmonic.prominence));
    }

    /// Adds the seven features of one bearing fault.
    fn add_finding(&mut self, finding: Option<&FaultEvidence>) {
        let Some(finding) = finding else {
            self.next += 7;
            return;
        };
        self.add(finding.evidence);
        self.add(finding.strength);
        self.add(finding.frequency);
        self.add(finding.background_ratio);
        self.add(f64::from(finding.harmonics));
        self.add(f64::from(finding.sidebands));
        self.add(finding.amplitude);
    }
}
