//! Tabular cumulative sums for a shift of the mean (Page 1954; Montgomery, Statistical Quality Control).
//!
//! `S⁺ = max(0, S⁺ + z − k)` and `S⁻ = max(0, S⁻ − z − k)` with `z = (x − μ)/σ`; an alarm is raised when one is above
//! `h`. `k` is half the shift to be found, in standard deviations. Two-sided with `k = 1/2` the average run length to
//! an alarm is 168 with `h = 4` and 465 with `h = 5` without a shift, and 8.38 and 10.4 after a shift of one standard
//! deviation.

use serde::{Deserialize, Serialize};

use crate::{page_hinkley::Shift, per_sensor::SeriesDetector};

/// Two-sided tabular CUSUM of one series; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    k: f64,
    h: f64,
    warmup: u32,
    count: u32,
    mean: f64,
    /// Sum of squared deviations during the warm-up.
    squared_deviations: f64,
    upper_sum: f64,
    lower_sum: f64,
}

impl Cusum {
    /// Estimates mean and standard deviation from the first `learn` values, at least two.
    pub fn new(k: f64, h: f64, learn: u32) -> Self {
        Self {
            k,
            h,
            warmup: learn.max(2),
            count: 0,
            mean: 0.0,
            squared_deviations: 0.0,
            upper_sum: 0.0,
            lower_sum: 0.0,
        }
    }

    /// Uses a known mean and standard deviation.
    pub fn with_known_mean(k: f64, h: f64, mean: f64, deviation: f64) -> Self {
        let squares = deviation * deviation;
        Self { k, h, warmup: 2, count: 2, mean, squared_deviations: squares, upper_sum: 0.0, lower_sum: 0.0 }
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
        if self.count < self.warmup {
            // Welford 1962.
            self.count += 1;
            self.mean += off / f64::from(self.count);
            self.squared_deviations += off * (value - self.mean);
            return None;
        }
        let deviation = (self.squared_deviations / f64::from(self.warmup - 1)).sqrt();
        // The series was constant in the warm-up: any change raises an alarm.
        let z = if deviation > 0.0 { off / deviation } else { off.signum() * if off == 0.0 { 0.0 } else { self.h } };
        self.upper_sum = (self.upper_sum + z - self.k).max(0.0);
        self.lower_sum = (self.lower_sum - z - self.k).max(0.0);
        let reached = self.upper_sum.max(self.lower_sum) / self.h;
        let shift = if self.upper_sum > self.h {
            Shift::Up
        } else if self.lower_sum > self.h {
            Shift::Down
        } else {
            return Some((reached, None));
        };
        (self.upper_sum, self.lower_sum) = (0.0, 0.0);
        Some((reached, Some(shift)))
    }
}

impl SeriesDetector for Cusum {
    /// The series is in scales: finds shifts of two of them, with 1 false alarm in 1,000 values of independent noise
    /// (Siegmund's approximation of the run length, `exp(h + 1.166) − h − 2.166` for `k = 1/2`; the larger `k` is on
    /// the safe side).
    fn for_training_rows(_: usize) -> Self {
        Self::with_known_mean(1.0, 5.75, 0.0, 1.0)
    }
    fn next_statistic(&mut self, value: f64) -> Option<f64> {
        self.step(value).map(|(reached, _)| reached)
    }
    fn theoretical_limit(&self) -> f64 {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn run_length(h: f64, shift: f64, random: &mut Random) -> f64 {
        let mut cusum = Cusum::with_known_mean(0.5, h, 10.0, 3.0);
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
