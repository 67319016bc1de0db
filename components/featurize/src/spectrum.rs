//! The spectrum of a window and the features of its highest line.

use std::{collections::HashMap, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

/// Limit for the number of FFT plans; above it they are dropped, so that windows of many lengths cannot fill the
/// memory.
const MAX_PLANS: usize = 512;

/// Lines whose relative difference in power is below this are equally high.
const TIE_TOLERANCE: f64 = 1e-9;

/// Range of the total power in which no square has overflowed or lost digits.
const EXACT_POWER_RANGE: std::ops::Range<f64> = 1e-250..1e250;

/// Returns the largest power of 2 that is not above a positive value. Dividing by it is exact. Returns
/// `f64::MIN_POSITIVE` for a value that is not normal.
fn power_of_two(value: f64) -> f64 {
    if value.is_normal() { f64::from_bits(value.to_bits() & (0x7ff << 52)) } else { f64::MIN_POSITIVE }
}

/// The highest line of a spectrum, in Hz and in the unit of the values, and the spectral entropy; see
/// [`crate::features`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpectralPeak {
    pub(crate) frequency: f64,
    pub(crate) magnitude: f64,
    pub(crate) entropy: f64,
}

impl SpectralPeak {
    pub(crate) const UNDEFINED: Self = Self { frequency: f64::NAN, magnitude: f64::NAN, entropy: f64::NAN };
}

/// Computes spectra. Keeps FFT plans by length, and buffers.
pub(crate) struct SpectrumAnalyzer {
    planner: RealFftPlanner<f64>,
    plans: HashMap<usize, Arc<dyn RealToComplex<f64>>, foldhash::fast::FixedState>,
    input: Vec<f64>,
    output: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl std::fmt::Debug for SpectrumAnalyzer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SpectrumAnalyzer").field("plans", &self.plans.len()).finish_non_exhaustive()
    }
}

impl Default for SpectrumAnalyzer {
    fn default() -> Self {
        Self {
            planner: RealFftPlanner::new(),
            plans: HashMap::default(),
            input: Vec::new(),
            output: Vec::new(),
            scratch: Vec::new(),
        }
    }
}

impl SpectrumAnalyzer {
    /// Returns the highest line of the spectrum of `values - mean`, without a window function and except the line at 0
    /// Hz.
    pub(crate) fn peak(&mut self, values: &[f64], mean: f64, rate: f64) -> SpectralPeak {
        let count = values.len();
        if count < 2 {
            return SpectralPeak::UNDEFINED;
        }
        if self.plans.len() > MAX_PLANS {
            self.plans.clear();
            self.planner = RealFftPlanner::new();
        }
        let planner = &mut self.planner;
        let plan = Arc::clone(self.plans.entry(count).or_insert_with(|| planner.plan_fft_forward(count)));
        self.output.resize(plan.complex_len(), Complex::default());
        self.scratch.resize(plan.get_scratch_len(), Complex::default());
        let mut scale = 1.0;
        let (mut highest, mut total) = self.transform(&*plan, values, mean, scale);
        if !EXACT_POWER_RANGE.contains(&total) {
            // The squares overflow or underflow: scale the values by the largest of them.
            scale = power_of_two(values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max));
            (highest, total) = self.transform(&*plan, values, mean, scale);
        }
        let lines = self.output.get(1..).unwrap_or_default();
        let bin = lines.iter().position(|line| line.norm_sqr() >= highest * (1.0 - TIE_TOLERANCE)).unwrap_or(0) + 1;
        let height = lines.get(bin - 1).map_or(0.0, |line| line.norm_sqr().sqrt());
        #[allow(clippy::cast_precision_loss, reason = "counts")]
        let (samples, bins) = (count as f64, lines.len() as f64);
        // The amplitude includes the line at the negative frequency. The line at half the sampling rate has none.
        let sides = if 2 * bin == count { 1.0 } else { 2.0 };
        #[allow(clippy::cast_precision_loss, reason = "the number of a line")]
        let frequency = bin as f64 * rate / samples;
        let entropy = if bins > 1.0 && total > 0.0 {
            let shares = lines.iter().map(|line| line.norm_sqr() / total).filter(|&share| share > 0.0);
            -shares.map(|share| share * share.ln()).sum::<f64>() / bins.ln()
        } else {
            f64::NAN
        };
        SpectralPeak { frequency, magnitude: sides * height / samples * scale, entropy }
    }

    /// Transforms `(values - mean) / scale`, where `scale` is a power of 2. Returns the highest and the total power of
    /// the lines except 0 Hz.
    fn transform(&mut self, plan: &dyn RealToComplex<f64>, values: &[f64], mean: f64, scale: f64) -> (f64, f64) {
        self.input.clear();
        self.input.extend(values.iter().map(|value| (value - mean) / scale));
        // The buffers have the lengths of the plan, so this cannot fail.
        let _ = plan.process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch);
        let powers = self.output.iter().skip(1).map(Complex::norm_sqr);
        powers.fold((0.0, 0.0), |(highest, total): (f64, f64), power| (highest.max(power), total + power))
    }
}
