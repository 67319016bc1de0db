//! Tests an envelope for a family of harmonics by least squares and an F test. The test works for a waveform of five
//! impacts as well as for a long record; reading lines off a spectrum needs a long record for its resolution.

use nalgebra::{SMatrix, SVector};
use rustfft::num_complex::Complex64;

use crate::{
    stats::f_test_evidence,
    waveform::{
        envelope::SquaredEnvelope,
        fft::{FftPlans, fast_length},
    },
};

/// Number of harmonics in the fit.
pub const HARMONICS: usize = 3;
const COLUMNS: usize = 2 * HARMONICS;

/// An envelope limited to low frequencies and resampled to the rate that they need.
#[derive(Clone, Debug)]
pub struct LowPassEnvelope {
    values: Vec<f64>,
    rate: f64,
}

/// A least-squares fit of a family of harmonics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HarmonicFit {
    /// Fundamental frequency in Hz.
    pub frequency: f64,
    /// −log₁₀ of the probability that F reaches `strength` under noise. With the arithmetic mean of the harmonics this
    /// would be the exact probability. The geometric mean is never larger and is small when one harmonic is missing, so
    /// a single strong line (a shaft harmonic near a fault frequency) is not evidence.
    pub evidence: f64,
    /// Geometric mean over the harmonics of their power divided by the residual power per line.
    pub strength: f64,
    /// Amplitude of each harmonic divided by the residual amplitude per line.
    pub amplitude_ratios: [f64; HARMONICS],
    /// Amplitude of the fundamental in the squared envelope, in the sensor's unit squared.
    pub amplitude: f64,
}

impl LowPassEnvelope {
    /// Removes the mean of the envelope and everything above `limit` Hz.
    pub fn new(plans: &mut FftPlans, envelope: &SquaredEnvelope, limit: f64) -> Self {
        let count = envelope.values.len();
        let mean = envelope.values.iter().sum::<f64>() / count as f64;
        let mut work: Vec<f64> = envelope.values.iter().map(|value| value - mean).collect();
        let mut lines = plans.forward(&mut work);
        let line_count = ((limit * envelope.duration()) as usize).saturating_add(1).min(lines.len());
        lines.truncate(line_count);
        if let Some(first) = lines.first_mut() {
            *first = Complex64::default();
        }
        let length = fast_length(2 * line_count + 2);
        let mut values = plans.inverse(&lines, length);
        let scale = length as f64 / count as f64;
        values.iter_mut().for_each(|value| *value *= scale);
        Self { values, rate: length as f64 / envelope.duration() }
    }

    /// Fits [`HARMONICS`] harmonics of a fundamental within ±`slip` of `nominal` Hz and returns the fit with the most
    /// evidence. The residual is evaluated from half the fundamental to half a fundamental above the last harmonic.
    /// Returns `None` when the envelope contains fewer than `periods` periods.
    pub fn fit_harmonics(&self, plans: &mut FftPlans, nominal: f64, slip: f64, periods: f64) -> Option<HarmonicFit> {
        let duration = self.values.len() as f64 / self.rate;
        if duration * nominal < periods {
            return None;
        }
        let last = (HARMONICS as f64 + 0.5) * nominal * duration;
        let (low, high) = (((0.5 * nominal * duration) as usize).max(1), last as usize);
        if high >= self.values.len() / 2 {
            return None;
        }
        let degrees_of_freedom = 2.0 * (high + 1).saturating_sub(low) as f64 - COLUMNS as f64;
        if degrees_of_freedom < 6.0 {
            return None;
        }
        // Neighbouring trial fundamentals are so close that their last harmonics are half a line apart.
        let steps = (2.0 * slip * HARMONICS as f64 * nominal * duration).ceil() as i32;
        let mut best: Option<HarmonicFit> = None;
        for step in -steps..=steps {
            let frequency = nominal * (1.0 + slip * f64::from(step) / f64::from(steps.max(1)));
            let Some((amplitudes, mut residual)) = self.solve_least_squares(frequency) else { continue };
            let lines = plans.forward(&mut residual);
            let noise = lines[low..=high].iter().map(|line| line.norm_sqr()).sum::<f64>() / degrees_of_freedom
                + f64::MIN_POSITIVE;
            let half = self.values.len() as f64 / 2.0;
            let powers = amplitudes.map(|square| square * half * half);
            let logs = powers.iter().map(|power| (power / (2.0 * noise) + 1e-12).ln()).sum::<f64>();
            let strength = (logs / HARMONICS as f64).exp();
            let evidence = f_test_evidence(strength, HARMONICS, degrees_of_freedom);
            if best.is_none_or(|best| evidence > best.evidence) {
                let ratios = powers.map(|power| (power / (2.0 * noise)).sqrt());
                best = Some(HarmonicFit {
                    frequency,
                    evidence,
                    strength,
                    amplitude_ratios: ratios,
                    amplitude: amplitudes[0].sqrt(),
                });
            }
        }
        best
    }

    /// Returns the squared amplitudes of the harmonics of `frequency` and the envelope without them, or `None` if the
    /// normal equations have no solution.
    fn solve_least_squares(&self, frequency: f64) -> Option<([f64; HARMONICS], Vec<f64>)> {
        let angle = 2.0 * std::f64::consts::PI * frequency / self.rate;
        let rotation = Complex64::from_polar(1.0, angle);
        let row = |phase: Complex64| {
            let mut row = SVector::<f64, COLUMNS>::zeros();
            let mut power = phase;
            for harmonic in 0..HARMONICS {
                row[2 * harmonic] = power.re;
                row[2 * harmonic + 1] = power.im;
                power *= phase;
            }
            row
        };
        let mut gram = SMatrix::<f64, COLUMNS, COLUMNS>::zeros();
        let mut right = SVector::<f64, COLUMNS>::zeros();
        let mut phase = Complex64::new(1.0, 0.0);
        let mut rows = Vec::with_capacity(self.values.len());
        for value in &self.values {
            let row = row(phase);
            gram += row * row.transpose();
            right += row * *value;
            rows.push(row);
            phase *= rotation;
        }
        let solution = gram.cholesky()?.solve(&right);
        let residual = self.values.iter().zip(&rows).map(|(value, row)| value - row.dot(&solution)).collect();
        let mut amplitudes = [0.0; HARMONICS];
        for (harmonic, amplitude) in amplitudes.iter_mut().enumerate() {
            *amplitude = solution[2 * harmonic].powi(2) + solution[2 * harmonic + 1].powi(2);
        }
        Some((amplitudes, residual))
    }
}
