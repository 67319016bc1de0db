//! Load for benchmarks: bodies made as fast as memory takes them.

/// Sensors of one machine.
const PER_MACHINE: usize = 10;
/// Machines of one production line.
const PER_LINE: usize = 100;

/// Readings of many sensors, one after the other, round by round.
#[derive(Clone, Debug)]
pub struct LoadGenerator {
    /// `{"sensor_id":"…","timestamp":` of each sensor.
    heads: Vec<Vec<u8>>,
    time: i64,
    step: i64,
    next: usize,
    noise: u64,
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

    /// A sensor's id.
    pub fn name(sensor: usize) -> String {
        let machine = sensor / PER_MACHINE;
        format!("bench/line-{}/machine-{machine}/s{}", machine / PER_LINE, sensor % PER_MACHINE)
    }

    /// Time of the round that is under way.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// The next `readings` readings as NDJSON.
    pub fn ndjson(&mut self, readings: usize, out: &mut Vec<u8>) {
        for _ in 0..readings {
            self.reading(out);
            out.push(b'\n');
        }
    }

    /// The next `readings` readings as a JSON object, or an array of them.
    pub fn json(&mut self, readings: usize, out: &mut Vec<u8>) {
        if readings == 1 {
            return self.reading(out);
        }
        for index in 0..readings {
            out.push(if index == 0 { b'[' } else { b',' });
            self.reading(out);
        }
        out.push(b']');
    }

    fn reading(&mut self, out: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        if let Some(head) = self.heads.get(self.next) {
            out.extend_from_slice(head);
        }
        out.extend_from_slice(digits.format(self.time).as_bytes());
        out.extend_from_slice(b",\"values\":");
        // Xorshift: ten bits of noise around a level that differs by sensor.
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        let thousandths = 20_000 + (self.next as u64 % 50) * 1000 + (self.noise & 0x3ff);
        out.extend_from_slice(digits.format(thousandths / 1000).as_bytes());
        out.push(b'.');
        let rest = thousandths % 1000;
        out.extend([rest / 100, rest / 10 % 10, rest % 10].map(|digit| b'0' + u8::try_from(digit).unwrap_or(0)));
        out.push(b'}');
        self.next += 1;
        if self.next == self.heads.len() {
            self.next = 0;
            self.time += self.step;
        }
    }
}
