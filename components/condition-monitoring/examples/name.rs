//! Diagnoses each window of a recording: `name FILE.npy RATE_HZ SHAFT_HZ DESIGNATION SAMPLES`.
#[path = "../tests/condition_monitoring/common/mod.rs"]
mod common;

use std::collections::BTreeMap;

use wheeltapper_condition_monitoring::{
    bearing::{
        diagnosis::{DiagnosisLimits, EvidenceAverage, diagnose},
        table::find_bearing,
    },
    waveform::fft::FftPlans,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, rate, shaft, bearing, length] = arguments.as_slice() else {
        return Err("expected FILE.npy RATE_HZ SHAFT_HZ DESIGNATION SAMPLES".into());
    };
    let orders = find_bearing(bearing).and_then(|entry| entry.geometry.fault_orders()).ok_or("unknown bearing")?;
    let (plans, mut accumulator) = (&mut FftPlans::default(), EvidenceAverage::default());
    let mut counts: [BTreeMap<String, u32>; 3] = Default::default();
    for window in common::npy(file.as_ref()).chunks_exact(length.parse()?) {
        let diagnosis = diagnose(plans, window, rate.parse()?, shaft.parse()?, &orders, &DiagnosisLimits::default())
            .ok_or("the window cannot be diagnosed; expected at least 64 finite samples")?;
        accumulator.push(&diagnosis);
        for (method, name) in [
            diagnosis.detected_fault().map(|finding| finding.fault.name()),
            diagnosis.candidates.first().map(|finding| finding.fault.name()),
            accumulator.likely_fault().map(|(fault, _)| fault.name()),
        ]
        .into_iter()
        .enumerate()
        {
            *counts[method].entry(name.unwrap_or("none").to_owned()).or_default() += 1;
        }
    }
    println!("detected {:?}; most evidence {:?}; over all windows {:?}", counts[0], counts[1], counts[2]);
    Ok(())
}
