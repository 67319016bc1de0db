//! The features of a window with `n` samples `x` in the unit u, at `rate` Hz.
//!
//! | Feature | Formula | Unit | Source |
//! |---|---|---|---|
//! | `mean` | Σx / n | u | |
//! | `std` | sqrt(Σ(x − mean)² / n) | u | population |
//! | `min`, `max` | | u | |
//! | `rms` | sqrt(Σx² / n) | u | |
//! | `peak_to_peak` | max − min | u | |
//! | `crest_factor` | max abs x / rms | 1 | ISO 13373-1 |
//! | `skewness` | m₃ / m₂^1.5, mₖ = Σ(x − mean)^k / n | 1 | as `scipy.stats.skew` |
//! | `kurtosis` | m₄ / m₂² − 3 | 1 | Fisher; as `scipy.stats.kurtosis` |
//! | `dominant_frequency` | frequency of the highest line of the spectrum of x − mean, except 0 Hz | Hz | |
//! | `dominant_magnitude` | its amplitude, 2 abs X / n (1 abs X / n at rate / 2) | u | |
//! | `spectral_entropy` | −Σ p ln p / ln K, p the share of each line in the power, K lines except 0 Hz | 1 | Shannon, of the power spectrum |
//! | `q25`, `q50`, `q75` | quantiles, interpolated linearly | u | as `numpy.quantile` |
//! | `iqr` | q75 − q25 | u | |
//! | `rolling_mean_std` | `std` of the means of every 10 neighbouring samples | u | |
//!
//! Windows of readings also have the following features ([`TREND_FEATURES`]), with t the times of the readings in
//! seconds:
//!
//! | Feature | Formula | Unit | Source |
//! |---|---|---|---|
//! | `trend_slope` | Σ(t − t̄)(x − mean) / Σ(t − t̄)² | u/s | ordinary least squares |
//! | `rate_of_change` | (last x − first x) / (last t − first t) | u/s | |
//! | `cusum` | max over k of abs Σᵢ₌₁ᵏ (xᵢ − mean) / (std · sqrt n) | 1 | Page 1954; white noise exceeds 1.63 in 1 of 100 windows (Kolmogorov), a step in the middle reaches sqrt n / 2 |
//! | `missing_ratio` | 1 − n / (length of the window · expected rate), 0 at least | 1 | |
//! | `stuck` | longest run of equal readings / n | 1 | 1 / n when neighbours differ, 1 when all are equal |
//!
//! The expected rate is the configured one, else the usual rate of the sensor. The usual rate starts as the rate of the
//! first window with 3 or more readings. Each later window moves it towards its own rate, by at most 50 % divided by
//! the number of windows seen, and by at most 0.01 % later. So a sensor that drops readings for hours keeps its usual
//! rate.
//!
//! Waveforms also have the following features ([`MACHINE_FEATURES`]). The required properties of the machine are in
//! brackets:
//!
//! | Feature | Formula | Unit | Source |
//! |---|---|---|---|
//! | `peak` | max abs x | u | |
//! | `velocity_rms` (unit) | RMS of the velocity over 10 to 1,000 Hz: each line of the Hann-windowed spectrum over 2πf (for a sensor in mm/s: of the lines themselves) | mm/s | ISO 20816-1 |
//! | `iso_zone` (unit, class) | zone of `velocity_rms`: 1 A, 2 B, 3 C, 4 D | 1 | ISO 20816-3:2022; class `small` ISO 10816-1 annex B |
//! | `spectral_kurtosis` | ⟨abs z⁴⟩ / ⟨abs z²⟩² − 2 of the analytic signal z of the most impulsive band | 1 | Antoni 2006; bands of Nyquist / 1, 2, 3, 4, 6, 8, 1 kHz wide or more, after the fast kurtogram (Antoni 2007) |
//! | `impulsive_low`, `impulsive_high` | edges of that band | Hz | |
//! | `octave_16` to `octave_16000` | 10 lg of the mean square in the octave of 1,000 · 2^k Hz, named by its nominal centre (`octave_31` is 31.5 Hz) | dB re 1 u² | IEC 61260-1, base 2, by the spectrum |
//! | `cepstrum_quefrency` | position of the highest value of F⁻¹ ln abs X² between 1 ms and 200 ms (two revolutions, if the speed is known) | s | Randall 2017 |
//! | `cepstrum_peak` | its height above the median, over 1.4826 MAD | 1 | |
//! | `shaft_hz` (speed) | the speed that was used: that of the speed sensor, else the configured one | Hz | |
//! | `outer_…`, `inner_…`, `ball_…`, `cage_…` (speed, bearing) | for BPFO, BPFI, 2 BSF, FTF, in the band whose squared envelope has the most evidence for the fault: | | Randall & Antoni 2011 |
//! | `…_evidence` | −lg of the probability that noise alone has three such harmonics (F test of their geometric mean) | 1 | |
//! | `…_strength` | geometric mean of the power of the three harmonics over the remaining power, per line | 1 | |
//! | `…_frequency` | fundamental with the best fit within 1.5 % of the computed one | Hz | |
//! | `…_ratio` | largest ratio of the amplitude of a harmonic to its background | 1 | |
//! | `…_harmonics` | consecutive harmonics, from the first on, above the background: 3-fold, of 6; for fewer than 20 periods in the waveform 1.5-fold, of 3 | 1 | |
//! | `…_sidebands` | number of 4 sidebands (at shaft speed; for the ball at cage speed) that are 3-fold above the background; 0 for outer and cage, and for fewer than 20 periods | 1 | |
//! | `…_amplitude` | square root of the amplitude of the fundamental in the squared envelope | u | |
//! | `bearing_named` (speed, bearing) | 0 none, 1 outer, 2 inner, 3 ball, 4 cage: the fault with the most evidence, if evidence ≥ 5, strength ≥ 6 and a harmonic is above the background | 1 | |
//! | `mesh_ratio` (speed, teeth) | amplitude at teeth · shaft over its background | 1 | |
//! | `mesh_sidebands` (speed, teeth) | number of 6 sidebands at shaft speed that are 3-fold above the background | 1 | |
//!
//! They are computed from the first 32,768 samples of the waveform; those of the bearing from its first 20 revolutions.
//! `velocity_rms` needs 0.4 s (four periods of 10 Hz), an octave 4 lines (below Nyquist), a fault 3.5 periods, the mesh
//! 4 revolutions.
//!
//! A feature that is not defined is NaN:
//! - all features if a sample is NaN;
//! - skewness and kurtosis if the samples do not differ (SciPy's rule, m₂ ≤ (ε · mean)²);
//! - the features of the spectrum if all samples are equal or there are fewer than 2, its entropy for fewer than 2
//!   lines;
//! - `rolling_mean_std` for fewer than 10 samples;
//! - slopes if the times do not differ, `cusum` if the samples do not differ;
//! - `missing_ratio` if no rate is known, or if the window began before the first reading of the sensor;
//! - the features that only waveforms have, for fewer than 64 samples, or if a required property of the machine is
//!   unknown.
//!
//! If several lines are equally high to within 1e-9 of the power, the one with the lowest frequency is the dominant
//! line, so that the result does not depend on rounding.

use wheeltapper_condition_monitoring::waveform::fft::FftPlans;

pub use crate::feature_names::{BASIC_FEATURES, MACHINE_FEATURES, TREND_FEATURES, WAVEFORM_FEATURES, WINDOW_FEATURES};
use crate::{
    config,
    numeric::{quantile, sum, sum_map},
    spectrum::{SpectralPeak, SpectrumAnalyzer},
    trend, waveform,
};

/// Number of samples of a rolling mean.
const ROLLING_SAMPLES: usize = 10;

/// Computes features. Keeps FFT plans and buffers between windows.
#[derive(Debug, Default)]
pub struct FeatureExtractor {
    spectra: SpectrumAnalyzer,
    plans: FftPlans,
    sorted: Vec<f64>,
    means: Vec<f64>,
}

impl FeatureExtractor {
    /// Computes the basic features of samples, which are in order of time. Returns them in the order of
    /// [`BASIC_FEATURES`]. `rate` is in Hz.
    #[allow(clippy::cast_precision_loss, reason = "counts")]
    pub fn basic_features(&mut self, values: &[f64], rate: f64) -> [f64; BASIC_FEATURES.len()] {
        if values.is_empty() || values.iter().any(|value| value.is_nan()) {
            return [f64::NAN; BASIC_FEATURES.len()];
        }
        let count = values.len() as f64;
        let mean = sum(values) / count;
        let m2 = sum_map(values, |value| (value - mean) * (value - mean)) / count;
        let std = m2.sqrt();
        let rms = (sum_map(values, |value| value * value) / count).sqrt();
        self.sorted.clear();
        self.sorted.extend_from_slice(values);
        self.sorted.sort_unstable_by(f64::total_cmp);
        let (min, max) = match self.sorted.as_slice() {
            [min, .., max] => (*min, *max),
            _ => (mean, mean),
        };
        let (skewness, kurtosis) = if m2 <= (f64::EPSILON * mean) * (f64::EPSILON * mean) {
            (f64::NAN, f64::NAN)
        } else {
            let m3 = sum_map(values, |value| {
                let deviation = value - mean;
                deviation * deviation * deviation
            }) / count;
            let m4 = sum_map(values, |value| {
                let square = (value - mean) * (value - mean);
                square * square
            }) / count;
            (m3 / (m2 * std), m4 / (m2 * m2) - 3.0)
        };
        let peak = if min < max { self.spectra.peak(values, mean, rate) } else { SpectralPeak::UNDEFINED };
        let (q25, q50, q75) = (quantile(&self.sorted, 0.25), quantile(&self.sorted, 0.5), quantile(&self.sorted, 0.75));
        [
            mean,
            std,
            min,
            max,
            rms,
            max - min,
            min.abs().max(max.abs()) / rms,
            skewness,
            kurtosis,
            peak.frequency,
            peak.magnitude,
            peak.entropy,
            q25,
            q50,
            q75,
            q75 - q25,
            self.rolling_mean_std(values),
        ]
    }

    /// Computes the features of a window of readings, which are in order of time. Returns them in the order of
    /// [`WINDOW_FEATURES`]. `rate` is in Hz; `expected` is the expected number of readings, NaN if unknown.
    pub fn window_features(
        &mut self,
        times: &[i64],
        values: &[f64],
        rate: f64,
        expected: f64,
    ) -> [f64; WINDOW_FEATURES.len()] {
        let basic = self.basic_features(values, rate);
        concat_values(&basic, &trend::features(times, values, &basic, expected))
    }

    /// Computes the features of a waveform. Returns them in the order of [`WAVEFORM_FEATURES`]. `rate` and `shaft` are
    /// in Hz.
    pub(crate) fn waveform_features(
        &mut self,
        samples: &[f64],
        rate: f64,
        machine: Option<&config::MachineProperties>,
        shaft: Option<f64>,
    ) -> [f64; WAVEFORM_FEATURES.len()] {
        let basic = self.basic_features(samples, rate);
        concat_values(&basic, &waveform::features(&mut self.plans, samples, rate, machine, shaft))
    }

    #[allow(clippy::cast_precision_loss, reason = "counts")]
    fn rolling_mean_std(&mut self, values: &[f64]) -> f64 {
        if values.len() < ROLLING_SAMPLES {
            return f64::NAN;
        }
        self.means.clear();
        self.means.extend(values.windows(ROLLING_SAMPLES).map(|window| sum(window) / ROLLING_SAMPLES as f64));
        let count = self.means.len() as f64;
        let mean = sum(&self.means) / count;
        (sum_map(&self.means, |value| (value - mean) * (value - mean)) / count).sqrt()
    }
}

#[inline]
fn concat_values<const A: usize, const B: usize, const N: usize>(first: &[f64; A], then: &[f64; B]) -> [f64; N] {
    const { assert!(A + B == N) };
    let mut all = [f64::NAN; N];
    let (head, tail) = all.split_at_mut(A);
    head.copy_from_slice(first);
    tail.copy_from_slice(then);
    all
}
