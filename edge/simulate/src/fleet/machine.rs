//! The model of one machine: load, speed, temperature, and the readings of its sensors.

use std::f64::consts::TAU;

use super::{
    bearing::{BEARINGS, Bearing},
    fault::{Degradation, Fault, Severity},
    vibration::{self, OperatingConditions, Signature},
};
use crate::random::Random;

/// The kind of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MachineKind {
    /// A centrifugal pump.
    Pump,
    /// A motor.
    Motor,
    /// A fan.
    Fan,
    /// A gearbox.
    Gearbox,
}

impl MachineKind {
    pub(crate) const ALL: [Self; 4] = [Self::Pump, Self::Motor, Self::Fan, Self::Gearbox];

    /// Name in ids and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pump => "pump",
            Self::Motor => "motor",
            Self::Fan => "fan",
            Self::Gearbox => "gearbox",
        }
    }

    pub(crate) fn quantities(self) -> &'static [Quantity] {
        use Quantity::{AxialVibrationRms, Current, Flow, Pressure, Speed, Temperature, VibrationRms, Waveform};
        match self {
            Self::Pump => &[Waveform, VibrationRms, AxialVibrationRms, Temperature, Current, Speed, Pressure],
            Self::Fan => &[Waveform, VibrationRms, AxialVibrationRms, Temperature, Current, Speed, Flow],
            Self::Motor | Self::Gearbox => &[Waveform, VibrationRms, AxialVibrationRms, Temperature, Current, Speed],
        }
    }
}

/// The quantity that a sensor measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    Waveform,
    VibrationRms,
    AxialVibrationRms,
    Temperature,
    Current,
    Speed,
    Pressure,
    Flow,
    Power,
    Energy,
    WindingTemperature,
    AmbientTemperature,
}

impl Quantity {
    /// Name, kind, unit, minimum, maximum, decimals.
    pub(crate) fn description(self) -> (&'static str, &'static str, &'static str, f64, f64, i32) {
        match self {
            Self::Waveform => ("vibration", "vibration", "m/s2", -500.0, 500.0, 6),
            Self::VibrationRms => ("vibration-rms", "vibration", "mm/s", 0.0, 100.0, 3),
            Self::AxialVibrationRms => ("axial-vibration-rms", "vibration", "mm/s", 0.0, 100.0, 3),
            Self::Temperature => ("bearing-temperature", "temperature", "degC", -40.0, 200.0, 2),
            Self::Current => ("current", "current", "A", 0.0, 500.0, 3),
            Self::Speed => ("speed", "speed", "rpm", 0.0, 5000.0, 1),
            Self::Pressure => ("pressure", "pressure", "bar", 0.0, 40.0, 4),
            Self::Flow => ("flow", "flow", "m3/s", 0.0, 50.0, 4),
            Self::Power => ("power", "power", "kW", 0.0, 1000.0, 3),
            Self::Energy => ("energy", "energy", "kWh", 0.0, 1e9, 1),
            Self::WindingTemperature => ("winding-temperature", "temperature", "degC", -40.0, 250.0, 2),
            Self::AmbientTemperature => ("ambient-temperature", "temperature", "degC", -40.0, 80.0, 2),
        }
    }
}

/// Time constants in s: of the temperature of a bearing housing, and of the random fluctuation of the load.
const HEAT_TIME_CONSTANT: f64 = 75.0;
const FLUCTUATION_TIME_CONSTANT: f64 = 4.0;
/// Time that the machine is simulated before the start, in s, so that bearings are warm.
const WARM_UP_SECONDS: u32 = 600;

/// The state of a machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) site: &'static str,
    pub(crate) area: String,
    pub(crate) name: String,
    pub(crate) kind: MachineKind,
    pub(crate) bearing: Bearing,
    pub(crate) criticality: u8,
    pub(crate) rated_rpm: f64,
    pub(crate) degradation: Option<Degradation>,
    random: Random,
    signature: Signature,
    synchronous_rpm: f64,
    rated_current: f64,
    rated_pressure: f64,
    rated_flow: f64,
    ambient: f64,
    temperature_rise: f64,
    mean_load: f64,
    /// Periodic load variations: amplitude, period in s, phase. All periods are below three minutes, so a short
    /// baseline covers the full range of the load.
    load_cycles: [(f64, f64, f64); 2],
    load_fluctuation: f64,
    load: f64,
    temperature: f64,
    /// The value that a stuck sensor repeats.
    stuck_value: Option<f64>,
}

impl Machine {
    pub(crate) fn generate(seed: u64, number: usize, kind: MachineKind, site: &'static str, area: String) -> Self {
        let mut random = Random::new(seed, 1 + number as u64);
        let (synchronous_rpm, rated_rpm) = match kind {
            MachineKind::Pump if random.uniform() < 0.5 => (3000.0, 2940.0),
            MachineKind::Fan => (1000.0, 975.0),
            _ => (1500.0, 1475.0),
        };
        let bearing = BEARINGS.get(random.below(BEARINGS.len())).copied().unwrap_or(BEARINGS[1]);
        let mut new = Self {
            site,
            area,
            name: format!("{}-{:02}", kind.name(), number + 1),
            kind,
            bearing,
            criticality: 2 + random.below(4) as u8,
            rated_rpm,
            degradation: None,
            signature: Signature::generate(&mut random),
            synchronous_rpm,
            rated_current: random.between(12.0, 60.0),
            rated_pressure: random.between(3.0, 9.0),
            rated_flow: random.between(2.0, 8.0),
            ambient: random.between(20.0, 26.0),
            temperature_rise: random.between(22.0, 34.0),
            mean_load: random.between(0.7, 0.85),
            load_cycles: [
                (random.between(0.02, 0.04), random.between(35.0, 60.0), random.between(0.0, TAU)),
                (random.between(0.02, 0.04), random.between(80.0, 140.0), random.between(0.0, TAU)),
            ],
            load_fluctuation: 0.0,
            load: 0.0,
            temperature: 0.0,
            stuck_value: None,
            random,
        };
        new.load = new.mean_load;
        new.temperature = new.ambient + new.temperature_rise;
        for second in (1..=WARM_UP_SECONDS).rev() {
            new.advance(-f64::from(second), 1.0);
        }
        new
    }

    pub(crate) fn id(&self) -> String {
        format!("{}/{}/{}", self.site, self.area, self.name)
    }

    /// Load divided by its mean.
    fn relative_load(&self) -> f64 {
        self.load / self.mean_load
    }

    fn severity(&self, seconds: f64) -> Severity {
        Severity::at(self.degradation.as_ref(), seconds)
    }

    /// Advances the simulation by `step` seconds, to `seconds` after the start.
    pub(crate) fn advance(&mut self, seconds: f64, step: f64) {
        let fade = (-step / FLUCTUATION_TIME_CONSTANT).exp();
        self.load_fluctuation =
            fade * self.load_fluctuation + 0.008 * (1.0 - fade * fade).sqrt() * self.random.normal();
        let swing: f64 =
            self.load_cycles.iter().map(|(size, period, phase)| size * (TAU * seconds / period + phase).sin()).sum();
        self.load = self.mean_load + swing + self.load_fluctuation;
        let severity = self.severity(seconds);
        let races = severity.outer_race + severity.inner_race + severity.ball;
        let heat = self.temperature_rise * self.relative_load().powi(2)
            + 38.0 * severity.overheating
            + 22.0 * severity.lubrication_loss
            + 20.0 * severity.wear
            + 6.0 * races
            + 4.0 * severity.misalignment;
        let lag = (-step / HEAT_TIME_CONSTANT).exp();
        self.temperature = lag * self.temperature + (1.0 - lag) * (self.ambient + heat);
    }

    /// Speed in rpm; the slip of an induction motor grows with its load.
    fn speed(&self) -> f64 {
        self.synchronous_rpm - (self.synchronous_rpm - self.rated_rpm) * self.load
    }

    /// Calls `each` with sensor index and value of each scalar reading. Readings that a faulty sensor loses are
    /// omitted.
    pub(crate) fn readings(&mut self, seconds: f64, mut each: impl FnMut(usize, f64)) {
        let severity = self.severity(seconds);
        let degradation = self.degradation.filter(|degradation| seconds >= degradation.onset);
        let (radial, axial) = self.signature.velocity(&severity, self.relative_load());
        for (index, &quantity) in self.kind.quantities().iter().enumerate() {
            if quantity == Quantity::Waveform {
                continue;
            }
            let noise = self.random.normal();
            let value = match quantity {
                // The fleet's machines have no sensors for these.
                Quantity::Waveform
                | Quantity::Power
                | Quantity::Energy
                | Quantity::WindingTemperature
                | Quantity::AmbientTemperature => continue,
                Quantity::VibrationRms => radial * (1.0 + 0.04 * noise),
                Quantity::AxialVibrationRms => axial * (1.0 + 0.04 * noise),
                Quantity::Temperature => self.temperature + 0.08 * noise,
                Quantity::Current => {
                    let friction =
                        0.1 * severity.overheating + 0.07 * severity.lubrication_loss + 0.04 * severity.misalignment
                            - 0.05 * severity.cavitation;
                    self.rated_current * (0.3 + 0.7 * self.load) * (1.0 + friction + 0.005 * noise)
                }
                Quantity::Speed => self.speed() + 0.4 * noise,
                Quantity::Pressure => {
                    let head = 1.2 - 0.2 * self.load - 0.15 * severity.cavitation;
                    self.rated_pressure * (head + (0.004 + 0.035 * severity.cavitation) * noise)
                }
                Quantity::Flow => self.rated_flow * self.relative_load() * (1.0 + 0.006 * noise),
            };
            let (.., low, high, decimals) = quantity.description();
            let scale = 10_f64.powi(decimals);
            let mut value = (value.clamp(low, high) * scale).round() / scale;
            match degradation {
                Some(active) if active.sensor == index && active.fault == Fault::StuckSensor => {
                    value = *self.stuck_value.get_or_insert(value);
                }
                // At full severity one reading in twenty is sent.
                Some(active)
                    if active.sensor == index
                        && active.fault == Fault::DroppingSensor
                        && self.random.uniform() < 0.95 * active.severity(seconds) =>
                {
                    continue;
                }
                _ => {}
            }
            each(index, value);
        }
    }

    /// Samples of the accelerometer from now on, in m/s².
    pub(crate) fn waveform(&mut self, seconds: f64, count: usize, rate: f64) -> Vec<f32> {
        let running = OperatingConditions {
            kind: self.kind,
            bearing: self.bearing,
            shaft_hz: self.speed() / 60.0,
            load: self.relative_load(),
            severity: self.severity(seconds),
        };
        vibration::waveform(&self.signature, &running, count, rate, &mut self.random)
    }
}
