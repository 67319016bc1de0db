//! Spectral residual on a sliding window (Ren et al. 2019, Time-Series Anomaly Detection Service at Microsoft, section
//! 3.1; after Hou and Zhang 2007).
//!
//! With amplitude `A` and phase `P` of the window's Fourier transform: `L = ln A`, `R = L − h_q * L` with a mean over
//! `q` neighbours (circular, because a spectrum is), and the saliency map is `S = |F⁻¹(exp(R + iP))|`. The map is poor
//! at its end, so the window is extended by `κ` estimated points, `x_{k+1} = x_{k−m+1} + ḡ m` with the mean gradient
//! `ḡ` from `x_k` to the `m` values before it. In the paper `x_k` is the newest value; here it is the one before,
//! because a spike would otherwise extrapolate itself and hide behind its own continuation. The score of the newest
//! value is `(S − S̄)/S̄`, with `S̄` over the last `z` values of the map.

use serde::{Deserialize, Serialize};

use crate::{per_sensor::SeriesDetector, ring_buffer::RingBuffer};

/// The paper's `q`: neighbours in the mean of the log spectrum.
const LOG_MEAN_SIZE: usize = 3;
/// The paper's `z`: values of the map that the newest one is compared with.
const COMPARED_VALUES: usize = 21;
/// The paper's `κ`: estimated points after the window.
const ESTIMATED_POINTS: usize = 5;
/// The paper's `m`: gradients that are averaged.
const GRADIENT_COUNT: usize = 5;
/// Smaller amplitudes count as 0; this value stands for them in the logarithm.
const MIN_AMPLITUDE: f64 = 1e-8;

/// Spectral residual of one series; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpectralResidual {
    /// Length of the window including the estimated points, a power of two.
    size: usize,
    recent: RingBuffer,
}

impl SpectralResidual {
    /// The window has the next power of two from `window` on, at least 32, including the five estimated points.
    pub fn new(window: usize) -> Self {
        let size = window.clamp(32, 1 << 20).next_power_of_two();
        Self { size, recent: RingBuffer::new(size - ESTIMATED_POINTS) }
    }

    /// Adds the next value and returns its saliency relative to the mean of the map, minus 1; None until the window is
    /// full. Ignores values that are not finite.
    pub fn push(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        self.recent.push(value);
        if !self.recent.is_full() {
            return None;
        }
        let mut real: Vec<f64> = self.recent.iter().collect();
        let next = extrapolate(real.split_last().map_or(&[], |(_, before)| before));
        real.extend(std::iter::repeat_n(next, ESTIMATED_POINTS));
        let map = saliency(&real);
        let newest = map.len() - 1 - ESTIMATED_POINTS;
        let compared = map.get(newest + 1 - COMPARED_VALUES..=newest)?;
        #[allow(clippy::cast_precision_loss, reason = "21")]
        let mean = compared.iter().sum::<f64>() / COMPARED_VALUES as f64;
        let last = *map.get(newest)?;
        Some(if mean > 0.0 { (last - mean) / mean } else { 0.0 })
    }
}

/// Estimates the next value by the mean gradient from the previous values to the last one.
#[allow(clippy::cast_precision_loss, reason = "5")]
fn extrapolate(values: &[f64]) -> f64 {
    let mut back = values.iter().rev().copied();
    let Some(last) = back.next() else { return 0.0 };
    let before: Vec<f64> = back.take(GRADIENT_COUNT).collect();
    if before.len() < GRADIENT_COUNT {
        return last;
    }
    let gradient =
        before.iter().zip(1_u32..).map(|(value, distance)| (last - value) / f64::from(distance)).sum::<f64>();
    // x_{n−m+1} is the (m − 1)th before the last.
    before.get(GRADIENT_COUNT - 2).map_or(last, |from| from + gradient)
}

/// Saliency map of values whose number is a power of two.
pub(crate) fn saliency(values: &[f64]) -> Vec<f64> {
    let mut real = values.to_vec();
    let mut imaginary = vec![0.0; real.len()];
    fft(&mut real, &mut imaginary);
    let size = real.len();
    let amplitude: Vec<f64> = real.iter().zip(&imaginary).map(|(re, im)| re.hypot(*im)).collect();
    let logs: Vec<f64> = amplitude.iter().map(|amplitude| amplitude.max(MIN_AMPLITUDE).ln()).collect();
    let mut around = logs.iter().cycle().skip(size - LOG_MEAN_SIZE / 2);
    let mut window: Vec<f64> = around.by_ref().take(LOG_MEAN_SIZE - 1).copied().collect();
    for (((re, im), amplitude), log) in real.iter_mut().zip(&mut imaginary).zip(&amplitude).zip(&logs) {
        window.push(around.next().copied().unwrap_or_default());
        #[allow(clippy::cast_precision_loss, reason = "3")]
        let mean = window.iter().sum::<f64>() / LOG_MEAN_SIZE as f64;
        window.remove(0);
        // exp(R + iP): keep the phase and replace the amplitude. The sign is conjugated for the inverse transform.
        let factor = if *amplitude > MIN_AMPLITUDE { (log - mean).exp() / amplitude } else { 0.0 };
        (*re, *im) = (*re * factor, -*im * factor);
    }
    fft(&mut real, &mut imaginary);
    #[allow(clippy::cast_precision_loss, reason = "at most 2^20")]
    let scale = (size as f64).recip();
    real.iter().zip(&imaginary).map(|(re, im)| re.hypot(*im) * scale).collect()
}

/// Discrete Fourier transform in place, for powers of two (Cooley and Tukey 1965).
fn fft(real: &mut [f64], imaginary: &mut [f64]) {
    let size = real.len().min(imaginary.len());
    if !size.is_power_of_two() || size < 2 {
        return;
    }
    for at in 0..size {
        let other = at.reverse_bits() >> (usize::BITS - size.trailing_zeros());
        if at < other {
            real.swap(at, other);
            imaginary.swap(at, other);
        }
    }
    let mut half = 1;
    while half < size {
        #[allow(clippy::cast_precision_loss, reason = "at most 2^20")]
        let angle = -std::f64::consts::PI / half as f64;
        for (real, imaginary) in real.chunks_exact_mut(2 * half).zip(imaginary.chunks_exact_mut(2 * half)) {
            let (left_re, right_re) = real.split_at_mut(half);
            let (left_im, right_im) = imaginary.split_at_mut(half);
            let left = left_re.iter_mut().zip(left_im);
            let right = right_re.iter_mut().zip(right_im);
            for ((at, (left_re, left_im)), (right_re, right_im)) in (0_u32..).zip(left).zip(right) {
                let (sine, cosine) = (angle * f64::from(at)).sin_cos();
                let re = *right_re * cosine - *right_im * sine;
                let im = *right_re * sine + *right_im * cosine;
                (*right_re, *right_im) = (*left_re - re, *left_im - im);
                (*left_re, *left_im) = (*left_re + re, *left_im + im);
            }
        }
        half *= 2;
    }
}

/// Window length of the detector for sensors, in values.
const DEFAULT_WINDOW: usize = 128;

impl SeriesDetector for SpectralResidual {
    fn for_training_rows(rows: usize) -> Self {
        Self::new(if rows < DEFAULT_WINDOW { DEFAULT_WINDOW / 4 } else { DEFAULT_WINDOW })
    }
    fn next_statistic(&mut self, value: f64) -> Option<f64> {
        self.push(value)
    }
    /// Above the paper's limit of 3, which normal noise exceeds more often than 1 in 1,000 times.
    fn theoretical_limit(&self) -> f64 {
        4.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn transform_is_the_sum() {
        let values: Vec<f64> = (0..16).map(|at| f64::from(at * at % 7)).collect();
        let (mut real, mut imaginary) = (values.clone(), vec![0.0; 16]);
        fft(&mut real, &mut imaginary);
        for (frequency, (re, im)) in real.iter().zip(&imaginary).enumerate() {
            let angle = |at: usize| -std::f64::consts::TAU * (at * frequency) as f64 / 16.0;
            let sum = |of: fn(f64) -> f64| values.iter().enumerate().map(|(at, x)| x * of(angle(at))).sum::<f64>();
            assert!((re - sum(f64::cos)).abs() < 1e-12 && (im - sum(f64::sin)).abs() < 1e-12);
        }
    }

    #[test]
    fn the_map_matches_numpy() {
        let text = include_str!("../tests/data/saliency.csv");
        let rows: Vec<Vec<f64>> =
            text.lines().skip(1).map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
        let values: Vec<f64> = rows.iter().map(|row| row[0]).collect();
        for (mine, row) in saliency(&values).iter().zip(&rows) {
            assert!((mine - row[1]).abs() < 1e-9 * row[1].max(1.0), "{mine} {}", row[1]);
        }
    }

    #[test]
    fn a_spike_is_salient() {
        let mut random = Random::new(4);
        let mut spectral = SpectralResidual::new(128);
        let mut value = |at: i32| (f64::from(at) * 0.3).sin() + 0.1 * random.normal();
        let mut usual: Vec<f64> = (0..1000).filter_map(|at| spectral.push(value(at))).collect();
        assert_eq!(usual.len(), 1000 - 122);
        usual.sort_by(f64::total_cmp);
        let spike = spectral.push(value(1000) + 4.0);
        assert!(spike.is_some_and(|spike| spike > usual[usual.len() * 99 / 100]), "{spike:?} {:?}", usual.last());
        assert_eq!(extrapolate(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]), 6.0);
    }

    #[test]
    fn the_map_is_highest_at_the_spike() {
        let mut random = Random::new(4);
        let mut values: Vec<f64> = (0..256).map(|at| (f64::from(at) * 0.3).sin() + 0.1 * random.normal()).collect();
        values[150] += 4.0;
        let map = saliency(&values);
        let highest = map.iter().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other));
        assert_eq!(highest.map(|(at, _)| at), Some(150));
    }
}
