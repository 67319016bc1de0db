//! Lines of a spectrum: by order of the shaft, and over their background.

/// A power spectrum, line `i` at `i · step` Hz.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    /// Powers.
    pub powers: &'a [f64],
    /// Hz from line to line.
    pub step: f64,
    /// Length of the record in seconds: 1 / its true resolution.
    pub duration: f64,
}

/// A line that was looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Where it is highest, in Hz.
    pub frequency: f64,
    /// Its power there.
    pub power: f64,
    /// Amplitude over the local background: sqrt(power / (median power / ln 2)); for noise the power is exponential with
    /// that mean.
    pub ratio: f64,
}

impl Lines<'_> {
    /// The highest line within ±max(`slip` · frequency, half a line) of `frequency`; its background is the median within
    /// ±`around` Hz (at least ten lines).
    #[must_use]
    pub fn at(&self, frequency: f64, slip: f64, around: f64) -> Option<Line> {
        let resolution = 1.0 / self.duration;
        let half = (slip * frequency).max(0.5 * resolution);
        let last = self.powers.len().checked_sub(1)?;
        let index = |frequency: f64| (frequency / self.step).max(0.0);
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
        Some(Line {
            frequency: top as f64 * self.step,
            power: self.powers[top],
            ratio: (self.powers[top] / (background + f64::MIN_POSITIVE)).sqrt(),
        })
    }

    /// The spectrum against orders of the shaft: RMS power per 1/`per_order` of an order from 0 to `orders`, each the
    /// largest line in its interval (0 where none falls). `shaft` in Hz.
    #[must_use]
    pub fn by_order(&self, shaft: f64, orders: usize, per_order: usize) -> Vec<f64> {
        let mut out = vec![0.0_f64; orders * per_order + 1];
        if !crate::stats::positive(shaft) {
            return out;
        }
        for (index, power) in self.powers.iter().enumerate() {
            let slot = (index as f64 * self.step / shaft * per_order as f64).round() as usize;
            if let Some(value) = out.get_mut(slot) {
                *value = value.max(*power);
            }
        }
        out
    }
}
