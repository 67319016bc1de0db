//! What an alert says is wrong, compared with what is wrong.

use wheeltapper_simulate::{Fault, SensorFaultKind, TrueFaultKind};

use crate::damaged_part::DamagedPart;

/// What an alert says is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// It names no cause.
    Unnamed,
    /// A sensor is faulty.
    Sensor,
    /// Data are missing.
    NoData,
    /// The machine state or a lasting change is new; no fault is named.
    NewState,
    /// The machine has this fault.
    Machine(String),
}

impl Diagnosis {
    /// Reads a fault mode.
    #[must_use]
    pub fn from_fault_mode(mode: Option<&str>) -> Self {
        match mode.unwrap_or_default() {
            "" | "unknown" => Self::Unnamed,
            "new-state" | "new-operating-state" | "changed" => Self::NewState,
            mode if mode.starts_with("no-data") => Self::NoData,
            mode if mode.starts_with("sensor-") => Self::Sensor,
            mode => Self::Machine(mode.to_owned()),
        }
    }

    /// Whether this can be said of the fault without leading anyone to the wrong part. An unnamed cause fits every
    /// fault.
    #[must_use]
    pub fn fits(&self, truth: TrueFaultKind) -> bool {
        match (self, truth) {
            (Self::Unnamed | Self::NewState, _) => true,
            (Self::NoData, TrueFaultKind::NoData) => true,
            (Self::NoData, TrueFaultKind::Sensor(kind)) => loses_readings(kind),
            (Self::Sensor, TrueFaultKind::Sensor(_)) => true,
            (Self::Machine(mode), TrueFaultKind::Machine(fault)) => mode_fits(mode, fault),
            _ => false,
        }
    }

    /// Whether it says of a fault of a sensor or of missing data that it is one.
    #[must_use]
    pub fn is_such(&self, truth: TrueFaultKind) -> bool {
        matches!(self, Self::Sensor | Self::NoData) && self.fits(truth)
    }
}

/// Whether a sensor fault shows as missing readings.
fn loses_readings(kind: SensorFaultKind) -> bool {
    matches!(kind, SensorFaultKind::Silent | SensorFaultKind::Dropout)
}

/// Whether a fault mode describes a fault: its own name, or the symptom that it causes.
fn mode_fits(mode: &str, fault: Fault) -> bool {
    let part = DamagedPart::from_fault_mode(mode);
    let bearing = mode.starts_with("bearing") && !mode.contains("cage");
    match fault {
        Fault::OuterRace => bearing && part.is_none_or(|part| part == DamagedPart::Outer),
        Fault::InnerRace => bearing && part.is_none_or(|part| part == DamagedPart::Inner),
        Fault::Ball => bearing && part.is_none_or(|part| part == DamagedPart::Ball),
        // Wear and a dry bearing heat the bearing; neither has a line of a damaged part.
        Fault::BearingWear | Fault::LubricationLoss => {
            (bearing && part.is_none()) || mode.starts_with("lubrication") || mode == "overheating"
        }
        Fault::Imbalance => mode == "imbalance",
        Fault::Misalignment => mode == "misalignment",
        Fault::Cavitation => mode == "cavitation",
        Fault::Overheating => mode == "overheating",
        Fault::StuckSensor | Fault::DroppingSensor => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(mode: &str, truth: TrueFaultKind) -> bool {
        Diagnosis::from_fault_mode(Some(mode)).fits(truth)
    }

    #[test]
    fn a_bearing_fault_may_be_named_in_general_but_not_by_another_part() {
        let outer = TrueFaultKind::Machine(Fault::OuterRace);
        assert!(
            ["bearing-outer-race", "bearing-impacts", "bearing", "unknown", ""].iter().all(|mode| fits(mode, outer))
        );
        let wrong = ["bearing-inner-race", "bearing-ball", "bearing-cage", "imbalance", "sensor-noise", "no-data"];
        assert!(wrong.iter().all(|mode| !fits(mode, outer)));
        let wear = TrueFaultKind::Machine(Fault::BearingWear);
        assert!(fits("lubrication", wear) && fits("overheating", wear) && !fits("bearing-ball", wear));
    }

    #[test]
    fn sensor_faults_and_missing_data_are_reported_as_such() {
        let stuck = TrueFaultKind::Sensor(SensorFaultKind::Stuck);
        let silent = TrueFaultKind::Sensor(SensorFaultKind::Silent);
        let such = |mode: &str, truth| Diagnosis::from_fault_mode(Some(mode)).is_such(truth);
        assert!(such("sensor-stuck", stuck) && such("no-data", silent) && such("no-data", TrueFaultKind::NoData));
        assert!(!such("", stuck) && !such("no-data", stuck) && !such("sensor-stuck", TrueFaultKind::NoData));
        assert!(!fits("imbalance", stuck) && !fits("sensor-stuck", TrueFaultKind::Machine(Fault::Imbalance)));
    }
}
