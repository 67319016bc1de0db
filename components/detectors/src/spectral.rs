//! Spectral residual (Ren et al. 2019, Time-Series Anomaly Detection Service at Microsoft, section 3.1; after Hou and
//! Zhang 2007), on a sliding window.
//!
//! With amplitude `A` and phase `P` of the window's Fourier transform: `L = ln A`, `R = L − h_q * L` with a mean over `q`
//! neighbours (circular, for a spectrum is), and the saliency map is `S = |F⁻¹(exp(R + iP))|`. The window is continued by
//! `κ` estimated points, `x_{k+1} = x_{k−m+1} + ḡ m` with the mean gradient `ḡ` from `x_k` to the `m` before it, for a map
//! is poor at its end. The paper takes `x_k` to be the newest value; here it is the one before, or a spike would carry
//! itself on and hide behind its own continuation. The score of the newest value is `(S − S̄)/S̄`, with `S̄` over the last `z` of the map.

use serde::{Deserialize, Serialize};

use crate::{ring::Ring, sensors::Series};

/// `q`, `z`, `κ` and `m` of the paper.
const MEAN_OF: usize = 3;
const COMPARED: usize = 21;
const ESTIMATED: usize = 5;
const GRADIENTS: usize = 5;
/// Amplitudes below are 0; their logarithm stands for it.
const LEAST: f64 = 1e-8;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpectralResidual {
    /// A power of two, with the estimated points.
    size: usize,
    recent: Ring,
}

impl SpectralResidual {
    /// The window is the next power of two from `window` on, at least 32, including the five estimated points.
    pub fn new(window: usize) -> Self {
        let size = window.clamp(32, 1 << 20).next_power_of_two();
        Self { size, recent: Ring::new(size - ESTIMATED) }
    }

    /// The saliency of the next value: how many times it is above the mean of its map; none until the window is full.
    /// What is not finite is passed over.
    pub fn push(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        self.recent.push(value);
        if !self.recent.is_full() {
            return None;
        }
        let mut real: Vec<f64> = self.recent.iter().collect();
        let next = estimate(real.split_last().map_or(&[], |(_, before)| before));
        real.extend(std::iter::repeat_n(next, ESTIMATED));
        let map = saliency(&real);
        let newest = map.len() - 1 - ESTIMATED;
        let compared = map.get(newest + 1 - COMPARED..=newest)?;
        #[allow(clippy::cast_precision_loss, reason = "21")]
        let mean = compared.iter().sum::<f64>() / COMPARED as f64;
        let last = *map.get(newest)?;
        Some(if mean > 0.0 { (last - mean) / mean } else { 0.0 })
    }
}

/// The next value by the mean gradient of the last ones to it.
#[allow(clippy::cast_precision_loss, reason = "5")]
fn estimate(values: &[f64]) -> f64 {
    let mut back = values.iter().rev().copied();
    let Some(last) = back.next() else { return 0.0 };
    let before: Vec<f64> = back.take(GRADIENTS).collect();
    if before.len() < GRADIENTS {
        return last;
    }
    let gradient = before.iter().zip(1_u32..).map(|(value, far)| (last - value) / f64::from(far)).sum::<f64>();
    // x_{n−m+1} is the (m − 1)th before the last.
    before.get(GRADIENTS - 2).map_or(last, |from| from + gradient)
}

/// The saliency map of a power of two of values.
pub(crate) fn saliency(values: &[f64]) -> Vec<f64> {
    let mut real = values.to_vec();
    let mut imaginary = vec![0.0; real.len()];
    transform(&mut real, &mut imaginary);
    let size = real.len();
    let amplitude: Vec<f64> = real.iter().zip(&imaginary).map(|(re, im)| re.hypot(*im)).collect();
    let logs: Vec<f64> = amplitude.iter().map(|amplitude| amplitude.max(LEAST).ln()).collect();
    let mut around = logs.iter().cycle().skip(size - MEAN_OF / 2);
    let mut window: Vec<f64> = around.by_ref().take(MEAN_OF - 1).copied().collect();
    for (((re, im), amplitude), log) in real.iter_mut().zip(&mut imaginary).zip(&amplitude).zip(&logs) {
        window.push(around.next().copied().unwrap_or_default());
        #[allow(clippy::cast_precision_loss, reason = "3")]
        let mean = window.iter().sum::<f64>() / MEAN_OF as f64;
        window.remove(0);
        // exp(R + iP): the phase is kept, the amplitude replaced. The sign for the inverse: conjugate.
        let factor = if *amplitude > LEAST { (log - mean).exp() / amplitude } else { 0.0 };
        (*re, *im) = (*re * factor, -*im * factor);
    }
    transform(&mut real, &mut imaginary);
    #[allow(clippy::cast_precision_loss, reason = "at most 2^20")]
    let scale = (size as f64).recip();
    real.iter().zip(&imaginary).map(|(re, im)| re.hypot(*im) * scale).collect()
}

/// The discrete Fourier transform in place, for powers of two (Cooley and Tukey 1965).
fn transform(real: &mut [f64], imaginary: &mut [f64]) {
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
        let turn = -std::f64::consts::PI / half as f64;
        for (real, imaginary) in real.chunks_exact_mut(2 * half).zip(imaginary.chunks_exact_mut(2 * half)) {
            let (left_re, right_re) = real.split_at_mut(half);
            let (left_im, right_im) = imaginary.split_at_mut(half);
            let left = left_re.iter_mut().zip(left_im);
            let right = right_re.iter_mut().zip(right_im);
            for ((at, (left_re, left_im)), (right_re, right_im)) in (0_u32..).zip(left).zip(right) {
                let (sine, cosine) = (turn * f64::from(at)).sin_cos();
                let re = *right_re * cosine - *right_im * sine;
                let im = *right_re * sine + *right_im * cosine;
                (*right_re, *right_im) = (*left_re - re, *left_im - im);
                (*left_re, *left_im) = (*left_re + re, *left_im + im);
            }
        }
        half *= 2;
    }
}

/// Values in the window of the detector of sensors.
const SENSOR: usize = 128;

impl Series for SpectralResidual {
    fn start(rows: usize) -> Self {
        Self::new(if rows < SENSOR { SENSOR / 4 } else { SENSOR })
    }
    fn next(&mut self, value: f64) -> Option<f64> {
        self.push(value)
    }
    /// Above the 3 of the paper, which normal noise passes more often than 1 in 1,000 times.
    fn predicted(&self) -> f64 {
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
        transform(&mut real, &mut imaginary);
        for (frequency, (re, im)) in real.iter().zip(&imaginary).enumerate() {
            let turn = |at: usize| -std::f64::consts::TAU * (at * frequency) as f64 / 16.0;
            let sum = |of: fn(f64) -> f64| values.iter().enumerate().map(|(at, x)| x * of(turn(at))).sum::<f64>();
            assert!((re - sum(f64::cos)).abs() < 1e-12 && (im - sum(f64::sin)).abs() < 1e-12);
        }
    }

    #[test]
    fn the_map_is_numpys() {
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
        assert_eq!(estimate(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]), 6.0);
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
