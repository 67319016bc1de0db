//! Ordinary plants: machines under changing demand, with slow, coarse and failing sensors, seen through gateways.
//!
//! A [`Plant`] is deterministic for a scenario and a seed. [`Plant::advance`] returns what arrives at the host;
//! [`Plant::truth`] lists faults, sensor faults, outages and lasting changes. [`SCENARIOS`] has the behaviours.

mod ambient;
mod course;
mod demand;
mod describe;
mod machine;
mod process;
mod scenario;
mod sensor;
mod truth;

pub use course::{FaultCourse, Growth};
pub use scenario::{SCENARIOS, Scenario, ScenarioClass};
pub use sensor::{SensorFault, SensorFaultKind};
pub use truth::{LATE_DATA, TrueChange, TrueFault, TrueFaultKind, Truth};

use machine::PlantMachine;

use crate::{
    fleet::{FleetSensor, Quantity, Reading, SensorLimits, Waveform},
    random::Random,
};

/// 2026-01-05T00:00:00Z, a Monday.
const FIRST_MONDAY_NS: i64 = 1_767_571_200_000_000_000;
/// Largest step of the physical model in s.
const MAX_STEP: f64 = 60.0;

/// A gateway that delivers nothing for a time. Times are in seconds after the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outage {
    pub(crate) from: f64,
    pub(crate) until: f64,
    /// Whether the gateway keeps the readings and delivers them at the end.
    pub(crate) buffered: bool,
}

/// What arrives at the host in a span of time, in order of arrival.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivery {
    /// Scalar readings.
    pub readings: Vec<Reading>,
    /// Waveforms.
    pub waveforms: Vec<Waveform>,
}

/// A simulated plant behind one gateway.
#[derive(Clone, Debug)]
pub struct Plant {
    machines: Vec<PlantMachine>,
    outages: Vec<Outage>,
    sensors: Vec<FleetSensor>,
    /// Whether the plant's configuration lists the machines and sensors.
    is_configured: bool,
    start_ns: i64,
    span: f64,
    /// Step of the physical model in s, and the number of steps so far.
    step: f64,
    steps: u64,
    buffered: Vec<Reading>,
}

impl Plant {
    fn new(mut machines: Vec<PlantMachine>, span: f64, weekday: usize, random: &mut Random) -> Self {
        let intervals = machines.iter().flat_map(|machine| machine.sensors.iter().map(|sensor| sensor.interval));
        let step = intervals.fold(MAX_STEP, f64::min);
        let mut sensors = Vec::new();
        for machine in &mut machines {
            for sensor in &mut machine.sensors {
                sensor.start_at_phase(random.uniform());
            }
            let id = format!("plant/hall/{}", machine.name);
            let waveform = machine.waveforms.map(|_| Quantity::Waveform);
            for quantity in waveform.into_iter().chain(machine.sensors.iter().map(|sensor| sensor.quantity)) {
                let (name, kind, unit, min, max, _) = quantity.description();
                sensors.push(FleetSensor {
                    id: format!("{id}/{name}"),
                    kind,
                    unit,
                    limits: SensorLimits { min, max },
                    sends_waveforms: quantity == Quantity::Waveform,
                });
            }
            if let Some(settings) = machine.waveforms {
                machine.next_waveform = random.between(0.0, settings.interval);
            }
        }
        Self {
            machines,
            outages: Vec::new(),
            sensors,
            is_configured: true,
            start_ns: FIRST_MONDAY_NS + weekday as i64 * 86_400_000_000_000,
            span,
            step,
            steps: 0,
            buffered: Vec::new(),
        }
    }

    /// All sensors, ordered by machine.
    pub fn sensors(&self) -> &[FleetSensor] {
        &self.sensors
    }

    /// Start of the simulation, in ns since 1970.
    pub fn start_ns(&self) -> i64 {
        self.start_ns
    }

    /// Length of the simulation in s.
    pub fn span_seconds(&self) -> f64 {
        self.span
    }

    fn time_at(&self, seconds: f64) -> i64 {
        self.start_ns.saturating_add((seconds * 1e9).round() as i64)
    }

    /// Simulates up to `until` (in s after the start, not included). Returns what arrived in that time.
    pub fn advance(&mut self, until: f64) -> Delivery {
        let mut delivery = Delivery::default();
        while (self.steps as f64) * self.step + 1e-9 < until.min(self.span) {
            let seconds = self.steps as f64 * self.step;
            self.steps += 1;
            self.advance_one(seconds, &mut delivery);
        }
        delivery
    }

    fn advance_one(&mut self, seconds: f64, delivery: &mut Delivery) {
        let time_ns = self.time_at(seconds);
        let outage = self.outages.iter().find(|outage| (outage.from..outage.until).contains(&seconds)).copied();
        if outage.is_none() {
            delivery.readings.append(&mut self.buffered);
        }
        let mut index = 0;
        for machine in &mut self.machines {
            let PlantMachine { process, sensors, waveforms, random, next_waveform, .. } = machine;
            process.advance(seconds, self.step, random);
            if let Some(settings) = waveforms {
                if seconds >= *next_waveform {
                    *next_waveform += settings.interval;
                    if process.is_running() && outage.is_none() {
                        let samples = process.waveform(seconds, settings.samples, settings.rate, random);
                        let rate_hz = settings.rate;
                        delivery.waveforms.push(Waveform { sensor: index, start_ns: time_ns, rate_hz, samples });
                    }
                }
                index += 1;
            }
            for sensor in sensors {
                if sensor.is_due(seconds) {
                    let noise = sensor.noise * random.normal();
                    let (usual, level) = process.usual(sensor.quantity);
                    let value = process.value(sensor.quantity, seconds, noise);
                    if let Some(value) = sensor.read(seconds, value, usual, level, random) {
                        let reading = Reading { sensor: index, time_ns, value };
                        match outage {
                            None => delivery.readings.push(reading),
                            Some(Outage { buffered: true, .. }) => self.buffered.push(reading),
                            Some(_) => {}
                        }
                    }
                }
                index += 1;
            }
        }
    }
}
