//! Diagnosis of the CWRU recordings, with a baseline fitted on the first half of the healthy recording only.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
use wheeltapper_condition_monitoring::{
    baseline::Baseline,
    bearing::{
        diagnosis::{DiagnosisLimits, EvidenceAverage, Fault, diagnose},
        geometry::FaultOrders,
        table::find_bearing,
    },
    waveform::{fft::FftPlans, welch::octave_levels},
};

use crate::common;

const SHAFT: f64 = 1797.0 / 60.0;

fn orders() -> FaultOrders {
    find_bearing("SKF 6205-2RS").unwrap().geometry.fault_orders().unwrap()
}

/// Reduces the rate to a quarter: windowed sinc, 241 taps, cut-off at 0.9 of the new Nyquist frequency.
fn decimate(samples: &[f64]) -> Vec<f64> {
    let cut = 0.9 / 4.0;
    let taps: Vec<f64> = (-120..=120)
        .map(|tap| {
            let x = std::f64::consts::PI * cut * f64::from(tap);
            let sinc = if tap == 0 { 1.0 } else { x.sin() / x };
            cut * sinc * (0.54 + 0.46 * (std::f64::consts::PI * f64::from(tap) / 120.0).cos())
        })
        .collect();
    (120..samples.len() - 120)
        .step_by(4)
        .map(|at| taps.iter().zip(&samples[at - 120..]).map(|(tap, sample)| tap * sample).sum())
        .collect()
}

struct Outcome {
    windows: usize,
    alarms: usize,
    ratios: (f64, f64),
    /// Counts by outer race, inner race, element and cage: detected, and strongest regardless of the limits.
    detected: [usize; 4],
    strongest: [usize; 4],
    /// The same by the mean evidence, from the fifth window on; the last count is for no fault.
    averaged: [usize; 5],
    evidence: Vec<f64>,
    example: String,
}

fn run(samples: &[f64], rate: f64, length: usize, hop: usize, baseline: &Baseline) -> Outcome {
    let mut plans = FftPlans::default();
    let mut accumulator = EvidenceAverage::default();
    let mut outcome = Outcome {
        windows: 0,
        alarms: 0,
        ratios: (f64::INFINITY, 0.0),
        detected: [0; 4],
        strongest: [0; 4],
        averaged: [0; 5],
        evidence: Vec::new(),
        example: String::new(),
    };
    for start in (0..=samples.len() - length).step_by(hop) {
        let window = &samples[start..start + length];
        let ratio = baseline.limit_ratio(&levels(&mut plans, window, rate).0);
        outcome.windows += 1;
        outcome.alarms += usize::from(ratio > 1.0);
        outcome.ratios = (outcome.ratios.0.min(ratio), outcome.ratios.1.max(ratio));
        let diagnosis = diagnose(&mut plans, window, rate, SHAFT, &orders(), &DiagnosisLimits::default()).unwrap();
        let slot = |fault| match fault {
            Fault::Outer => 0,
            Fault::Inner => 1,
            Fault::Element => 2,
            Fault::Cage => 3,
        };
        let strongest = diagnosis
            .candidates
            .iter()
            .filter(|finding| finding.fault != Fault::Cage)
            .max_by(|a, b| a.evidence.total_cmp(&b.evidence))
            .unwrap();
        outcome.strongest[slot(strongest.fault)] += 1;
        accumulator.push(&diagnosis);
        if outcome.windows >= 5 {
            outcome.averaged[accumulator.likely_fault().map_or(4, |(fault, _)| slot(fault))] += 1;
        }
        outcome.evidence.push(strongest.evidence);
        if let Some(finding) = diagnosis.detected_fault() {
            outcome.detected[slot(finding.fault)] += 1;
            outcome.example = diagnosis.summary();
        }
    }
    outcome.evidence.sort_by(f64::total_cmp);
    outcome
}

fn levels(plans: &mut FftPlans, window: &[f64], rate: f64) -> (Vec<f64>, Vec<usize>) {
    let octaves = octave_levels(plans, window, rate, 12);
    (octaves.iter().map(|octave| octave.decibel).collect(), octaves.iter().map(|octave| octave.line_count).collect())
}

fn baseline(healthy: &[f64], rate: f64, length: usize) -> Baseline {
    let mut plans = FftPlans::default();
    let rows: Vec<_> = healthy.chunks_exact(length).map(|window| levels(&mut plans, window, rate)).collect();
    Baseline::fit(&rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>(), &rows[0].1).unwrap()
}

#[test]
fn faults_raise_alarms_and_races_are_diagnosed() {
    let Some(folder) = common::data("cwru") else { return };
    let load = |name: &str| common::npy(&folder.join(format!("1797_{name}.npy")));
    let normal = load("Normal");
    let decimated = decimate(&normal);
    for (seconds, samples) in [(0.25, 0), (0.0, 2048)] {
        for (rate, healthy, files) in [
            (48_000.0, &normal, ["OR_at_6_7_DE48", "IR_7_DE48", "B_7_DE48"]),
            (12_000.0, &decimated, ["OR_at_6_7_DE12", "IR_7_DE12", "B_7_DE12"]),
        ] {
            let length = if samples > 0 { samples } else { (rate * seconds) as usize };
            let (fit, rest) = healthy.split_at(healthy.len() / 2);
            let baseline = baseline(fit, rate, length);
            let hop = if samples > 0 { length } else { length / 2 };
            let show = |name: &str, outcome: &Outcome| {
                println!(
                    "{name:16} {length:5} samples: {:3} windows, {:3} alarms, ratio {:.2} to {:.2}; named o/i/b/c {:?}, strongest evidence {:?}, averaged {:?}; evidence {:.1}/{:.1}/{:.1}; {}",
                    outcome.windows,
                    outcome.alarms,
                    outcome.ratios.0,
                    outcome.ratios.1,
                    outcome.detected,
                    outcome.strongest,
                    outcome.averaged,
                    outcome.evidence[0],
                    outcome.evidence[outcome.windows / 2],
                    outcome.evidence[outcome.windows - 1],
                    outcome.example
                );
            };
            let healthy_outcome = run(rest, rate, length, length / 2, &baseline);
            show("healthy", &healthy_outcome);
            assert_eq!(healthy_outcome.alarms, 0, "false alarms");
            assert_eq!(healthy_outcome.detected, [0; 4], "healthy");
            for (index, file) in files.iter().enumerate() {
                let outcome = run(&load(file), rate, length, hop, &baseline);
                show(file, &outcome);
                assert_eq!(outcome.alarms, outcome.windows, "{file}");
                if index < 2 {
                    assert!(outcome.strongest[index] as f64 >= 0.98 * outcome.windows as f64, "{file}");
                    // 43 ms contain five to seven impacts, so not every window is conclusive.
                    let min_share = if length == 2048 && rate > 20_000.0 { 0.5 } else { 0.95 };
                    assert!(outcome.detected[index] as f64 >= min_share * outcome.windows as f64, "{file}");
                    assert_eq!(outcome.detected.iter().sum::<usize>(), outcome.detected[index], "{file}: wrong name");
                }
            }
        }
    }
}

#[test]
fn noise_is_not_diagnosed() {
    let mut random = common::Random(1);
    let mut plans = FftPlans::default();
    for (rate, length, count) in [
        (48_000.0, 12_000, 100),
        (12_000.0, 3000, 300),
        (48_000.0, 2048, 1000),
        (25_600.0, 2048, 500),
        (12_000.0, 2048, 300),
    ] {
        let mut detected = 0;
        let mut evidence = Vec::new();
        let mut accumulator = EvidenceAverage::default();
        let mut averaged = 0;
        for _ in 0..count {
            let noise: Vec<f64> = (0..length).map(|_| random.normal()).collect();
            let diagnosis = diagnose(&mut plans, &noise, rate, SHAFT, &orders(), &DiagnosisLimits::default()).unwrap();
            accumulator.push(&diagnosis);
            averaged += usize::from(accumulator.likely_fault().is_some());
            detected += usize::from(diagnosis.is_detected);
            evidence.push(diagnosis.candidates.iter().map(|finding| finding.evidence).fold(0.0, f64::max));
        }
        evidence.sort_by(f64::total_cmp);
        println!(
            "noise {rate} Hz {length}: evidence median {:.1}, 99 % {:.1}, strongest {:.1}; named {detected} of {count}, averaged {averaged}",
            evidence[count / 2],
            evidence[count * 99 / 100],
            evidence[count - 1]
        );
        assert!(detected <= 1 && averaged == 0);
    }
}
