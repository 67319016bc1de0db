//! Applies a detector of single series to the level of each sensor; the sensor that is farthest out counts.

use serde::{Deserialize, Serialize};

use crate::{
    Detector, FitError, Layout,
    rows::{self, Scale},
};

/// Detector of one series with a statistic that grows with how unusual a value is.
pub trait SeriesDetector {
    /// Creates a detector for this many training rows. Its values will be in scales: median 0, standard deviation about
    /// 1.
    fn for_training_rows(rows: usize) -> Self;
    /// Adds the next value and returns the statistic; None while there are too few values.
    fn next_statistic(&mut self, value: f64) -> Option<f64>;
    /// Limit according to the statistic's own theory; the limit in use is never below it.
    fn theoretical_limit(&self) -> f64;
    /// Upper bound of the statistic.
    fn max_statistic(&self) -> f64 {
        f64::INFINITY
    }
}

/// Fewest rows that show what is normal.
const MIN_ROWS: usize = 10;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SensorSeries<S> {
    scale: Scale,
    series: S,
    limit: f64,
}

/// One detector per sensor; see the module documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PerSensor<S> {
    layout: Layout,
    sensors: Vec<SensorSeries<S>>,
    last_shares: Vec<f64>,
}

impl<S> Default for PerSensor<S> {
    fn default() -> Self {
        Self { layout: Layout::default(), sensors: Vec::new(), last_shares: Vec::new() }
    }
}

/// Limit above the statistics of the training rows: twice as far from the median as the largest, or half way to the
/// upper bound if that is less.
fn limit_above(series: &impl SeriesDetector, statistics: &[f64]) -> f64 {
    let (center, max) = (rows::median(statistics), statistics.iter().copied().fold(0.0, f64::max));
    let margin_limit = (max + (max - center)).min(f64::midpoint(max, series.max_statistic()));
    series.theoretical_limit().max(margin_limit)
}

impl<S: SeriesDetector> Detector for PerSensor<S> {
    fn fit(&mut self, layout: Layout, rows: &[Vec<f64>]) -> Result<(), FitError> {
        let rows = rows::usable_rows(layout, rows, MIN_ROWS)?;
        let one = |at| {
            let values = rows::column(&rows, at);
            let scale = Scale::fit(&values);
            let mut series = S::for_training_rows(rows.len());
            let finite = values.iter().filter(|value| value.is_finite());
            let statistics: Vec<f64> =
                finite.filter_map(|value| series.next_statistic(scale.to_scales(*value))).collect();
            // The first half is skipped: there is little to compare with at first.
            let limit = limit_above(&series, statistics.get(statistics.len() / 2..).unwrap_or(&[]));
            SensorSeries { scale, series, limit }
        };
        *self =
            Self { layout, sensors: layout.level_indices().map(one).collect(), last_shares: vec![0.0; layout.width()] };
        Ok(())
    }

    fn score(&mut self, _: i64, row: &[f64]) -> f64 {
        let mut parts = vec![0.0; self.layout.width()];
        let mut max = 0.0_f64;
        for (at, sensor) in self.layout.level_indices().zip(&mut self.sensors) {
            let value = row.get(at).copied().filter(|value| value.is_finite());
            let statistic =
                value.and_then(|value| sensor.series.next_statistic(sensor.scale.to_scales(value))).unwrap_or(0.0);
            let ratio = rows::ratio(statistic, sensor.limit);
            max = max.max(ratio);
            if let Some(part) = parts.get_mut(at) {
                *part = ratio.powi(4);
            }
        }
        self.last_shares = rows::to_shares(parts);
        max
    }

    fn explain(&self) -> Vec<f64> {
        self.last_shares.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cusum::Cusum, discord::Discord, page_hinkley::PageHinkley, random::Random, spectral::SpectralResidual,
    };

    fn check<S: SeriesDetector>(fault: impl Fn(usize) -> f64) {
        let mut random = Random::new(3);
        let mut row = |at: usize, more: f64| {
            let wave = 3.0 * (at as f64 * 0.2).sin();
            vec![100.0 + wave + 0.3 * random.normal() + more, 5.0 + 0.1 * random.normal()]
        };
        let rows: Vec<Vec<f64>> = (0..400).map(|at| row(at, 0.0)).collect();
        let mut detector = PerSensor::<S>::default();
        detector.fit(Layout::levels_only(2), &rows).unwrap();
        let alarms = (400..900).filter(|at| detector.score(0, &row(*at, 0.0)) >= 1.0).count();
        assert!(alarms <= 5, "{alarms} false alarms");
        let found = (900..960).find(|at| detector.score(0, &row(*at, fault(*at))) >= 1.0);
        assert!(found.is_some(), "not found");
        assert!(detector.explain()[0] > 0.5, "{:?}", detector.explain());
        assert_eq!(detector.score(0, &[f64::NAN, f64::NAN]), 0.0);
        assert_eq!(detector.explain(), [0.0, 0.0]);
    }

    #[test]
    fn faults_are_found_and_attributed_to_their_sensor() {
        check::<Discord>(|at| if at % 2 == 0 { 8.0 } else { -8.0 });
        check::<SpectralResidual>(|at| if at == 930 { 40.0 } else { 0.0 });
        check::<PageHinkley>(|_| 15.0);
        check::<Cusum>(|_| 15.0);
    }
}
