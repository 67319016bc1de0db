//! Units of a shaft's speed.

/// What a speed in `unit` is multiplied by to be in Hz; none when it is no unit of a shaft's speed. No unit at all means
/// revolutions a minute.
#[must_use]
pub fn hertz(unit: &str) -> Option<f64> {
    match unit.trim() {
        "" | "rpm" | "RPM" | "1/min" | "r/min" | "min-1" | "min^-1" => Some(1.0 / 60.0),
        "Hz" | "hz" | "1/s" | "r/s" | "rps" | "s-1" => Some(1.0),
        _ => None,
    }
}
