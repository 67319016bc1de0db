//! The healthy range of a machine's octave levels, and the distance of a waveform from it.

use serde::{Deserialize, Serialize};

use crate::stats::{mean, standard_deviation, student_upper_quantile};

/// Mean and spread of each octave level, fitted on healthy waveforms only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    limit: f64,
}

/// False-alarm probability of one healthy waveform, if levels are normally distributed.
const FALSE_ALARM_PROBABILITY: f64 = 1e-5;
/// Smallest standard deviation of a level, in dB: levels of one mounting and load do not repeat better than this.
const MIN_DEVIATION: f64 = 0.25;

impl Baseline {
    /// Fits a baseline. Each of `rows` holds the levels of one waveform in dB; level `i` covers `lines[i]` spectral
    /// lines.
    /// The limit is Student's two-sided prediction limit for one more waveform, t(n − 1, 1e-5 / 2m) sqrt(1 + 1/n) for m
    /// levels (Bonferroni correction). The standard deviation of a level is at least 0.25 dB and at least half that of
    /// noise in the same number of lines, 4.34 dB sqrt(1.5 / lines) under a Hann window.
    /// Returns `None` with fewer than 5 rows or rows of unequal length.
    #[must_use]
    pub fn fit(rows: &[Vec<f64>], lines: &[usize]) -> Option<Self> {
        let width = lines.len();
        if rows.len() < 5 || width == 0 || rows.iter().any(|row| row.len() != width) {
            return None;
        }
        let columns = (0..width).map(|column| rows.iter().map(|row| row[column]).collect::<Vec<f64>>());
        let (mut means, mut deviations) = (Vec::new(), Vec::new());
        for (column, lines) in columns.zip(lines) {
            means.push(mean(&column));
            let noise = 4.343 * (1.5 / (*lines).max(1) as f64).sqrt() / 2.0;
            deviations.push(standard_deviation(&column).max(MIN_DEVIATION).max(noise));
        }
        let count = rows.len() as f64;
        let limit = student_upper_quantile(FALSE_ALARM_PROBABILITY / 2.0 / width as f64, count - 1.0)
            * (1.0 + 1.0 / count).sqrt();
        Some(Self { mean: means, deviation: deviations, limit })
    }

    /// Returns the largest deviation of a level divided by the limit; above 1 the waveform differs from the baseline.
    /// NaN if `row` has another length.
    #[must_use]
    pub fn limit_ratio(&self, row: &[f64]) -> f64 {
        if row.len() != self.mean.len() {
            return f64::NAN;
        }
        row.iter()
            .zip(&self.mean)
            .zip(&self.deviation)
            .map(|((level, mean), deviation)| (level - mean).abs() / deviation)
            .fold(0.0, f64::max)
            / self.limit
    }

    /// Returns the distance of each level from its mean, in standard deviations.
    #[must_use]
    pub fn deviations(&self, row: &[f64]) -> Vec<f64> {
        let levels = row.iter().zip(&self.mean).zip(&self.deviation);
        levels.map(|((level, mean), deviation)| ((level - mean) / deviation).abs()).collect()
    }
}
