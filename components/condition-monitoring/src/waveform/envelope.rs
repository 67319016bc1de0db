//! Envelopes of the whole waveform (Hilbert) and of single bands, decimated.

use rustfft::num_complex::Complex64;

use super::fft::{FftPlans, fast_length};

/// Share of the waveform that is tapered at each end before it is split into bands; the same share is removed from both
/// ends of their envelopes.
const TAPER: f64 = 0.05;

/// |x + i H(x)|, as `abs(scipy.signal.hilbert(x))`, in the sensor's unit.
pub fn hilbert_envelope(plans: &mut FftPlans, samples: &[f64]) -> Vec<f64> {
    let count = samples.len();
    let mut work = samples.to_vec();
    let lines = plans.forward(&mut work);
    let mut values = vec![Complex64::default(); count];
    for (index, line) in lines.iter().enumerate() {
        let single = index == 0 || 2 * index == count;
        values[index] = if single { *line } else { 2.0 * line };
    }
    plans.inverse_complex(&mut values);
    values.iter().map(|value| value.norm() / count as f64).collect()
}

/// The spectrum of a waveform, ready to be split into bands.
#[derive(Clone, Debug)]
pub struct WaveformSpectrum {
    lines: Vec<Complex64>,
    count: usize,
    rate: f64,
}

/// The squared envelope of a band.
#[derive(Clone, Debug, PartialEq)]
pub struct SquaredEnvelope {
    /// |z|² in the sensor's unit squared, without the tapered ends.
    pub values: Vec<f64>,
    /// Sample rate in Hz.
    pub rate: f64,
}

impl WaveformSpectrum {
    /// Transforms the samples less their mean, under a Tukey taper. Without the taper the jump from end to start leaks
    /// into quiet bands as an impulse.
    pub fn new(plans: &mut FftPlans, samples: &[f64], rate: f64) -> Self {
        let count = samples.len();
        let mean = samples.iter().sum::<f64>() / count as f64;
        let ramp = TAPER * count as f64;
        let mut work: Vec<f64> = samples
            .iter()
            .enumerate()
            .map(|(index, sample)| {
                let edge = (index.min(count - 1 - index)) as f64 / ramp;
                let weight = if edge < 1.0 { 0.5 - 0.5 * (std::f64::consts::PI * edge).cos() } else { 1.0 };
                (sample - mean) * weight
            })
            .collect();
        Self { lines: plans.forward(&mut work), count, rate }
    }

    /// Returns the squared envelope of `low` to `high` Hz: the lines of the band are shifted to 0 Hz and transformed
    /// back at a rate of at least twice the bandwidth, so that the square does not alias.
    pub fn squared_envelope(&self, plans: &mut FftPlans, low: f64, high: f64) -> SquaredEnvelope {
        let line = |frequency: f64| (frequency * self.count as f64 / self.rate).round() as usize;
        let first = line(low).max(1).min(self.lines.len());
        let last = line(high).min(self.lines.len()).max(first);
        let length = fast_length(2 * (last - first).max(1));
        let mut values = vec![Complex64::default(); length];
        values[..last - first].copy_from_slice(&self.lines[first..last]);
        plans.inverse_complex(&mut values);
        let cut = (TAPER * length as f64).ceil() as usize;
        let scale = (2.0 / self.count as f64).powi(2);
        SquaredEnvelope {
            values: values[cut..length - cut].iter().map(|value| value.norm_sqr() * scale).collect(),
            rate: length as f64 * self.rate / self.count as f64,
        }
    }
}

impl SquaredEnvelope {
    /// Spectral kurtosis of the band, ⟨|z|⁴⟩ / ⟨|z|²⟩² − 2: 0 for stationary Gaussian noise, −1 for a tone, large for
    /// impulses (Antoni 2006, "The spectral kurtosis").
    #[must_use]
    pub fn kurtosis(&self) -> f64 {
        let (second, fourth) =
            self.values.iter().fold((0.0, 0.0), |(second, fourth), value| (second + value, fourth + value * value));
        fourth * self.values.len() as f64 / (second * second) - 2.0
    }

    /// Duration in seconds.
    #[must_use]
    pub fn duration(&self) -> f64 {
        self.values.len() as f64 / self.rate
    }

    /// Power spectrum of the squared envelope less its mean, under a Hann window, padded at least twofold: line `i` is
    /// at `i · step` Hz. Returns the powers up to `limit` Hz and the step. (Randall & Antoni 2011, "Rolling element
    /// bearing diagnostics — a tutorial": the squared envelope spectrum.)
    pub fn spectrum(&self, plans: &mut FftPlans, limit: f64) -> (Vec<f64>, f64) {
        let count = self.values.len();
        let mean = self.values.iter().sum::<f64>() / count as f64;
        let length = fast_length(2 * count);
        let mut work = vec![0.0; length];
        for ((slot, value), weight) in work.iter_mut().zip(&self.values).zip(super::fft::hann(count)) {
            *slot = (value - mean) * weight;
        }
        let step = self.rate / length as f64;
        let mut powers: Vec<f64> = plans.forward(&mut work).iter().map(Complex64::norm_sqr).collect();
        powers.truncate(((limit / step).ceil() as usize).saturating_add(1));
        (powers, step)
    }
}
