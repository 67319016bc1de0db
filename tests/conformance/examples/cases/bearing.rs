//! A case with waveforms of an accelerometer on a damaged bearing.

use std::f64::consts::TAU;

use crate::{
    script::{CaseScript, START},
    signal::Noise,
};

const PLANT: &str = r#"[detect]
warmup_windows = 8
spread_windows = 0

[alerts]
open_after = 2
within = 3
close_after = 3

[[technician]]
name = "Ada"
skills = ["mechanic", "vibration-analyst"]
hourly_cost = 60.0

[[site]]
name = "north"

[[site.area]]
name = "hall"

[[site.area.machine]]
name = "motor-1"
kind = "motor"
rated_rpm = 1500.0
bearing = "6205"
iso_class = "medium_rigid"
sensor = [{ name = "vibration", kind = "vibration", unit = "m/s2" }]
"#;

const SAMPLING_RATE: f64 = 12_800.0;
const SAMPLES: u32 = 2_048;
/// The shaft frequency, in Hz.
const SHAFT_FREQUENCY: f64 = 25.0;
/// The outer-race fault frequency of a 6205 bearing, in orders of the shaft frequency.
const BPFO_ORDER: f64 = 3.585;
const RESONANCE_FREQUENCY: f64 = 3_100.0;

pub(crate) fn script() -> CaseScript {
    let mut script = CaseScript::new(
        "bearing-waveforms",
        "vibration waveforms of a motor with a failing outer race: the fault is identified by its frequency",
        PLANT,
    );
    let mut noise = Noise::new(11);
    for index in 0..16_i64 {
        let impact = if index >= 11 { 12.0 } else { 0.0 };
        let samples: Vec<f32> =
            (0..SAMPLES).map(|at| sample(f64::from(at) / SAMPLING_RATE, impact, &mut noise)).collect();
        let start = (START + 10 * index) * 1_000_000_000;
        let payload =
            wheeltapper_simulate::encode_waveform("north/hall/motor-1/vibration", start, SAMPLING_RATE, &samples);
        let format = [None, Some("waveform"), Some("application/vnd.wheeltapper.waveform")];
        script.bytes("accelerometer", format[usize::try_from(index % 3).unwrap_or(0)], &payload);
    }
    script.tick(170);
    script.tick(185);
    script
}

/// Returns a sample: imbalance, noise, and the ringing after each ball passes the defect; rounded to multiples of
/// 1/256.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small whole numbers")]
fn sample(time: f64, impact: f64, noise: &mut Noise) -> f32 {
    let since = (time * SHAFT_FREQUENCY * BPFO_ORDER).fract() / (SHAFT_FREQUENCY * BPFO_ORDER);
    let ring = impact * (-since * 900.0).exp() * (TAU * RESONANCE_FREQUENCY * since).sin();
    let imbalance = 1.5 * (TAU * SHAFT_FREQUENCY * time).sin();
    ((imbalance + ring + noise.next(1_000) as f64 / 1_500.0) * 256.0).round() as f32 / 256.0
}
