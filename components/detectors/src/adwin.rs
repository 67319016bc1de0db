//! The adaptive window ADWIN2 (Bifet and Gavaldà 2007, Learning from Time-Changing Data with Adaptive Windowing).
//!
//! The window is a list of buckets of 1, 2, 4, … values, at most `M` per size, so it takes `O(M log n)` memory. The
//! oldest bucket is dropped while there is a cut between two buckets at which the means of the two sides differ by at
//! least `ε = √((2/m) σ² ln(2/δ')) + (2/(3m)) ln(2/δ')`, `1/m = 1/n₀ + 1/n₁`, `δ' = δ/ln n`.

use serde::{Deserialize, Serialize};

/// Buckets of one size before two of them are merged.
const MAX_BUCKETS_PER_SIZE: usize = 5;
/// Fewest values on either side of a cut.
const MIN_SIDE: f64 = 5.0;
/// Number of bucket sizes: up to 2^40 values.
const MAX_SIZES: usize = 40;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bucket {
    count: f64,
    mean: f64,
    /// Sum of squared deviations from the mean.
    squared_deviations: f64,
}

impl Bucket {
    /// Merges two buckets (Chan, Golub and LeVeque 1983).
    fn merge(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let off = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + off * other.count / count,
            squared_deviations: self.squared_deviations
                + other.squared_deviations
                + off * off * self.count * other.count / count,
        }
    }
}

/// ADWIN2 change detector; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adwin {
    delta: f64,
    check_interval: u32,
    since_check: u32,
    /// Buckets by size, smallest size first; within a size the oldest bucket is first.
    buckets_by_size: Vec<Vec<Bucket>>,
}

impl Adwin {
    /// `delta` bounds the probability of a false cut. Looks for cuts at every value.
    pub fn new(delta: f64) -> Self {
        Self::with_check_interval(delta, 1)
    }

    /// Looks for cuts only once per `every` values.
    pub fn with_check_interval(delta: f64, every: u32) -> Self {
        let delta = if delta > 0.0 && delta < 1.0 { delta } else { 0.002 };
        Self { delta, check_interval: every.max(1), since_check: 0, buckets_by_size: Vec::new() }
    }

    /// All buckets, oldest first.
    fn buckets_oldest_first(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.buckets_by_size.iter().rev().flatten().copied()
    }

    fn total(&self) -> Bucket {
        self.buckets_oldest_first().fold(Bucket::default(), Bucket::merge)
    }

    /// Number of values in the window.
    pub fn width(&self) -> f64 {
        self.total().count
    }

    /// Mean of the values in the window.
    pub fn mean(&self) -> f64 {
        self.total().mean
    }

    /// Adds the next value. Returns true if the window was cut, which means that the mean has changed. Ignores values
    /// that are not finite.
    pub fn push(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        self.insert(Bucket { count: 1.0, mean: value, squared_deviations: 0.0 });
        self.since_check = (self.since_check + 1) % self.check_interval;
        if self.since_check != 0 {
            return false;
        }
        let mut changed = false;
        while self.mean_differs() {
            changed = true;
            self.drop_oldest();
        }
        changed
    }

    fn insert(&mut self, bucket: Bucket) {
        let mut carry = Some(bucket);
        let mut level = 0;
        while let Some(bucket) = carry.take() {
            if level == self.buckets_by_size.len() {
                self.buckets_by_size.push(Vec::new());
            }
            let Some(buckets) = self.buckets_by_size.get_mut(level) else { return };
            buckets.push(bucket);
            if buckets.len() > MAX_BUCKETS_PER_SIZE {
                let mut oldest = buckets.drain(..2);
                if level + 1 < MAX_SIZES {
                    carry = oldest.next().zip(oldest.next()).map(|(one, other)| one.merge(other));
                }
            }
            level += 1;
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(last) = self.buckets_by_size.last_mut() {
            if !last.is_empty() {
                last.remove(0);
            }
            while self.buckets_by_size.last().is_some_and(Vec::is_empty) {
                self.buckets_by_size.pop();
            }
        }
    }

    fn mean_differs(&self) -> bool {
        let total = self.total();
        if total.count < 2.0 * MIN_SIDE {
            return false;
        }
        let variance = total.squared_deviations / total.count;
        let log = (2.0 * total.count.ln() / self.delta).ln();
        let sum = total.mean * total.count;
        let mut old = Bucket::default();
        for bucket in self.buckets_oldest_first() {
            old = old.merge(bucket);
            let rest = total.count - old.count;
            if rest < MIN_SIDE {
                return false;
            }
            if old.count >= MIN_SIDE {
                let rest_mean = (sum - old.mean * old.count) / rest;
                let per_m = old.count.recip() + rest.recip();
                let bound = (2.0 * per_m * variance * log).sqrt() + 2.0 / 3.0 * per_m * log;
                if (old.mean - rest_mean).abs() > bound {
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_window_is_the_last_values() {
        let mut random = Random::new(3);
        let mut adwin = Adwin::new(0.002);
        let mut values = Vec::new();
        for at in 0..5000 {
            let value = random.uniform() + if (2000..3500).contains(&at) { 0.4 } else { 0.0 };
            values.push(value);
            adwin.push(value);
            let width = adwin.width() as usize;
            let exact = values[values.len() - width..].iter().sum::<f64>() / width as f64;
            assert!((adwin.mean() - exact).abs() < 1e-9);
        }
        assert!(adwin.buckets_by_size.iter().map(Vec::len).sum::<usize>() < 5 * 13);
    }

    /// The paper's guarantee: the probability of a false cut is below δ per step, and a jump is found once the bound
    /// permits it.
    #[test]
    fn cuts_at_a_change_only() {
        let mut random = Random::new(11);
        let mut false_cuts = 0;
        for _ in 0..20 {
            let mut adwin = Adwin::new(0.002);
            false_cuts += (0..2000).filter(|_| adwin.push(random.uniform())).count();
            let found = (0..200).find(|_| adwin.push(0.3 + random.uniform()));
            assert!(found.is_some_and(|found| found < 150), "{found:?}");
            assert!(adwin.width() < 2000.0);
        }
        assert!(false_cuts <= 2, "{false_cuts}");
    }

    /// The bound computed by hand: 100 zeros, then ones, with σ² of the whole window.
    #[test]
    fn the_first_cut_is_where_the_bound_says() {
        let bound = |ones: f64| {
            let n: f64 = 100.0 + ones;
            let p = ones / n;
            let log = (2.0 * n.ln() / 0.01).ln();
            let per_m = 1.0 / 100.0 + 1.0 / ones;
            (2.0 * per_m * p * (1.0 - p) * log).sqrt() + 2.0 / 3.0 * per_m * log
        };
        let expected = (5..100).find(|&ones| bound(f64::from(ones)) < 1.0);
        let mut adwin = Adwin::new(0.01);
        assert!((0..100).all(|_| !adwin.push(0.0)));
        let found = (1..100).find(|_| adwin.push(1.0));
        // The change need not fall between two buckets, so the cut may come a little later.
        let late = found.zip(expected).map(|(found, expected)| found - expected);
        assert!(late.is_some_and(|late| (0..=4).contains(&late)), "{found:?} {expected:?}");
    }
}
