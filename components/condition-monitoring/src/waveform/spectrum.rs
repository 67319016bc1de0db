//! Peaks of a power spectrum relative to their background, and the spectrum by orders of the shaft.

/// A power spectrum, line `i` at `i · step` Hz.
#[derive(Clone, Copy, Debug)]
pub struct PowerSpectrum<'a> {
    /// Power of each line.
    pub powers: &'a [f64],
    /// Distance between lines in Hz.
    pub line_spacing: f64,
    /// Length of the record in seconds: 1 / its true resolution.
    pub duration: f64,
}

/// The highest line near a frequency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpectralPeak {
    /// Frequency in Hz.
    pub frequency: f64,
    /// Power of the line.
    pub power: f64,
    /// Amplitude divided by the local background: sqrt(power / (median power / ln 2)). The power of noise is
    /// exponentially distributed with that mean.
    pub background_ratio: f64,
}

impl PowerSpectrum<'_> {
    /// Returns the highest line within ±max(`slip` · frequency, half a line) of `frequency`. Its background is the
    /// median within ±`around` Hz (at least ten lines). Returns `None` when the frequency is beyond the spectrum.
    #[must_use]
    pub fn peak_near(&self, frequency: f64, slip: f64, around: f64) -> Option<SpectralPeak> {
        let resolution = 1.0 / self.duration;
        let half = (slip * frequency).max(0.5 * resolution);
        let last = self.powers.len().checked_sub(1)?;
        let index = |frequency: f64| (frequency / self.line_spacing).max(0.0);
        let (low, high) = (index(frequency - half).ceil() as usize, index(frequency + half).floor() as usize);
        if high > last || low > high {
            return None;
        }
        let top = (low..=high).fold(low, |top, at| if self.powers[at] > self.powers[top] { at } else { top });
        let around = around.max(10.0 * resolution);
        let from = index((frequency - around).max(1.5 * resolution)).ceil() as usize;
        let to = (index(frequency + around).floor() as usize).min(last);
        if to <= from {
            return None;
        }
        let background = crate::stats::median(&mut self.powers[from..=to].to_vec()) / std::f64::consts::LN_2;
        Some(SpectralPeak {
            frequency: top as f64 * self.line_spacing,
            power: self.powers[top],
            background_ratio: (self.powers[top] / (background + f64::MIN_POSITIVE)).sqrt(),
        })
    }

    /// Returns the spectrum by orders of the shaft: the power per 1/`per_order` of an order from 0 to `orders`, each
    /// the largest line in its interval (0 for an interval without a line). `shaft` is in Hz.
    #[must_use]
    pub fn order_spectrum(&self, shaft: f64, orders: usize, per_order: usize) -> Vec<f64> {
        let mut out = vec![0.0_f64; orders * per_order + 1];
        if !crate::stats::is_positive(shaft) {
            return out;
        }
        for (index, power) in self.powers.iter().enumerate() {
            let slot = (index as f64 * self.line_spacing / shaft * per_order as f64).round() as usize;
            if let Some(value) = out.get_mut(slot) {
                *value = value.max(*power);
            }
        }
        out
    }
}
