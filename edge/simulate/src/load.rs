//! Load for benchmarks: plausible readings, written as fast as memory takes them.

use std::f64::consts::TAU;

use crate::{ndjson, random::Random};

/// Values of one period, in thousandths.
const TABLE: usize = 4096;

/// Writes bodies of readings of sensors `bench/line-<k>/machine-<m>/s<i>`: ten sensors a machine, ten machines a line.
/// Readings go round all sensors; after each round the time moves on by a step, so that no sensor and time come twice.
/// Values are a sine around a level of each sensor's own, with noise, to three decimals.
#[derive(Clone, Debug)]
pub struct LoadGenerator {
    prefixes: Vec<Vec<u8>>,
    names: Vec<String>,
    /// A sine and noise, in thousandths.
    table: Vec<i64>,
    readings_per_body: usize,
    sensor: usize,
    round: usize,
    time: i64,
    step: i64,
    stamp: Vec<u8>,
}

impl LoadGenerator {
    /// For so many sensors (at least 1) and readings a body (at least 1); `step_ns` is from one reading of a sensor to its
    /// next. Two generators made alike write the same.
    pub fn new(sensors: usize, readings_per_body: usize, start_ns: i64, step_ns: i64) -> Self {
        let names: Vec<String> =
            (0..sensors.max(1)).map(|at| format!("bench/line-{}/machine-{}/s{}", at / 100, at / 10, at % 10)).collect();
        let mut random = Random::new(0, 0);
        let table = (0..TABLE)
            .map(|at| ((TAU * at as f64 / 64.0).sin() * 2000.0 + random.normal() * 150.0).round() as i64)
            .collect();
        let mut new = Self {
            prefixes: names.iter().map(|name| ndjson::prefix(name)).collect(),
            names,
            table,
            readings_per_body: readings_per_body.max(1),
            sensor: 0,
            round: 0,
            time: start_ns,
            step: step_ns,
            stamp: Vec::new(),
        };
        new.write_stamp();
        new
    }

    /// The sensors' ids, in the order of their readings.
    pub fn sensor_ids(&self) -> &[String] {
        &self.names
    }

    /// The sensor whose reading comes next: the topic of a message of one.
    pub fn next_sensor(&self) -> &str {
        self.names.get(self.sensor).map_or("", String::as_str)
    }

    /// Time of the next reading, in ns since 1970.
    pub fn time_ns(&self) -> i64 {
        self.time
    }

    /// Puts the next NDJSON body into `out`, in place of what was in it; gives how many readings it has.
    pub fn next_body(&mut self, out: &mut Vec<u8>) -> u64 {
        out.clear();
        for _ in 0..self.readings_per_body {
            self.reading(out);
            out.push(b'\n');
        }
        self.readings_per_body as u64
    }

    /// Puts a message of so many readings (at least 1) into `out`, in place of what was in it: an object, or an array of
    /// them when there is more than one.
    pub fn next_json(&mut self, readings: usize, out: &mut Vec<u8>) {
        out.clear();
        if readings <= 1 {
            return self.reading(out);
        }
        for at in 0..readings {
            out.push(if at == 0 { b'[' } else { b',' });
            self.reading(out);
        }
        out.push(b']');
    }

    fn reading(&mut self, out: &mut Vec<u8>) {
        let prefix = self.prefixes.get(self.sensor).map(Vec::as_slice).unwrap_or_default();
        out.extend_from_slice(prefix);
        out.extend_from_slice(&self.stamp);
        // 37 shares no factor with the table's size: sensors are out of phase with each other.
        let wave = self.table.get((self.round + 37 * self.sensor) % TABLE).copied().unwrap_or_default();
        thousandths(out, 20_000 + 500 * (self.sensor % 10) as i64 + wave);
        out.push(b'}');
        self.sensor += 1;
        if self.sensor == self.prefixes.len() {
            self.sensor = 0;
            self.round += 1;
            self.time = self.time.saturating_add(self.step);
            self.write_stamp();
        }
    }

    fn write_stamp(&mut self) {
        self.stamp.clear();
        ndjson::time(&mut self.stamp, self.time);
        self.stamp.extend_from_slice(b",\"values\":");
    }
}

/// A number of thousandths, with three decimals.
fn thousandths(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    let size = number.unsigned_abs();
    ndjson::integer(out, (size / 1000) as i64);
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
    fn bodies_are_json_and_no_sensor_and_time_comes_twice() {
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
        // 200 readings of 23 sensors: round 8 has begun.
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
            thousandths(&mut out, number);
            assert_eq!(out, text.as_bytes());
        }
    }
}
