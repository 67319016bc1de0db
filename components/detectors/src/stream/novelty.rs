//! Compares the last hours with everything seen before.
//!
//! The mean of `step` values is a point; the last `points` points are a window. The evidence is the city-block distance
//! to the nearest past window that does not overlap, divided by `points` and by the range of the series so far. If
//! every past window is a category of its own, this is the criterion by which fuzzy adaptive resonance (Carpenter,
//! Grossberg and Rosen 1991) opens a new one: for complement-coded input `|min(a, b)| / |a|` is 1 minus that distance.

use serde::{Deserialize, Serialize};

/// Novelty evidence of one series; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Novelty {
    step: usize,
    points: usize,
    bank: usize,
    sum: f64,
    summed_values: usize,
    /// The latest `points` points, oldest first.
    window: Vec<f64>,
    /// Past windows, one after the other; a ring buffer of `bank` windows.
    past_windows: Vec<f64>,
    head: usize,
}

impl Novelty {
    pub(crate) fn new(step: usize, points: usize, bank: usize) -> Self {
        let (step, points) = (step.max(1), points.max(1));
        let bank = bank.max(points + 1);
        Self { step, points, bank, sum: 0.0, summed_values: 0, window: Vec::new(), past_windows: Vec::new(), head: 0 }
    }

    /// Adds a value and returns its evidence; 0 except for the last value of a step.
    pub(crate) fn observe(&mut self, value: f64, range: f64) -> f64 {
        self.sum += value;
        self.summed_values += 1;
        if self.summed_values < self.step {
            return 0.0;
        }
        #[allow(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
        let point = self.sum / self.step as f64;
        (self.sum, self.summed_values) = (0.0, 0);
        if self.window.len() == self.points {
            self.window.rotate_left(1);
            self.window.pop();
        }
        self.window.push(point);
        if self.window.len() < self.points {
            return 0.0;
        }
        let nearest = self.nearest();
        let at = self.head * self.points;
        match self.past_windows.get_mut(at..at + self.points) {
            Some(place) => place.copy_from_slice(&self.window),
            None => self.past_windows.extend_from_slice(&self.window),
        }
        self.head = (self.head + 1) % self.bank;
        #[allow(clippy::cast_precision_loss, reason = "points are far below 2^52")]
        let scale = self.points as f64 * range;
        if nearest.is_finite() && scale > 0.0 { nearest / scale } else { 0.0 }
    }

    /// Distance to the nearest window among those with at least `points` newer ones.
    fn nearest(&self) -> f64 {
        let mut best = f64::INFINITY;
        for (place, past_window) in self.past_windows.chunks_exact(self.points).enumerate() {
            let age = (self.head + self.bank - 1 - place) % self.bank;
            if age >= self.points {
                let distance = past_window.iter().zip(&self.window).map(|(past, now)| (past - now).abs()).sum::<f64>();
                best = best.min(distance);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::Novelty;

    #[test]
    fn repeated_patterns_are_no_evidence() {
        let mut novelty = Novelty::new(2, 3, 20);
        let mut last = 0.0;
        for at in 0..200 {
            let evidence = novelty.observe(f64::from(at % 10), 9.0);
            if at > 60 {
                assert_eq!(evidence, 0.0);
            }
        }
        for _ in 0..6 {
            last = novelty.observe(9.0, 9.0);
        }
        assert!(last > 0.1, "{last}");
        assert!(novelty.past_windows.len() <= 60);
    }
}
