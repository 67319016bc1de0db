//! Reproducible random numbers.

use rand_pcg::{Lcg128CmDxsm64, rand_core::Rng as _};

/// The PCG64 DXSM generator (O'Neill 2014, with her DXSM output function), with normal deviates.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    source: Lcg128CmDxsm64,
    spare: Option<f64>,
}

impl Random {
    /// Creates a generator. Different streams of one seed are independent.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self { source: Lcg128CmDxsm64::new(u128::from(seed) ^ 0x9e37_79b9_7f4a_7c15, u128::from(stream)), spare: None }
    }

    /// A generator whose numbers are independent of those that follow here.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.source.next_u64(), 1)
    }

    /// A uniform number in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.source.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A uniform integer in [0, `count`); 0 if `count` is 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.source.next_u64()) * count as u128) >> 64) as usize
    }

    /// A normal deviate with mean 0 and standard deviation 1 (Marsaglia's polar method, 1964).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(y * factor);
                return x * factor;
            }
        }
    }

    /// Shuffles the items (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_deviates_have_mean_0_and_deviation_1() {
        let mut random = Random::new(7, 1);
        let values: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.015, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn streams_differ_and_seeds_repeat() {
        let draw = |seed, stream| Random::new(seed, stream).uniform();
        assert_eq!(draw(1, 1), draw(1, 1));
        assert_ne!(draw(1, 1), draw(1, 2));
        assert_ne!(draw(1, 1), draw(2, 1));
        let mut one = Random::new(1, 1);
        let mut other = one.fork();
        assert_ne!(one.uniform(), other.uniform());
    }
}
