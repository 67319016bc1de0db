//! Quantiles by conformal calibration: the residuals (true minus predicted life) of held-out units, near each
//! prediction (split conformal prediction: Papadopoulos et al. 2002; localised: Lei & Wasserman 2014).

use serde::{Deserialize, Serialize};

/// Grid points of the table.
const GRID_POINTS: usize = 51;
/// Kernel width as a share of the horizon (4 windows of 125).
const KERNEL_WIDTH: f64 = 0.032;
/// Distance of the outer quantiles from 0 and 1: a band from 10 to 90 %. Planners cap both the life and the band at the
/// horizon, so the band covers more of the capped lives.
const OUTER_QUANTILE: f64 = 0.1;
/// Number of units from which the outer quantiles are used unchanged. With only n units they move outwards by 0.9 (1/n
/// − 1/40): the (n + 1)/n of split conformal prediction, less what the smaller libraries of the folds already add.
const UNITS_WITHOUT_CORRECTION: f64 = 40.0;

/// Quantiles of true − predicted life by prediction, on an even grid from 0 to the horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResidualQuantiles {
    horizon: f64,
    table: Vec<[f64; 3]>,
}

impl ResidualQuantiles {
    /// Fits the quantiles on pairs (predicted, true) of `units` units that the predictor has not seen. The true life is
    /// not capped. Returns `None` for fewer than 20 pairs.
    #[must_use]
    pub fn fit(pairs: &[(f64, f64)], horizon: f64, units: usize) -> Option<Self> {
        if pairs.len() < 20 {
            return None;
        }
        let mut sorted: Vec<(f64, f64)> =
            pairs.iter().map(|(predicted, life)| (*predicted, life - predicted)).collect();
        sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
        let outer = (OUTER_QUANTILE - (0.9 / units.max(1) as f64 - 0.9 / UNITS_WITHOUT_CORRECTION).max(0.0)).max(0.0);
        let shares = [outer, 0.5, 1.0 - outer];
        let table = (0..GRID_POINTS)
            .map(|point| {
                let centre = horizon * point as f64 / (GRID_POINTS - 1) as f64;
                // Widen the kernel until its weights sum to ten pairs. A width of 0 would never grow.
                let mut width = (KERNEL_WIDTH * horizon).max(f64::MIN_POSITIVE);
                loop {
                    let weights: Vec<f64> = sorted
                        .iter()
                        .map(|(predicted, _)| (-0.5 * ((predicted - centre) / width).powi(2)).exp())
                        .collect();
                    if weights.iter().sum::<f64>() >= 10.0 || width > horizon {
                        return shares.map(|share| weighted_quantile(&sorted, &weights, share));
                    }
                    width *= 1.5;
                }
            })
            .collect();
        Some(Self { horizon, table })
    }

    /// Returns the residual quantiles 0.1, 0.5 and 0.9 at a prediction.
    #[must_use]
    pub fn quantiles_at(&self, predicted: f64) -> [f64; 3] {
        let position = (predicted / self.horizon).clamp(0.0, 1.0) * (GRID_POINTS - 1) as f64;
        let low = (position as usize).min(GRID_POINTS - 2);
        let fraction = position - low as f64;
        std::array::from_fn(|share| self.table[low][share] * (1.0 - fraction) + self.table[low + 1][share] * fraction)
    }
}

/// Weighted quantile of sorted residuals, interpolated between the centres of their weights.
fn weighted_quantile(sorted: &[(f64, f64)], weights: &[f64], share: f64) -> f64 {
    let total: f64 = weights.iter().sum();
    let mut before: Option<(f64, f64)> = None;
    let mut sum = 0.0;
    for ((_, residual), weight) in sorted.iter().zip(weights) {
        let at = (sum + 0.5 * weight) / total;
        sum += weight;
        if at >= share {
            return match before {
                Some((last, value)) if at > last => value + (residual - value) * (share - last) / (at - last),
                _ => *residual,
            };
        }
        before = Some((at, *residual));
    }
    before.map_or(f64::NAN, |(_, residual)| residual)
}
