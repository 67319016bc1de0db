//! The vibration model: the signal of an accelerometer on the bearing housing.

use std::f64::consts::TAU;

use super::{bearing::Bearing, fault::Severity, machine::MachineKind};
use crate::random::Random;

/// Standard deviation of the interval between impacts, as a share of the period: balls slip.
const SLIP_DEVIATION: f64 = 0.01;
/// Amplitude of an impact at full severity, in m/s².
const IMPACT_AMPLITUDE: f64 = 14.0;
/// Range of a 50 g accelerometer, in m/s².
pub(crate) const ACCELEROMETER_RANGE: f64 = 490.0;
/// Electromagnetic line: twice the mains frequency, in Hz.
const TWICE_MAINS_HZ: f64 = 100.0;

/// The vibration of a healthy machine.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    /// Velocity amplitudes at 1, 2 and 3 times the shaft frequency, in mm/s.
    pub(crate) shaft_velocity: [f64; 3],
    /// Standard deviation of the broadband velocity, without the lines, in mm/s.
    pub(crate) broadband_velocity: f64,
    /// Standard deviation of the acceleration noise, in m/s².
    pub(crate) acceleration_noise: f64,
    /// Acceleration amplitude of the gear mesh, blade pass, vane pass or electromagnetic line, in m/s².
    pub(crate) mesh_acceleration: f64,
    /// Resonance frequency of the housing in Hz, and its damping ratio.
    pub(crate) resonance_hz: f64,
    pub(crate) damping: f64,
}

impl Signature {
    pub(crate) fn generate(random: &mut Random) -> Self {
        Self {
            shaft_velocity: [random.between(0.8, 1.5), random.between(0.3, 0.5), random.between(0.1, 0.2)],
            broadband_velocity: random.between(0.3, 0.5),
            acceleration_noise: random.between(0.3, 0.5),
            mesh_acceleration: random.between(0.25, 0.6),
            resonance_hz: random.between(2_800.0, 4_200.0),
            damping: random.between(0.03, 0.05),
        }
    }

    /// Radial velocity amplitudes at 1, 2 and 3 times the shaft frequency, in mm/s.
    fn line_amplitudes(&self, severity: &Severity, load: f64) -> [f64; 3] {
        let loaded = 0.8 + 0.2 * load;
        [
            loaded * self.shaft_velocity[0] * (1.0 + 5.0 * severity.imbalance + 0.3 * severity.misalignment),
            loaded * self.shaft_velocity[1] * (1.0 + 7.0 * severity.misalignment),
            loaded * self.shaft_velocity[2] * (1.0 + 5.0 * severity.misalignment),
        ]
    }

    /// Radial and axial vibration velocity, in mm/s RMS. `load` is relative to its mean.
    pub(crate) fn velocity(&self, severity: &Severity, load: f64) -> (f64, f64) {
        let lines = self.line_amplitudes(severity, load);
        let races = severity.outer_race + 0.9 * severity.inner_race + 0.7 * severity.ball;
        let rumble =
            self.broadband_velocity + 1.3 * races + 1.8 * severity.cavitation + 0.9 * severity.lubrication_loss;
        let power: f64 = lines.iter().map(|line| line * line / 2.0).sum();
        // The axial share of the shaft vibration is small, unless a misaligned coupling pushes.
        let axial = 0.35 + 0.9 * severity.misalignment;
        let worn = 1.0 + severity.wear;
        (worn * (power + rumble * rumble).sqrt(), worn * (axial * axial * power + 0.36 * rumble * rumble).sqrt())
    }
}

/// The operating conditions of a waveform.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperatingConditions {
    pub(crate) kind: MachineKind,
    pub(crate) bearing: Bearing,
    /// Shaft frequency in Hz.
    pub(crate) shaft_hz: f64,
    /// Load relative to its mean.
    pub(crate) load: f64,
    pub(crate) severity: Severity,
}

/// Generates `count` samples of acceleration in m/s² at `rate` Hz.
///
/// The signal consists of lines at multiples of the shaft frequency; gear mesh with sidebands, blade pass, vane pass or
/// electromagnetic line; noise; and the impacts of a damaged bearing, with slip, that excite the housing resonance
/// (model of Randall, Antoni and Chobsaard, Mechanical Systems and Signal Processing 15 (2001) 945).
pub(crate) fn waveform(
    signature: &Signature,
    running: &OperatingConditions,
    count: usize,
    rate: f64,
    random: &mut Random,
) -> Vec<f32> {
    let OperatingConditions { kind, bearing, shaft_hz, load, severity } = *running;
    let lines = signature.line_amplitudes(&severity, load);
    let phases: [f64; 3] = std::array::from_fn(|_| random.between(0.0, TAU));
    let mesh_hz = match kind {
        MachineKind::Gearbox => 23.0 * shaft_hz,
        MachineKind::Pump => 6.0 * shaft_hz,
        MachineKind::Fan => 8.0 * shaft_hz,
        MachineKind::Motor => TWICE_MAINS_HZ,
    };
    let mesh_phase = random.between(0.0, TAU);
    let sidebands = if kind == MachineKind::Gearbox { 0.3 + 0.5 * severity.misalignment } else { 0.0 };
    let mut impacts = Impacts::new(&bearing, shaft_hz, &severity, random);
    let mut ring = Resonance::new(signature.resonance_hz.min(0.45 * rate), signature.damping, rate);
    let hiss = signature.acceleration_noise * (1.0 + 0.3 * severity.lubrication_loss + severity.wear);
    let mut gust = 0.0;
    let mut samples = Vec::with_capacity(count);
    for at in 0..count {
        let time = at as f64 / rate;
        let shaft_angle = TAU * shaft_hz * time;
        let mut acceleration = 0.0;
        for ((order, amplitude), phase) in (1..).map(f64::from).zip(lines).zip(phases) {
            // Convert velocity in mm/s to acceleration in m/s².
            acceleration += amplitude * 1e-3 * TAU * order * shaft_hz * (order * shaft_angle + phase).sin();
        }
        let modulation = 1.0 + sidebands * (shaft_angle + phases[0]).cos();
        acceleration += signature.mesh_acceleration * load * modulation * (TAU * mesh_hz * time + mesh_phase).sin();
        acceleration += hiss * random.normal();
        if severity.cavitation > 0.0 {
            // Bubbles collapse in gusts of a few milliseconds.
            let fade = (-1.0 / (0.004 * rate)).exp();
            gust = fade * gust + (1.0 - fade * fade).sqrt() * random.normal();
            acceleration += 2.5 * severity.cavitation * (0.5 + gust.abs()) * random.normal();
        }
        let dry = if severity.lubrication_loss > 0.0 {
            2.0 * severity.lubrication_loss * ring.noise_gain * random.normal()
        } else {
            0.0
        };
        acceleration += ring.next(dry + ring.impulse * impacts.impulse_at(time, random));
        samples.push(acceleration.clamp(-ACCELEROMETER_RANGE, ACCELEROMETER_RANGE) as f32);
    }
    samples
}

/// The resonance of the housing: a damped oscillator as a digital filter of order 2.
#[derive(Debug)]
struct Resonance {
    feedback_1: f64,
    feedback_2: f64,
    last_outputs: [f64; 2],
    /// Impulse that excites an amplitude of 1.
    impulse: f64,
    /// Standard deviation of white input noise that gives an output with standard deviation 1.
    noise_gain: f64,
}

impl Resonance {
    fn new(hz: f64, damping: f64, rate: f64) -> Self {
        let angle = TAU * hz / rate;
        let decay = (-damping * angle).exp();
        let (feedback_1, feedback_2) = (2.0 * decay * angle.cos(), -decay * decay);
        // Variance of an autoregressive process of order 2 (Box and Jenkins).
        let variance =
            (1.0 - feedback_2) / ((1.0 + feedback_2) * ((1.0 - feedback_2).powi(2) - feedback_1 * feedback_1));
        Self {
            feedback_1,
            feedback_2,
            last_outputs: [0.0; 2],
            impulse: angle.sin(),
            noise_gain: variance.sqrt().recip(),
        }
    }

    fn next(&mut self, input: f64) -> f64 {
        let next = self.feedback_1 * self.last_outputs[0] + self.feedback_2 * self.last_outputs[1] + input;
        self.last_outputs = [next, self.last_outputs[0]];
        next
    }
}

/// The impacts of one spall.
#[derive(Debug)]
struct ImpactTrain {
    period: f64,
    next_at: f64,
    impact_count: u64,
    amplitude: f64,
    /// Frequency in Hz and depth (0 to 1) of the modulation by the load.
    load_hz: f64,
    modulation_depth: f64,
    phase: f64,
    /// Relative size of every second impact: a ball hits the other race less hard.
    second_impact_ratio: f64,
}

#[derive(Debug)]
struct Impacts {
    trains: Vec<ImpactTrain>,
}

impl Impacts {
    fn new(bearing: &Bearing, shaft_hz: f64, severity: &Severity, random: &mut Random) -> Self {
        let sites = [
            (severity.outer_race, bearing.bpfo(), 0.0, 0.0, 1.0),
            (severity.inner_race, bearing.bpfi(), shaft_hz, 0.9, 1.0),
            (severity.ball, 2.0 * bearing.bsf(), bearing.ftf() * shaft_hz, 0.7, 0.7),
        ];
        let mut trains = Vec::new();
        for (strength, multiple, load_hz, depth, second_impact_ratio) in sites {
            if strength > 0.0 && shaft_hz > 0.0 {
                let period = (multiple * shaft_hz).recip();
                let (next, phase) = (random.between(0.0, period), random.between(0.0, TAU));
                trains.push(ImpactTrain {
                    period,
                    next_at: next,
                    impact_count: 0,
                    amplitude: IMPACT_AMPLITUDE * strength,
                    load_hz,
                    modulation_depth: depth,
                    phase,
                    second_impact_ratio,
                });
            }
        }
        Self { trains }
    }

    /// Sum of the impacts between the previous sample and this one.
    fn impulse_at(&mut self, time: f64, random: &mut Random) -> f64 {
        let mut sum = 0.0;
        for train in &mut self.trains {
            while time >= train.next_at {
                let load =
                    1.0 - train.modulation_depth * (0.5 - 0.5 * (TAU * train.load_hz * time + train.phase).cos());
                let size = if train.impact_count % 2 == 1 { train.second_impact_ratio } else { 1.0 };
                sum += train.amplitude * load * size * (1.0 + 0.1 * random.normal());
                // The time never moves backwards, even with a large slip.
                train.next_at += train.period * (1.0 + SLIP_DEVIATION * random.normal()).max(0.5);
                train.impact_count += 1;
            }
        }
        sum
    }
}
