//! Quality of a sensor's own signal.

/// Share of the expected readings that are missing, 0 to 1: 1 − seen / expected.
#[must_use]
pub fn missing_ratio(seen: usize, window_seconds: f64, sampling_hz: f64) -> f64 {
    let expected = (window_seconds * sampling_hz).round();
    if expected > 0.0 { (1.0 - seen as f64 / expected).max(0.0) } else { f64::NAN }
}

/// Share of the window that the longest run of equal readings covers, 0 to 1: 1/n when all differ, 1 for a stuck
/// sensor.
#[must_use]
pub fn stuck_ratio(values: &[f64]) -> f64 {
    let (mut longest, mut run) = (0_usize, 0_usize);
    let mut before: Option<f64> = None;
    for value in values {
        run = if before.is_some_and(|last| last.to_bits() == value.to_bits()) { run + 1 } else { 1 };
        longest = longest.max(run);
        before = Some(*value);
    }
    longest as f64 / values.len() as f64
}
