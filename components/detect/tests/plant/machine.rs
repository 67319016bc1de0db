//! A simulated pump: a load drives its current, and vibration and temperature answer. All parameters vary by seed.

use rand_pcg::{Pcg64, rand_core::Rng};

pub const S: i64 = 1_000_000_000;
pub const T0: i64 = 1_700_000_000 * S;
pub const ASSET: &str = "p/hall/pump";
pub const SENSORS: [(&str, &str); 3] =
    [("p/hall/pump/vibration", ASSET), ("p/hall/pump/temperature", ASSET), ("p/hall/pump/current", ASSET)];
pub const CONFIG: &str = r#"{
    "p/hall/pump/vibration":{"unit":"mm/s","kind":"vibration"},
    "p/hall/pump/temperature":{"unit":"°C","kind":"temperature"},
    "p/hall/pump/current":{"unit":"A","kind":"current"}}"#;

/// Index into the sensors, time in ns, value.
pub type Readings = Vec<(u32, i64, f64)>;

pub struct Source(Pcg64);

impl Source {
    pub fn new(seed: u64) -> Self {
        Self(Pcg64::new(seed.into(), 7))
    }

    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * 2f64.powi(-53)
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Approximately normal: the sum of 12 uniform numbers.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// How the machine is built and run.
#[derive(Clone, Debug)]
pub struct Pump {
    /// Seconds between readings.
    pub interval: i64,
    pub vibration: f64,
    pub heat: f64,
    pub current: f64,
    /// Relative noise of vibration, absolute noise of the temperature, relative noise of the current.
    pub noise: [f64; 3],
    /// Time constant of the temperature, in hours.
    pub inertia: f64,
    /// Swing of the ambient temperature over a day, in K.
    pub day: f64,
    /// Relative standard deviation and time constant (in hours) of a load that wanders.
    pub wander: (f64, f64),
}

impl Pump {
    pub fn of_seed(seed: u64) -> Self {
        let mut source = Source::new(1000 + seed);
        Self {
            interval: 1,
            vibration: source.between(0.5, 4.0),
            heat: source.between(15.0, 45.0),
            current: source.between(5.0, 80.0),
            noise: [source.between(0.03, 0.12), source.between(0.1, 0.5), source.between(0.005, 0.03)],
            inertia: source.between(0.2, 0.8),
            day: source.between(0.0, 3.0),
            wander: (source.between(0.0, 0.03), source.between(0.05, 0.5)),
        }
    }

    /// The readings of `hours`. `load` gives the relative load (0: off) at an hour, and `change` modifies a reading:
    /// (hour, sensor, value); None drops it.
    pub fn run(
        &self,
        seed: u64,
        hours: f64,
        load: impl Fn(f64) -> f64,
        change: impl Fn(f64, usize, f64) -> Option<f64>,
    ) -> Readings {
        let mut source = Source::new(seed);
        let mut readings = Readings::new();
        let phase = source.between(0.0, 24.0);
        let ambient = |hour: f64| 20.0 + self.day * ((hour + phase) / 24.0 * std::f64::consts::TAU).sin();
        let mut rise = self.heat * load(0.0);
        let mut wander = 0.0;
        let step = self.interval as f64 / 3600.0;
        let gain = 1.0 - (-step / self.inertia).exp();
        let forget = (-step / self.wander.1).exp();
        let steps = (hours * 3600.0 / self.interval as f64) as i64;
        for at in 0..steps {
            let hour = at as f64 * step;
            wander = forget * wander + (1.0 - forget * forget).sqrt() * self.wander.0 * source.normal();
            let load = if load(hour) > 0.0 { (load(hour) * (1.0 + wander)).max(0.0) } else { 0.0 };
            rise += gain * (self.heat * load * load - rise);
            let running = f64::from(load > 0.0);
            let healthy = [
                self.vibration
                    * (0.02 + running * (0.5 + 0.5 * load))
                    * (1.0 + self.noise[0] * source.normal()).max(0.0),
                ambient(hour) + rise + self.noise[1] * source.normal(),
                self.current * load * (1.0 + self.noise[2] * source.normal()) + 0.002 * self.current * source.normal(),
            ];
            for (index, healthy) in healthy.into_iter().enumerate() {
                if let Some(value) = change(hour, index, healthy) {
                    readings.push((u32::try_from(index).unwrap(), T0 + at * self.interval * S, value));
                }
            }
        }
        readings
    }
}
