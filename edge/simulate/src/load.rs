//! Load generator for benchmarks: writes plausible readings at maximum speed.

use std::f64::consts::TAU;

use crate::{ndjson, random::Random};

/// Number of values in the table.
const TABLE_SIZE: usize = 4096;

/// Writes readings of the sensors `bench/line-<k>/machine-<m>/s<i>`: ten sensors per machine, ten machines per line. It
/// cycles through all sensors and advances the time by one step per cycle, so no pair of sensor and time repeats.
/// Values are a sine around a level specific to the sensor, with noise, to three decimals.
#[derive(Clone, Debug)]
pub struct LoadGenerator {
    prefixes: Vec<Vec<u8>>,
    names: Vec<String>,
    /// A sine with noise, in thousandths.
    table: Vec<i64>,
    readings_per_body: usize,
    next_sensor_index: usize,
    cycle: usize,
    time: i64,
    step: i64,
    time_and_values: Vec<u8>,
}

impl LoadGenerator {
    /// Creates a generator for a number of sensors (at least 1) and of readings per body (at least 1). `step_ns` is the
    /// time between two readings of a sensor. Generators with the same arguments write the same output.
    pub fn new(sensors: usize, readings_per_body: usize, start_ns: i64, step_ns: i64) -> Self {
        let names: Vec<String> =
            (0..sensors.max(1)).map(|at| format!("bench/line-{}/machine-{}/s{}", at / 100, at / 10, at % 10)).collect();
        let mut random = Random::new(0, 0);
        let table = (0..TABLE_SIZE)
            .map(|at| ((TAU * at as f64 / 64.0).sin() * 2000.0 + random.normal() * 150.0).round() as i64)
            .collect();
        let mut new = Self {
            prefixes: names.iter().map(|name| ndjson::prefix(name)).collect(),
            names,
            table,
            readings_per_body: readings_per_body.max(1),
            next_sensor_index: 0,
            cycle: 0,
            time: start_ns,
            step: step_ns,
            time_and_values: Vec::new(),
        };
        new.write_time_and_values();
        new
    }

    /// Ids of the sensors, in the order of their readings.
    pub fn sensor_ids(&self) -> &[String] {
        &self.names
    }

    /// Id of the sensor of the next reading; it is the topic of a message with one reading.
    pub fn next_sensor(&self) -> &str {
        self.names.get(self.next_sensor_index).map_or("", String::as_str)
    }

    /// Time of the next reading, in ns since 1970.
    pub fn time_ns(&self) -> i64 {
        self.time
    }

    /// Replaces the content of `out` by the next NDJSON body. Returns its number of readings.
    pub fn next_body(&mut self, out: &mut Vec<u8>) -> u64 {
        out.clear();
        for _ in 0..self.readings_per_body {
            self.write_reading(out);
            out.push(b'\n');
        }
        self.readings_per_body as u64
    }

    /// Replaces the content of `out` by a message with this number of readings (at least 1): a JSON object for one
    /// reading, an array of objects for more.
    pub fn next_json(&mut self, readings: usize, out: &mut Vec<u8>) {
        out.clear();
        if readings <= 1 {
            return self.write_reading(out);
        }
        for at in 0..readings {
            out.push(if at == 0 { b'[' } else { b',' });
            self.write_reading(out);
        }
        out.push(b']');
    }

    fn write_reading(&mut self, out: &mut Vec<u8>) {
        let prefix = self.prefixes.get(self.next_sensor_index).map(Vec::as_slice).unwrap_or_default();
        out.extend_from_slice(prefix);
        out.extend_from_slice(&self.time_and_values);
        // 37 is coprime to the table size, so the sensors are out of phase.
        let wave = self.table.get((self.cycle + 37 * self.next_sensor_index) % TABLE_SIZE).copied().unwrap_or_default();
        write_thousandths(out, 20_000 + 500 * (self.next_sensor_index % 10) as i64 + wave);
        out.push(b'}');
        self.next_sensor_index += 1;
        if self.next_sensor_index == self.prefixes.len() {
            self.next_sensor_index = 0;
            self.cycle += 1;
            self.time = self.time.saturating_add(self.step);
            self.write_time_and_values();
        }
    }

    fn write_time_and_values(&mut self) {
        self.time_and_values.clear();
        ndjson::write_time(&mut self.time_and_values, self.time);
        self.time_and_values.extend_from_slice(b",\"values\":");
    }
}

/// Writes a number of thousandths as a decimal with three digits after the point.
fn write_thousandths(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    let size = number.unsigned_abs();
    ndjson::write_integer(out, (size / 1000) as i64);
    let rest = (size % 1000) as u16;
    out.extend_from_slice(&[b'.', b'0' + (rest / 100) as u8, b'0' + (rest / 10 % 10) as u8, b'0' + (rest % 10) as u8]);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const START: i64 = 1_700_000_000_000_000_000;

    #[test]
    fn bodies_are_json_and_no_pair_of_sensor_and_time_repeats() {
        let mut load = LoadGenerator::new(23, 50, START, 1_000_000);
        let (mut body, mut seen) = (Vec::new(), BTreeSet::new());
        for _ in 0..4 {
            assert_eq!(load.next_body(&mut body), 50);
            let text = std::str::from_utf8(&body).unwrap();
            assert_eq!(text.lines().count(), 50);
            for line in text.lines() {
                let reading: Value = serde_json::from_str(line).unwrap();
                assert!((15.0..30.0).contains(&reading["values"].as_f64().unwrap()), "{line}");
                let key = (reading["sensor_id"].to_string(), reading["timestamp"].as_i64().unwrap());
                assert!(seen.insert(key), "{line}");
            }
        }
        // 200 readings of 23 sensors: cycle 8 has begun.
        assert_eq!(load.time_ns(), START + 8_000_000);
        assert!(load.sensor_ids().contains(&"bench/line-0/machine-2/s2".to_owned()));
    }

    #[test]
    fn a_message_is_an_object_or_an_array() {
        let mut load = LoadGenerator::new(3, 1, START, 1);
        let mut out = Vec::new();
        assert_eq!(load.next_sensor(), "bench/line-0/machine-0/s0");
        load.next_json(1, &mut out);
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap()["sensor_id"], "bench/line-0/machine-0/s0");
        load.next_json(3, &mut out);
        let many: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(many.as_array().unwrap().len(), 3);
        assert_eq!(many[0]["sensor_id"], "bench/line-0/machine-0/s1");
    }

    #[test]
    fn thousandths_keep_their_zeros() {
        for (number, text) in [(0, "0.000"), (7, "0.007"), (-1_050, "-1.050"), (20_000, "20.000")] {
            let mut out = Vec::new();
            write_thousandths(&mut out, number);
            assert_eq!(out, text.as_bytes());
        }
    }
}
