//! The simulated fleet.

mod bearing;
mod describe;
mod fault;
mod machine;
mod vibration;

pub use bearing::{Bearing, bearing_named};
pub use describe::FaultLabel;
pub use fault::Fault;
pub use machine::MachineKind;

use std::collections::VecDeque;

pub(crate) use bearing::BEARINGS;
pub(crate) use fault::Severity;
pub(crate) use machine::Quantity;
pub(crate) use vibration::{OperatingConditions, Signature, waveform};

use fault::Degradation;
use machine::Machine;

use crate::random::Random;

const SITES: [&str; 3] = ["rotterdam", "antwerp", "duisburg"];
const MACHINES_PER_AREA: usize = 8;

/// Parameters of a fleet. The same parameters produce the same fleet and the same readings.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetSpec {
    /// Number of machines.
    pub machines: usize,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Start of the simulated time, in ns since 1970.
    pub start_ns: i64,
    /// Sampling rate of the scalar sensors in Hz; a value that is not above 0 is replaced by 1.
    pub scalar_hz: f64,
    /// Share of machines with a fault, 0 to 1.
    pub faulty_fraction: f64,
    /// Range of the fault onsets in s after the start; onsets are uniformly distributed in it.
    pub fault_onset_range: (f64, f64),
    /// Time from the onset of a fault to its full severity, in s.
    pub degradation_seconds: f64,
    /// Interval between two waveforms of a machine, in s. No waveforms if it is not above 0.
    pub waveform_interval_seconds: f64,
    /// Number of samples of a waveform, at most 2²⁰. No waveforms if 0.
    pub waveform_samples: usize,
    /// Sampling rate of a waveform in Hz.
    pub waveform_hz: f64,
    /// The faults to assign, in turn; empty means all.
    pub faults: Vec<Fault>,
}

impl Default for FleetSpec {
    fn default() -> Self {
        Self {
            machines: 50,
            seed: 1,
            start_ns: 0,
            scalar_hz: 1.0,
            faulty_fraction: 0.2,
            fault_onset_range: (600.0, 720.0),
            degradation_seconds: 900.0,
            waveform_interval_seconds: 60.0,
            waveform_samples: 2048,
            waveform_hz: 12_800.0,
            faults: Vec::new(),
        }
    }
}

impl FleetSpec {
    /// Replaces invalid values by defaults.
    fn validated(mut self) -> Self {
        let defaults = Self::default();
        let above_0 = |value: f64, default: f64| if value.is_finite() && value > 0.0 { value } else { default };
        self.scalar_hz = above_0(self.scalar_hz, defaults.scalar_hz);
        self.waveform_hz = above_0(self.waveform_hz, defaults.waveform_hz);
        self.waveform_samples = self.waveform_samples.min(1 << 20);
        if self.waveform_interval_seconds.is_nan() || self.waveform_interval_seconds <= 0.0 {
            self.waveform_samples = 0;
        }
        self
    }
}

/// The physical range of a sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SensorLimits {
    /// Minimum, in the sensor's unit.
    pub min: f64,
    /// Maximum, in the sensor's unit.
    pub max: f64,
}

/// A sensor of the fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetSensor {
    /// `site/area/machine/name`.
    pub id: String,
    /// `vibration`, `temperature`, `current`, `speed`, `pressure` or `flow`.
    pub kind: &'static str,
    /// Unit of the values.
    pub unit: &'static str,
    /// Physical range of the values.
    pub limits: SensorLimits,
    /// Whether the sensor sends waveforms instead of scalar readings.
    pub sends_waveforms: bool,
}

/// A scalar reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Index into [`Fleet::sensors`].
    pub sensor: usize,
    /// Time in ns since 1970.
    pub time_ns: i64,
    /// Value in the sensor's unit.
    pub value: f64,
}

/// A waveform of an accelerometer.
#[derive(Clone, Debug, PartialEq)]
pub struct Waveform {
    /// Index into [`Fleet::sensors`].
    pub sensor: usize,
    /// Time of the first sample, in ns since 1970.
    pub start_ns: i64,
    /// Sampling rate in Hz.
    pub rate_hz: f64,
    /// Acceleration in m/s².
    pub samples: Vec<f32>,
}

/// All readings and waveforms of the fleet at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tick {
    /// Time in ns since 1970.
    pub time_ns: i64,
    /// Readings of the scalar sensors, ordered by machine.
    pub readings: Vec<Reading>,
    /// Waveforms that start at this time.
    pub waveforms: Vec<Waveform>,
}

/// A simulated fleet: its machines, and a clock that advances with each [`Fleet::step`].
#[derive(Clone, Debug)]
pub struct Fleet {
    spec: FleetSpec,
    machines: Vec<Machine>,
    sensors: Vec<FleetSensor>,
    /// Index of each machine's first sensor.
    first_sensor: Vec<usize>,
    /// Time of each machine's next waveform, in s after the start.
    next_waveform: Vec<f64>,
    ticks: u64,
}

impl Fleet {
    /// Creates a fleet. Invalid parameters, such as a rate of 0, are replaced by their defaults.
    pub fn new(spec: FleetSpec) -> Self {
        let spec = spec.validated();
        let mut random = Random::new(spec.seed, 0);
        let mut machines: Vec<Machine> = (0..spec.machines)
            .map(|number| {
                let site = number * SITES.len() / spec.machines.max(1);
                // Number of the first machine of the site.
                let first = (site * spec.machines).div_ceil(SITES.len());
                let area = format!("hall-{}", 1 + (number - first) / MACHINES_PER_AREA);
                // Vary the sequence of kinds, so that different kinds are neighbours.
                let kind = MachineKind::ALL[(number + number / 7) % MachineKind::ALL.len()];
                Machine::generate(spec.seed, number, kind, SITES[site % SITES.len()], area)
            })
            .collect();
        assign_faults(&mut machines, &spec, &mut random);
        let (mut sensors, mut first_sensor) = (Vec::new(), Vec::new());
        for machine in &machines {
            first_sensor.push(sensors.len());
            for &quantity in machine.kind.quantities() {
                let (name, kind, unit, min, max, _) = quantity.description();
                sensors.push(FleetSensor {
                    id: format!("{}/{name}", machine.id()),
                    kind,
                    unit,
                    limits: SensorLimits { min, max },
                    sends_waveforms: quantity == Quantity::Waveform,
                });
            }
        }
        // Spread the waveforms of the machines over the interval.
        let next_waveform =
            machines.iter().map(|_| random.between(0.0, spec.waveform_interval_seconds.max(0.0))).collect();
        Self { spec, machines, sensors, first_sensor, next_waveform, ticks: 0 }
    }

    /// The parameters of the fleet, after validation.
    pub fn spec(&self) -> &FleetSpec {
        &self.spec
    }

    /// All sensors, ordered by machine.
    pub fn sensors(&self) -> &[FleetSensor] {
        &self.sensors
    }

    /// Time of the next tick, in seconds after the start.
    fn seconds(&self) -> f64 {
        self.ticks as f64 / self.spec.scalar_hz
    }

    /// Time of the next tick, in ns since 1970.
    pub fn now_ns(&self) -> i64 {
        self.time_at(self.seconds())
    }

    fn time_at(&self, seconds: f64) -> i64 {
        self.spec.start_ns.saturating_add((seconds * 1e9).round() as i64)
    }

    /// Advances to the next tick: one reading of each scalar sensor, and the waveforms that are due. The interval
    /// between ticks is 1 / `scalar_hz`.
    pub fn step(&mut self) -> Tick {
        let (seconds, time_ns) = (self.seconds(), self.now_ns());
        let step = self.spec.scalar_hz.recip();
        let mut tick = Tick { time_ns, readings: Vec::with_capacity(self.sensors.len()), waveforms: Vec::new() };
        for ((machine, &first), next_waveform) in
            self.machines.iter_mut().zip(&self.first_sensor).zip(&mut self.next_waveform)
        {
            machine.advance(seconds, step);
            machine.readings(seconds, |index, value| {
                tick.readings.push(Reading { sensor: first + index, time_ns, value });
            });
            if self.spec.waveform_samples > 0 && seconds >= *next_waveform {
                let samples = machine.waveform(seconds, self.spec.waveform_samples, self.spec.waveform_hz);
                // The accelerometer is the first sensor of each machine.
                tick.waveforms.push(Waveform {
                    sensor: first,
                    start_ns: time_ns,
                    rate_hz: self.spec.waveform_hz,
                    samples,
                });
                *next_waveform = (*next_waveform + self.spec.waveform_interval_seconds).max(seconds);
            }
        }
        self.ticks += 1;
        tick
    }
}

/// Assigns one fault to each of some randomly chosen machines.
fn assign_faults(machines: &mut [Machine], spec: &FleetSpec, random: &mut Random) {
    let share = if spec.faulty_fraction.is_nan() { 0.0 } else { spec.faulty_fraction.clamp(0.0, 1.0) };
    let count = (share * machines.len() as f64).round() as usize;
    let mut order: Vec<usize> = (0..machines.len()).collect();
    random.shuffle(&mut order);
    let faults = if spec.faults.is_empty() { Fault::ALL.as_slice() } else { &spec.faults };
    let mut queue: VecDeque<Fault> = faults.iter().copied().collect();
    for number in order.into_iter().take(count) {
        let onset = random.between(spec.fault_onset_range.0, spec.fault_onset_range.1).max(0.0);
        let pick = random.uniform();
        let Some(machine) = machines.get_mut(number) else { continue };
        // A fault that does not suit this machine stays in the queue for the next one.
        let fitting = queue.iter().position(|fault| fault.applies_to(machine.kind));
        let Some(fault) = fitting.and_then(|at| queue.remove(at)) else { continue };
        queue.push_back(fault);
        // Any sensor except the accelerometer, which is the first.
        let scalars = machine.kind.quantities().len() - 1;
        let sensor = 1 + ((pick * scalars as f64) as usize).min(scalars - 1);
        machine.degradation = Some(Degradation { fault, onset, duration: spec.degradation_seconds.max(0.0), sensor });
    }
}
