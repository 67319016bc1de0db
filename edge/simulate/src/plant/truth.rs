//! What really happened in a plant.

use super::{FaultCourse, Growth, Plant, SensorFaultKind};
use crate::fleet::Fault;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrueFaultKind {
    /// A fault of the machine.
    Machine(Fault),
    /// A fault of a sensor.
    Sensor(SensorFaultKind),
    /// Nothing arrives: gateway or network is down.
    NoData,
}

impl TrueFaultKind {
    /// Name in labels and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Machine(fault) => fault.name(),
            Self::Sensor(fault) => fault.name(),
            Self::NoData => "no-data",
        }
    }
}

/// A fault with its times, in ns since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct TrueFault {
    /// Id of the machine.
    pub machine: String,
    /// What is wrong.
    pub kind: TrueFaultKind,
    /// Id of the sensor of a sensor fault.
    pub sensor: Option<String>,
    /// Start.
    pub onset_ns: i64,
    /// Time by which it has to be found: the limit of a machine fault, two days after the onset of a sensor fault, or
    /// the end of an outage.
    pub limit_ns: i64,
    /// End: the repair, or the end of the simulation.
    pub end_ns: i64,
    /// Whether the fault is there from the first reading, so that the machine is learnt with it.
    pub from_start: bool,
    growth: Growth,
}

impl TrueFault {
    /// Creates a fault. `growth` is [`Growth::Linear`] for faults without a course.
    pub fn new(machine: &str, kind: TrueFaultKind, times_ns: [i64; 3], growth: Growth) -> Self {
        let [onset_ns, limit_ns, end_ns] = times_ns;
        Self { machine: machine.to_owned(), kind, sensor: None, onset_ns, limit_ns, end_ns, from_start: false, growth }
    }

    /// Share of the way to the limit at a time: the severity of a machine fault, 0 to 1.
    pub fn way(&self, time_ns: i64) -> f64 {
        let course = FaultCourse {
            fault: Fault::BearingWear,
            onset: 0.0,
            limit: (self.limit_ns - self.onset_ns) as f64 / 1e9,
            repaired: f64::INFINITY,
            growth: self.growth,
        };
        course.severity((time_ns - self.onset_ns) as f64 / 1e9)
    }
}

/// Name of a change: the gateway delivers late. Meanwhile only missing data may be reported.
pub const LATE_DATA: &str = "late data";

/// A change that is no fault. It may be reported once, without urgency.
#[derive(Clone, Debug, PartialEq)]
pub struct TrueChange {
    /// Id of the machine.
    pub machine: String,
    /// What changed.
    pub name: &'static str,
    /// Time of the change, in ns since 1970.
    pub at_ns: i64,
}

/// What really happened in a plant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// Ids of the machines.
    pub machines: Vec<String>,
    /// First and last time, in ns since 1970.
    pub span_ns: (i64, i64),
    /// Faults of machines and sensors, and outages.
    pub faults: Vec<TrueFault>,
    /// Lasting changes that are no faults.
    pub changes: Vec<TrueChange>,
}

/// Time after the onset by which a fault of a sensor has to be found, in s.
const SENSOR_FAULT_SECONDS: f64 = 2.0 * 86_400.0;

impl Plant {
    /// What happens in the plant.
    pub fn truth(&self) -> Truth {
        let mut truth = Truth { span_ns: (self.start_ns, self.time_at(self.span)), ..Truth::default() };
        for machine in &self.machines {
            let id = format!("plant/hall/{}", machine.name);
            for course in &machine.process.faults {
                let times = [course.onset, course.limit, course.repaired.min(self.span)].map(|time| self.time_at(time));
                let kind = TrueFaultKind::Machine(course.fault);
                let from_start = course.onset <= 0.0;
                truth.faults.push(TrueFault { from_start, ..TrueFault::new(&id, kind, times, course.growth) });
            }
            for sensor in &machine.sensors {
                for fault in &sensor.faults {
                    let limit = (fault.from + SENSOR_FAULT_SECONDS).min(fault.until);
                    let times = [fault.from, limit, fault.until.min(self.span)].map(|time| self.time_at(time));
                    let kind = TrueFaultKind::Sensor(fault.kind);
                    let name = Some(format!("{id}/{}", sensor.quantity.description().0));
                    truth.faults.push(TrueFault { sensor: name, ..TrueFault::new(&id, kind, times, Growth::Linear) });
                }
            }
            for outage in self.outages.iter().filter(|outage| !outage.buffered) {
                let times = [outage.from, outage.until, outage.until].map(|time| self.time_at(time));
                truth.faults.push(TrueFault::new(&id, TrueFaultKind::NoData, times, Growth::Linear));
            }
            for outage in self.outages.iter().filter(|outage| outage.buffered) {
                let at_ns = self.time_at(outage.from);
                truth.changes.push(TrueChange { machine: id.clone(), name: LATE_DATA, at_ns });
            }
            for change in &machine.changes {
                let at_ns = self.time_at(change.at);
                truth.changes.push(TrueChange { machine: id.clone(), name: change.name, at_ns });
            }
            truth.machines.push(id);
        }
        truth.faults.sort_by(|one, other| (one.onset_ns, &one.machine).cmp(&(other.onset_ns, &other.machine)));
        truth
    }
}
