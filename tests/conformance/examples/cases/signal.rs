//! Synthetic readings in integer thousandths, so that they are the same on every platform.

use crate::script::START;

/// Reproducible noise.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a value from `-limit` to `limit` with a triangular distribution.
    pub(crate) fn next(&mut self, limit: i64) -> i64 {
        (self.uniform(limit) + self.uniform(limit)) / 2
    }

    fn uniform(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from((self.0 >> 11) % (2 * limit.unsigned_abs() + 1)).unwrap_or(0) - limit
    }
}

/// A sensor with noise around its level.
pub(crate) struct Sensor {
    pub(crate) name: String,
    level: i64,
    spread: i64,
    noise: Noise,
}

impl Sensor {
    /// `level` and `spread` are in thousandths of the sensor's unit.
    pub(crate) fn new(name: &str, level: i64, spread: i64) -> Self {
        let seed = name.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Self { name: name.to_owned(), level, spread, noise: Noise::new(seed) }
    }

    /// Returns the next reading, `above` over the level.
    pub(crate) fn value(&mut self, above: i64) -> String {
        thousandths(self.level + above + self.noise.next(self.spread))
    }

    /// Returns a line of NDJSON. The name must be escaped as in JSON.
    pub(crate) fn line(&mut self, second: i64, above: i64) -> String {
        let value = self.value(above);
        format!("{{\"sensor_id\":\"{}\",\"timestamp\":{},\"value\":{value}}}\n", self.name, START + second)
    }
}

pub(crate) fn thousandths(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", value.abs() / 1000, value.abs() % 1000)
}

/// Returns the temperature, vibration and current sensors of a pump.
pub(crate) fn pump(asset: &str) -> [Sensor; 3] {
    [
        Sensor::new(&format!("{asset}/temperature"), 50_000, 400),
        Sensor::new(&format!("{asset}/vibration"), 2_000, 150),
        Sensor::new(&format!("{asset}/current"), 10_000, 200),
    ]
}

/// Returns one line for each sensor and second in the range from `from` to before `until`.
pub(crate) fn seconds(sensors: &mut [Sensor], from: i64, until: i64, above: impl Fn(usize, i64) -> i64) -> String {
    let mut lines = String::new();
    for second in from..until {
        for (at, sensor) in sensors.iter_mut().enumerate() {
            lines.push_str(&sensor.line(second, above(at, second)));
        }
    }
    lines
}
