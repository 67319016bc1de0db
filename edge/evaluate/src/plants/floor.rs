//! Simple rules beside which the line is printed.

use nalgebra::{DMatrix, SymmetricEigen};
use wheeltapper_alert::Severity;

use super::PlantCase;
use crate::{
    alert_history::{AlertSpan, Mark},
    diagnosis::Diagnosis,
    metrics::{mean, quantile},
};

/// Share of the variance that the components explain, and quantile of the learnt residuals that is the limit.
const EXPLAINED_SHARE: f64 = 0.99;
const LIMIT_QUANTILE: f64 = 0.999;
/// Consecutive rows beyond the limit that raise an alert.
const ROWS_BEYOND: usize = 2;
/// Waveforms whose median is compared, and the factor of the learnt median from which they raise an alert.
const MEDIAN_WAVEFORMS: usize = 5;
const RMS_FACTOR: f64 = 2.0;

/// Name of [`pca_residual`].
pub const PCA_RESIDUAL: &str = "PCA residual, 99 % of variance, 99.9 % quantile of the rows learnt, two rows in a row";

/// Alerts where the residual of a principal component analysis of the learnt rows is beyond its limit for two rows.
/// Missing values repeat the last one.
#[must_use]
pub fn pca_residual(case: &PlantCase) -> Option<Vec<AlertSpan>> {
    let rows = filled(&case.rows);
    let learnt: Vec<&Vec<f64>> =
        rows.iter().zip(&case.rows).filter(|(_, (time, _))| *time < case.learn_until).map(|(row, _)| row).collect();
    let width = case.sensors.len();
    if learnt.len() < 2 * width || width == 0 {
        return None;
    }
    let column = |at: usize| learnt.iter().filter_map(move |row| row.get(at).copied());
    let centres: Vec<f64> = (0..width).map(|at| mean(column(at))).collect();
    let scales: Vec<f64> = centres
        .iter()
        .enumerate()
        .map(|(at, centre)| mean(column(at).map(|value| (value - centre).powi(2))).sqrt())
        .map(|scale| if scale > 1e-9 { scale } else { 1.0 })
        .collect();
    let scaled = |row: &[f64]| -> Vec<f64> {
        row.iter().zip(&centres).zip(&scales).map(|((value, centre), scale)| (value - centre) / scale).collect()
    };
    let mut covariance = DMatrix::<f64>::zeros(width, width);
    for row in &learnt {
        let row = nalgebra::DVector::from_vec(scaled(row));
        covariance.ger(1.0 / learnt.len() as f64, &row, &row, 1.0);
    }
    let eigen = SymmetricEigen::new(covariance);
    let mut order: Vec<usize> = (0..width).collect();
    let value = |at: &usize| eigen.eigenvalues.get(*at).copied().unwrap_or(0.0);
    order.sort_by(|one, other| value(other).total_cmp(&value(one)));
    let whole: f64 = order.iter().map(value).sum();
    let mut explained = 0.0;
    let components: Vec<usize> = order
        .into_iter()
        .take_while(|at| {
            let more = explained < EXPLAINED_SHARE * whole;
            explained += value(at);
            more
        })
        .collect();
    let residual = |row: &[f64]| {
        let row = nalgebra::DVector::from_vec(scaled(row));
        let explained: f64 = components.iter().map(|at| eigen.eigenvectors.column(*at).dot(&row).powi(2)).sum();
        row.norm_squared() - explained
    };
    let limit = quantile(learnt.iter().map(|row| residual(row)).collect(), LIMIT_QUANTILE);
    let beyond: Vec<bool> = rows.iter().map(|row| residual(row) > limit).collect();
    let times: Vec<i64> = case.rows.iter().map(|(time, _)| *time).collect();
    Some(spans_of(&case.machine, &times, &beyond, ROWS_BEYOND))
}

/// Name of [`rms_doubled`].
pub const RMS_DOUBLED: &str = "median RMS of 5 waveforms of the first sensor above twice the median learnt";

/// Alerts where the median RMS of the newest waveforms of the first sensor is above twice the learnt one.
#[must_use]
pub fn rms_doubled(case: &PlantCase) -> Option<Vec<AlertSpan>> {
    let first = case.waveforms.iter().filter(|waveform| waveform.sensor == 0);
    let levels: Vec<(i64, f64)> = first
        .map(|waveform| {
            let squares = waveform.samples.iter().map(|sample| f64::from(*sample).powi(2));
            (waveform.start, mean(squares).sqrt())
        })
        .collect();
    let learnt = levels.iter().filter(|(time, _)| *time < case.learn_until).map(|(_, level)| *level).collect();
    let limit = RMS_FACTOR * quantile(learnt, 0.5);
    let median = |at: usize| {
        let from = (at + 1).saturating_sub(MEDIAN_WAVEFORMS);
        quantile(levels.get(from..=at).unwrap_or_default().iter().map(|(_, level)| *level).collect(), 0.5)
    };
    let beyond: Vec<bool> = (0..levels.len()).map(|at| median(at) > limit).collect();
    let times: Vec<i64> = levels.iter().map(|(time, _)| *time).collect();
    (!levels.is_empty()).then(|| spans_of(&case.machine, &times, &beyond, 1))
}

/// Fills missing values with the last one, and those at the start with the first.
fn filled(rows: &[(i64, Vec<f64>)]) -> Vec<Vec<f64>> {
    let width = rows.first().map_or(0, |(_, row)| row.len());
    let first = |at: usize| rows.iter().filter_map(|(_, row)| row.get(at).copied()).find(|value| value.is_finite());
    let mut last: Vec<f64> = (0..width).map(|at| first(at).unwrap_or(0.0)).collect();
    rows.iter()
        .map(|(_, row)| {
            for (last, value) in last.iter_mut().zip(row).filter(|(_, value)| value.is_finite()) {
                *last = *value;
            }
            last.clone()
        })
        .collect()
}

/// The runs of at least `count` rows beyond the limit as alerts; they open at the last of these rows.
fn spans_of(machine: &str, times: &[i64], beyond: &[bool], count: usize) -> Vec<AlertSpan> {
    let mut spans: Vec<AlertSpan> = Vec::new();
    let mut run = 0;
    for (time, beyond) in times.iter().zip(beyond) {
        if *beyond {
            run += 1;
            if run == count {
                let mark = Mark {
                    at: *time,
                    severity: Severity::Medium,
                    diagnosis: Diagnosis::Unnamed,
                    sensor: String::new(),
                };
                spans.push(AlertSpan {
                    asset: machine.to_owned(),
                    opened: *time,
                    closed: None,
                    marks: vec![mark],
                    message: String::new(),
                });
            }
        } else {
            if run >= count
                && let Some(span) = spans.last_mut()
            {
                span.closed = Some(*time);
            }
            run = 0;
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two columns that move together, and a third.
    fn case(broken: std::ops::Range<usize>) -> PlantCase {
        let rows = (0..600)
            .map(|row| {
                let wave = (row as f64 / 7.0).sin();
                let other = (row as f64 / 3.1).cos();
                let first = if broken.contains(&row) { -wave } else { wave };
                (row as i64, vec![first, 2.0 * wave + 0.01 * other, if row % 5 == 0 { f64::NAN } else { other }])
            })
            .collect();
        PlantCase {
            machine: "m".to_owned(),
            sensors: ["a", "b", "c"].map(str::to_owned).to_vec(),
            rows,
            learn_until: 300,
            ..PlantCase::default()
        }
    }

    #[test]
    fn a_broken_correlation_is_beyond_the_limit() {
        let spans = pca_residual(&case(400..420)).unwrap();
        let after: Vec<&AlertSpan> = spans.iter().filter(|span| span.opened >= 300).collect();
        assert!(!after.is_empty() && after.iter().all(|span| (400..421).contains(&span.opened)), "{after:?}");
        assert!(pca_residual(&case(0..0)).unwrap().iter().all(|span| span.opened < 300));
        assert!(pca_residual(&PlantCase::default()).is_none());
    }

    #[test]
    fn doubled_waveforms_raise_an_alert() {
        let waveforms = (0..50)
            .map(|at| crate::WaveformReading {
                sensor: 0,
                start: at,
                rate: 100.0,
                samples: vec![if at < 40 { 1.0 } else { 3.0 }, -1.0],
            })
            .collect();
        let case = PlantCase { waveforms, learn_until: 10, ..PlantCase::default() };
        let spans = rms_doubled(&case).unwrap();
        assert_eq!((spans.len(), spans[0].opened, spans[0].closed), (1, 42, None));
    }
}
