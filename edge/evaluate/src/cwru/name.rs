//! Parses the file names of the recordings: `rpm_fault_diameter_rate`.

use crate::damaged_part::DamagedPart;

/// Sampling rate of the healthy recordings in Hz.
pub(crate) const HEALTHY_RATE: u32 = 48_000;

/// Parameters of a recording, from its file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingName {
    /// Shaft speed in rpm.
    pub rpm: u32,
    /// The damaged part; `None` for a healthy bearing.
    pub race: Option<DamagedPart>,
    /// Diameter of the fault in mil (1/1000 inch); 0 for a healthy bearing.
    pub diameter: u32,
    /// Sampling rate in Hz.
    pub rate: u32,
}

impl RecordingName {
    /// Parses names such as `1797_IR_7_DE12.npy`, `1797_OR_at_6_7_DE48.npy` and `1797_Normal.npy`.
    #[must_use]
    pub fn parse(file: &str) -> Option<Self> {
        let parts: Vec<&str> = file.strip_suffix(".npy")?.split('_').collect();
        let faulty = |race, diameter: &str, rate: &str| {
            let kilohertz: u32 = rate.strip_prefix("DE")?.parse().ok().filter(|rate| *rate > 0)?;
            Some((Some(race), diameter.parse().ok()?, kilohertz * 1000))
        };
        let (rpm, (race, diameter, rate)) = match parts.as_slice() {
            [rpm, "Normal"] => (rpm, (None, 0, HEALTHY_RATE)),
            [rpm, "IR", diameter, rate] => (rpm, faulty(DamagedPart::Inner, diameter, rate)?),
            [rpm, "B", diameter, rate] => (rpm, faulty(DamagedPart::Ball, diameter, rate)?),
            [rpm, "OR", "at", "3" | "6" | "12", diameter, rate] => (rpm, faulty(DamagedPart::Outer, diameter, rate)?),
            _ => return None,
        };
        Some(Self { rpm: rpm.parse().ok()?, race, diameter, rate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_parsed() {
        let name = |rpm, race, diameter, rate| Some(RecordingName { rpm, race, diameter, rate });
        assert_eq!(RecordingName::parse("1797_IR_7_DE12.npy"), name(1797, Some(DamagedPart::Inner), 7, 12_000));
        assert_eq!(RecordingName::parse("1730_B_28_DE48.npy"), name(1730, Some(DamagedPart::Ball), 28, 48_000));
        assert_eq!(RecordingName::parse("1750_OR_at_12_21_DE12.npy"), name(1750, Some(DamagedPart::Outer), 21, 12_000));
        assert_eq!(RecordingName::parse("1772_Normal.npy"), name(1772, None, 0, 48_000));
        assert_eq!(RecordingName::parse("1797_IR_7_FE.npy"), None);
        assert_eq!(RecordingName::parse("x.npy"), None);
    }
}
