//! The spectrum of a window.

use std::{collections::HashMap, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

/// Past so many lengths the plans are made anew: windows of every length must not fill the memory.
const MOST_PLANS: usize = 512;

/// Lines whose power differs by less than this share are equally high.
const TIE: f64 = 1e-9;

/// Sums of squares within which none has lost digits.
const SQUARED: std::ops::Range<f64> = 1e-250..1e250;

/// The power of 2 at or below a value that is above 0; 1 for what has none. Dividing by it loses nothing.
fn power_of_two(value: f64) -> f64 {
    if value.is_normal() { f64::from_bits(value.to_bits() & (0x7ff << 52)) } else { f64::MIN_POSITIVE }
}

/// Three numbers of a spectrum; see [`crate::features`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    pub(crate) frequency: f64,
    pub(crate) magnitude: f64,
    pub(crate) entropy: f64,
}

impl Peak {
    pub(crate) const UNDEFINED: Self = Self { frequency: f64::NAN, magnitude: f64::NAN, entropy: f64::NAN };
}

/// Plans by length, and room to work in.
pub(crate) struct Spectra {
    planner: RealFftPlanner<f64>,
    plans: HashMap<usize, Arc<dyn RealToComplex<f64>>, foldhash::fast::FixedState>,
    input: Vec<f64>,
    output: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl std::fmt::Debug for Spectra {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Spectra").field("plans", &self.plans.len()).finish_non_exhaustive()
    }
}

impl Default for Spectra {
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

impl Spectra {
    /// The highest line of the spectrum of `values - mean`, without a taper and without the line at 0 Hz.
    pub(crate) fn peak(&mut self, values: &[f64], mean: f64, rate: f64) -> Peak {
        let count = values.len();
        if count < 2 {
            return Peak::UNDEFINED;
        }
        if self.plans.len() > MOST_PLANS {
            self.plans.clear();
            self.planner = RealFftPlanner::new();
        }
        let planner = &mut self.planner;
        let plan = Arc::clone(self.plans.entry(count).or_insert_with(|| planner.plan_fft_forward(count)));
        self.output.resize(plan.complex_len(), Complex::default());
        self.scratch.resize(plan.get_scratch_len(), Complex::default());
        let mut unit = 1.0;
        let (mut highest, mut total) = self.transform(&*plan, values, mean, unit);
        if !SQUARED.contains(&total) {
            // Squares of so large or so small values are none: in units of their own size they are.
            unit = power_of_two(values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max));
            (highest, total) = self.transform(&*plan, values, mean, unit);
        }
        let lines = self.output.get(1..).unwrap_or_default();
        let at = lines.iter().position(|line| line.norm_sqr() >= highest * (1.0 - TIE)).unwrap_or(0) + 1;
        let height = lines.get(at - 1).map_or(0.0, |line| line.norm_sqr().sqrt());
        #[allow(clippy::cast_precision_loss, reason = "counts")]
        let (samples, bins) = (count as f64, lines.len() as f64);
        // A line stands for its mirror image as well, but for that at half the sampling rate, which has none.
        let sides = if 2 * at == count { 1.0 } else { 2.0 };
        #[allow(clippy::cast_precision_loss, reason = "a line's number")]
        let frequency = at as f64 * rate / samples;
        let entropy = if bins > 1.0 && total > 0.0 {
            let surprise = lines.iter().map(|line| line.norm_sqr() / total).filter(|&share| share > 0.0);
            -surprise.map(|share| share * share.ln()).sum::<f64>() / bins.ln()
        } else {
            f64::NAN
        };
        Peak { frequency, magnitude: sides * height / samples * unit, entropy }
    }

    /// Transforms `values - mean`, in a unit that is a power of 2; the highest line's power without 0 Hz, and their sum.
    fn transform(&mut self, plan: &dyn RealToComplex<f64>, values: &[f64], mean: f64, unit: f64) -> (f64, f64) {
        self.input.clear();
        self.input.extend(values.iter().map(|value| (value - mean) / unit));
        // The lengths are the plan's own, so that it cannot fail.
        let _ = plan.process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch);
        let powers = self.output.iter().skip(1).map(Complex::norm_sqr);
        powers.fold((0.0, 0.0), |(highest, total): (f64, f64), power| (highest.max(power), total + power))
    }
}
