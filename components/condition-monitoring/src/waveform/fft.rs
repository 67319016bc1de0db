//! Fourier transforms with cached plans.

use std::{collections::BTreeSet, fmt, sync::Arc};

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner, num_complex::Complex64};

/// Largest sum of the lengths of all cached plans. Beyond it the cache is cleared, so that waveforms of many lengths do
/// not exhaust the memory.
const MAX_CACHED_SAMPLES: usize = 1 << 21;

/// Plans by length, and the latest window. Reuse it: planning costs more than transforming.
#[derive(Default)]
pub struct FftPlans {
    real: Option<RealFftPlanner<f64>>,
    complex: Option<FftPlanner<f64>>,
    scratch: Vec<Complex64>,
    /// Kind and length of each cached plan.
    cached: BTreeSet<(u8, usize)>,
    /// Sum of the lengths.
    cached_samples: usize,
    hann: Option<Arc<[f64]>>,
}

impl fmt::Debug for FftPlans {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FftPlans").finish_non_exhaustive()
    }
}

impl FftPlans {
    /// Returns a Hann window and caches it for the next call with the same length.
    pub(crate) fn hann(&mut self, length: usize) -> Arc<[f64]> {
        match &self.hann {
            Some(window) if window.len() == length => Arc::clone(window),
            _ => Arc::clone(self.hann.insert(hann(length).into())),
        }
    }

    fn note_plan(&mut self, kind: u8, length: usize) {
        if self.cached.insert((kind, length)) {
            self.cached_samples = self.cached_samples.saturating_add(length);
            if self.cached_samples > MAX_CACHED_SAMPLES {
                (self.real, self.complex) = (None, None);
                self.cached.clear();
                self.cached_samples = length;
                self.cached.insert((kind, length));
            }
        }
    }

    fn forward_plan(&mut self, length: usize) -> Arc<dyn RealToComplex<f64>> {
        self.note_plan(0, length);
        self.real.get_or_insert_with(RealFftPlanner::new).plan_fft_forward(length)
    }

    fn inverse_plan(&mut self, length: usize) -> Arc<dyn ComplexToReal<f64>> {
        self.note_plan(1, length);
        self.real.get_or_insert_with(RealFftPlanner::new).plan_fft_inverse(length)
    }

    fn complex_plan(&mut self, length: usize) -> Arc<dyn Fft<f64>> {
        self.note_plan(2, length);
        self.complex.get_or_insert_with(FftPlanner::new).plan_fft_inverse(length)
    }

    /// Returns lines 0 to n/2 of the transform Σ x e^(−2πi kt/n), unscaled, as `numpy.fft.rfft`. Overwrites `samples`.
    pub fn forward(&mut self, samples: &mut [f64]) -> Vec<Complex64> {
        if samples.is_empty() {
            return Vec::new();
        }
        let plan = self.forward_plan(samples.len());
        let mut lines = plan.make_output_vec();
        self.scratch.resize(plan.get_scratch_len(), Complex64::default());
        // The buffers have the lengths of the plan, so this cannot fail.
        let _ = plan.process_with_scratch(samples, &mut lines, &mut self.scratch);
        lines
    }

    /// The inverse of [`Self::forward`] for `length` samples, scaled by 1/`length`; missing lines count as 0.
    pub fn inverse(&mut self, lines: &[Complex64], length: usize) -> Vec<f64> {
        if length == 0 {
            return Vec::new();
        }
        let plan = self.inverse_plan(length);
        let mut input = plan.make_input_vec();
        let count = lines.len().min(input.len());
        input[..count].copy_from_slice(&lines[..count]);
        input[0].im = 0.0;
        if length.is_multiple_of(2) {
            input[length / 2].im = 0.0;
        }
        let mut samples = plan.make_output_vec();
        self.scratch.resize(plan.get_scratch_len(), Complex64::default());
        let _ = plan.process_with_scratch(&mut input, &mut samples, &mut self.scratch);
        let scale = 1.0 / length as f64;
        samples.iter_mut().for_each(|sample| *sample *= scale);
        samples
    }

    /// The inverse complex transform in place, unscaled.
    pub fn inverse_complex(&mut self, values: &mut [Complex64]) {
        if values.is_empty() {
            return;
        }
        let plan = self.complex_plan(values.len());
        self.scratch.resize(plan.get_inplace_scratch_len(), Complex64::default());
        plan.process_with_scratch(values, &mut self.scratch);
    }
}

/// Returns the smallest 2^a 3^b 5^c that is at least `length`: such lengths transform fast.
#[must_use]
pub fn fast_length(length: usize) -> usize {
    let mut length = length.max(1);
    loop {
        let mut remainder = length;
        for factor in [2, 3, 5] {
            while remainder.is_multiple_of(factor) {
                remainder /= factor;
            }
        }
        if remainder == 1 {
            return length;
        }
        length += 1;
    }
}

/// Periodic Hann window, as `scipy.signal.get_window("hann", n)`.
#[must_use]
pub fn hann(length: usize) -> Vec<f64> {
    (0..length).map(|index| 0.5 - 0.5 * (2.0 * std::f64::consts::PI * index as f64 / length as f64).cos()).collect()
}
