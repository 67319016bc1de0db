//! One-step-ahead forecast: the level of each sensor compared with a forecast from its own past.
//!
//! For each sensor, the forecast with the smallest error in the training rows is used, out of three:
//!
//! - an autoregression of order `p` by the Yule-Walker equations, solved by the Levinson-Durbin recursion (G. Box, G.
//!   Jenkins, "Time Series Analysis", 1970), with `p` up to 8 by H. Akaike's criterion;
//! - the value one season ago (seasonal naive), where the season is the highest peak of the autocorrelation above a
//!   half;
//! - the mean, which is the autoregression of order 0.
//!
//! The residual is standardised. The result is the larger of its size and the size of its moving average, which shows a
//! lasting shift that the autoregression soon follows.

use serde::{Deserialize, Serialize};

use crate::{
    Detector, FitError, Layout, pot,
    ring_buffer::RingBuffer,
    rows::{self, Scale},
};

/// Highest order of the autoregression.
const MAX_ORDER: usize = 8;
/// Weight of a row in the moving average of residuals.
const AVERAGE_WEIGHT: f64 = 0.2;
/// Longest season, in rows.
const MAX_SEASON: usize = 512;
/// Smallest autocorrelation at the season's lag.
const MIN_SEASON_CORRELATION: f64 = 0.5;
/// Residuals are capped at this value in the moving average, so that one outlier does not dominate it.
const MAX_RESIDUAL: f64 = 6.0;
/// One of 1,000 normal residuals of a sensor is beyond this many standard deviations.
const THEORETICAL_LIMIT: f64 = 3.3;
/// Fewest rows that show what is normal.
const MIN_ROWS: usize = 12;

/// Autoregression `x̂ₜ = Σ φₖ xₜ₋ₖ`, with the variance of its residuals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Autoregression {
    /// Coefficients φ, that of the most recent value first.
    pub coefficients: Vec<f64>,
    /// Variance of the residuals.
    pub variance: f64,
}

/// Autocovariances of values around 0 for the lags up to `max`, each divided by the number of values.
fn autocovariances(values: &[f64], max: usize) -> Vec<f64> {
    let count = rows::to_float(values.len().max(1));
    (0..=max).map(|lag| values.iter().zip(values.iter().skip(lag)).map(|(a, b)| a * b).sum::<f64>() / count).collect()
}

impl Autoregression {
    /// Fits the autoregressions of orders 0 to `max` to values around 0.
    pub fn fit_orders(values: &[f64], max: usize) -> Vec<Self> {
        let covariances = autocovariances(values, max.min(values.len().saturating_sub(1)));
        let mut last = Self { coefficients: Vec::new(), variance: covariances.first().copied().unwrap_or(0.0) };
        let mut all = vec![last.clone()];
        for (order, covariance) in covariances.iter().enumerate().skip(1) {
            if last.variance <= 0.0 {
                break;
            }
            let explained: f64 =
                last.coefficients.iter().zip(covariances.iter().take(order).rev()).map(|(phi, c)| phi * c).sum();
            let reflection = (covariance - explained) / last.variance;
            let mut coefficients: Vec<f64> = last
                .coefficients
                .iter()
                .zip(last.coefficients.iter().rev())
                .map(|(one, other)| one - reflection * other)
                .collect();
            coefficients.push(reflection);
            last = Self { coefficients, variance: last.variance * (1.0 - reflection * reflection) };
            all.push(last.clone());
        }
        all
    }

    /// Selects the autoregression with the smallest `n ln σ² + 2 p`.
    fn select_best(all: Vec<Self>, count: usize) -> Self {
        let criterion = |one: &Self| {
            rows::to_float(count) * one.variance.max(f64::MIN_POSITIVE).ln()
                + 2.0 * rows::to_float(one.coefficients.len())
        };
        all.into_iter().min_by(|one, other| criterion(one).total_cmp(&criterion(other))).unwrap_or_default()
    }
}

/// Lag of the highest peak of the autocorrelation after it first falls below 0, if that peak is above a half.
fn season(values: &[f64]) -> Option<usize> {
    let covariances = autocovariances(values, MAX_SEASON.min(values.len() / 3));
    let scale = covariances.first().copied().filter(|scale| *scale > 0.0)?;
    let first_negative = covariances.iter().position(|covariance| *covariance < 0.0)?;
    let (lag, peak) = covariances.iter().enumerate().skip(first_negative).max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (peak / scale > MIN_SEASON_CORRELATION).then_some(lag)
}

/// Forecast of one sensor.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SensorForecast {
    scale: Scale,
    coefficients: Vec<f64>,
    /// Length in rows; 0 for no season.
    season: usize,
    history: RingBuffer,
    mean: f64,
    deviation: f64,
    average: f64,
    average_deviation: f64,
}

impl SensorForecast {
    fn fit(values: &[f64]) -> Self {
        let scale = Scale::fit(values);
        let mut before = 0.0;
        let filled: Vec<f64> = values
            .iter()
            .map(|value| {
                before = if value.is_finite() { scale.to_scales(*value) } else { before };
                before
            })
            .collect();
        let center = rows::mean(&filled);
        let centered: Vec<f64> = filled.iter().map(|value| value - center).collect();
        let order = MAX_ORDER.min(values.len() / 10);
        let regression = Autoregression::select_best(Autoregression::fit_orders(&centered, order), values.len());
        let season = season(&centered).filter(|lag| {
            let squared_differences = centered.iter().zip(centered.iter().skip(*lag)).map(|(a, b)| (a - b).powi(2));
            squared_differences.sum::<f64>() / rows::to_float(centered.len() - lag) < regression.variance
        });
        let mut forecast = Self {
            scale,
            history: RingBuffer::new(season.unwrap_or(0).max(MAX_ORDER)),
            coefficients: regression.coefficients,
            season: season.unwrap_or(0),
            mean: 0.0,
            deviation: 1.0,
            average: 0.0,
            average_deviation: 1.0,
        };
        let residuals: Vec<f64> = filled.iter().filter_map(|value| forecast.residual(*value)).collect();
        forecast.mean = rows::mean(&residuals);
        let residual_count = rows::to_float(residuals.len());
        let parameter_count = rows::to_float(forecast.coefficients.len() + 1);
        forecast.deviation = (rows::deviation(&residuals)
            * (residual_count / (residual_count - parameter_count).max(1.0)).sqrt())
        .max(0.05);
        // Standard deviation of the moving average: that of white noise, or more if the residuals are correlated.
        let averages: Vec<f64> = residuals.iter().map(|residual| forecast.update_average(*residual)).collect();
        forecast.average_deviation = (AVERAGE_WEIGHT / (2.0 - AVERAGE_WEIGHT)).sqrt().max(rows::deviation(&averages));
        forecast
    }

    /// Adds the next value and returns its residual; None while there are too few past values.
    fn residual(&mut self, value: f64) -> Option<f64> {
        let expected = if self.season > 0 {
            self.history.value_at_age(self.season - 1)
        } else {
            let terms =
                self.coefficients.iter().enumerate().map(|(lag, phi)| Some(phi * self.history.value_at_age(lag)?));
            terms.sum()
        };
        self.history.push(value);
        expected.map(|expected: f64| value - expected)
    }

    /// Adds a residual to the moving average of standardised residuals and returns the average.
    fn update_average(&mut self, residual: f64) -> f64 {
        let unit = ((residual - self.mean) / self.deviation).clamp(-MAX_RESIDUAL, MAX_RESIDUAL);
        self.average += AVERAGE_WEIGHT * (unit - self.average);
        self.average
    }

    /// Adds the next value and returns its distance from the forecast, in standard deviations.
    fn next_distance(&mut self, value: f64) -> f64 {
        let Some(residual) = self.residual(self.scale.to_scales(value)) else { return 0.0 };
        let average = self.update_average(residual).abs() / self.average_deviation;
        ((residual - self.mean).abs() / self.deviation).max(average)
    }
}

/// One-step-ahead forecast detector; see the module documentation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Forecast {
    layout: Layout,
    sensors: Vec<SensorForecast>,
    limit: f64,
    last_shares: Vec<f64>,
}

impl Forecast {
    fn train(layout: Layout, rows: &[Vec<f64>]) -> Self {
        let all = layout.level_indices().map(|at| SensorForecast::fit(&rows::column(rows, at))).collect();
        Self { layout, sensors: all, limit: THEORETICAL_LIMIT, last_shares: vec![0.0; layout.width()] }
    }

    /// Adds a row and returns each sensor's distance from its forecast.
    fn next_distances(&mut self, row: &[f64]) -> Vec<f64> {
        let next = |(at, one): (usize, &mut SensorForecast)| {
            row.get(at).filter(|value| value.is_finite()).map_or(0.0, |value| one.next_distance(*value))
        };
        self.layout.level_indices().zip(&mut self.sensors).map(next).collect()
    }
}

impl Detector for Forecast {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable_rows(layout, rows, MIN_ROWS)?;
        // The limit comes from the last two fifths of the rows, forecast by a model of the rows before them.
        let (before, after) = rows.split_at((rows.len() * 3 / 5).max(rows.len().min(10)));
        let mut early = Self::train(layout, before);
        let ratios: Vec<f64> =
            after.iter().map(|row| early.next_distances(row).into_iter().fold(0.0, f64::max)).collect();
        let limit = THEORETICAL_LIMIT.max(pot::tail_limit(&ratios));
        *self = Self { limit, ..Self::train(layout, &rows) };
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        let out = self.next_distances(row);
        let mut parts = vec![0.0; self.layout.width()];
        for (at, out) in self.layout.level_indices().zip(&out) {
            if let Some(part) = parts.get_mut(at) {
                *part = out.powi(4);
            }
        }
        self.last_shares = rows::to_shares(parts);
        rows::ratio(out.into_iter().fold(0.0, f64::max), self.limit)
    }

    fn explain(&self) -> Vec<f64> {
        self.last_shares.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Checks the Yule-Walker equations: `Σ φₖ c(|j − k|) = c(j)`.
    #[test]
    fn yule_walker_equations_are_solved() {
        let mut random = Random::new(1);
        let mut values = vec![0.0, 0.0];
        for at in 2..3000 {
            values.push(0.6 * values[at - 1] - 0.3 * values[at - 2] + random.normal());
        }
        let covariances = autocovariances(&values, 5);
        for one in Autoregression::fit_orders(&values, 5) {
            for j in 1..=one.coefficients.len() {
                let sum: f64 = one.coefficients.iter().zip(1..).map(|(phi, k)| phi * covariances[j.abs_diff(k)]).sum();
                assert!((sum - covariances[j]).abs() < 1e-9);
            }
            let explained: f64 = one.coefficients.iter().zip(&covariances[1..]).map(|(phi, c)| phi * c).sum();
            assert!((one.variance - (covariances[0] - explained)).abs() < 1e-9);
        }
        let best = Autoregression::select_best(Autoregression::fit_orders(&values, 5), values.len());
        assert!((best.coefficients[0] - 0.6).abs() < 0.06 && (best.coefficients[1] + 0.3).abs() < 0.06, "{best:?}");
    }

    #[test]
    fn a_season_is_found_and_deviations_from_it_are_alarms() {
        let mut random = Random::new(2);
        let mut value = |at: usize| if at % 24 < 9 { 50.0 } else { 20.0 } + random.normal();
        let rows: Vec<Vec<f64>> = (0..240).map(|at| vec![value(at)]).collect();
        let mut detector = Forecast::default();
        detector.fit(Layout::levels_only(1), &rows).unwrap();
        assert_eq!(detector.sensors[0].season, 24);
        let alarms = (240..1000).filter(|at| detector.score(0, &[value(*at)]) >= 1.0).count();
        assert!(alarms <= 3, "{alarms}");
        // A low value in the night is found as well as one by day.
        assert!(detector.score(0, &[value(1000) - 15.0]) > 1.0);
    }
}
