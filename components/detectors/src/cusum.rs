//! Tabular cumulative sums for a shift of the mean (Page 1954; Montgomery, Statistical Quality Control).
//!
//! `S⁺ = max(0, S⁺ + z − k)` and `S⁻ = max(0, S⁻ − z − k)` with `z = (x − μ)/σ`; an alarm is raised when one is above
//! `h`. `k` is half the shift to be found, in standard deviations. Two-sided with `k = 1/2` the average run length to
//! an alarm is 168 with `h = 4` and 465 with `h = 5` without a shift, and 8.38 and 10.4 after a shift of one standard
//! deviation.

use serde::{Deserialize, Serialize};

use crate::{page_hinkley::Shift, sensors::Series};

/// Two-sided tabular CUSUM of one series; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    k: f64,
    h: f64,
    learn: u32,
    count: u32,
    mean: f64,
    /// Sum of squared deviations during the warm-up.
    squares: f64,
    high: f64,
    low: f64,
}

impl Cusum {
    /// Estimates mean and standard deviation from the first `learn` values, at least two.
    pub fn new(k: f64, h: f64, learn: u32) -> Self {
        Self { k, h, learn: learn.max(2), count: 0, mean: 0.0, squares: 0.0, high: 0.0, low: 0.0 }
    }

    /// Uses a known mean and standard deviation.
    pub fn known(k: f64, h: f64, mean: f64, deviation: f64) -> Self {
        let squares = deviation * deviation;
        Self { k, h, learn: 2, count: 2, mean, squares, high: 0.0, low: 0.0 }
    }

    /// Adds the next value and returns the direction of a shift if it raises an alarm. Ignores values that are not
    /// finite. The sums start at 0 again after an alarm.
    pub fn push(&mut self, value: f64) -> Option<Shift> {
        self.step(value).and_then(|(_, shift)| shift)
    }

    /// Returns the larger sum in units of `h`, and the alarm if there is one.
    fn step(&mut self, value: f64) -> Option<(f64, Option<Shift>)> {
        if !value.is_finite() {
            return None;
        }
        let off = value - self.mean;
        if self.count < self.learn {
            // Welford 1962.
            self.count += 1;
            self.mean += off / f64::from(self.count);
            self.squares += off * (value - self.mean);
            return None;
        }
        let deviation = (self.squares / f64::from(self.learn - 1)).sqrt();
        // The series was constant in the warm-up: any change raises an alarm.
        let z = if deviation > 0.0 { off / deviation } else { off.signum() * if off == 0.0 { 0.0 } else { self.h } };
        self.high = (self.high + z - self.k).max(0.0);
        self.low = (self.low - z - self.k).max(0.0);
        let reached = self.high.max(self.low) / self.h;
        let shift = if self.high > self.h {
            Shift::Up
        } else if self.low > self.h {
            Shift::Down
        } else {
            return Some((reached, None));
        };
        (self.high, self.low) = (0.0, 0.0);
        Some((reached, Some(shift)))
    }
}

impl Series for Cusum {
    /// The series is in scales: finds shifts of two of them, with 1 false alarm in 1,000 values of independent noise
    /// (Siegmund's approximation of the run length, `exp(h + 1.166) − h − 2.166` for `k = 1/2`; the larger `k` is on
    /// the safe side).
    fn start(_: usize) -> Self {
        Self::known(1.0, 5.75, 0.0, 1.0)
    }
    fn next(&mut self, value: f64) -> Option<f64> {
        self.step(value).map(|(reached, _)| reached)
    }
    fn predicted(&self) -> f64 {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn run_length(h: f64, shift: f64, random: &mut Random) -> f64 {
        let mut cusum = Cusum::known(0.5, h, 10.0, 3.0);
        (1..).find(|_| cusum.push(10.0 + 3.0 * (random.normal() + shift)).is_some()).map_or(0.0, f64::from)
    }

    /// The average run lengths of Montgomery's table.
    #[test]
    fn run_lengths_are_as_published() {
        let mut random = Random::new(7);
        for (h, shift, published) in [(4.0, 0.0, 168.0), (5.0, 0.0, 465.0), (4.0, 1.0, 8.38), (5.0, 1.0, 10.4)] {
            let mean = (0..8000).map(|_| run_length(h, shift, &mut random)).sum::<f64>() / 8000.0;
            assert!((mean / published - 1.0).abs() < 0.05, "h {h}, shift {shift}: {mean}");
        }
    }

    #[test]
    fn learns_and_finds() {
        let mut cusum = Cusum::new(0.5, 5.0, 50);
        let value = |at: i32| f64::from(at * 37 % 11);
        assert!((0..200).all(|at| cusum.push(value(at)).is_none()));
        assert_eq!((200..230).find_map(|at| cusum.push(value(at) - 8.0)), Some(Shift::Down));
        let mut flat = Cusum::new(0.5, 5.0, 10);
        assert!((0..50).all(|_| flat.push(1.0).is_none()));
        assert_eq!((0..3).find_map(|_| flat.push(2.0)), Some(Shift::Up));
    }
}
