//! Measures how much white noise the diagnosis tolerates, on CWRU recordings in windows of 0.25 s and of 2,048 samples.
//! cargo run --release --example noise
#[path = "../tests/condition_monitoring/common/mod.rs"]
mod common;

use wheeltapper_condition_monitoring::{
    bearing::{
        diagnosis::{DiagnosisLimits, EvidenceAverage, Fault, diagnose},
        table::find_bearing,
    },
    waveform::fft::FftPlans,
};

fn main() {
    let Some(folder) = common::data("cwru") else { return };
    let Some(orders) = find_bearing("6205").and_then(|entry| entry.geometry.fault_orders()) else { return };
    let plans = &mut FftPlans::default();
    let mut random = common::Random(3);
    for (length, count) in [(12_000, 20), (2048, 60)] {
        for (name, fault) in [("OR_at_6_7_DE48", Fault::Outer), ("IR_7_DE48", Fault::Inner)] {
            let samples = common::npy(&folder.join(format!("1797_{name}.npy")));
            let power = samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len() as f64;
            for decibel in [10.0, 0.0, -5.0, -10.0, -15.0] {
                let scale = (power / 10_f64.powf(decibel / 10.0)).sqrt();
                let (mut detected, mut wrong, mut first, mut averaged) = (0, 0, 0, 0);
                let mut accumulator = EvidenceAverage::default();
                for window in samples.chunks_exact(length).take(count) {
                    let noisy: Vec<f64> = window.iter().map(|sample| sample + scale * random.normal()).collect();
                    let limits = DiagnosisLimits::default();
                    let Some(diagnosis) = diagnose(plans, &noisy, 48_000.0, 29.95, &orders, &limits) else {
                        return;
                    };
                    accumulator.push(&diagnosis);
                    averaged += usize::from(accumulator.likely_fault().is_some_and(|(likely, _)| likely == fault));
                    first += usize::from(diagnosis.candidates[0].fault == fault);
                    if let Some(finding) = diagnosis.detected_fault() {
                        if finding.fault == fault { detected += 1 } else { wrong += 1 }
                    }
                }
                println!(
                    "{name} {length} samples, signal to noise {decibel} dB: detected {detected} of {count}, wrongly {wrong}; first {first}; averaged {averaged}"
                );
            }
        }
    }
}
