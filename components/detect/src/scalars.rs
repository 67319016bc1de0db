//! Model of the scalar sensors of an asset: what is normal for them together, and how far a window is from it.

mod dry_run;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wheeltapper_detectors::{AnyDetector, Detector as _, DetectorKind, Layout};

use crate::{
    columns::{Column, NormalRange},
    drift::{DriftEvent, DriftMonitor},
    explain::{self, AssetContext, Contribution, Explanation, FeatureValue, Trend},
    faults,
    life::{LifeEstimator, Prognosis},
    window::{MAX_ABSENT, Member, Window},
};

/// A sensor with a smaller share of its usual readings is missing in a window, for instance at the start or end of the
/// data.
const MIN_READINGS_SHARE: f64 = 0.5;
/// After the first training only one of this many windows is kept for the next one.
const RETRAINING_STRIDE: usize = 3;
/// Windows in the trend.
const TREND_LENGTH: usize = 60;
/// A sensor that misses this share of its readings in this many consecutive windows is failing.
const DROPOUT_SHARE_AND_WINDOWS: (f64, u32) = (0.2, 3);
/// With fewer usual readings per window, missing readings are not counted.
const MIN_COUNTED_READINGS: f64 = 10.0;
/// A silent sensor is reported only if it was present in this many windows.
const MIN_PRESENT_WINDOWS: u32 = 10;

/// Training row of a window: for each sensor the number of readings and the scored columns.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct TrainingRow {
    counts: Vec<u32>,
    values: Vec<f64>,
}

/// Model of the scalar sensors of an asset; see the module documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ScalarModel {
    /// Number of windows of the first training.
    warmup: usize,
    training_rows: Vec<TrainingRow>,
    /// Normal windows seen during the training.
    seen_windows: usize,
    /// None during the warm-up.
    model: Option<TrainedModel>,
    /// Ends and levels of the latest windows.
    trend_points: VecDeque<(i64, Vec<f64>)>,
    /// For each sensor, the consecutive windows with missing readings, and the number of windows in which it was
    /// present.
    missing_counts: Vec<(u32, u32)>,
    pub(crate) life: LifeEstimator,
}

/// The trained detector with the normal ranges of its columns.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct TrainedModel {
    /// Usual number of readings in a window, one per sensor.
    usual_counts: Vec<f64>,
    /// Normal ranges, `sensors · columns`.
    normal_ranges: Vec<NormalRange>,
    detector: AnyDetector,
    /// Number of training windows.
    training_windows: u32,
    drift_monitor: DriftMonitor,
}

/// Result for a window.
#[derive(Debug, Default)]
pub(crate) struct WindowOutcome {
    /// None during the warm-up, and if there were too few readings.
    pub(crate) ratio: Option<f64>,
    pub(crate) explanation: Option<Explanation>,
    /// Faults of sensors, apart from those of the machine.
    pub(crate) sensor_faults: Vec<Explanation>,
    pub(crate) drifts: Vec<DriftEvent>,
    pub(crate) prognosis: Option<Prognosis>,
}

impl ScalarModel {
    /// `training_delay` is the number of windows by which the first training is delayed after the warm-up, so that not
    /// all assets are trained at the same time.
    pub(crate) fn new(warmup: usize, training_delay: usize) -> Self {
        Self {
            warmup: warmup + training_delay,
            training_rows: Vec::new(),
            seen_windows: 0,
            model: None,
            trend_points: VecDeque::new(),
            missing_counts: Vec::new(),
            life: LifeEstimator::default(),
        }
    }

    /// Consumes the next window. `limit` is the ratio from which it is an anomaly.
    pub(crate) fn score(&mut self, window: &Window, context: &AssetContext<'_>, limit: f64) -> WindowOutcome {
        let row = training_row(window, context.columns);
        let levels = levels(&row, context.columns.len());
        let mut outcome = WindowOutcome::default();
        self.count_missing(window, context.members);
        let Some(model) = &mut self.model else {
            outcome.prognosis = self.life.push_during_warmup(window, &levels, context);
            self.push_trend(window.end, levels);
            self.train(row, context);
            return outcome;
        };
        let z = model.z(&row, context.columns.len(), context.columns);
        let Some(z) = z else { return outcome };
        let level_z: Vec<f64> = z.iter().step_by(context.columns.len().max(1)).copied().collect();
        let scored = model.detector.score(window.start, &z);
        let failing = failing_sensor(&self.missing_counts, &model.usual_counts, window);
        let ratio = failing.as_ref().map_or(scored, |(_, _, ratio)| ratio.max(scored));
        outcome.ratio = Some(ratio);
        outcome.prognosis = self.life.push(window, &level_z, &levels, context);
        if ratio >= limit {
            let finding = match failing.filter(|(_, _, ratio)| *ratio >= scored) {
                Some((sensor_index, share, _)) => dropout_explanation(context, sensor_index, share),
                None => model.explanation(&model.detector.explain(), window, &z, context),
            };
            self.push_trend(window.end, levels);
            let trend = self.trend(&finding.contributions, context);
            outcome.explanation = Some(Explanation { trend, ..finding });
        } else {
            outcome.drifts = model.drift_monitor.push(
                window,
                &level_z,
                &z,
                scored,
                &mut model.detector,
                layout(context, &model.usual_counts),
            );
            self.push_trend(window.end, levels);
            self.train(row, context);
        }
        outcome
    }

    fn train(&mut self, row: TrainingRow, context: &AssetContext<'_>) {
        let max = context.config.learn as usize * self.warmup;
        let trains_once = follows_drift(context.config.model);
        if self.model.is_some() && (trains_once || self.seen_windows >= max) {
            self.training_rows = Vec::new();
            return;
        }
        self.seen_windows += 1;
        // Windows overlap: once there is a first model, some of them are as informative as all.
        if self.seen_windows <= self.warmup || self.seen_windows.is_multiple_of(RETRAINING_STRIDE) {
            self.training_rows.push(row);
        }
        if self.seen_windows == self.warmup || self.seen_windows == max {
            let model = TrainedModel::fit(&self.training_rows, context);
            let z: Vec<Vec<f64>> = self
                .training_rows
                .iter()
                .filter_map(|row| model.z(row, context.columns.len(), context.columns))
                .map(|z| z.into_iter().step_by(context.columns.len().max(1)).collect())
                .collect();
            self.life.reset(&z);
            self.model = Some(model);
        }
        if self.seen_windows >= max {
            self.training_rows = Vec::new();
        }
    }

    fn push_trend(&mut self, end: i64, levels: Vec<f64>) {
        if self.trend_points.len() >= TREND_LENGTH {
            self.trend_points.pop_front();
        }
        self.trend_points.push_back((end, levels));
    }

    /// Counts for each sensor the consecutive windows without it or without many of its readings.
    fn count_missing(&mut self, window: &Window, members: &[Member]) {
        self.missing_counts.resize(members.len(), (0, 0));
        let usual = self.model.as_ref().map(|model| model.usual_counts.as_slice()).unwrap_or_default();
        for (at, (missing, row)) in self.missing_counts.iter_mut().zip(&window.rows).enumerate() {
            let usual = usual.get(at).copied().unwrap_or(0.0);
            let few = usual >= MIN_COUNTED_READINGS
                && row.as_ref().map_or(0.0, |row| f64::from(row.count)) < (1.0 - DROPOUT_SHARE_AND_WINDOWS.0) * usual;
            missing.0 = if few { missing.0.saturating_add(1) } else { 0 };
            missing.1 = missing.1.saturating_add(u32::from(row.is_some()));
        }
    }

    /// Trend of the feature with the largest contribution.
    fn trend(&self, parts: &[Contribution], context: &AssetContext<'_>) -> Option<Trend> {
        let first = parts.first()?;
        let sensor_index = context.members.iter().position(|member| *member.name == *first.sensor)?;
        let level = |(end, levels): &(i64, Vec<f64>)| {
            levels.get(sensor_index).copied().filter(|level| level.is_finite()).map(|level| (*end, level))
        };
        let (times, values): (Vec<i64>, Vec<f64>) = self.trend_points.iter().filter_map(level).unzip();
        // A sensor that has been silent for long has no trend.
        if times.is_empty() {
            return None;
        }
        let unit = context.unit(&first.sensor, "mean");
        Some(Trend { sensor: first.sensor.clone(), feature: "mean".to_owned(), unit, times, values })
    }
}

impl TrainedModel {
    fn fit(rows: &[TrainingRow], context: &AssetContext<'_>) -> Self {
        let (columns, sensors) = (context.columns, context.members.len());
        let width = columns.len();
        let mut counts = Vec::with_capacity(sensors);
        let mut normals = Vec::with_capacity(sensors * width);
        for at in 0..sensors {
            let seen = || rows.iter().filter_map(move |row| Some((*row.counts.get(at)?, row)));
            let present = |(count, _): &(u32, &TrainingRow)| *count > 0;
            let usual = crate::robust::median(&mut seen().filter(present).map(|(count, _)| f64::from(count)).collect());
            let usual = if usual.is_finite() { usual } else { 0.0 };
            let complete =
                || seen().filter(move |(count, _)| *count > 0 && f64::from(*count) >= MIN_READINGS_SHARE * usual);
            counts.push(usual);
            let mut level = 0.0;
            for (column_index, column) in columns.iter().enumerate() {
                let mut values: Vec<f64> =
                    complete().filter_map(|(_, row)| row.values.get(at * width + column_index).copied()).collect();
                let normal = NormalRange::fit(column.transform, &mut values, level);
                // The first column is the mean, which is the reference level of the others.
                if level == 0.0 && normal.expected.is_finite() {
                    level = normal.expected;
                }
                normals.push(normal);
            }
        }
        let mut model = Self {
            usual_counts: counts,
            normal_ranges: normals,
            detector: AnyDetector::new(context.config.model),
            training_windows: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            drift_monitor: DriftMonitor::new(context.config.warmup(), !follows_drift(context.config.model)),
        };
        let z: Vec<_> = rows.iter().filter_map(|row| model.z(row, width, columns)).collect();
        // With too few rows the detector stays silent until the next training.
        let _ = model.detector.fit(layout(context, &model.usual_counts), &z);
        model
    }

    /// z-values of a window; NaN for a sensor that is missing or has too few readings. None if no sensor has enough.
    fn z(&self, row: &TrainingRow, width: usize, columns: &[Column]) -> Option<Vec<f64>> {
        let mut z = Vec::with_capacity(self.normal_ranges.len());
        let mut any = false;
        for (at, (normals, usual)) in self.normal_ranges.chunks(width.max(1)).zip(&self.usual_counts).enumerate() {
            let count = row.counts.get(at).copied().unwrap_or(0);
            let complete = count > 0 && f64::from(count) >= MIN_READINGS_SHARE * usual;
            any |= complete;
            for (column_index, (column, normal)) in columns.iter().zip(normals).enumerate() {
                let value = row.values.get(at * width + column_index).copied().unwrap_or(f64::NAN);
                z.push(if complete { normal.z(column.transform, value) } else { f64::NAN });
            }
        }
        any.then_some(z)
    }

    fn explanation(&self, weights: &[f64], window: &Window, z: &[f64], context: &AssetContext<'_>) -> Explanation {
        let width = context.columns.len().max(1);
        let parts = explain::largest_contributions(weights, |at| {
            let column = context.columns.get(at % width)?;
            let actual = window.rows.get(at / width)?.as_ref()?.values.get(column.index as usize).copied()?;
            Some(FeatureValue {
                sensor: context.members.get(at / width)?.name.to_string(),
                feature: context.features.get(column.index as usize)?.clone(),
                expected: self.normal_ranges.get(at)?.expected,
                actual,
            })
        });
        let parts = context.with_units(parts);
        let fault_mode = faults::of_scalars(context, &parts, z);
        let message = context.message(&parts, fault_mode);
        let model = self.detector.kind().name();
        Explanation {
            message,
            fault_mode,
            contributions: parts,
            trend: None,
            model,
            training_windows: self.training_windows,
            severity: None,
        }
    }
}

/// True for a detector that follows the baseline by itself; it is trained only once.
fn follows_drift(kind: DetectorKind) -> bool {
    !matches!(
        kind,
        DetectorKind::Ensemble
            | DetectorKind::Zscore
            | DetectorKind::Mahalanobis
            | DetectorKind::Mcd
            | DetectorKind::Pca
            | DetectorKind::IsolationForest
    )
}

/// Layout of the rows of z-values: the mean is the level, the standard deviation the spread, if there is one.
fn layout(context: &AssetContext<'_>, counts: &[f64]) -> Layout {
    let of = |name: &str| {
        let named =
            |column: &Column| context.features.get(column.index as usize).is_some_and(|feature| feature == name);
        context.columns.iter().position(named)
    };
    let several = counts.iter().any(|count| *count > 1.0);
    Layout {
        sensors: counts.len(),
        columns: context.columns.len(),
        level: of("mean").unwrap_or(0),
        spread: of("std").filter(|_| several),
    }
}

fn training_row(window: &Window, columns: &[Column]) -> TrainingRow {
    let mut training_row = TrainingRow { counts: Vec::with_capacity(window.rows.len()), values: Vec::new() };
    for row in &window.rows {
        training_row.counts.push(row.as_ref().map_or(0, |row| row.count));
        for column in columns {
            let value = row.as_ref().and_then(|row| row.values.get(column.index as usize).copied());
            training_row.values.push(value.unwrap_or(f64::NAN));
        }
    }
    training_row
}

/// The means, which are the first column.
fn levels(row: &TrainingRow, width: usize) -> Vec<f64> {
    row.values.iter().step_by(width.max(1)).copied().collect()
}

/// Returns the sensor that keeps losing the most readings while others do not, the share lost, and the ratio.
fn failing_sensor(missing: &[(u32, u32)], usual: &[f64], window: &Window) -> Option<(usize, f64, f64)> {
    let candidates =
        missing.iter().zip(usual).zip(&window.rows).enumerate().filter_map(|(at, (((rows, present), usual), row))| {
            let share = 1.0 - row.as_ref().map_or(0.0, |row| f64::from(row.count)) / usual;
            (*rows >= DROPOUT_SHARE_AND_WINDOWS.1.max(MAX_ABSENT) && *present >= MIN_PRESENT_WINDOWS)
                .then_some((at, share))
        });
    let worst = candidates.max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    // If all sensors are silent, the cause is the gateway or a shutdown, and nothing is scored.
    let others_send = window.rows.iter().enumerate().any(|(at, row)| {
        let usual = usual.get(at).copied().unwrap_or(0.0);
        at != worst.0
            && row.as_ref().is_some_and(|row| f64::from(row.count) >= (1.0 - DROPOUT_SHARE_AND_WINDOWS.0) * usual)
    });
    others_send.then_some((worst.0, worst.1, 1.0 + worst.1))
}

fn dropout_explanation(context: &AssetContext<'_>, sensor_index: usize, share: f64) -> Explanation {
    let sensor = context.members.get(sensor_index).map_or_else(String::new, |member| member.name.to_string());
    let message = format!(
        "{} lost {:.0} % of its readings in {} consecutive windows while other sensors sent theirs \
         (points to sensor-dropout)",
        context.short_name(&sensor),
        100.0 * share,
        DROPOUT_SHARE_AND_WINDOWS.1
    );
    let part = Contribution {
        sensor,
        feature: "missing_ratio".to_owned(),
        share: 1.0,
        expected: 0.0,
        actual: share,
        unit: String::new(),
    };
    Explanation {
        message,
        fault_mode: Some("sensor-dropout"),
        contributions: vec![part],
        trend: None,
        model: "readings",
        training_windows: MIN_PRESENT_WINDOWS,
        severity: None,
    }
}
