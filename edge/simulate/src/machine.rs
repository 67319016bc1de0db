//! One machine: what its sensors read, by its load and by its fault.

use std::f64::consts::TAU;

use crate::{
    bearing::{BEARINGS, Bearing},
    fault::Fault,
    random::Random,
};

/// Kinds of machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pump,
    Motor,
    Fan,
    Gearbox,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Pump, Self::Motor, Self::Fan, Self::Gearbox];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pump => "pump",
            Self::Motor => "motor",
            Self::Fan => "fan",
            Self::Gearbox => "gearbox",
        }
    }
}

/// A scalar sensor of a machine: name, kind, unit, what it can read.
pub(crate) struct Scalar {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) limits: (f64, f64),
}

const fn scalar(name: &'static str, kind: &'static str, unit: &'static str, limits: (f64, f64)) -> Scalar {
    Scalar { name, kind, unit, limits }
}

const VIBRATION: usize = 0;
const TEMPERATURE: usize = 1;
const CURRENT: usize = 2;
const SPEED: usize = 3;
const PRESSURE: usize = 4;

/// The scalar sensors; only pumps have the last.
pub(crate) const SCALARS: [Scalar; 5] = [
    scalar("vibration-rms", "vibration", "mm/s", (0.0, 200.0)),
    scalar("bearing-temperature", "temperature", "°C", (-40.0, 250.0)),
    scalar("current", "current", "A", (0.0, 1000.0)),
    scalar("speed", "speed", "rpm", (0.0, 20_000.0)),
    scalar("pressure", "pressure", "bar", (0.0, 100.0)),
];

/// The sensor that sends bursts.
pub(crate) const BURST: Scalar = scalar("vibration", "acceleration", "m/s²", (-5000.0, 5000.0));

/// Seconds in which a bearing's temperature follows the load.
const THERMAL_LAG: f64 = 60.0;
/// The housing's resonance that an impulse rings, in Hz, and its decay a second.
const RESONANCE: f64 = 3_000.0;
const DECAY: f64 = 800.0;

#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) rpm: f64,
    pub(crate) bearing: Bearing,
    pub(crate) criticality: u8,
    pub(crate) fault: Option<Fault>,
    /// Seconds after the start.
    pub(crate) onset: f64,
    rated_current: f64,
    phases: [f64; 2],
    warmth: f64,
    stuck: Option<f64>,
    random: Random,
}

impl Machine {
    pub(crate) fn new(id: String, kind: Kind, fault: Option<Fault>, onset: f64, mut random: Random) -> Self {
        let bearing = BEARINGS[random.below(BEARINGS.len())];
        Self {
            id,
            kind,
            rpm: [1480.0, 1780.0, 2960.0][random.below(3)],
            bearing,
            criticality: u8::try_from(1 + random.below(5)).unwrap_or(3),
            fault,
            onset,
            rated_current: 20.0 + 60.0 * random.uniform(),
            phases: [TAU * random.uniform(), TAU * random.uniform()],
            warmth: 0.5,
            stuck: None,
            random,
        }
    }

    /// How many scalar sensors it has.
    pub(crate) fn scalars(&self) -> usize {
        if self.kind == Kind::Pump { SCALARS.len() } else { PRESSURE }
    }

    /// 0 to about 1; it shows its whole range within two minutes.
    fn load(&mut self, seconds: f64) -> f64 {
        let [slow, fast] = self.phases;
        0.5 + 0.25 * (TAU * seconds / 120.0 + slow).sin() + 0.1 * (TAU * seconds / 47.0 + fast).sin() + 0.03 * self.random.normal()
    }

    /// 0 before the onset, 1 once `degrade` seconds have passed since.
    fn severity(&self, seconds: f64, degrade: f64) -> f64 {
        if self.fault.is_none() { 0.0 } else { ((seconds - self.onset) / degrade.max(1e-9)).clamp(0.0, 1.0) }
    }

    /// What the scalar sensors read `seconds` after the start, `step` after the reading before; none where it is lost.
    pub(crate) fn read(&mut self, seconds: f64, step: f64, degrade: f64) -> [Option<f64>; SCALARS.len()] {
        let load = self.load(seconds);
        self.warmth += (load - self.warmth) * (step / THERMAL_LAG).min(1.0);
        let severity = self.severity(seconds, degrade);
        let mut noise = || self.random.normal();
        let mut values = [
            1.8 + 0.3 * load + 0.08 * noise(),
            48.0 + 14.0 * self.warmth + 0.15 * noise(),
            self.rated_current * (0.6 + 0.3 * load + 0.01 * noise()),
            self.rpm * (1.0 - 0.01 * load + 0.0005 * noise()),
            4.2 + 0.4 * load + 0.03 * noise(),
        ];
        if severity > 0.0 {
            let (jump, spread) = (noise(), noise());
            match self.fault {
                Some(Fault::Imbalance) => values[VIBRATION] += 6.0 * severity,
                Some(Fault::Misalignment) => {
                    values[VIBRATION] += 4.0 * severity;
                    values[TEMPERATURE] += 5.0 * severity;
                }
                Some(Fault::OuterRace | Fault::InnerRace | Fault::Ball) => {
                    values[VIBRATION] += 2.5 * severity * severity + 0.4 * severity * jump.abs();
                    values[TEMPERATURE] += 8.0 * severity;
                }
                Some(Fault::Cavitation) => {
                    values[VIBRATION] += 2.5 * severity + 0.5 * severity * jump;
                    values[PRESSURE] += severity * (0.5 * spread - 0.8);
                }
                Some(Fault::Overheating) => values[TEMPERATURE] += 35.0 * severity,
                Some(Fault::Lubrication) => {
                    values[VIBRATION] += 1.5 * severity;
                    values[TEMPERATURE] += 20.0 * severity;
                }
                Some(Fault::ElectricalOverload) => values[CURRENT] *= 1.0 + 0.5 * severity,
                Some(Fault::StuckSensor) => values[TEMPERATURE] = *self.stuck.get_or_insert(values[TEMPERATURE]),
                Some(Fault::DroppingSensor) | None => {}
            }
        }
        // A thousandth is what such sensors resolve.
        let mut readings = values.map(|value| Some((value.max(0.0) * 1000.0).round() / 1000.0));
        debug_assert!(readings[SPEED].is_some());
        if self.fault == Some(Fault::DroppingSensor) {
            for reading in &mut readings {
                if self.random.uniform() < 0.8 * severity {
                    *reading = None;
                }
            }
        }
        readings
    }

    /// A burst of the accelerometer, in m/s², from `seconds` after the start.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "samples are f32")]
    pub(crate) fn burst(&mut self, seconds: f64, degrade: f64, samples: usize, rate: f64) -> Vec<f32> {
        let severity = self.severity(seconds, degrade);
        let shaft = self.rpm / 60.0;
        let (mut once, mut twice, mut noise) = (0.5, 0.2, 0.3);
        match self.fault {
            Some(Fault::Imbalance) => once += 4.0 * severity,
            Some(Fault::Misalignment) => twice += 3.0 * severity,
            Some(Fault::Cavitation) => noise += 2.0 * severity,
            Some(Fault::Lubrication) => noise += 1.0 * severity,
            _ => {}
        }
        let phase = TAU * self.random.uniform();
        let mesh = if self.kind == Kind::Gearbox { 0.4 } else { 0.0 };
        let mut signal: Vec<f64> = (0..samples)
            .map(|at| {
                let turn = TAU * shaft * at as f64 / rate + phase;
                once * turn.sin() + twice * (2.0 * turn).sin() + 0.1 * (3.0 * turn).sin() + mesh * (23.0 * turn).sin()
            })
            .collect();
        for value in &mut signal {
            *value += noise * self.random.normal();
        }
        let strikes = match self.fault {
            Some(Fault::OuterRace) => Some((self.bearing.bpfo(shaft), 0.0)),
            Some(Fault::InnerRace) => Some((self.bearing.bpfi(shaft), shaft)),
            Some(Fault::Ball) => Some((2.0 * self.bearing.bsf(shaft), self.bearing.ftf(shaft))),
            _ => None,
        };
        if let Some((frequency, modulation)) = strikes.filter(|_| severity > 0.0) {
            self.strike(&mut signal, rate, frequency, modulation, 12.0 * severity);
        }
        signal.into_iter().map(|value| value as f32).collect()
    }

    /// Adds impulses that ring the resonance, `frequency` a second with a slip of 1 %, stronger and weaker at `modulation`.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places in a burst")]
    fn strike(&mut self, signal: &mut [f64], rate: f64, frequency: f64, modulation: f64, height: f64) {
        let length = signal.len() as f64 / rate;
        let mut at = self.random.uniform() / frequency;
        while at < length {
            let strength = height * if modulation > 0.0 { 0.6 + 0.4 * (TAU * modulation * at).cos() } else { 1.0 };
            let first = (at * rate).ceil() as usize;
            for (index, value) in signal.iter_mut().enumerate().skip(first) {
                let after = index as f64 / rate - at;
                let decay = (-DECAY * after).exp();
                if decay < 1e-4 {
                    break;
                }
                *value += strength * decay * (TAU * RESONANCE * after).sin();
            }
            at += (1.0 + 0.01 * self.random.normal()) / frequency;
        }
    }
}
