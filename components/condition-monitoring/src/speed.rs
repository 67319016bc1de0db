//! Units of shaft speed.

/// Returns the factor that converts a speed in `unit` to Hz, or `None` when `unit` is not a unit of shaft speed. An
/// empty unit means revolutions per minute.
#[must_use]
pub fn hertz_per_unit(unit: &str) -> Option<f64> {
    match unit.trim() {
        "" | "rpm" | "RPM" | "1/min" | "r/min" | "min-1" | "min^-1" => Some(1.0 / 60.0),
        "Hz" | "hz" | "1/s" | "r/s" | "rps" | "s-1" => Some(1.0),
        _ => None,
    }
}
