//! Page-Hinkley test for a change of the mean (Page 1954; Hinkley 1971; as in Gama et al. 2014).
//!
//! With the running mean `x̄_t`, upwards `m_t = m_{t−1} + x_t − x̄_t − δ`, with an alarm when `m_t − min m > λ`;
//! downwards `m_t = m_{t−1} + x_t − x̄_t + δ`, with an alarm when `max m − m_t > λ`. The test restarts after an alarm.

use serde::{Deserialize, Serialize};

use crate::per_sensor::SeriesDetector;

/// Direction of a shift of the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shift {
    /// The mean rose.
    Up,
    /// The mean fell.
    Down,
}

/// Page-Hinkley test of one series; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageHinkley {
    delta: f64,
    lambda: f64,
    min_values: u64,
    count: u64,
    mean: f64,
    /// Distances of the sums from their extremes: `m − min m` and `max m − m`.
    upper_sum: f64,
    lower_sum: f64,
}

impl PageHinkley {
    /// `delta` is the tolerated drift and `lambda` the alarm limit, both in the series' unit; no alarm before
    /// `min_values` values.
    pub fn new(delta: f64, lambda: f64, min_values: u64) -> Self {
        Self { delta, lambda, min_values, count: 0, mean: 0.0, upper_sum: 0.0, lower_sum: 0.0 }
    }

    /// Adds the next value and returns the direction of a shift if it raises an alarm. Ignores values that are not
    /// finite.
    pub fn push(&mut self, value: f64) -> Option<Shift> {
        self.step(value).and_then(|(_, shift)| shift)
    }

    /// Returns the larger sum in units of `lambda`, and the alarm if there is one.
    fn step(&mut self, value: f64) -> Option<(f64, Option<Shift>)> {
        if !value.is_finite() {
            return None;
        }
        self.count += 1;
        #[allow(clippy::cast_precision_loss, reason = "a mean of more than 2^52 values stands still anyway")]
        let share = (self.count as f64).recip();
        self.mean += share * (value - self.mean);
        let off = value - self.mean;
        // m − min m cannot fall below 0, because the minimum follows. The same holds for the other sum.
        self.upper_sum = (self.upper_sum + off - self.delta).max(0.0);
        self.lower_sum = (self.lower_sum - off - self.delta).max(0.0);
        if self.count < self.min_values {
            return None;
        }
        let reached = self.upper_sum.max(self.lower_sum) / self.lambda;
        let shift = if self.upper_sum > self.lambda {
            Shift::Up
        } else if self.lower_sum > self.lambda {
            Shift::Down
        } else {
            return Some((reached, None));
        };
        *self = Self::new(self.delta, self.lambda, self.min_values);
        Some((reached, Some(shift)))
    }
}

impl SeriesDetector for PageHinkley {
    /// Tolerates half a scale; the alarm limit is 50 scales.
    fn for_training_rows(_: usize) -> Self {
        Self::new(0.5, 50.0, 10)
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

    /// The formula as written, with all past sums.
    fn by_definition(values: &[f64], delta: f64, lambda: f64) -> Option<(usize, Shift)> {
        let (mut up, mut down) = (vec![0.0], vec![0.0]);
        for at in 0..values.len() {
            let mean = values[..=at].iter().sum::<f64>() / (at + 1) as f64;
            up.push(up[at] + values[at] - mean - delta);
            down.push(down[at] + values[at] - mean + delta);
            if up[at + 1] - up.iter().copied().fold(f64::INFINITY, f64::min) > lambda {
                return Some((at, Shift::Up));
            }
            if down.iter().copied().fold(f64::NEG_INFINITY, f64::max) - down[at + 1] > lambda {
                return Some((at, Shift::Down));
            }
        }
        None
    }

    #[test]
    fn agrees_with_the_formula() {
        for (after, shift) in [(2.0, Shift::Up), (-2.0, Shift::Down)] {
            let wave = |at: usize| ((at * 7919) % 101) as f64 / 101.0 - 0.5;
            let values: Vec<f64> = (0..400).map(|at| wave(at) + if at < 300 { 0.0 } else { after }).collect();
            let mut test = PageHinkley::new(0.05, 5.0, 1);
            let found = values.iter().enumerate().find_map(|(at, &value)| test.push(value).map(|shift| (at, shift)));
            assert_eq!(found, by_definition(&values, 0.05, 5.0));
            assert!(matches!(found, Some((300..306, way)) if way == shift), "{found:?}");
        }
    }
}
