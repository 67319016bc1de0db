//! Seeded random numbers. The same seed gives the same numbers on every platform.

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg32;

/// A generator; see the module documentation.
#[derive(Clone, Debug)]
pub(crate) struct Random(Pcg32);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Pcg32::seed_from_u64(seed))
    }

    /// Uniform integer below `end`; 0 if `end` is 0. The bias of Lemire's multiplication (`end` · 2^-32) is harmless.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let wide = u64::from(self.0.next_u32()) * (end.min(u32::MAX as usize) as u64);
        usize::try_from(wide >> 32).unwrap_or(0)
    }

    /// Uniform between 0 (included) and 1 (excluded).
    pub(crate) fn uniform(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}
