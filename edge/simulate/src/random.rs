//! Seeded noise.

use rand_pcg::{Pcg64, rand_core::Rng};

/// Uniform and normal numbers, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    source: Pcg64,
    spare: Option<f64>,
}

impl Random {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self { source: Pcg64::new(u128::from(seed), u128::from(stream)), spare: None }
    }

    /// 0 to 1, 1 excluded.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.source.next_u64() >> 11) as f64 * 2f64.powi(-53)
    }

    /// Standard normal (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// 0 to `limit`, which is excluded and above 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.source.next_u64() % (limit as u64)).unwrap_or(0)
    }
}
