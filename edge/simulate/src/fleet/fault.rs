//! What goes wrong, and how far.

use super::machine::MachineKind;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// More vibration at the shaft's frequency.
    Imbalance,
    /// More vibration at twice the shaft's frequency, and along the shaft.
    Misalignment,
    /// A spall on a bearing's outer race: an impact for each ball that passes it.
    OuterRace,
    /// A spall on the inner race: impacts that come and go as it turns through the load.
    InnerRace,
    /// A spall on a ball: two impacts for each of its turns, stronger as the cage carries it through the load.
    Ball,
    /// Bubbles: broadband noise in gusts, pressure low and unsteady. Pumps only.
    Cavitation,
    /// The bearing runs hot, and the motor draws more.
    Overheating,
    /// The bearing runs dry: high-frequency noise, heat, friction.
    LubricationLoss,
    /// A sensor gives the same value over and over.
    StuckSensor,
    /// A sensor loses more and more of its readings.
    DroppingSensor,
}

impl Fault {
    /// All of them.
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

    /// Name, as labels have it.
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
            Self::StuckSensor => "stuck-sensor",
            Self::DroppingSensor => "dropping-sensor",
        }
    }

    /// Whether machines of this kind can have it.
    pub fn befalls(self, kind: MachineKind) -> bool {
        self != Self::Cavitation || kind == MachineKind::Pump
    }
}

/// A machine's fault and when. Times are seconds since the fleet's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Degradation {
    pub(crate) fault: Fault,
    pub(crate) onset: f64,
    /// From onset to full strength.
    pub(crate) over: f64,
    /// Which of the machine's scalar sensors a fault of a sensor befalls.
    pub(crate) sensor: usize,
}

impl Degradation {
    /// 0 before the onset, then evenly to 1 at full strength, where it stays. A sensor is stuck at once.
    pub(crate) fn severity(&self, seconds: f64) -> f64 {
        if seconds < self.onset {
            0.0
        } else if self.over <= 0.0 || self.fault == Fault::StuckSensor {
            1.0
        } else {
            ((seconds - self.onset) / self.over).min(1.0)
        }
    }

    /// Seconds after the start from which it has its full strength.
    pub(crate) fn full(&self) -> f64 {
        if self.fault == Fault::StuckSensor { self.onset } else { self.onset + self.over.max(0.0) }
    }
}

/// How far each fault of a machine has gone, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Severity {
    pub(crate) imbalance: f64,
    pub(crate) misalignment: f64,
    pub(crate) outer: f64,
    pub(crate) inner: f64,
    pub(crate) ball: f64,
    pub(crate) cavitation: f64,
    pub(crate) overheating: f64,
    pub(crate) dry: f64,
}

impl Severity {
    pub(crate) fn at(degradation: Option<&Degradation>, seconds: f64) -> Self {
        let mut all = Self::default();
        if let Some(degradation) = degradation {
            let severity = degradation.severity(seconds);
            match degradation.fault {
                Fault::Imbalance => all.imbalance = severity,
                Fault::Misalignment => all.misalignment = severity,
                Fault::OuterRace => all.outer = severity,
                Fault::InnerRace => all.inner = severity,
                Fault::Ball => all.ball = severity,
                Fault::Cavitation => all.cavitation = severity,
                Fault::Overheating => all.overheating = severity,
                Fault::LubricationLoss => all.dry = severity,
                Fault::StuckSensor | Fault::DroppingSensor => {}
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_grows_from_the_onset_to_1_and_stays() {
        let mut degradation = Degradation { fault: Fault::Ball, onset: 100.0, over: 50.0, sensor: 0 };
        let at = |degradation: &Degradation| [99.0, 100.0, 125.0, 150.0, 9e9].map(|time| degradation.severity(time));
        assert_eq!(at(&degradation), [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(degradation.full(), 150.0);
        degradation.fault = Fault::StuckSensor;
        assert_eq!(at(&degradation), [0.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(degradation.full(), 100.0);
    }
}
