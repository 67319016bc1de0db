//! What is normal for a machine's octave levels, and how far a waveform is from it.

use serde::{Deserialize, Serialize};

use crate::stats::{deviation, mean, student_upper};

/// Learnt from healthy waveforms only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    limit: f64,
}

/// Chance per waveform that a healthy one is beyond the limit, if levels are normal.
const CHANCE: f64 = 1e-5;
/// Levels of one mounting and load repeat no better than this, in dB.
const FLOOR: f64 = 0.25;

impl Baseline {
    /// From rows of levels in dB, `lines[i]` spectral lines in level `i`. The limit is Student's two-sided prediction
    /// limit for one more waveform, t(n − 1, 1e-5 / 2m) sqrt(1 + 1/n), m levels (Bonferroni); a level's deviation is at
    /// least 0.25 dB and at least that of noise of as many lines, 4.34 dB sqrt(1.5 / lines) under a Hann window, divided
    /// by 2. None with fewer than 5 rows or rows of unequal length.
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
            deviations.push(deviation(&column).max(FLOOR).max(noise));
        }
        let count = rows.len() as f64;
        let limit = student_upper(CHANCE / 2.0 / width as f64, count - 1.0) * (1.0 + 1.0 / count).sqrt();
        Some(Self { mean: means, deviation: deviations, limit })
    }

    /// The largest deviation over the limit: above 1 the waveform is not as it was. NaN for a row of another length.
    #[must_use]
    pub fn ratio(&self, row: &[f64]) -> f64 {
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

    /// How far each level is from its mean, in its deviations.
    #[must_use]
    pub fn deviations(&self, row: &[f64]) -> Vec<f64> {
        let parts = row.iter().zip(&self.mean).zip(&self.deviation);
        parts.map(|((level, mean), deviation)| ((level - mean) / deviation).abs()).collect()
    }
}
