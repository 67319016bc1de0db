//! The physical state of a machine under a changing demand.

use super::{ambient::Ambient, course::FaultCourse, demand::Schedule};
use crate::{
    fleet::{Bearing, MachineKind, OperatingConditions, Quantity, Severity, Signature, waveform},
    random::Random,
};

/// Time constants in s: run-up, run-down, load, fluctuation of the load.
const RUN_UP_TIME: f64 = 8.0;
const RUN_DOWN_TIME: f64 = 25.0;
const LOAD_TIME: f64 = 20.0;
const FLUCTUATION_TIME: f64 = 120.0;
/// Share of the rated speed below which the machine counts as standing still.
const STANDSTILL: f64 = 0.02;
/// Share of the rated load at which the vibration signature holds.
const SIGNATURE_LOAD: f64 = 0.8;
/// Longest time after a start in which the current is that of the start, in s.
const INRUSH_SECONDS: f64 = 6.0;

/// A lasting change after work on the machine: new parts, oil, alignment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Service {
    /// Time in seconds after the start.
    pub(crate) at: f64,
    /// Factor of the vibration.
    pub(crate) vibration: f64,
    /// Factor of the temperature rise of the bearing.
    pub(crate) heat: f64,
}

/// A machine: its properties, drawn once, and its state.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) kind: MachineKind,
    pub(crate) bearing: Bearing,
    pub(crate) rated_rpm: f64,
    pub(crate) schedule: Schedule,
    pub(crate) ambient: Ambient,
    pub(crate) faults: Vec<FaultCourse>,
    pub(crate) services: Vec<Service>,
    signature: Signature,
    /// Share of the rated speed by which speed lags behind at full load.
    slip: f64,
    rated_current: f64,
    rated_power: f64,
    rated_pressure: f64,
    rated_flow: f64,
    bearing_rise: f64,
    winding_rise: f64,
    bearing_time: f64,
    winding_time: f64,
    fluctuation_size: f64,
    /// Exponent of the vibration over the speed.
    speed_exponent: f64,
    background_vibration: f64,
    vibration_noise: f64,
    speed: f64,
    load: f64,
    fluctuation: f64,
    since_start: f64,
    ambient_temperature: f64,
    bearing_temperature: f64,
    winding_temperature: f64,
    energy: f64,
}

impl Process {
    pub(crate) fn generate(kind: MachineKind, bearing: Bearing, random: &mut Random) -> Self {
        let rated_rpm = match kind {
            MachineKind::Pump if random.uniform() < 0.5 => 2940.0,
            MachineKind::Fan => 975.0,
            _ => 1475.0,
        };
        let rated_current = random.between(12.0, 60.0);
        Self {
            kind,
            bearing,
            rated_rpm,
            schedule: Schedule::steady(super::demand::Demand::at_load(random.between(0.65, 0.9))),
            ambient: Ambient::new(random.between(18.0, 26.0), random.between(0.5, 2.0), random.between(0.3, 1.0), 0.0),
            faults: Vec::new(),
            services: Vec::new(),
            signature: Signature::generate(random),
            slip: random.between(0.008, 0.02),
            rated_current,
            // Three phases at 400 V and a power factor of 0.85.
            rated_power: rated_current * 0.4 * 3_f64.sqrt() * 0.85,
            rated_pressure: random.between(3.0, 9.0),
            rated_flow: random.between(2.0, 8.0),
            bearing_rise: random.between(22.0, 34.0),
            winding_rise: random.between(45.0, 70.0),
            bearing_time: random.between(1200.0, 3600.0),
            winding_time: random.between(900.0, 1800.0),
            fluctuation_size: random.between(0.005, 0.02),
            speed_exponent: random.between(1.5, 2.2),
            background_vibration: random.between(0.02, 0.06),
            vibration_noise: random.between(0.025, 0.05),
            speed: 0.0,
            load: 0.0,
            fluctuation: 0.0,
            since_start: 0.0,
            ambient_temperature: 0.0,
            bearing_temperature: f64::NAN,
            winding_temperature: f64::NAN,
            energy: (random.between(1e3, 9e4)).round(),
        }
    }

    /// Severity of each fault at a time.
    pub(crate) fn severity(&self, seconds: f64) -> Severity {
        let mut all = Severity::default();
        for course in &self.faults {
            let severity = course.severity(seconds);
            if severity > 0.0 {
                all.set(course.fault, severity);
            }
        }
        all
    }

    /// Whether the machine turns.
    pub(crate) fn is_running(&self) -> bool {
        self.speed > STANDSTILL
    }

    /// Product of the factors of the services until now.
    fn service_factor(&self, seconds: f64, factor: impl Fn(&Service) -> f64) -> f64 {
        self.services.iter().filter(|service| seconds >= service.at).map(factor).product()
    }

    /// Advances by `step` seconds to `seconds` after the start.
    pub(crate) fn advance(&mut self, seconds: f64, step: f64, random: &mut Random) {
        let demand = self.schedule.at(seconds);
        let was_running = self.is_running();
        let towards = |now: f64, target: f64, time: f64| target + (now - target) * (-step / time).exp();
        let ramp = if demand.is_running() { RUN_UP_TIME } else { RUN_DOWN_TIME };
        self.speed = towards(self.speed, demand.speed, ramp);
        self.load = towards(self.load, demand.load, LOAD_TIME);
        self.since_start = if was_running { self.since_start + step } else { 0.0 };
        let fade = (-step / FLUCTUATION_TIME).exp();
        self.fluctuation =
            fade * self.fluctuation + self.fluctuation_size * (1.0 - fade * fade).sqrt() * random.normal();
        self.ambient_temperature = self.ambient.advance(seconds, step, random);
        let running = if self.is_running() { self.speed } else { 0.0 };
        let severity = self.severity(seconds);
        let bearing = self.ambient_temperature + running * self.heat(&severity, seconds);
        let winding = self.ambient_temperature + running * self.winding_rise * (0.2 + 0.8 * self.load_now().powi(2));
        // A machine that stands still cools more slowly than its fan cools it.
        let slower = if running > 0.0 { 1.0 } else { 1.5 };
        self.bearing_temperature = match self.bearing_temperature.is_nan() {
            true => bearing,
            false => towards(self.bearing_temperature, bearing, slower * self.bearing_time),
        };
        self.winding_temperature = match self.winding_temperature.is_nan() {
            true => winding,
            false => towards(self.winding_temperature, winding, slower * self.winding_time),
        };
        self.energy += self.power(&severity) * step / 3600.0;
    }

    /// Rise of the bearing's temperature at rated speed, in K.
    fn heat(&self, severity: &Severity, seconds: f64) -> f64 {
        let races = severity.outer_race + severity.inner_race + severity.ball;
        let rise = self.bearing_rise * self.service_factor(seconds, |service| service.heat);
        rise * (0.35 + 0.65 * (self.load_now() / SIGNATURE_LOAD).powi(2))
            + 38.0 * severity.overheating
            + 22.0 * severity.lubrication_loss
            + 20.0 * severity.wear
            + 6.0 * races
            + 4.0 * severity.misalignment
    }

    fn load_now(&self) -> f64 {
        if self.is_running() { self.load * (1.0 + self.fluctuation) } else { 0.0 }
    }

    fn friction(severity: &Severity) -> f64 {
        0.1 * severity.overheating
            + 0.07 * severity.lubrication_loss
            + 0.03 * severity.wear
            + 0.04 * severity.misalignment
            - 0.05 * severity.cavitation
    }

    /// Electrical power in kW.
    fn power(&self, severity: &Severity) -> f64 {
        if !self.is_running() {
            return 0.0;
        }
        self.rated_power * self.speed.powi(2) * (0.2 + 0.8 * self.load_now()) * (1.0 + Self::friction(severity))
    }

    fn rpm(&self) -> f64 {
        if self.is_running() { self.speed * self.rated_rpm * (1.0 + self.slip * (1.0 - self.load_now())) } else { 0.0 }
    }

    /// Radial and axial vibration velocity in mm/s RMS.
    fn vibration(&self, severity: &Severity, seconds: f64) -> (f64, f64) {
        if !self.is_running() {
            return (self.background_vibration, self.background_vibration);
        }
        let (radial, axial) = self.signature.velocity(severity, self.load_now() / SIGNATURE_LOAD);
        let factor = self.speed.powf(self.speed_exponent) * self.service_factor(seconds, |service| service.vibration);
        ((factor * radial).hypot(self.background_vibration), (factor * axial).hypot(self.background_vibration))
    }

    /// The physical value with the sensor's noise (a normal deviate times the factor `noise`). A waveform has none.
    pub(crate) fn value(&self, quantity: Quantity, seconds: f64, noise: f64) -> f64 {
        let severity = self.severity(seconds);
        let running = self.is_running();
        match quantity {
            Quantity::Waveform => f64::NAN,
            Quantity::VibrationRms => self.vibration(&severity, seconds).0 * (1.0 + self.vibration_noise * noise),
            Quantity::AxialVibrationRms => self.vibration(&severity, seconds).1 * (1.0 + self.vibration_noise * noise),
            Quantity::Temperature => self.bearing_temperature + 0.08 * noise,
            Quantity::WindingTemperature => self.winding_temperature + 0.15 * noise,
            Quantity::AmbientTemperature => self.ambient_temperature + 0.1 * noise,
            Quantity::Current if !running => (0.002 * self.rated_current * noise).abs(),
            Quantity::Current => {
                let inrush = if self.since_start < INRUSH_SECONDS { 4.0 } else { 1.0 };
                let load = (0.3 + 0.7 * self.load_now()) * (1.0 + Self::friction(&severity));
                inrush * self.rated_current * self.speed * load * (1.0 + 0.005 * noise)
            }
            Quantity::Speed => {
                if running {
                    self.rpm() + 0.4 * noise
                } else {
                    0.0
                }
            }
            Quantity::Pressure if !running => self.rated_pressure * (0.05 + 0.001 * noise),
            Quantity::Pressure => {
                let head = 1.2 - 0.2 * self.load_now() - 0.15 * severity.cavitation;
                self.rated_pressure * self.speed.powi(2) * (head + (0.004 + 0.035 * severity.cavitation) * noise)
            }
            Quantity::Flow if !running => 0.0,
            Quantity::Flow => self.rated_flow * self.load_now() * self.speed * (1.0 + 0.006 * noise),
            Quantity::Power => self.power(&severity) * (1.0 + 0.004 * noise),
            Quantity::Energy => self.energy,
        }
    }

    /// The usual variation and the usual level of a quantity, in its unit: the scale of sensor faults.
    pub(crate) fn usual(&self, quantity: Quantity) -> (f64, f64) {
        let (radial, axial) = self.signature.velocity(&Severity::default(), 1.0);
        match quantity {
            Quantity::Waveform => (1.0, 0.0),
            Quantity::VibrationRms => (0.5 * radial, radial),
            Quantity::AxialVibrationRms => (0.5 * axial, axial),
            Quantity::Temperature => (0.5 * self.bearing_rise, self.ambient.mean + self.bearing_rise),
            Quantity::WindingTemperature => (0.5 * self.winding_rise, self.ambient.mean + 0.6 * self.winding_rise),
            Quantity::AmbientTemperature => (5.0, self.ambient.mean),
            Quantity::Current => (0.3 * self.rated_current, 0.85 * self.rated_current),
            Quantity::Speed => (0.05 * self.rated_rpm, self.rated_rpm),
            Quantity::Pressure => (0.2 * self.rated_pressure, self.rated_pressure),
            Quantity::Flow => (0.3 * self.rated_flow, 0.8 * self.rated_flow),
            Quantity::Power => (0.3 * self.rated_power, 0.8 * self.rated_power),
            Quantity::Energy => (100.0, self.energy),
        }
    }

    /// A waveform of acceleration in m/s² from now on.
    pub(crate) fn waveform(&self, seconds: f64, count: usize, rate: f64, random: &mut Random) -> Vec<f32> {
        let conditions = OperatingConditions {
            kind: self.kind,
            bearing: self.bearing,
            shaft_hz: self.rpm() / 60.0,
            load: self.load_now() / SIGNATURE_LOAD,
            severity: self.severity(seconds),
        };
        waveform(&self.signature, &conditions, count, rate, random)
    }
}
