//! What a burst has besides the features that windows share; see [`crate::features`].

use wheeltapper_condition::{
    bearing::diagnosis::{Fault, Finding},
    wave::{
        features::{Machine, WaveFeatures},
        fft::Transforms,
        iso20816::Zone,
    },
};

use crate::{config, features::MACHINE};

/// Samples from which the machine's features are computed, the first of a burst: what they cost grows faster than the
/// burst, and must not hold up the line.
const MOST: usize = 1 << 15;

/// In the order of [`MACHINE`].
pub(crate) fn features(
    transforms: &mut Transforms,
    samples: &[f64],
    rate: f64,
    machine: Option<&config::Machine>,
    shaft: Option<f64>,
) -> [f64; MACHINE.len()] {
    let mut out = Row { values: [f64::NAN; MACHINE.len()], at: 0 };
    // The largest absolute value; what is no number does not count.
    out.add(samples.iter().fold(0.0, |peak, value| value.abs().max(peak)));
    let about = Machine {
        shaft,
        bearing: machine.and_then(|machine| machine.bearing),
        teeth: machine.and_then(|machine| machine.teeth),
        class: machine.and_then(|machine| machine.class),
        limits: None,
    };
    let unit = machine.and_then(|machine| machine.unit);
    let samples = samples.get(..MOST).unwrap_or(samples);
    let found = wheeltapper_condition::wave::features::features(transforms, samples, rate, unit, &about);
    out.wave(found.as_ref());
    out.add(shaft.unwrap_or(f64::NAN));
    let bearing = found.as_ref().and_then(|found| found.bearing.as_ref());
    for fault in FAULTS {
        out.finding(bearing.and_then(|bearing| bearing.findings.iter().find(|finding| finding.fault == fault)));
    }
    out.add(bearing.map_or(f64::NAN, |bearing| {
        let number = |finding: &Finding| FAULTS.iter().zip(1..).find(|(fault, _)| **fault == finding.fault);
        bearing.fault().and_then(number).map_or(0.0, |(_, number)| f64::from(number))
    }));
    let gear = found.as_ref().and_then(|found| found.gear);
    out.add(gear.map_or(f64::NAN, |gear| gear.ratio));
    out.add(gear.map_or(f64::NAN, |gear| f64::from(gear.sidebands)));
    out.values
}

const FAULTS: [Fault; 4] = [Fault::Outer, Fault::Inner, Fault::Element, Fault::Cage];

/// Fills the features in order.
struct Row {
    values: [f64; MACHINE.len()],
    at: usize,
}

impl Row {
    fn add(&mut self, value: f64) {
        if let Some(slot) = self.values.get_mut(self.at) {
            *slot = value;
        }
        self.at += 1;
    }

    fn wave(&mut self, found: Option<&WaveFeatures>) {
        let Some(found) = found else {
            // velocity_rms to cepstrum_peak
            self.at += 18;
            return;
        };
        self.add(found.velocity);
        self.add(found.zone.map_or(f64::NAN, |zone| match zone {
            Zone::A => 1.0,
            Zone::B => 2.0,
            Zone::C => 3.0,
            Zone::D => 4.0,
        }));
        let band = found.impulsive;
        self.add(band.map_or(f64::NAN, |(_, kurtosis)| kurtosis));
        self.add(band.map_or(f64::NAN, |(band, _)| band.low));
        self.add(band.map_or(f64::NAN, |(band, _)| band.high));
        for level in found.nominal {
            self.add(level);
        }
        self.add(found.rahmonic.map_or(f64::NAN, |rahmonic| rahmonic.quefrency));
        self.add(found.rahmonic.map_or(f64::NAN, |rahmonic| rahmonic.prominence));
    }

    fn finding(&mut self, finding: Option<&Finding>) {
        let Some(finding) = finding else {
            self.at += 7;
            return;
        };
        self.add(finding.evidence);
        self.add(finding.strength);
        self.add(finding.frequency);
        self.add(finding.ratio);
        self.add(f64::from(finding.harmonics));
        self.add(f64::from(finding.sidebands));
        self.add(finding.amplitude);
    }
}
