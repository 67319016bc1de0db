//! One step ahead: each sensor's level against what its own past lets expect.
//!
//! Of three forecasts the one with the smallest error in the rows to learn from is taken, sensor by sensor:
//!
//! - an autoregression of order `p` by the equations of Yule and Walker, solved by Levinson's and Durbin's recursion (G. Box,
//!   G. Jenkins, "Time Series Analysis", 1970), with `p` up to 8 by H. Akaike's criterion;
//! - the value a season ago (seasonal naive), with the season where the autocorrelation has its highest peak above a half;
//! - the mean, which is the autoregression of order 0.
//!
//! The residual is standardised; what counts is the larger of its size and of that of its moving average, which sees a lasting
//! shift that the autoregression soon follows.

use serde::{Deserialize, Serialize};

use crate::{
    Detector, FitError, Layout, pot,
    ring::Ring,
    rows::{self, Scale},
};

/// The highest order.
const ORDER: usize = 8;
/// The weight of a row in the moving average of residuals.
const WEIGHT: f64 = 0.2;
/// The longest season.
const SEASON: usize = 512;
/// Autocorrelation of a season, at least.
const PEAK: f64 = 0.5;
/// Residuals beyond count no more in the moving average, or one outlier would stay in it.
const MOST: f64 = 6.0;
/// Beyond so many deviations is one of 1,000 normal residuals of one sensor.
const PREDICTED: f64 = 3.3;
/// Fewer rows do not show what is normal.
const LEAST_ROWS: usize = 12;

/// An autoregression: `x̂ₜ = Σ φₖ xₜ₋ₖ`, and the variance of what it leaves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Autoregression {
    /// φ, the nearest value first.
    pub coefficients: Vec<f64>,
    /// Of the residuals.
    pub variance: f64,
}

/// Autocovariances of values about 0, for lags up to `most`, each divided by the count.
fn autocovariances(values: &[f64], most: usize) -> Vec<f64> {
    let count = rows::count(values.len().max(1));
    (0..=most).map(|lag| values.iter().zip(values.iter().skip(lag)).map(|(a, b)| a * b).sum::<f64>() / count).collect()
}

impl Autoregression {
    /// Those of orders 0 to `most`, of values about 0.
    pub fn up_to(values: &[f64], most: usize) -> Vec<Self> {
        let covariances = autocovariances(values, most.min(values.len().saturating_sub(1)));
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

    /// The one of these with the smallest `n ln σ² + 2 p`.
    fn best(all: Vec<Self>, count: usize) -> Self {
        let criterion = |one: &Self| {
            rows::count(count) * one.variance.max(f64::MIN_POSITIVE).ln() + 2.0 * rows::count(one.coefficients.len())
        };
        all.into_iter().min_by(|one, other| criterion(one).total_cmp(&criterion(other))).unwrap_or_default()
    }
}

/// The lag of the highest peak of the autocorrelation after it first fell below 0, if that is above a half.
fn season(values: &[f64]) -> Option<usize> {
    let covariances = autocovariances(values, SEASON.min(values.len() / 3));
    let scale = covariances.first().copied().filter(|scale| *scale > 0.0)?;
    let past = covariances.iter().position(|covariance| *covariance < 0.0)?;
    let (lag, peak) = covariances.iter().enumerate().skip(past).max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (peak / scale > PEAK).then_some(lag)
}

/// One sensor's forecast.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct One {
    scale: Scale,
    coefficients: Vec<f64>,
    /// 0 for none.
    season: usize,
    past: Ring,
    mean: f64,
    deviation: f64,
    average: f64,
    average_deviation: f64,
}

impl One {
    fn fit(values: &[f64]) -> Self {
        let scale = Scale::fit(values);
        let mut before = 0.0;
        let filled: Vec<f64> = values
            .iter()
            .map(|value| {
                before = if value.is_finite() { scale.of(*value) } else { before };
                before
            })
            .collect();
        let center = rows::mean(&filled);
        let centered: Vec<f64> = filled.iter().map(|value| value - center).collect();
        let order = ORDER.min(values.len() / 10);
        let regression = Autoregression::best(Autoregression::up_to(&centered, order), values.len());
        let season = season(&centered).filter(|lag| {
            let apart = centered.iter().zip(centered.iter().skip(*lag)).map(|(a, b)| (a - b).powi(2));
            apart.sum::<f64>() / rows::count(centered.len() - lag) < regression.variance
        });
        let mut one = Self {
            scale,
            past: Ring::new(season.unwrap_or(0).max(ORDER)),
            coefficients: regression.coefficients,
            season: season.unwrap_or(0),
            mean: 0.0,
            deviation: 1.0,
            average: 0.0,
            average_deviation: 1.0,
        };
        let residuals: Vec<f64> = filled.iter().filter_map(|value| one.residual(*value)).collect();
        one.mean = rows::mean(&residuals);
        let left = rows::count(residuals.len());
        let spent = rows::count(one.coefficients.len() + 1);
        one.deviation = (rows::deviation(&residuals) * (left / (left - spent).max(1.0)).sqrt()).max(0.05);
        // The moving average's deviation: of white noise, or more if the residuals are none.
        let averages: Vec<f64> = residuals.iter().map(|residual| one.averaged(*residual)).collect();
        one.average_deviation = (WEIGHT / (2.0 - WEIGHT)).sqrt().max(rows::deviation(&averages));
        one
    }

    /// The residual of the next value, which is taken in; none as long as there is too little past.
    fn residual(&mut self, value: f64) -> Option<f64> {
        let expected = if self.season > 0 {
            self.past.back(self.season - 1)
        } else {
            let terms = self.coefficients.iter().enumerate().map(|(lag, phi)| Some(phi * self.past.back(lag)?));
            terms.sum()
        };
        self.past.push(value);
        expected.map(|expected: f64| value - expected)
    }

    /// The moving average of standardised residuals.
    fn averaged(&mut self, residual: f64) -> f64 {
        let unit = ((residual - self.mean) / self.deviation).clamp(-MOST, MOST);
        self.average += WEIGHT * (unit - self.average);
        self.average
    }

    /// How far the next value is from its forecast, in deviations.
    fn next(&mut self, value: f64) -> f64 {
        let Some(residual) = self.residual(self.scale.of(value)) else { return 0.0 };
        let average = self.averaged(residual).abs() / self.average_deviation;
        ((residual - self.mean).abs() / self.deviation).max(average)
    }
}

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Forecast {
    layout: Layout,
    all: Vec<One>,
    edge: f64,
    last: Vec<f64>,
}

impl Forecast {
    fn learn(layout: Layout, rows: &[Vec<f64>]) -> Self {
        let all = layout.levels().map(|at| One::fit(&rows::column(rows, at))).collect();
        Self { layout, all, edge: PREDICTED, last: vec![0.0; layout.width()] }
    }

    /// How far each sensor is out.
    fn step(&mut self, row: &[f64]) -> Vec<f64> {
        let next = |(at, one): (usize, &mut One)| {
            row.get(at).filter(|value| value.is_finite()).map_or(0.0, |value| one.next(*value))
        };
        self.layout.levels().zip(&mut self.all).map(next).collect()
    }
}

impl Detector for Forecast {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable(layout, rows, LEAST_ROWS)?;
        // The edge from the last two fifths, forecast from what was learnt before them.
        let (before, after) = rows.split_at((rows.len() * 3 / 5).max(rows.len().min(10)));
        let mut early = Self::learn(layout, before);
        let reached: Vec<f64> = after.iter().map(|row| early.step(row).into_iter().fold(0.0, f64::max)).collect();
        let edge = PREDICTED.max(pot::edge(&reached));
        *self = Self { edge, ..Self::learn(layout, &rows) };
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        let out = self.step(row);
        let mut parts = vec![0.0; self.layout.width()];
        for (at, out) in self.layout.levels().zip(&out) {
            if let Some(part) = parts.get_mut(at) {
                *part = out.powi(4);
            }
        }
        self.last = rows::shares(parts);
        rows::ratio(out.into_iter().fold(0.0, f64::max), self.edge)
    }

    fn explain(&self) -> Vec<f64> {
        self.last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The equations themselves: `Σ φₖ c(|j − k|) = c(j)`.
    #[test]
    fn yule_and_walkers_equations_are_solved() {
        let mut random = Random::new(1);
        let mut values = vec![0.0, 0.0];
        for at in 2..3000 {
            values.push(0.6 * values[at - 1] - 0.3 * values[at - 2] + random.normal());
        }
        let covariances = autocovariances(&values, 5);
        for one in Autoregression::up_to(&values, 5) {
            for j in 1..=one.coefficients.len() {
                let sum: f64 = one.coefficients.iter().zip(1..).map(|(phi, k)| phi * covariances[j.abs_diff(k)]).sum();
                assert!((sum - covariances[j]).abs() < 1e-9);
            }
            let explained: f64 = one.coefficients.iter().zip(&covariances[1..]).map(|(phi, c)| phi * c).sum();
            assert!((one.variance - (covariances[0] - explained)).abs() < 1e-9);
        }
        let best = Autoregression::best(Autoregression::up_to(&values, 5), values.len());
        assert!((best.coefficients[0] - 0.6).abs() < 0.06 && (best.coefficients[1] + 0.3).abs() < 0.06, "{best:?}");
    }

    #[test]
    fn a_season_is_seen_and_what_does_not_fit_it_found() {
        let mut random = Random::new(2);
        let mut value = |at: usize| if at % 24 < 9 { 50.0 } else { 20.0 } + random.normal();
        let rows: Vec<Vec<f64>> = (0..240).map(|at| vec![value(at)]).collect();
        let mut detector = Forecast::default();
        detector.fit(Layout::levels_only(1), &rows).unwrap();
        assert_eq!(detector.all[0].season, 24);
        let alarms = (240..1000).filter(|at| detector.score(0, &[value(*at)]) >= 1.0).count();
        assert!(alarms <= 3, "{alarms}");
        // In the night as by day.
        assert!(detector.score(0, &[value(1000) - 15.0]) > 1.0);
    }
}
