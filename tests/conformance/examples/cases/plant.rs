//! The plants of the cases.

use std::fmt::Write as _;

/// Short windows and a short warm-up, so that a case of two minutes exercises the whole line.
const SHORT_WINDOWS: &str = r#"[windows]
size = "5s"
slide = "5s"
lateness = "2s"

[detect]
warmup_windows = 12
spread_windows = 0

[alerts]
open_after = 2
within = 3
close_after = 3
cooldown = "1s"
"#;

const TECHNICIANS: &str = r#"
[[technician]]
name = "Ada"
skills = ["mechanic", "vibration-analyst"]
hourly_cost = 60.0
shifts = [{ days = ["mon", "tue", "wed", "thu", "fri"], start = "06:00", end = "14:00" }]

[[technician]]
name = "Bo"
skills = ["electrician", "instrumentation", "mechanic"]
hourly_cost = 55.0
shifts = [{ days = ["mon", "tue", "wed", "thu", "fri"], start = "14:00", end = "22:00" }]
"#;

const SENSORS: &str = r#"sensor = [
    { name = "temperature", kind = "temperature", unit = "degC", limits = { min = -40.0, max = 200.0 } },
    { name = "vibration", kind = "vibration", unit = "mm/s" },
    { name = "current", kind = "current", unit = "A", limits = { min = 0.0, max = 100.0 } },
]
"#;

/// Returns a hall with pumps of the given criticality. `header` is put at the beginning, before any table.
pub(crate) fn pumps(header: &str, pumps: &[(&str, u8)]) -> String {
    let mut text =
        format!("{header}{SHORT_WINDOWS}{TECHNICIANS}\n[[site]]\nname = \"north\"\n\n[[site.area]]\nname = \"hall\"\n");
    for (name, criticality) in pumps {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\n[[site.area.machine]]\nname = {name:?}\nkind = \"pump\"\ncriticality = {criticality}\n{SENSORS}"
        );
    }
    text
}

/// Returns a motor with one sensor and even shorter windows, for cases that need many windows.
pub(crate) fn motor() -> String {
    let windows = SHORT_WINDOWS.replace("\"5s\"", "\"3s\"");
    let sensors = "sensor = [{ name = \"temperature\", kind = \"temperature\", unit = \"degC\" }]\n";
    format!(
        "{windows}{TECHNICIANS}\n[[site]]\nname = \"north\"\n\n[[site.area]]\nname = \"hall\"\n\n[[site.area.machine]]\nname = \"motor-1\"\nkind = \"motor\"\n{sensors}"
    )
}

/// Returns a plant without configured machines.
pub(crate) fn unknown() -> String {
    format!("{SHORT_WINDOWS}{TECHNICIANS}")
}
