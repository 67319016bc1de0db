//! Seeded random numbers: PCG XSH RR 64/32 (M. O'Neill, "PCG: A family of simple fast space-efficient statistically
//! good algorithms for random number generation", 2014). The same seed gives the same numbers on every platform.

use serde::{Deserialize, Serialize};

const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
/// Stream 54, as in the author's demonstration program.
const INCREMENT: u64 = (54 << 1) | 1;

/// PCG generator; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Random(u64);

impl Random {
    /// Starts the sequence of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Self(INCREMENT);
        random.0 = random.0.wrapping_add(seed).wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        random
    }

    /// Returns 32 random bits.
    #[allow(clippy::cast_possible_truncation, reason = "only the upper bits are needed")]
    pub fn next_u32(&mut self) -> u32 {
        let old = self.0;
        self.0 = old.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        let shifted = (((old >> 18) ^ old) >> 27) as u32;
        shifted.rotate_right((old >> 59) as u32)
    }

    /// Uniform between 0 and 1, both excluded.
    pub fn uniform(&mut self) -> f64 {
        (f64::from(self.next_u32()) + 0.5) / 4_294_967_296.0
    }

    /// Uniform integer below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        // Lemire's multiplication. Its bias of `end` · 2^-32 does not matter here.
        let wide = u64::from(self.next_u32()) * (end.min(u32::MAX as usize) as u64);
        usize::try_from(wide >> 32).unwrap_or(0)
    }

    /// Standard normal number (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// `count` different integers below `end` in no particular order (Floyd 1987); all of them if there are fewer.
    pub fn sample(&mut self, end: usize, count: usize) -> Vec<usize> {
        let mut picked = Vec::with_capacity(count.min(end));
        for upper in end.saturating_sub(count)..end {
            let one = self.below(upper + 1);
            picked.push(if picked.contains(&one) { upper } else { one });
        }
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    /// The first numbers of the author's demonstration program (`pcg32_srandom(42, 54)`).
    #[test]
    fn the_numbers_match_the_authors() {
        let mut random = Random::new(42);
        let numbers: Vec<u32> = (0..6).map(|_| random.next_u32()).collect();
        assert_eq!(numbers, [0xa15c_02b7, 0x7b47_f409, 0xba1d_3330, 0x83d2_f293, 0xbfa4_784b, 0xcbed_606e]);
    }

    #[test]
    fn samples_are_different_numbers() {
        let mut random = Random::new(1);
        for (end, count) in [(10, 3), (10, 10), (5, 9), (0, 2)] {
            let mut sample = random.sample(end, count);
            sample.sort_unstable();
            sample.dedup();
            assert_eq!(sample.len(), count.min(end));
            assert!(sample.iter().all(|one| *one < end));
        }
    }
}
