//! Made-up readings in whole thousandths, so that they are the same on every machine.

use crate::script::START;

/// Noise that is the same each time.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From -`most` to `most`, small ones more often.
    pub(crate) fn next(&mut self, most: i64) -> i64 {
        (self.even(most) + self.even(most)) / 2
    }

    fn even(&mut self, most: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from((self.0 >> 11) % (2 * most.unsigned_abs() + 1)).unwrap_or(0) - most
    }
}

/// A sensor that swings a little around its level.
pub(crate) struct Sensor {
    pub(crate) name: String,
    level: i64,
    spread: i64,
    noise: Noise,
}

impl Sensor {
    /// `level` and `spread` in thousandths of the sensor's unit.
    pub(crate) fn new(name: &str, level: i64, spread: i64) -> Self {
        let seed = name.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Self { name: name.to_owned(), level, spread, noise: Noise::new(seed) }
    }

    /// The next reading, `above` its level.
    pub(crate) fn value(&mut self, above: i64) -> String {
        thousandths(self.level + above + self.noise.next(self.spread))
    }

    /// A line of NDJSON. The name is as JSON writes it.
    pub(crate) fn line(&mut self, second: i64, above: i64) -> String {
        let value = self.value(above);
        format!("{{\"sensor_id\":\"{}\",\"timestamp\":{},\"value\":{value}}}\n", self.name, START + second)
    }
}

pub(crate) fn thousandths(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", value.abs() / 1000, value.abs() % 1000)
}

/// Temperature, vibration and current of a pump.
pub(crate) fn pump(asset: &str) -> [Sensor; 3] {
    [
        Sensor::new(&format!("{asset}/temperature"), 50_000, 400),
        Sensor::new(&format!("{asset}/vibration"), 2_000, 150),
        Sensor::new(&format!("{asset}/current"), 10_000, 200),
    ]
}

/// Readings of sensors once a second, one line each, from a second on until before another.
pub(crate) fn seconds(sensors: &mut [Sensor], from: i64, until: i64, above: impl Fn(usize, i64) -> i64) -> String {
    let mut lines = String::new();
    for second in from..until {
        for (at, sensor) in sensors.iter_mut().enumerate() {
            lines.push_str(&sensor.line(second, above(at, second)));
        }
    }
    lines
}
