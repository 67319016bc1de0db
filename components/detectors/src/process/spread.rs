//! Distance of a row from the smoothed levels: shows a variance that rises or falls.
//!
//! The deviations `h = x − f` are adjusted for each other as in `whiten.rs`, which gives `r`; the feature is `√|r|`,
//! standardised. The square root of an absolute normal value is nearly symmetric, so that its mean over some rows is
//! nearly normal (as in D. Hawkins, "A CUSUM for a scale parameter", J. of Quality Technology 1981).

use serde::{Deserialize, Serialize};

use super::{whiten, whiten::SquareMatrix};
use crate::rows;

/// Adjusted deviations are capped at this many scales.
const MAX_SCALED: f64 = 6.0;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ChannelSpread {
    /// Standard deviation of the adjusted deviation.
    scale: f64,
    /// Mean and standard deviation of its square root.
    mean: f64,
    spread: f64,
}

impl ChannelSpread {
    fn root(&self, adjusted: f64) -> f64 {
        (adjusted.abs() / self.scale).min(MAX_SCALED).sqrt()
    }
}

/// Learnt in the fit and constant after that.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spread {
    adjustment: SquareMatrix,
    channels: Vec<ChannelSpread>,
}

impl Spread {
    /// Fits the deviations of the fitted rows, one series per channel. Also returns the feature of these rows.
    pub(crate) fn fit(deviations: &[Vec<f64>]) -> (Self, Vec<Vec<f64>>) {
        let rows = deviations.first().map_or(0, Vec::len);
        let (matrix, scales) = whiten::correlation(&whiten::centered(deviations), &vec![1e-9; deviations.len()]);
        let mut adjustment = matrix.shrunk(whiten::shrinkage(deviations.len(), rows, 0.05)).adjustment();
        adjustment.divide_columns(&scales.iter().map(|scale| scale.max(0.05)).collect::<Vec<_>>());
        let (all, features) = adjustment
            .rows()
            .map(|weights| {
                let mut adjusted = vec![0.0; rows];
                for (weight, values) in weights.iter().zip(deviations) {
                    for (sum, value) in adjusted.iter_mut().zip(values) {
                        *sum += weight * value;
                    }
                }
                let mut channel = ChannelSpread { scale: rows::deviation(&adjusted).max(0.05), mean: 0.0, spread: 1.0 };
                let roots: Vec<f64> = adjusted.iter().map(|value| channel.root(*value)).collect();
                channel.mean = rows::mean(&roots);
                channel.spread = rows::deviation(&roots).max(0.1);
                let feature = roots.iter().map(|root| (root - channel.mean) / channel.spread).collect::<Vec<_>>();
                (channel, feature)
            })
            .unzip();
        (Self { adjustment, channels: all }, features)
    }

    /// Computes the feature of one row of deviations.
    pub(crate) fn features<'a>(&'a self, deviations: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let standardised =
            |(channel, adjusted): (&ChannelSpread, f64)| (channel.root(adjusted) - channel.mean) / channel.spread;
        self.channels.iter().zip(self.adjustment.mul_vector(deviations)).map(standardised)
    }
}
