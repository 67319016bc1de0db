//! The fleet: machines on sites, some of which degrade.

use std::fmt::Write as _;

use crate::{
    fault::Fault,
    machine::{BURST, Kind, Machine, SCALARS},
    random::Random,
};

const SITES: [&str; 3] = ["rotterdam", "graz", "porto"];
const AREAS: [&str; 2] = ["hall-1", "hall-2"];

/// What fleet to make. The same one gives the same readings.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetSpec {
    /// How many machines.
    pub machines: usize,
    /// Which fleet.
    pub seed: u64,
    /// Time of the first readings, in nanoseconds since 1970.
    pub start_ns: i64,
    /// Readings a second of the scalar sensors.
    pub scalar_hz: f64,
    /// Share of the machines that degrade, 0 to 1.
    pub faulty_fraction: f64,
    /// Faults set in so many seconds after the start, from and to.
    pub fault_onset: (f64, f64),
    /// Seconds from a fault's onset to its full strength.
    pub degrade_over_seconds: f64,
    /// Seconds between two bursts of an accelerometer; 0 means none.
    pub burst_every_seconds: f64,
    /// Samples in a burst.
    pub burst_samples: usize,
    /// Samples a second in a burst.
    pub burst_hz: f64,
}

impl Default for FleetSpec {
    fn default() -> Self {
        Self {
            machines: 50,
            seed: 1,
            start_ns: 1_767_225_600_000_000_000,
            scalar_hz: 1.0,
            faulty_fraction: 0.2,
            fault_onset: (600.0, 720.0),
            degrade_over_seconds: 900.0,
            burst_every_seconds: 60.0,
            burst_samples: 2048,
            burst_hz: 12_800.0,
        }
    }
}

/// What the sensors read at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Nanoseconds since 1970.
    pub time: i64,
    /// Sensor's number and value; names by [`Fleet::name`].
    pub readings: Vec<(usize, f64)>,
    /// Sensor's number and samples of bursts that began.
    pub bursts: Vec<(usize, Vec<f32>)>,
}

/// A simulated fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    spec: FleetSpec,
    machines: Vec<Machine>,
    /// Of machine `m`: its scalars, then its burst sensor.
    names: Vec<String>,
    first: Vec<usize>,
    steps: u64,
    step_ns: i64,
}

impl Fleet {
    /// Makes the fleet.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
    pub fn new(spec: FleetSpec) -> Self {
        let mut random = Random::new(spec.seed, 0);
        let faulty = (spec.faulty_fraction.clamp(0.0, 1.0) * spec.machines as f64).round() as usize;
        let mut order: Vec<usize> = (0..spec.machines).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, random.below(at + 1));
        }
        let mut faults = vec![None; spec.machines];
        for (index, machine) in order.into_iter().take(faulty).enumerate() {
            faults[machine] = Some(Fault::ALL[index % Fault::ALL.len()]);
        }
        let (earliest, latest) = spec.fault_onset;
        let mut machines = Vec::with_capacity(spec.machines);
        for (number, fault) in faults.into_iter().enumerate() {
            // Only pumps cavitate.
            let kind = if fault == Some(Fault::Cavitation) { Kind::Pump } else { Kind::ALL[number % Kind::ALL.len()] };
            let (site, area) = (SITES[number % SITES.len()], AREAS[number / SITES.len() % AREAS.len()]);
            let id = format!("{site}/{area}/{}-{:02}", kind.name(), number + 1);
            let onset = earliest + (latest - earliest).max(0.0) * random.uniform();
            machines.push(Machine::new(id, kind, fault, onset, Random::new(spec.seed, 1 + number as u64)));
        }
        let (mut names, mut first) = (Vec::new(), Vec::new());
        for machine in &machines {
            first.push(names.len());
            names.extend(SCALARS[..machine.scalars()].iter().chain([&BURST]).map(|sensor| format!("{}/{}", machine.id, sensor.name)));
        }
        let step_ns = (1e9 / spec.scalar_hz.max(1e-6)).round().max(1.0) as i64;
        Self { spec, machines, names, first, steps: 0, step_ns }
    }

    /// The spec it was made of.
    pub fn spec(&self) -> &FleetSpec {
        &self.spec
    }

    /// A sensor's id.
    pub fn name(&self, sensor: usize) -> &str {
        self.names.get(sensor).map_or("", String::as_str)
    }

    /// Every sensor's id.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Time of the next step, in nanoseconds since 1970.
    pub fn next_time(&self) -> i64 {
        self.spec.start_ns.saturating_add(self.step_ns.saturating_mul(i64::try_from(self.steps).unwrap_or(i64::MAX)))
    }

    /// The next readings of all sensors.
    #[allow(clippy::cast_precision_loss, reason = "seconds")]
    pub fn step(&mut self) -> Step {
        let time = self.next_time();
        let step_s = self.step_ns as f64 / 1e9;
        let seconds = self.steps as f64 * step_s;
        let (degrade, every) = (self.spec.degrade_over_seconds, self.spec.burst_every_seconds);
        let mut out = Step { time, ..Step::default() };
        let machines = self.machines.len().max(1) as f64;
        for (number, machine) in self.machines.iter_mut().enumerate() {
            let first = self.first[number];
            let scalars = machine.scalars();
            let readings = machine.read(seconds, step_s, degrade);
            out.readings.extend(readings[..scalars].iter().enumerate().filter_map(|(at, value)| value.map(|value| (first + at, value))));
            // Machines take turns, so that bursts spread over time.
            let turn = every * number as f64 / machines;
            let due = every > 0.0 && ((seconds - turn) / every).floor() > ((seconds - step_s - turn) / every).floor();
            if due {
                out.bursts.push((first + scalars, machine.burst(seconds, degrade, self.spec.burst_samples, self.spec.burst_hz)));
            }
        }
        self.steps += 1;
        out
    }

    /// Which machine has which fault since when: `machine,fault,onset,full` with RFC 3339 times.
    #[allow(clippy::cast_possible_truncation, reason = "nanoseconds; `as` saturates")]
    pub fn labels_csv(&self) -> String {
        let show = |seconds: f64| {
            let time = self.spec.start_ns.saturating_add((seconds * 1e9) as i64);
            jiff::Timestamp::from_nanosecond(i128::from(time)).map_or_else(|_| time.to_string(), |time| format!("{time:.3}"))
        };
        let mut csv = String::from("machine,fault,onset,full\n");
        for machine in &self.machines {
            if let Some(fault) = machine.fault {
                let (onset, full) = (show(machine.onset), show(machine.onset + self.spec.degrade_over_seconds));
                // Writing to a String cannot fail.
                let _ = writeln!(csv, "{},{},{onset},{full}", machine.id, fault.name());
            }
        }
        csv
    }

    /// The fleet as a configuration, with technicians to repair it.
    pub fn config_toml(&self) -> String {
        let mut toml = String::from(TECHNICIANS);
        for site in SITES {
            let mut section = String::new();
            for area in AREAS {
                let place = format!("{site}/{area}/");
                let mut machines = self.machines.iter().filter(|machine| machine.id.starts_with(&place)).peekable();
                if machines.peek().is_some() {
                    let _ = write!(section, "\n[[site.area]]\nname = \"{area}\"\n");
                }
                for machine in machines {
                    self.machine_toml(machine, &machine.id[place.len()..], &mut section);
                }
            }
            if !section.is_empty() {
                let _ = write!(toml, "\n[[site]]\nname = \"{site}\"\n{section}");
            }
        }
        toml
    }

    fn machine_toml(&self, machine: &Machine, name: &str, toml: &mut String) {
        let _ = write!(
            toml,
            "\n[[site.area.machine]]\nname = \"{name}\"\nkind = \"{}\"\nrated_rpm = {}\nbearing = \"{}\"\ncriticality = {}\n",
            machine.kind.name(),
            machine.rpm,
            machine.bearing.designation,
            machine.criticality
        );
        for (sensor, rate) in SCALARS[..machine.scalars()].iter().map(|sensor| (sensor, self.spec.scalar_hz)).chain([(&BURST, self.spec.burst_hz)]) {
            let (min, max) = sensor.limits;
            let _ = write!(
                toml,
                "[[site.area.machine.sensor]]\nname = \"{}\"\nkind = \"{}\"\nunit = \"{}\"\nsampling_hz = {rate}\nlimits = {{ min = {min}, max = {max} }}\n",
                sensor.name, sensor.kind, sensor.unit
            );
        }
    }
}

const TECHNICIANS: &str = r#"# A simulated fleet, and who repairs it.

[[technician]]
name = "Ada"
skills = ["mechanic", "vibration-analyst"]
hourly_cost = 62
shifts = [{ days = ["mon", "tue", "wed", "thu", "fri"], start = "06:00", end = "14:00" }]

[[technician]]
name = "Bram"
skills = ["mechanic", "instrumentation"]
hourly_cost = 55
shifts = [{ days = ["mon", "tue", "wed", "thu", "fri"], start = "14:00", end = "22:00" }]

[[technician]]
name = "Chiara"
skills = ["electrician", "instrumentation"]
hourly_cost = 58
shifts = [{ days = ["mon", "tue", "wed", "thu", "fri"], start = "08:00", end = "16:00" }]

[[technician]]
name = "Dario"
skills = ["mechanic", "electrician", "vibration-analyst", "instrumentation"]
hourly_cost = 74
shifts = [{ days = ["sat", "sun"], start = "06:00", end = "18:00" }]
"#;
