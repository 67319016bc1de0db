//! The streaming left matrix profile: the distance in shape of the last `m` values from all earlier windows (Yeh et al.
//! 2016, Matrix Profile I; Zhu et al. 2016, STOMP, the source of the recurrence; Lu et al. 2022, DAMP, for the left
//! profile).
//!
//! For windows `a`, `b` of `m` values with means `μ` and deviations `σ` the distance is `√(2m (1 − (a·b − m μ_a μ_b)/(m
//! σ_a σ_b)))`. A window is compared with those that end more than `⌈m/4⌉` values earlier, within the last `history`
//! values. A constant window has the distance 0 from another one and `√m` from any other window, as in stumpy.
//!
//! `a·b` of a lag is updated from the previous step by one product that enters and one that leaves. To prevent rounding
//! errors from accumulating over an endless stream, the sum of one lag per step is recomputed.

use serde::{Deserialize, Serialize};

use crate::{per_sensor::SeriesDetector, ring_buffer::RingBuffer};

/// Streaming left matrix profile of one series; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Discord {
    window: usize,
    /// The last values, minus the first value of the series.
    values: RingBuffer,
    /// Mean and standard deviation of past windows, newest last.
    means: RingBuffer,
    deviations: RingBuffer,
    /// `a·b` of the newest window and the one `lag` values earlier, indexed by lag.
    products: Vec<f64>,
    origin: Option<f64>,
    recomputed_lag: usize,
}

impl Discord {
    /// Uses windows of `window` values (at least 4) and compares each with those in the last `history` values.
    pub fn new(window: usize, history: usize) -> Self {
        let window = window.max(4);
        let history = history.max(3 * window);
        Self {
            window,
            // One more value than the history: the one that has just left the oldest window is needed too.
            values: RingBuffer::new(history + 1),
            means: RingBuffer::new(history - window + 1),
            deviations: RingBuffer::new(history - window + 1),
            products: Vec::new(),
            origin: None,
            recomputed_lag: 0,
        }
    }

    /// Largest possible distance: `2√m`.
    #[allow(clippy::cast_precision_loss, reason = "windows are far below 2^52")]
    pub fn max_distance(&self) -> f64 {
        2.0 * (self.window as f64).sqrt()
    }

    fn value(&self, age: usize) -> f64 {
        self.values.value_at_age(age).unwrap_or_default()
    }

    /// `a·b` of the newest window and the one `lag` values earlier.
    fn product(&self, lag: usize) -> f64 {
        (0..self.window).map(|age| self.value(age) * self.value(age + lag)).sum()
    }

    /// Adds the next value. Returns the distance of the window that ends with it to its nearest earlier window, or None
    /// if there is none yet. Ignores values that are not finite.
    pub fn push(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let origin = *self.origin.get_or_insert(value);
        self.values.push((value - origin).clamp(-1e120, 1e120));
        if self.values.len() < self.window {
            return None;
        }
        let (mean, deviation) = self.moments();
        self.means.push(mean);
        self.deviations.push(deviation);

        // Number of lags that have a window; the ring holds one value more than the oldest of them needs.
        let lags = self.means.len();
        let known_lags = self.products.len();
        let newest = self.value(0);
        let leaving = self.value(self.window);
        for (lag, product) in self.products.iter_mut().enumerate() {
            let (added, removed) = (self.values.value_at_age(lag), self.values.value_at_age(lag + self.window));
            *product += newest * added.unwrap_or_default() - leaving * removed.unwrap_or_default();
        }
        for lag in known_lags..lags {
            self.products.push(self.product(lag));
        }
        self.recomputed_lag = (self.recomputed_lag + 1) % lags;
        let recomputed = self.product(self.recomputed_lag);
        if let Some(product) = self.products.get_mut(self.recomputed_lag) {
            *product = recomputed;
        }
        self.nearest(mean, deviation)
    }

    /// Mean and standard deviation of the newest window. The deviation of a constant window is exactly 0.
    #[allow(clippy::cast_precision_loss, reason = "windows are far below 2^52")]
    fn moments(&self) -> (f64, f64) {
        let first = self.value(0);
        let length = self.window as f64;
        let mean = (0..self.window).map(|age| self.value(age)).sum::<f64>() / length;
        if (1..self.window).all(|age| self.value(age) == first) {
            return (mean, 0.0);
        }
        let square = |age| (self.value(age) - mean) * (self.value(age) - mean);
        (mean, ((0..self.window).map(square).sum::<f64>() / length).sqrt())
    }

    #[allow(clippy::cast_precision_loss, reason = "windows are far below 2^52")]
    fn nearest(&self, mean: f64, deviation: f64) -> Option<f64> {
        let length = self.window as f64;
        let overlap = self.window.div_ceil(4);
        let mut best: Option<f64> = None;
        for (lag, product) in self.products.iter().enumerate().skip(overlap + 1) {
            let (other_mean, other) = self.means.value_at_age(lag).zip(self.deviations.value_at_age(lag))?;
            let square = if deviation > 0.0 && other > 0.0 {
                let correlation = (product - length * mean * other_mean) / (length * deviation * other);
                2.0 * length * (1.0 - correlation.clamp(-1.0, 1.0))
            } else if deviation == other {
                0.0
            } else {
                length
            };
            best = Some(best.map_or(square, |best| best.min(square)));
        }
        best.map(f64::sqrt)
    }
}

/// Window length and history, in values, of the detector for sensors.
const DEFAULT_WINDOW_AND_HISTORY: (usize, usize) = (16, 512);

impl SeriesDetector for Discord {
    fn for_training_rows(rows: usize) -> Self {
        Self::new(DEFAULT_WINDOW_AND_HISTORY.0.min(rows / 4), DEFAULT_WINDOW_AND_HISTORY.1)
    }
    fn next_statistic(&mut self, value: f64) -> Option<f64> {
        self.push(value)
    }
    /// A quarter of the largest distance.
    fn theoretical_limit(&self) -> f64 {
        0.25 * Self::max_distance(self)
    }
    fn max_statistic(&self) -> f64 {
        Self::max_distance(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_matches_stumpy() {
        let mut compared = 0;
        let mut discord = Discord::new(24, 420);
        for line in include_str!("../tests/data/left_profile.csv").lines().skip(1) {
            let (value, expected) = line.split_once(',').unwrap();
            let mine = discord.push(value.parse().unwrap());
            match expected {
                "nan" => assert_eq!(mine, None),
                _ => {
                    let expected: f64 = expected.parse().unwrap();
                    // Distances near 0 lose half their digits in the square root.
                    assert!(mine.is_some_and(|mine| (mine - expected).abs() < 1e-6), "{mine:?} {expected}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 380, "{compared}");
    }

    /// Compares with the definition, long after the history is full.
    #[test]
    fn the_history_slides() {
        let (window, history) = (8, 60);
        let values: Vec<f64> =
            (0..1000).map(|at| (f64::from(at) * 0.7).sin() * 3.0 + f64::from(at * at % 17) + 1000.0).collect();
        let mut discord = Discord::new(window, history);
        let normal = |from: usize| {
            let part = &values[from..from + window];
            let mean = part.iter().sum::<f64>() / 8.0;
            let deviation = (part.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 8.0).sqrt();
            part.iter().map(|value| (value - mean) / deviation).collect::<Vec<_>>()
        };
        for (end, &value) in values.iter().enumerate() {
            let mine = discord.push(value);
            if end > 900 {
                let newest = normal(end + 1 - window);
                let others = (end + 1 - history..end + 1 - window - 2).map(|from| {
                    newest.iter().zip(normal(from)).map(|(one, other)| (one - other).powi(2)).sum::<f64>().sqrt()
                });
                let expected = others.fold(f64::INFINITY, f64::min);
                assert!(mine.is_some_and(|mine| (mine - expected).abs() < 1e-6), "{mine:?} {expected}");
            }
        }
    }
}
