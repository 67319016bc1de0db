//! Rates, speeds and samples that no machine has. Nothing may panic on them, as in a component a panic takes the stage
//! down. Overflow checks are on in tests, so that what would only saturate or wrap elsewhere is detected as well.
//! `usize` has 32 bits in a component and 64 here; rates of 1e300 saturate both.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use wheeltapper_condition_monitoring::{
    bearing::{
        diagnosis::{DiagnosisLimits, diagnose},
        geometry::FaultOrders,
        harmonic::LowPassEnvelope,
        table,
    },
    life::residual::ResidualQuantiles,
    waveform::{
        bands, cepstrum,
        envelope::{self, SquaredEnvelope, WaveformSpectrum},
        features::{MachineInfo, SampleUnit, extract_features},
        fft::FftPlans,
        gear,
        iso20816::MachineClass,
        level,
        spectrum::PowerSpectrum,
        welch,
    },
};

use crate::common;

/// Numbers in Hz, including those that the checks before the features reject.
const NUMBERS: [f64; 19] = [
    f64::NAN,
    f64::NEG_INFINITY,
    -1.0,
    0.0,
    5e-324,
    1e-310,
    1e-300,
    1e-9,
    1e-6,
    0.5,
    29.95,
    12_000.0,
    4.3e9,
    1e12,
    1.9e19,
    1e40,
    1e300,
    f64::MAX,
    f64::INFINITY,
];

const LENGTHS: [usize; 9] = [0, 1, 2, 3, 8, 16, 63, 64, 100];

/// Samples of one kind: what a waveform of f32 can contain, and f64 beyond its range.
fn samples(kind: usize, count: usize) -> Vec<f64> {
    let mut random = common::Random(5);
    let sign = |index: usize| if index.is_multiple_of(2) { 1.0 } else { -1.0 };
    (0..count)
        .map(|index| match kind {
            0 => random.uniform() - 0.5,
            1 => 0.0,
            2 => 1.5,
            3 => f64::from(f32::MAX),
            4 => f64::from(f32::MAX) * sign(index),
            5 => f64::from(f32::from_bits(1)) * sign(index),
            6 => f64::from(f32::from_bits(1)),
            7 => f64::from(u8::from(index == count / 2)),
            8 => 1e300 * (random.uniform() - 0.5),
            9 => f64::MAX * sign(index),
            _ => 5e-324 * sign(index),
        })
        .collect()
}
const KINDS: usize = 11;

fn orders() -> FaultOrders {
    table::find_bearing("6205").unwrap().geometry.fault_orders().unwrap()
}

#[test]
fn a_waveform_at_a_rate_of_1e300_has_features() {
    let found =
        extract_features(&mut FftPlans::default(), &samples(0, 64), 1e300, None, &MachineInfo::default()).unwrap();
    assert_eq!(found.rahmonic, None);
}

#[test]
fn features_of_any_rate_or_speed_do_not_panic() {
    let mut plans = FftPlans::default();
    for rate in NUMBERS {
        for shaft in NUMBERS.map(Some).into_iter().chain([None]) {
            // The kind of samples matters less than rate and speed, so each pair gets another kind.
            for length in [1, 63, 64, 101] {
                let kind = (rate.to_bits() >> 40) as usize + shaft.map_or(0, |shaft| (shaft.to_bits() >> 41) as usize);
                let machine = MachineInfo {
                    shaft_speed: shaft,
                    fault_orders: Some(orders()),
                    teeth: Some(u32::MAX),
                    class: Some(MachineClass::Small),
                    limits: None,
                };
                for kind in [0, kind % KINDS] {
                    extract_features(&mut plans, &samples(kind, length), rate, Some(SampleUnit::G), &machine);
                }
            }
        }
    }
}

#[test]
fn features_of_any_samples_do_not_panic() {
    let mut plans = FftPlans::default();
    let machine = MachineInfo {
        shaft_speed: Some(29.95),
        fault_orders: Some(orders()),
        teeth: Some(23),
        class: None,
        limits: None,
    };
    for kind in 0..KINDS {
        for count in (0..=64).chain([65, 66, 67, 97, 100, 1000]) {
            for rate in [1e-300, 800.0, 12_000.0, 1e300] {
                extract_features(
                    &mut plans,
                    &samples(kind, count),
                    rate,
                    Some(SampleUnit::MillimetrePerSecond),
                    &machine,
                );
            }
        }
    }
}

/// The functions that compute single features are public, and must not panic without the checks of the caller.
#[test]
fn single_functions_do_not_panic_on_any_number() {
    let mut plans = FftPlans::default();
    for count in LENGTHS {
        let wave = samples(0, count);
        envelope::hilbert_envelope(&mut plans, &wave);
        for rate in NUMBERS {
            let _ = bands::candidate_bands(rate, 1000.0);
            welch::octave_levels(&mut plans, &wave, rate, 0);
            welch::nominal_octave_levels(&mut plans, &wave, rate, 4);
            welch::power_spectral_density(&mut plans, &wave, rate, 16);
            let source = WaveformSpectrum::new(&mut plans, &wave, rate);
            for other in NUMBERS {
                cepstrum::cepstral_peak(&mut plans, &wave, rate, other, 1000.0);
                cepstrum::cepstral_peak(&mut plans, &wave, rate, 5.0, other);
                level::velocity_rms(&mut plans, &wave, rate, other, 1000.0);
                level::band_rms(&mut plans, &wave, rate, 10.0, other);
                gear::gear_mesh(&mut plans, &wave, rate, other, 0);
                gear::gear_mesh(&mut plans, &wave, rate, other, u32::MAX);
                diagnose(&mut plans, &wave, rate, other, &orders(), &DiagnosisLimits::default());
                check_envelope_functions(
                    &mut plans,
                    &source.squared_envelope(&mut FftPlans::default(), 0.0, other),
                    other,
                );
                check_envelope_functions(
                    &mut plans,
                    &source.squared_envelope(&mut FftPlans::default(), other, rate),
                    other,
                );
                let lines = PowerSpectrum { powers: &wave, line_spacing: rate, duration: other };
                let _ = lines.order_spectrum(other, 3, 4);
                for frequency in NUMBERS {
                    let _ = lines.peak_near(frequency, 0.01, rate);
                }
            }
        }
    }
}

fn check_envelope_functions(plans: &mut FftPlans, envelope: &SquaredEnvelope, number: f64) {
    let _ = envelope.kurtosis();
    envelope.spectrum(plans, number);
    let low_pass = LowPassEnvelope::new(plans, envelope, number);
    for frequency in [number, 1.0, 4.3e9, 1e300] {
        low_pass.fit_harmonics(plans, frequency, 0.015, 3.5);
    }
}

#[test]
fn limits_of_any_size_are_accepted() {
    let mut plans = FftPlans::default();
    for number in NUMBERS {
        let limits = DiagnosisLimits {
            min_periods: number,
            max_revolutions: number,
            min_bandwidth: number,
            ..DiagnosisLimits::default()
        };
        for shaft in [1e-300, 29.95, 4.3e9, 1e300] {
            diagnose(&mut plans, &samples(0, 257), 12_000.0, shaft, &orders(), &limits);
        }
    }
}

#[test]
fn the_smallest_horizon_terminates() {
    let pairs: Vec<(f64, f64)> = (0..40).map(|at| (f64::from(at), f64::from(at) + 1.0)).collect();
    for horizon in [5e-324, 1e-300, 1.0, 1e300, f64::MAX] {
        assert!(ResidualQuantiles::fit(&pairs, horizon, 10).is_some());
    }
}
