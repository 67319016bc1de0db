//! How a fault grows, and when it is repaired.

use crate::fleet::Fault;

/// How the severity grows between onset and limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Growth {
    /// In proportion to time.
    Linear,
    /// Slowly at first and fast at the end: exponential with this many e-foldings.
    Exponential(f64),
    /// To this severity at once, then in proportion to time.
    Step(f64),
    /// It has this severity from the onset on and does not grow.
    Constant(f64),
}

/// The course of one fault. Times are in seconds after the start of the simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultCourse {
    /// What is wrong.
    pub fault: Fault,
    /// Start.
    pub onset: f64,
    /// Time at which the severity reaches 1, the limit at which the machine has to be stopped.
    pub limit: f64,
    /// Time of the repair; afterwards the machine is as new.
    pub repaired: f64,
    /// Growth from onset to limit.
    pub growth: Growth,
}

impl FaultCourse {
    /// Severity, 0 before the onset and after the repair, 1 at the limit.
    pub fn severity(&self, seconds: f64) -> f64 {
        if seconds < self.onset || seconds >= self.repaired {
            return 0.0;
        }
        let share = ((seconds - self.onset) / (self.limit - self.onset).max(1.0)).clamp(0.0, 1.0);
        match self.growth {
            Growth::Linear => share,
            Growth::Exponential(foldings) => (foldings * share).exp_m1() / foldings.exp_m1(),
            Growth::Step(first) => first + (1.0 - first) * share,
            Growth::Constant(severity) => severity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_severity_grows_from_0_to_1_and_ends_with_the_repair() {
        let course =
            |growth| FaultCourse { fault: Fault::Imbalance, onset: 100.0, limit: 200.0, repaired: 250.0, growth };
        let at = |growth| [99.0, 100.0, 150.0, 200.0, 249.0, 250.0].map(|time| course(growth).severity(time));
        assert_eq!(at(Growth::Linear), [0.0, 0.0, 0.5, 1.0, 1.0, 0.0]);
        assert_eq!(at(Growth::Step(0.6)), [0.0, 0.6, 0.8, 1.0, 1.0, 0.0]);
        assert_eq!(at(Growth::Constant(0.7)), [0.0, 0.7, 0.7, 0.7, 0.7, 0.0]);
        let [_, first, half, last, ..] = at(Growth::Exponential(4.0));
        assert!(first == 0.0 && half < 0.15 && last == 1.0, "{half}");
    }
}
