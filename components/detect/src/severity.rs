//! Severity from three things together: where the machine is by physical limits, how far it is from what is expected,
//! and whether the fault is identified and grows. The README has the table; the test below checks it cell by cell.

use serde::{Deserialize, Serialize};

/// Severity of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Differs from what is expected; nothing to do but to watch.
    Low,
    /// Inspect at the next chance.
    Medium,
    /// Plan a repair.
    High,
    /// Act now: a danger limit is reached, or will be within days.
    Critical,
}

/// Where a machine is by a physical limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum PhysicalZone {
    /// Zone A of ISO 20816: as newly commissioned.
    New,
    /// Zone B, below every limit, or no limit is known.
    #[default]
    Unrestricted,
    /// Zone C, or beyond the limit `warn`: not fit for long-term operation.
    Restricted,
    /// Beyond the limit `alarm`.
    Alarm,
    /// Zone D, or beyond the limit `danger`: damages the machine.
    Danger,
}

/// How far a machine is from what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Distance {
    /// Within the limits of what was learnt.
    Expected,
    /// Beyond them.
    Beyond,
    /// Three times as far as they allow, or more.
    Far,
}

/// What is known about the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Diagnosis {
    /// Nothing.
    None,
    /// Physics identifies it, such as the line of a bearing.
    Identified,
    /// Identified, and it reaches a danger limit within days at its present growth.
    Growing,
}

/// Ratio to the limit of what was learnt from which the distance is [`Distance::Far`].
const FAR: f64 = 3.0;

impl Distance {
    /// The distance of a ratio to the limit of what was learnt.
    pub(crate) fn of_ratio(ratio: f64) -> Self {
        match ratio {
            ratio if ratio >= FAR => Self::Far,
            ratio if ratio >= 1.0 => Self::Beyond,
            _ => Self::Expected,
        }
    }
}

/// The severity; None if nothing is to be reported. Distance alone is medium at most while the physical values are in
/// order. Critical needs a danger limit, or an identified fault that grows towards it.
pub(crate) fn severity(zone: PhysicalZone, distance: Distance, diagnosis: Diagnosis) -> Option<Severity> {
    use Severity::{Critical, High, Low, Medium};
    // Columns: nothing known, identified, growing.
    let row = match (zone, distance) {
        (PhysicalZone::New, Distance::Expected) => [None, Some(Low), Some(Medium)],
        (PhysicalZone::New, Distance::Beyond) => [Some(Low), Some(Low), Some(Medium)],
        (PhysicalZone::New, Distance::Far) => [Some(Low), Some(Medium), Some(High)],
        (PhysicalZone::Unrestricted, Distance::Expected) => [None, Some(Low), Some(Medium)],
        (PhysicalZone::Unrestricted, Distance::Beyond) => [Some(Low), Some(Medium), Some(High)],
        (PhysicalZone::Unrestricted, Distance::Far) => [Some(Medium), Some(Medium), Some(High)],
        (PhysicalZone::Restricted, Distance::Expected) => [Some(Low), Some(Medium), Some(High)],
        (PhysicalZone::Restricted, Distance::Beyond) => [Some(Medium), Some(High), Some(Critical)],
        (PhysicalZone::Restricted, Distance::Far) => [Some(High), Some(High), Some(Critical)],
        (PhysicalZone::Alarm, Distance::Expected) => [Some(Medium), Some(High), Some(Critical)],
        (PhysicalZone::Alarm, _) => [Some(High), Some(High), Some(Critical)],
        (PhysicalZone::Danger, Distance::Expected) => [Some(High), Some(Critical), Some(Critical)],
        (PhysicalZone::Danger, _) => [Some(Critical); 3],
    };
    let [none, identified, growing] = row;
    match diagnosis {
        Diagnosis::None => none,
        Diagnosis::Identified => identified,
        Diagnosis::Growing => growing,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use super::*;

    /// The table of the README, which this test reads.
    const README: &str = include_str!("../README.md");

    #[test]
    fn every_cell_is_as_documented() {
        let zones = [
            ("A", PhysicalZone::New),
            ("B or unknown", PhysicalZone::Unrestricted),
            ("C or `warn`", PhysicalZone::Restricted),
            ("`alarm`", PhysicalZone::Alarm),
            ("D or `danger`", PhysicalZone::Danger),
        ];
        let distances = [("expected", Distance::Expected), ("beyond", Distance::Beyond), ("far beyond", Distance::Far)];
        for (zone_name, zone) in zones {
            for (distance_name, distance) in distances {
                let start = format!("| {zone_name} | {distance_name} |");
                let line = README.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{start}"));
                let cells: Vec<&str> = line.trim_matches('|').split('|').skip(2).map(str::trim).collect();
                let diagnoses = [Diagnosis::None, Diagnosis::Identified, Diagnosis::Growing];
                for (cell, diagnosis) in cells.iter().zip(diagnoses) {
                    let name = severity(zone, distance, diagnosis)
                        .map_or_else(|| "none".to_owned(), |severity| format!("{severity:?}").to_lowercase());
                    assert_eq!(*cell, name, "{zone:?} {distance:?} {diagnosis:?}");
                }
                assert_eq!(cells.len(), 3);
            }
        }
    }

    #[test]
    fn severity_rises_with_each_of_the_three() {
        let zones = [
            PhysicalZone::New,
            PhysicalZone::Unrestricted,
            PhysicalZone::Restricted,
            PhysicalZone::Alarm,
            PhysicalZone::Danger,
        ];
        let distances = [Distance::Expected, Distance::Beyond, Distance::Far];
        let diagnoses = [Diagnosis::None, Diagnosis::Identified, Diagnosis::Growing];
        for zone in zones.windows(2) {
            for distance in distances {
                for diagnosis in diagnoses {
                    assert!(severity(zone[0], distance, diagnosis) <= severity(zone[1], distance, diagnosis));
                }
            }
        }
        for zone in zones {
            for distance in distances.windows(2) {
                assert!(distance[0] < distance[1]);
                for diagnosis in diagnoses {
                    assert!(severity(zone, distance[0], diagnosis) <= severity(zone, distance[1], diagnosis));
                }
            }
            for distance in distances {
                for diagnosis in diagnoses.windows(2) {
                    assert!(severity(zone, distance, diagnosis[0]) <= severity(zone, distance, diagnosis[1]));
                }
            }
        }
    }
}
