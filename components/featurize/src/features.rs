//! The features of a window, for samples `x` of a sensor with unit u, `n` of them, at `rate` Hz.
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
//! | `dominant_frequency` | frequency of the highest line of the spectrum of x − mean, without 0 Hz | Hz | |
//! | `dominant_magnitude` | its amplitude, 2 abs X / n (1 abs X / n at rate / 2) | u | |
//! | `spectral_entropy` | −Σ p ln p / ln K, p the lines' share of the power, K lines without 0 Hz | 1 | Shannon, of the power spectrum |
//! | `q25`, `q50`, `q75` | quantiles, interpolated linearly | u | as `numpy.quantile` |
//! | `iqr` | q75 − q25 | u | |
//! | `rolling_mean_std` | `std` of the means of every 10 neighbouring samples | u | |
//!
//! Windows of readings have besides, with t the readings' times in seconds ([`TREND`]):
//!
//! | Feature | Formula | Unit | Source |
//! |---|---|---|---|
//! | `trend_slope` | Σ(t − t̄)(x − mean) / Σ(t − t̄)² | u/s | ordinary least squares |
//! | `rate_of_change` | (last x − first x) / (last t − first t) | u/s | |
//! | `cusum` | max over k of abs Σᵢ₌₁ᵏ (xᵢ − mean) / (std · sqrt n) | 1 | Page 1954; white noise exceeds 1.63 in 1 of 100 windows (Kolmogorov), a step in the middle reaches sqrt n / 2 |
//! | `missing_ratio` | 1 − n / (length of the window · expected rate), 0 at least | 1 | |
//! | `stuck` | longest run of equal readings / n | 1 | 1 / n when neighbours differ, 1 when all are equal |
//!
//! The expected rate is the configured one, else what is usual for the sensor: it starts as the rate of its first window
//! of 3 readings or more, and moves towards that of each window after by 50 % over the number of windows seen at most,
//! later by 0.01 %, so that a sensor that drops readings for hours does not make that usual.
//!
//! Bursts have besides ([`MACHINE`]); what the sensor's machine must tell stands in brackets:
//!
//! | Feature | Formula | Unit | Source |
//! |---|---|---|---|
//! | `peak` | max abs x | u | |
//! | `velocity_rms` (unit) | RMS of the velocity over 10 to 1,000 Hz: each line of the Hann-windowed spectrum over 2πf (for a sensor in mm/s: of the lines themselves) | mm/s | ISO 20816-1 |
//! | `iso_zone` (unit, class) | zone of `velocity_rms`: 1 A, 2 B, 3 C, 4 D | 1 | ISO 20816-3:2022; class `small` ISO 10816-1 annex B |
//! | `spectral_kurtosis` | ⟨abs z⁴⟩ / ⟨abs z²⟩² − 2 of the analytic signal z of the most impulsive band | 1 | Antoni 2006; bands of Nyquist / 1, 2, 3, 4, 6, 8, 1 kHz wide or more, after the fast kurtogram (Antoni 2007) |
//! | `impulsive_low`, `impulsive_high` | edges of that band | Hz | |
//! | `octave_16` to `octave_16000` | 10 lg of the mean square in the octave of 1,000 · 2^k Hz, named by its nominal centre (`octave_31` is 31.5 Hz) | dB re 1 u² | IEC 61260-1, base 2, by the spectrum |
//! | `cepstrum_quefrency` | place of the highest value of F⁻¹ ln abs X² between 1 ms and 200 ms (two revolutions, where the speed is known) | s | Randall 2017 |
//! | `cepstrum_peak` | its height above the median, over 1.4826 MAD | 1 | |
//! | `shaft_hz` (speed) | speed that was used: of the speed sensor, else as configured | Hz | |
//! | `outer_…`, `inner_…`, `ball_…`, `cage_…` (speed, bearing) | for BPFO, BPFI, 2 BSF, FTF, in the band whose squared envelope speaks most for the fault: | | Randall & Antoni 2011 |
//! | `…_evidence` | −lg of the chance that noise alone has three such harmonics (F test of their geometric mean) | 1 | |
//! | `…_strength` | geometric mean of the three harmonics' power over what is left, per line | 1 | |
//! | `…_frequency` | fundamental that fits best within 1.5 % of the computed one | Hz | |
//! | `…_ratio` | largest amplitude of the harmonics over their background | 1 | |
//! | `…_harmonics` | harmonics, from the first on, that stand out: of 6, threefold; below 20 periods in the burst of 3, 1.5-fold | 1 | |
//! | `…_sidebands` | of 4 sidebands (at shaft speed; of the ball at cage speed) those that stand out threefold; 0 for outer and cage, and below 20 periods | 1 | |
//! | `…_amplitude` | square root of the amplitude of the fundamental in the squared envelope | u | |
//! | `bearing_named` (speed, bearing) | 0 none, 1 outer, 2 inner, 3 ball, 4 cage: that with most evidence, if evidence ≥ 5, strength ≥ 6 and a harmonic stands out | 1 | |
//! | `mesh_ratio` (speed, teeth) | amplitude at teeth · shaft over its background | 1 | |
//! | `mesh_sidebands` (speed, teeth) | of 6 sidebands at shaft speed those that stand out threefold | 1 | |
//!
//! These are of the burst's first 32,768 samples, the bearing's of its first 20 revolutions. `velocity_rms` needs 0.4 s
//! (four periods of 10 Hz), an octave 4 lines (below Nyquist), a fault 3.5 periods, the mesh 4 revolutions.
//!
//! What is not defined is NaN: skewness and kurtosis when the samples do not differ (SciPy's rule, m₂ ≤ (ε · mean)²),
//! the spectrum's features when all samples are equal or there are fewer than 2, its entropy with fewer than 2 lines, the
//! rolling mean's with fewer than 10 samples, slopes when the times do not differ, `cusum` when the samples do not,
//! `missing_ratio` when no rate is known or the window began before the sensor's first reading, what bursts have besides
//! when they are shorter than 64 samples or the machine does not tell; everything when a sample is NaN. Of lines that are equally high to within
//! 1e-9 of the power the lowest is the dominant one, so that no rounding decides it.

use wheeltapper_condition::wave::fft::Transforms;

use crate::{
    burst, config,
    numeric::{quantile, sum, sum_of},
    spectrum::{Peak, Spectra},
    trend,
};

/// The features that windows and bursts share, in the order in which they are computed.
pub const BASIC: [&str; 17] = [
    "mean",
    "std",
    "min",
    "max",
    "rms",
    "peak_to_peak",
    "crest_factor",
    "skewness",
    "kurtosis",
    "dominant_frequency",
    "dominant_magnitude",
    "spectral_entropy",
    "q25",
    "q50",
    "q75",
    "iqr",
    "rolling_mean_std",
];

/// What windows of readings have besides.
pub const TREND: [&str; 5] = ["trend_slope", "rate_of_change", "cusum", "missing_ratio", "stuck"];

/// What bursts have besides: their peak first, then what needs knowledge of the machine.
pub const MACHINE: [&str; 51] = [
    "peak",
    "velocity_rms",
    "iso_zone",
    "spectral_kurtosis",
    "impulsive_low",
    "impulsive_high",
    "octave_16",
    "octave_31",
    "octave_63",
    "octave_125",
    "octave_250",
    "octave_500",
    "octave_1000",
    "octave_2000",
    "octave_4000",
    "octave_8000",
    "octave_16000",
    "cepstrum_quefrency",
    "cepstrum_peak",
    "shaft_hz",
    "outer_evidence",
    "outer_strength",
    "outer_frequency",
    "outer_ratio",
    "outer_harmonics",
    "outer_sidebands",
    "outer_amplitude",
    "inner_evidence",
    "inner_strength",
    "inner_frequency",
    "inner_ratio",
    "inner_harmonics",
    "inner_sidebands",
    "inner_amplitude",
    "ball_evidence",
    "ball_strength",
    "ball_frequency",
    "ball_ratio",
    "ball_harmonics",
    "ball_sidebands",
    "ball_amplitude",
    "cage_evidence",
    "cage_strength",
    "cage_frequency",
    "cage_ratio",
    "cage_harmonics",
    "cage_sidebands",
    "cage_amplitude",
    "bearing_named",
    "mesh_ratio",
    "mesh_sidebands",
];

/// The features of a window of readings, in order.
pub const FEATURES: [&str; BASIC.len() + TREND.len()] = join(&BASIC, &TREND);

/// The features of a burst, in order.
pub const BURST_FEATURES: [&str; BASIC.len() + MACHINE.len()] = join(&BASIC, &MACHINE);

const fn join<const N: usize>(first: &[&'static str], then: &[&'static str]) -> [&'static str; N] {
    let mut all = [""; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() { first[at] } else { then[at - first.len()] };
        at += 1;
    }
    all
}

/// Neighbouring samples in a rolling mean.
const ROLLING: usize = 10;
/// Computes features; keeps plans and buffers from window to window.
#[derive(Debug, Default)]
pub struct Extractor {
    spectra: Spectra,
    transforms: Transforms,
    sorted: Vec<f64>,
    means: Vec<f64>,
}

impl Extractor {
    /// The basic features of the samples in order of time, in the order of [`BASIC`]. `rate` is in Hz.
    #[allow(clippy::cast_precision_loss, reason = "counts")]
    pub fn features(&mut self, values: &[f64], rate: f64) -> [f64; BASIC.len()] {
        if values.is_empty() || values.iter().any(|value| value.is_nan()) {
            return [f64::NAN; BASIC.len()];
        }
        let count = values.len() as f64;
        let mean = sum(values) / count;
        let m2 = sum_of(values, |value| (value - mean) * (value - mean)) / count;
        let std = m2.sqrt();
        let rms = (sum_of(values, |value| value * value) / count).sqrt();
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
            let m3 = sum_of(values, |value| {
                let from = value - mean;
                from * from * from
            }) / count;
            let m4 = sum_of(values, |value| {
                let square = (value - mean) * (value - mean);
                square * square
            }) / count;
            (m3 / (m2 * std), m4 / (m2 * m2) - 3.0)
        };
        let peak = if min < max { self.spectra.peak(values, mean, rate) } else { Peak::UNDEFINED };
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

    /// The features of a window's readings in order of time, in the order of [`FEATURES`]. `rate` is in Hz; `expected` is
    /// how many readings there should be, NaN when it is not known.
    pub fn window(&mut self, times: &[i64], values: &[f64], rate: f64, expected: f64) -> [f64; FEATURES.len()] {
        let basic = self.features(values, rate);
        append(&basic, &trend::features(times, values, &basic, expected))
    }

    /// The features of a burst's samples, in the order of [`BURST_FEATURES`]. `rate` and `shaft` are in Hz.
    pub(crate) fn burst(
        &mut self,
        samples: &[f64],
        rate: f64,
        machine: Option<&config::Machine>,
        shaft: Option<f64>,
    ) -> [f64; BURST_FEATURES.len()] {
        let basic = self.features(samples, rate);
        append(&basic, &burst::features(&mut self.transforms, samples, rate, machine, shaft))
    }

    #[allow(clippy::cast_precision_loss, reason = "counts")]
    fn rolling_mean_std(&mut self, values: &[f64]) -> f64 {
        if values.len() < ROLLING {
            return f64::NAN;
        }
        self.means.clear();
        self.means.extend(values.windows(ROLLING).map(|window| sum(window) / ROLLING as f64));
        let count = self.means.len() as f64;
        let mean = sum(&self.means) / count;
        (sum_of(&self.means, |value| (value - mean) * (value - mean)) / count).sqrt()
    }
}

#[inline]
fn append<const A: usize, const B: usize, const N: usize>(first: &[f64; A], then: &[f64; B]) -> [f64; N] {
    const { assert!(A + B == N) };
    let mut all = [f64::NAN; N];
    let (head, tail) = all.split_at_mut(A);
    head.copy_from_slice(first);
    tail.copy_from_slice(then);
    all
}
