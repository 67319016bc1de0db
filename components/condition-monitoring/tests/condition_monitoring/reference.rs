//! Comparison with NumPy and SciPy; `reference/generate.py` computed the values.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
use std::path::Path;

use wheeltapper_condition_monitoring::{
    bearing::{
        diagnosis::{DiagnosisLimits, Fault, diagnose},
        table::find_bearing,
    },
    scalar::{
        quality::{missing_ratio, stuck_ratio},
        trend::{least_squares_slope, rate_of_change, theil_sen_slope},
    },
    waveform::{
        cepstrum,
        envelope::{WaveformSpectrum, hilbert_envelope},
        features::{MachineInfo, SampleUnit, extract_features},
        fft::FftPlans,
        gear::gear_mesh,
        iso20816::{MachineClass, Zone},
        level::{band_rms, time_levels, velocity_rms},
        spectrum::PowerSpectrum,
        welch::{OCTAVE_CENTRES, nominal_octave_levels, octave_levels, power_spectral_density},
    },
};

const RATE: f64 = 12_000.0;

fn read(name: &str) -> Vec<f64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(format!("{name}.csv"));
    std::fs::read_to_string(path).unwrap().lines().map(|line| line.trim().parse().unwrap()).collect()
}

/// Equal to within `tolerance` times the largest reference value.
fn close(actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        assert!((actual - expected).abs() <= tolerance * largest, "{index}: {actual} {expected}");
    }
}

#[test]
fn envelope_welch_levels_and_octaves_match_scipy() {
    let signal = read("signal");
    let plans = &mut FftPlans::default();
    close(&hilbert_envelope(plans, &signal), &read("hilbert"), 1e-12);
    close(&hilbert_envelope(plans, &signal[..signal.len() - 1]), &read("hilbert_odd"), 1e-12);
    close(&power_spectral_density(plans, &signal, RATE, 256), &read("welch"), 1e-12);
    close(&power_spectral_density(plans, &signal, RATE, 255), &read("welch_odd"), 1e-12);
    let computed = time_levels(&signal);
    close(&[computed.rms, computed.peak, computed.crest_factor, computed.kurtosis], &read("levels"), 1e-12);
    let levels: Vec<f64> = octave_levels(plans, &signal, RATE, 12).iter().map(|octave| octave.decibel).collect();
    close(&levels, &read("octaves"), 1e-12);
}

#[test]
fn cepstral_peak_matches_numpy() {
    let cepstrum = read("cepstrum");
    let peak = cepstrum::cepstral_peak(&mut FftPlans::default(), &read("signal"), RATE, 50.0, 1000.0).unwrap();
    let best = (12..=240).max_by(|a, b| cepstrum[*a].total_cmp(&cepstrum[*b])).unwrap();
    assert!((peak.quefrency - best as f64 / RATE).abs() < 1e-12);
}

/// The decimated envelope passes through the same points as that of the whole record, so their means and kurtoses agree
/// to 3 %. They differ as both are cut at their ends, but not at the same samples.
#[test]
fn band_envelope_matches_the_filtered_signal() {
    let plans = &mut FftPlans::default();
    let signal = read("signal");
    let band = WaveformSpectrum::new(plans, &signal, RATE).squared_envelope(plans, 2000.0, 4000.0);
    let whole = read("band_envelope");
    let cut = signal.len() / 20;
    let inner = &whole[cut..whole.len() - cut];
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let square = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
    assert!((mean(&band.values) / mean(inner) - 1.0).abs() < 0.03);
    assert!((square(&band.values) / square(inner) - 1.0).abs() < 0.03);
    let kurtosis = square(inner) / mean(inner).powi(2) - 2.0;
    assert!((band.kurtosis() - kurtosis).abs() < 0.1, "{} {kurtosis}", band.kurtosis());
}

#[test]
fn slopes_match_scipy() {
    let values = read("trend");
    let times: Vec<f64> = (0..values.len()).map(|index| index as f64).collect();
    close(&[theil_sen_slope(&times, &values), least_squares_slope(&times, &values)], &read("slopes"), 1e-12);
    assert!((rate_of_change(&[0.0, 1.0, 4.0], &[1.0, 9.0, 3.0]) - 0.5).abs() < 1e-15);
    assert!((missing_ratio(75, 10.0, 10.0) - 0.25).abs() < 1e-15);
    assert!((stuck_ratio(&[1.0, 2.0, 2.0, 2.0, 3.0]) - 0.6).abs() < 1e-15);
}

#[test]
fn velocity_of_a_sine_is_its_acceleration_over_its_angular_frequency() {
    let rate = 25_600.0;
    for frequency in [12.3, 50.0, 160.0, 900.0] {
        let omega = 2.0 * std::f64::consts::PI * frequency;
        let sine: Vec<f64> = (0..25_600).map(|index| 3.0 * (omega * f64::from(index) / rate).sin()).collect();
        let velocity = velocity_rms(&mut FftPlans::default(), &sine, rate, 10.0, 1000.0);
        let expected = 1e3 * 3.0 / omega / 2.0_f64.sqrt();
        assert!((velocity / expected - 1.0).abs() < 0.02, "{frequency} Hz: {velocity} {expected}");
    }
    assert_eq!(MachineClass::MediumRigid.zone(2.9), Some(Zone::C));
    assert_eq!(MachineClass::MediumRigid.zone(f64::NAN), None);
}

/// Velocity at both edges of the band, with a large offset, and in waveforms that do not contain a whole number of
/// periods. ISO 2954 allows a meter to show 0.8 to 1.1 of the true value at the edges, and at least 0.9 within.
#[test]
fn velocity_is_correct_up_to_the_edges_of_its_band() {
    let plans = &mut FftPlans::default();
    for (rate, count) in [(2560.0, 1024), (12_000.0, 4801), (25_600.0, 16_384), (51_200.0, 20_481), (51_200.0, 51_197)]
    {
        for frequency in [10.0, 11.1, 12.0, 24.9, 50.0, 333.3, 990.0, 1000.0] {
            for phase in [0.0, 1.0, 2.2] {
                let omega = 2.0 * std::f64::consts::PI * frequency;
                let sine: Vec<f64> =
                    (0..count).map(|at| 1e3 + 3.0 * (omega * f64::from(at) / rate + phase).sin()).collect();
                let ratio = velocity_rms(plans, &sine, rate, 10.0, 1000.0) * omega * 2.0_f64.sqrt() / 3e3;
                assert!((0.9..1.1).contains(&ratio), "{frequency} Hz in {count} samples at {rate} Hz: {ratio}");
            }
        }
    }
}

/// ISO 20816-3 (and ISO 10816-1 class I): a boundary belongs to the better zone.
#[test]
fn zones_change_at_their_boundaries() {
    let just_above = |value: f64| f64::from_bits(value.to_bits() + 1);
    for (class, boundaries) in [
        (MachineClass::Small, [0.71, 1.8, 4.5]),
        (MachineClass::MediumRigid, [1.4, 2.8, 4.5]),
        (MachineClass::MediumFlexible, [2.3, 4.5, 7.1]),
        (MachineClass::LargeRigid, [2.3, 4.5, 7.1]),
        (MachineClass::LargeFlexible, [3.5, 7.1, 11.0]),
    ] {
        let zones = [Zone::A, Zone::B, Zone::C, Zone::D];
        for (pair, boundary) in zones.windows(2).zip(boundaries) {
            assert_eq!([class.zone(boundary), class.zone(just_above(boundary))], [Some(pair[0]), Some(pair[1])]);
        }
    }
}

#[test]
fn a_modulated_mesh_has_sidebands() {
    let (rate, shaft, teeth) = (25_600.0, 25.0, 23_u32);
    let tau = 2.0 * std::f64::consts::PI;
    let mut random = 1_u32;
    let wave: Vec<f64> = (0..25_600)
        .map(|index| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let t = f64::from(index) / rate;
            let depth = 1.0 + 0.5 * (tau * shaft * t).cos();
            depth * (tau * shaft * f64::from(teeth) * t).sin() + 0.1 * (f64::from(random) / f64::from(u32::MAX) - 0.5)
        })
        .collect();
    let gear = gear_mesh(&mut FftPlans::default(), &wave, rate, shaft, teeth).unwrap();
    assert!((gear.frequency - 575.0).abs() < 0.6 && gear.sidebands >= 2, "{gear:?}");
    // Two sidebands, each with a quarter of the mesh amplitude.
    assert!((gear.sideband_ratio - 0.5).abs() < 0.02, "{gear:?}");
    let rahmonic = cepstrum::cepstral_peak(&mut FftPlans::default(), &wave, rate, 12.0, 400.0).unwrap();
    println!("{gear:?} {rahmonic:?}");
}

#[test]
fn lines_are_assigned_to_shaft_orders() {
    let mut powers = vec![0.0; 400];
    powers[100] = 4.0;
    let lines = PowerSpectrum { powers: &powers, line_spacing: 0.5, duration: 2.0 };
    let by_order = lines.order_spectrum(10.0, 8, 10);
    assert_eq!(by_order.iter().position(|power| *power > 0.0), Some(50));
}

/// Impacts at a defect frequency, each ringing at 3.1 kHz, in noise; the bearing deviates by 0.7 % from its geometry.
#[test]
fn simulated_defects_are_diagnosed() {
    let (rate, shaft) = (25_600.0, 24.5);
    let orders = find_bearing("6206").unwrap().geometry.fault_orders().unwrap();
    let tau = 2.0 * std::f64::consts::PI;
    for (fault, order, modulated) in
        [(Fault::Outer, orders.bpfo, 0.0), (Fault::Inner, orders.bpfi, 0.9), (Fault::Element, 2.0 * orders.bsf, 0.0)]
    {
        let mut state = 5_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1 << 24) - 0.5
        };
        let period = 1.0 / (0.993 * order * shaft);
        let wave: Vec<f64> = (0..12_800)
            .map(|index| {
                let t = f64::from(index) / rate;
                let since = t % period;
                let load = 1.0 + modulated * (tau * shaft * t).cos();
                load * (-since * 900.0).exp() * (tau * 3100.0 * since).sin() + noise()
            })
            .collect();
        let diagnosis =
            diagnose(&mut FftPlans::default(), &wave, rate, shaft, &orders, &DiagnosisLimits::default()).unwrap();
        let finding = diagnosis.detected_fault().unwrap();
        println!("{}", diagnosis.summary());
        assert_eq!(finding.fault, fault);
        assert!((finding.order / order / 0.993 - 1.0).abs() < 0.006 && finding.harmonics >= 3);
        assert!(fault != Fault::Inner || finding.sidebands >= 2);
    }
}

#[test]
fn invalid_waveforms_have_no_features() {
    let plans = &mut FftPlans::default();
    let machine = MachineInfo {
        shaft_speed: Some(30.0),
        fault_orders: find_bearing("6205").unwrap().geometry.fault_orders(),
        ..MachineInfo::default()
    };
    assert!(extract_features(plans, &[], 1e4, Some(SampleUnit::G), &machine).is_none());
    assert!(extract_features(plans, &[f64::NAN; 100], 1e4, Some(SampleUnit::G), &machine).is_none());
    assert!(extract_features(plans, &[0.0; 100], f64::NAN, Some(SampleUnit::G), &machine).is_none());
    for length in [64, 65, 127, 1000, 2047] {
        for rate in [1e-3, 10.0, 1e3, 1e6, 1e12] {
            for shaft in [1e-9, 30.0, 1e9] {
                let machine = MachineInfo { shaft_speed: Some(shaft), teeth: Some(u32::MAX), ..machine };
                let flat = vec![1.0; length];
                let result = extract_features(plans, &flat, rate, Some(SampleUnit::G), &machine).unwrap();
                assert!(result.bearing_diagnosis.is_none_or(|bearing| !bearing.is_detected), "{length} {rate} {shaft}");
                let huge: Vec<f64> = (0..length).map(|index| if index % 7 == 0 { 1e300 } else { -1e300 }).collect();
                let _ = extract_features(plans, &huge, rate, Some(SampleUnit::MetrePerSecondSquared), &machine);
            }
        }
    }
}

/// Nominal octaves: a sine is in its own octave, and its level is its mean square; an octave that the spectrum cannot
/// resolve is NaN.
#[test]
fn a_sine_is_in_its_octave() {
    let rate = 25_600.0;
    let plans = &mut FftPlans::default();
    for (octave, centre) in OCTAVE_CENTRES.iter().enumerate().take(10) {
        let omega = 2.0 * std::f64::consts::PI * centre;
        let sine: Vec<f64> = (0..25_600).map(|index| 2.0 * (omega * f64::from(index) / rate).sin()).collect();
        let levels = nominal_octave_levels(plans, &sine, rate, 4);
        assert!((levels[octave] - 10.0 * 2.0_f64.log10()).abs() < 0.1, "{centre} Hz: {levels:?}");
        assert!(
            levels
                .iter()
                .enumerate()
                .all(|(index, level)| index == octave || level.is_nan() || *level < levels[octave] - 20.0)
        );
        assert!(levels[10].is_nan());
    }
    let sine: Vec<f64> = (0..25_600).map(|index| 3.0 * (f64::from(index) * 0.05).sin()).collect();
    assert!((band_rms(plans, &sine, rate, 10.0, 1000.0) - 3.0 / 2.0_f64.sqrt()).abs() < 1e-3);
    assert_eq!(nominal_octave_levels(plans, &sine[..2048], rate, 4).iter().filter(|level| level.is_nan()).count(), 3);
}

/// (1 + m cos ωt) times a carrier of amplitude a has a squared envelope with amplitude 2 m a² at ω.
#[test]
fn the_amplitude_is_that_of_the_squared_envelope() {
    let (rate, shaft) = (25_600.0, 24.5);
    let orders = find_bearing("6205").unwrap().geometry.fault_orders().unwrap();
    let tau = 2.0 * std::f64::consts::PI;
    let wave: Vec<f64> = (0..12_800)
        .map(|index| {
            let t = f64::from(index) / rate;
            3.0 * (1.0 + 0.5 * (tau * orders.bpfo * shaft * t).cos()) * (tau * 5200.0 * t).sin()
        })
        .collect();
    let diagnosis =
        diagnose(&mut FftPlans::default(), &wave, rate, shaft, &orders, &DiagnosisLimits::default()).unwrap();
    let outer = diagnosis.candidates.iter().find(|finding| finding.fault == Fault::Outer).unwrap();
    assert!((outer.amplitude - 3.0).abs() < 0.05, "{outer:?}");
}
