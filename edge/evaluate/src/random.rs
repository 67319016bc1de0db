//! Random numbers that are reproducible on every machine.

/// The PCG32 generator, XSH-RR with 64 bits of state (M. E. O'Neill 2014, HMC-CS-2014-0905).
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
    increment: u64,
}

const MULTIPLIER: u64 = 6_364_136_223_846_793_005;

impl Random {
    /// Creates a generator. Different streams of one seed are independent.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self { state: 0, increment: (stream << 1) | 1 };
        random.next();
        random.state = random.state.wrapping_add(seed);
        random.next();
        random
    }

    fn next(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
        let shifted = (((old >> 18) ^ old) >> 27) as u32;
        shifted.rotate_right((old >> 59) as u32)
    }

    /// A uniform integer in [0, `count`) without bias (D. Lemire 2019); 0 if `count` is 0.
    pub(crate) fn below(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        loop {
            let wide = u64::from(self.next()) * u64::from(count);
            if wide as u32 >= count.wrapping_neg() % count {
                return (wide >> 32) as u32;
            }
        }
    }

    /// Shuffles the items (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(u32::try_from(last + 1).unwrap_or(u32::MAX)) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of the reference implementation's demo, seed 42, stream 54.
    #[test]
    fn numbers_match_pcg32() {
        let mut random = Random::new(42, 54);
        let expected = [0xa15c_02b7, 0x7b47_f409, 0xba1d_3330, 0x83d2_f293, 0xbfa4_784b, 0xcbed_606e];
        assert_eq!(expected.map(|_| random.next()), expected);
    }

    #[test]
    fn numbers_are_uniform() {
        let mut random = Random::new(1, 0);
        let mut seen = [0; 7];
        for _ in 0..7000 {
            seen[random.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (850..1150).contains(&count)), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }
}
