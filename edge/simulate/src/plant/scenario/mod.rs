//! The behaviours of ordinary plants, each with parameters drawn from a seed.

mod faulty;
mod healthy;
mod sensors;

use super::{
    Plant,
    ambient::Ambient,
    course::{FaultCourse, Growth},
    demand::{DAY, Demand, HOUR, Schedule},
    machine::{LastingChange, PlantMachine, WaveformSettings},
    sensor::{Replacement, SensorFault, SensorFaultKind},
};
use crate::{
    fleet::{Fault, MachineKind, Quantity},
    random::Random,
};

/// What a scenario tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScenarioClass {
    /// Nothing is wrong: each alert is false.
    Healthy,
    /// A machine fails.
    Fault,
    /// A machine wears slowly.
    SlowWear,
    /// A sensor fails.
    SensorFault,
    /// Data stop.
    NoData,
}

/// A behaviour of a plant.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Name on the command line.
    pub name: &'static str,
    /// What it tests.
    pub class: ScenarioClass,
    /// What happens.
    pub description: &'static str,
    build: fn(&mut Draft) -> Plant,
}

impl Scenario {
    /// The plant for a seed, simulated for `days`.
    pub fn plant(&self, seed: u64, days: f64) -> Plant {
        // Each scenario has its own numbers, whatever its position in the list.
        let stream = self.name.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        (self.build)(&mut Draft { random: Random::new(seed, stream), span: days * DAY })
    }

    /// The scenario with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }
}

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &{
    use ScenarioClass::{Fault, Healthy, NoData, SensorFault, SlowWear};
    macro_rules! scenarios {
        ($($class:ident $name:literal $build:path: $description:literal,)*) => {
            [$(Scenario { name: $name, class: $class, description: $description, build: $build },)*]
        };
    }
    scenarios! {
        Healthy "steady" healthy::steady: "one load for ever",
        Healthy "starts-and-stops" healthy::starts_and_stops: "switched on and off, several times a day",
        Healthy "loads-in-turn" healthy::loads_in_turn: "two to four loads in turn",
        Healthy "speeds-in-turn" healthy::speeds_in_turn: "two to four speeds of a frequency converter in turn",
        Healthy "batch-cycle" healthy::batch_cycle: "a recipe of 10 to 40 minutes, again and again",
        Healthy "day-and-night" healthy::day_and_night: "load by the hour of the day",
        Healthy "working-week" healthy::working_week: "one or two shifts, nothing at the weekend",
        Healthy "outdoors" healthy::outdoors: "ambient temperature by day, weather and season",
        Healthy "standby" healthy::standby: "runs rarely, for an hour or so",
        Healthy "hourly-sensors" healthy::hourly_sensors: "one reading an hour, load by the hour of the day",
        Healthy "fast-sensors" healthy::fast_sensors: "one reading each 5 s",
        Healthy "whole-degrees" healthy::whole_degrees: "coarse steps of all values",
        Healthy "energy-counter" healthy::energy_counter: "an energy counter beside the sensors",
        Healthy "glitches" healthy::glitches: "single impossible readings, a few a month",
        Healthy "late-data" healthy::late_data: "a gateway that delivers hours late",
        Healthy "off-while-learnt" healthy::off_while_learnt: "stands still for the first days",
        Healthy "new-load" healthy::new_load: "a load that was never seen before, to stay",
        Healthy "service-step" healthy::service_step: "runs better after a service",
        Healthy "new-sensor" healthy::new_sensor: "a sensor is replaced by one with another zero",
        Healthy "waveforms" healthy::waveforms: "an accelerometer with waveforms, two loads",
        Fault "wear-in-days" faulty::wear_in_days: "bearing +20 K and twice the vibration over 2 to 4 days",
        SlowWear "wear-in-weeks" faulty::wear_in_weeks: "the same over 10 to 16 days",
        SlowWear "wear-hourly-sensors" faulty::wear_hourly_sensors: "the same, one reading an hour, day and night",
        Fault "wear-starts-and-stops" faulty::wear_starts_and_stops: "wear of a machine that starts and stops",
        Fault "wear-batch-cycle" faulty::wear_batch_cycle: "wear of a machine that runs batches",
        Fault "wear-working-week" faulty::wear_working_week: "wear of a machine that rests at night",
        Fault "wear-whole-degrees" faulty::wear_whole_degrees: "wear seen by coarse sensors",
        Fault "imbalance" faulty::imbalance: "build-up on the rotor, two to four loads",
        Fault "misalignment" faulty::misalignment: "a coupling moves, steady load",
        Fault "cavitation" faulty::cavitation: "a pump's suction clogs, load by the hour of the day",
        Fault "overheating" faulty::overheating: "cooling fails, outdoors",
        Fault "lubrication-loss" faulty::lubrication_loss: "a bearing runs dry, several speeds",
        Fault "outer-race" faulty::outer_race: "a spall on the outer race, waveforms",
        Fault "inner-race" faulty::inner_race: "a spall on the inner race, waveforms",
        Fault "ball" faulty::ball: "a spall on a ball, waveforms",
        Fault "sudden" faulty::sudden: "a lost balancing weight, at once",
        Fault "in-first-days" faulty::in_first_days: "a fault that begins 6 h to 3 days after the first reading",
        Fault "faulty-while-learnt" faulty::faulty_while_learnt: "worn from the first reading, repaired later",
        Fault "glitch-then-fault" faulty::glitch_then_fault: "an impossible reading shortly before a fault",
        Fault "dead-sensor-then-fault" faulty::dead_sensor_then_fault: "one sensor dies, then the bearing",
        Fault "twice" faulty::twice: "fault, repair, and another fault",
        SensorFault "sensor-stuck" sensors::stuck: "a sensor repeats a value",
        SensorFault "sensor-dropout" sensors::dropout: "a sensor loses most readings",
        SensorFault "sensor-silent" sensors::silent: "a sensor falls silent, the others do not",
        SensorFault "sensor-noise" sensors::noise: "a sensor becomes noisy",
        SensorFault "sensor-spikes" sensors::spikes: "single readings are far off",
        SensorFault "sensor-offset" sensors::offset: "a sensor's zero jumps",
        SensorFault "sensor-clipping" sensors::clipping: "a sensor saturates within its normal range",
        SensorFault "sensor-unit" sensors::unit: "a sensor changes its unit",
        SensorFault "sensor-out-of-range" sensors::out_of_range: "a wire breaks: the end of the range",
        NoData "gateway-dead" sensors::gateway_dead: "three machines behind a gateway that dies for half a day or more",
        NoData "gateway-flapping" sensors::gateway_flapping: "the gateway dies several times, for hours",
    }
};

/// Draws the parameters of a scenario.
#[derive(Debug)]
struct Draft {
    random: Random,
    span: f64,
}

impl Draft {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.random.between(low, high)
    }

    fn kind(&mut self) -> MachineKind {
        MachineKind::ALL[self.random.below(MachineKind::ALL.len())]
    }

    /// Usual intervals of process sensors: 10 s to 5 minutes, mostly one minute.
    fn interval(&mut self) -> f64 {
        [30.0, 60.0, 60.0, 60.0, 120.0, 300.0][self.random.below(6)]
    }

    fn machine(&mut self) -> PlantMachine {
        let (kind, interval) = (self.kind(), self.interval());
        PlantMachine::generate(0, kind, interval, &mut self.random)
    }

    /// Two to four loads.
    fn loads(&mut self) -> Vec<Demand> {
        let count = 2 + self.random.below(3);
        let (low, high) = (self.between(0.3, 0.5), self.between(0.8, 1.0));
        let mut loads: Vec<Demand> =
            (0..count).map(|at| Demand::at_load(low + (high - low) * at as f64 / (count - 1) as f64)).collect();
        self.random.shuffle(&mut loads);
        loads
    }

    /// Two to four speeds; the load of a pump or fan follows the square of the speed.
    fn speeds(&mut self) -> Vec<Demand> {
        let count = 2 + self.random.below(3);
        let low = self.between(0.45, 0.7);
        let mut speeds: Vec<Demand> = (0..count)
            .map(|at| {
                let speed = low + (1.0 - low) * at as f64 / (count - 1) as f64;
                Demand { speed, load: 0.9 * speed * speed }
            })
            .collect();
        self.random.shuffle(&mut speeds);
        speeds
    }

    /// Dwell times in s: some tens of minutes to some hours.
    fn dwell(&mut self) -> (f64, f64) {
        let shortest = self.between(0.5, 3.0) * HOUR;
        (shortest, shortest * self.between(1.2, 4.0))
    }

    fn in_turn(&mut self, levels: &[Demand]) -> Schedule {
        let dwell = self.dwell();
        Schedule::in_turn(levels, dwell, self.span, &mut self.random)
    }

    fn starts_and_stops(&mut self) -> Schedule {
        let demand = Demand::at_load(self.between(0.65, 0.95));
        let (run, stop) = (self.between(1.0, 6.0) * HOUR, self.between(0.5, 5.0) * HOUR);
        Schedule::starts_and_stops(
            demand,
            (0.5 * run, 1.5 * run),
            (0.5 * stop, 1.5 * stop),
            self.span,
            &mut self.random,
        )
    }

    fn batches(&mut self) -> Schedule {
        let cycle = self.between(600.0, 2400.0);
        let steps = 2 + self.random.below(3);
        let shares: Vec<f64> = (0..=steps).map(|_| self.between(0.5, 1.5)).collect();
        let whole: f64 = shares.iter().sum();
        let mut recipe: Vec<(Demand, f64)> = shares
            .iter()
            .map(|share| {
                let speed = if self.random.uniform() < 0.5 { 1.0 } else { self.random.between(0.6, 1.0) };
                (Demand { load: self.random.between(0.3, 1.0), speed }, cycle * share / whole)
            })
            .collect();
        // Emptying and filling: half of the machines stand still meanwhile.
        if self.random.uniform() < 0.5
            && let Some((demand, _)) = recipe.last_mut()
        {
            *demand = Demand::OFF;
        }
        let jitter = self.between(0.005, 0.03);
        Schedule::batches(&recipe, jitter, self.span, &mut self.random)
    }

    fn day_and_night(&mut self) -> Schedule {
        let (day, night) = (self.between(0.75, 1.0), self.between(0.25, 0.5));
        Schedule::day_and_night(day, night, self.span, &mut self.random)
    }

    fn working_week(&mut self, weekday: usize) -> Schedule {
        let demand = Demand::at_load(self.between(0.65, 0.95));
        let hours = if self.random.uniform() < 0.5 { (6.0, 22.0) } else { (7.0, 16.0) };
        Schedule::working_week(demand, hours, weekday, self.span, &mut self.random)
    }

    fn outdoors(&mut self) -> Ambient {
        let season = self.between(-0.3, 0.3);
        Ambient::new(self.between(5.0, 22.0), self.between(3.0, 8.0), self.between(2.0, 5.0), season)
    }

    fn waveform_settings(&mut self) -> WaveformSettings {
        WaveformSettings { interval: self.between(0.5, 3.0) * HOUR, samples: 8192, rate: 12_800.0 }
    }

    /// A plant of one machine. Half of them are configured, the others send sensors that nobody configured.
    fn single(&mut self, machine: PlantMachine) -> Plant {
        let needs_configuration = machine.waveforms.is_some();
        let weekday = self.random.below(7);
        let mut plant = Plant::new(vec![machine], self.span, weekday, &mut self.random);
        plant.is_configured = needs_configuration || self.random.uniform() < 0.5;
        plant
    }

    /// A fault with a random onset within `onset_days`, which reaches its limit after `days` and is repaired up to a
    /// day later.
    fn course(&mut self, fault: Fault, onset_days: (f64, f64), days: (f64, f64)) -> FaultCourse {
        let onset = self.between(onset_days.0, onset_days.1) * DAY;
        let limit = onset + self.between(days.0, days.1) * DAY;
        let repaired = limit + self.between(0.2, 1.0) * DAY;
        let growth =
            if self.random.uniform() < 0.5 { Growth::Linear } else { Growth::Exponential(self.between(1.0, 3.0)) };
        FaultCourse { fault, onset, limit, repaired, growth }
    }

    fn with_fault(&mut self, mut machine: PlantMachine, course: FaultCourse) -> PlantMachine {
        machine.add_fault(course, &mut self.random);
        machine
    }
}
