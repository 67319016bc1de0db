//! Faults and their severity over time.

use super::machine::MachineKind;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// More vibration at the shaft frequency.
    Imbalance,
    /// More vibration at twice the shaft frequency, and in axial direction.
    Misalignment,
    /// A spall on the outer race of a bearing: one impact for each passing ball.
    OuterRace,
    /// A spall on the inner race: impacts modulated by the rotation of the spall through the load zone.
    InnerRace,
    /// A spall on a ball: two impacts per spin, modulated as the cage carries the ball through the load zone.
    Ball,
    /// Cavitation: broadband noise in gusts; low and unsteady pressure. Pumps only.
    Cavitation,
    /// The bearing temperature and the motor current rise.
    Overheating,
    /// The bearing runs dry: more high-frequency noise, temperature and friction.
    LubricationLoss,
    /// A bearing wears evenly: the vibration doubles and the bearing becomes 20 K warmer, without a line in the
    /// spectrum. A fleet assigns it only if it is listed.
    BearingWear,
    /// A sensor repeats the same value.
    StuckSensor,
    /// A sensor loses an increasing share of its readings.
    DroppingSensor,
}

impl Fault {
    /// The faults that a fleet assigns by default, in this order.
    pub const ALL: [Self; 10] = [
        Self::Imbalance,
        Self::OuterRace,
        Self::Misalignment,
        Self::Overheating,
        Self::InnerRace,
        Self::Cavitation,
        Self::Ball,
        Self::LubricationLoss,
        Self::StuckSensor,
        Self::DroppingSensor,
    ];

    /// Name in the labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imbalance => "imbalance",
            Self::Misalignment => "misalignment",
            Self::OuterRace => "bearing-outer-race",
            Self::InnerRace => "bearing-inner-race",
            Self::Ball => "bearing-ball",
            Self::Cavitation => "cavitation",
            Self::Overheating => "overheating",
            Self::LubricationLoss => "lubrication-loss",
            Self::BearingWear => "bearing-wear",
            Self::StuckSensor => "stuck-sensor",
            Self::DroppingSensor => "dropping-sensor",
        }
    }

    /// Whether machines of this kind can have this fault.
    pub fn applies_to(self, kind: MachineKind) -> bool {
        self != Self::Cavitation || kind == MachineKind::Pump
    }
}

/// The fault of a machine and its timing. Times are in seconds after the fleet's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Degradation {
    pub(crate) fault: Fault,
    pub(crate) onset: f64,
    /// Time from the onset to full severity.
    pub(crate) duration: f64,
    /// Index of the machine's sensor that a sensor fault affects.
    pub(crate) sensor: usize,
}

impl Degradation {
    /// Severity at a time: 0 before the onset, then linear to 1. A stuck sensor has severity 1 from the onset.
    pub(crate) fn severity(&self, seconds: f64) -> f64 {
        if seconds < self.onset {
            0.0
        } else if self.duration <= 0.0 || self.fault == Fault::StuckSensor {
            1.0
        } else {
            ((seconds - self.onset) / self.duration).min(1.0)
        }
    }

    /// Time at which the severity reaches 1, in seconds after the start.
    pub(crate) fn full_severity_at(&self) -> f64 {
        if self.fault == Fault::StuckSensor { self.onset } else { self.onset + self.duration.max(0.0) }
    }
}

/// Severity of each fault of a machine, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Severity {
    pub(crate) imbalance: f64,
    pub(crate) misalignment: f64,
    pub(crate) outer_race: f64,
    pub(crate) inner_race: f64,
    pub(crate) ball: f64,
    pub(crate) cavitation: f64,
    pub(crate) overheating: f64,
    pub(crate) lubrication_loss: f64,
    pub(crate) wear: f64,
}

impl Severity {
    pub(crate) fn at(degradation: Option<&Degradation>, seconds: f64) -> Self {
        let mut all = Self::default();
        if let Some(degradation) = degradation {
            all.set(degradation.fault, degradation.severity(seconds));
        }
        all
    }

    /// Sets the severity of one fault. Sensor faults do not change the machine.
    pub(crate) fn set(&mut self, fault: Fault, severity: f64) {
        match fault {
            Fault::Imbalance => self.imbalance = severity,
            Fault::Misalignment => self.misalignment = severity,
            Fault::OuterRace => self.outer_race = severity,
            Fault::InnerRace => self.inner_race = severity,
            Fault::Ball => self.ball = severity,
            Fault::Cavitation => self.cavitation = severity,
            Fault::Overheating => self.overheating = severity,
            Fault::LubricationLoss => self.lubrication_loss = severity,
            Fault::BearingWear => self.wear = severity,
            Fault::StuckSensor | Fault::DroppingSensor => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_grows_from_the_onset_to_1_and_stays() {
        let mut degradation = Degradation { fault: Fault::Ball, onset: 100.0, duration: 50.0, sensor: 0 };
        let at = |degradation: &Degradation| [99.0, 100.0, 125.0, 150.0, 9e9].map(|time| degradation.severity(time));
        assert_eq!(at(&degradation), [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(degradation.full_severity_at(), 150.0);
        degradation.fault = Fault::StuckSensor;
        assert_eq!(at(&degradation), [0.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(degradation.full_severity_at(), 100.0);
    }
}
