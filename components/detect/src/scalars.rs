//! Model of the scalar sensors of an asset: what is normal for them together, and how far a window is from it.

mod judge;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use wheeltapper_detectors::{Any, Detector as _, Kind, Layout};

use crate::{
    columns::{Column, Normal},
    drift::{Drifts, Monitor},
    explain::{self, Context, Contribution, Finding, Seen, Trend},
    faults,
    life::{Life, Prognosis},
    unit::{MAX_ABSENT, Member, Window},
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
struct Lesson {
    counts: Vec<u32>,
    values: Vec<f64>,
}

/// Model of the scalar sensors of an asset; see the module documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scalars {
    /// Number of windows of the first training.
    warmup: usize,
    lessons: Vec<Lesson>,
    /// Normal windows seen during the training.
    seen: usize,
    /// None during the warm-up.
    model: Option<Model>,
    /// Ends and levels of the latest windows.
    course: VecDeque<(i64, Vec<f64>)>,
    /// For each sensor, the consecutive windows with missing readings, and the number of windows in which it was
    /// present.
    missing: Vec<(u32, u32)>,
    pub(crate) life: Life,
}

/// The trained detector with the normal ranges of its columns.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Model {
    /// Usual number of readings in a window, one per sensor.
    counts: Vec<f64>,
    /// Normal ranges, `sensors · columns`.
    normals: Vec<Normal>,
    detector: Any,
    /// Number of training windows.
    windows: u32,
    monitor: Monitor,
}

/// Result for a window.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// None during the warm-up, and if there were too few readings.
    pub(crate) ratio: Option<f64>,
    pub(crate) finding: Option<Finding>,
    pub(crate) drifts: Vec<Drifts>,
    pub(crate) prognosis: Option<Prognosis>,
}

impl Scalars {
    /// `later` is the number of windows by which the first training is delayed after the warm-up, so that not all
    /// assets are trained at the same time.
    pub(crate) fn new(warmup: usize, later: usize) -> Self {
        Self {
            warmup: warmup + later,
            lessons: Vec::new(),
            seen: 0,
            model: None,
            course: VecDeque::new(),
            missing: Vec::new(),
            life: Life::default(),
        }
    }

    /// Consumes the next window. `limit` is the ratio from which it is an anomaly.
    pub(crate) fn take(&mut self, window: &Window, context: &Context<'_>, limit: f64) -> Outcome {
        let lesson = lesson(window, context.columns);
        let levels = levels(&lesson, context.columns.len());
        let mut outcome = Outcome::default();
        self.count_missing(window, context.members);
        let Some(model) = &mut self.model else {
            outcome.prognosis = self.life.early(window, &levels, context);
            self.remember(window.end, levels);
            self.learn(lesson, context);
            return outcome;
        };
        let z = model.z(&lesson, context.columns.len(), context.columns);
        let Some(z) = z else { return outcome };
        let level_z: Vec<f64> = z.iter().step_by(context.columns.len().max(1)).copied().collect();
        let scored = model.detector.score(window.start, &z);
        let failing = failing(&self.missing, &model.counts, window);
        let ratio = failing.as_ref().map_or(scored, |(_, _, ratio)| ratio.max(scored));
        outcome.ratio = Some(ratio);
        outcome.prognosis = self.life.push(window, &level_z, &levels, context);
        if ratio >= limit {
            let finding = match failing.filter(|(_, _, ratio)| *ratio >= scored) {
                Some((place, share, _)) => dropout(context, place, share),
                None => model.finding(&model.detector.explain(), window, &z, context),
            };
            self.remember(window.end, levels);
            let trend = self.trend(&finding.parts, context);
            outcome.finding = Some(Finding { trend, ..finding });
        } else {
            outcome.drifts =
                model.monitor.push(window, &level_z, &z, scored, &mut model.detector, layout(context, &model.counts));
            self.remember(window.end, levels);
            self.learn(lesson, context);
        }
        outcome
    }

    fn learn(&mut self, lesson: Lesson, context: &Context<'_>) {
        let max = context.config.learn as usize * self.warmup;
        let once = follows(context.config.model);
        if self.model.is_some() && (once || self.seen >= max) {
            self.lessons = Vec::new();
            return;
        }
        self.seen += 1;
        // Windows overlap: once there is a first model, some of them are as informative as all.
        if self.seen <= self.warmup || self.seen.is_multiple_of(RETRAINING_STRIDE) {
            self.lessons.push(lesson);
        }
        if self.seen == self.warmup || self.seen == max {
            let model = Model::fit(&self.lessons, context);
            let z: Vec<Vec<f64>> = self
                .lessons
                .iter()
                .filter_map(|lesson| model.z(lesson, context.columns.len(), context.columns))
                .map(|z| z.into_iter().step_by(context.columns.len().max(1)).collect())
                .collect();
            self.life.begin(&z);
            self.model = Some(model);
        }
        if self.seen >= max {
            self.lessons = Vec::new();
        }
    }

    fn remember(&mut self, end: i64, levels: Vec<f64>) {
        if self.course.len() >= TREND_LENGTH {
            self.course.pop_front();
        }
        self.course.push_back((end, levels));
    }

    /// Counts for each sensor the consecutive windows without it or without many of its readings.
    fn count_missing(&mut self, window: &Window, members: &[Member]) {
        self.missing.resize(members.len(), (0, 0));
        let usual = self.model.as_ref().map(|model| model.counts.as_slice()).unwrap_or_default();
        for (at, (missing, row)) in self.missing.iter_mut().zip(&window.rows).enumerate() {
            let usual = usual.get(at).copied().unwrap_or(0.0);
            let few = usual >= MIN_COUNTED_READINGS
                && row.as_ref().map_or(0.0, |row| f64::from(row.count)) < (1.0 - DROPOUT_SHARE_AND_WINDOWS.0) * usual;
            missing.0 = if few { missing.0.saturating_add(1) } else { 0 };
            missing.1 = missing.1.saturating_add(u32::from(row.is_some()));
        }
    }

    /// Trend of the feature with the largest contribution.
    fn trend(&self, parts: &[Contribution], context: &Context<'_>) -> Option<Trend> {
        let first = parts.first()?;
        let place = context.members.iter().position(|member| *member.name == *first.sensor)?;
        let level = |(end, levels): &(i64, Vec<f64>)| {
            levels.get(place).copied().filter(|level| level.is_finite()).map(|level| (*end, level))
        };
        let (times, values): (Vec<i64>, Vec<f64>) = self.course.iter().filter_map(level).unzip();
        // A sensor that has been silent for long has no trend.
        if times.is_empty() {
            return None;
        }
        let unit = context.unit(&first.sensor, "mean");
        Some(Trend { sensor: first.sensor.clone(), feature: "mean".to_owned(), unit, times, values })
    }
}

impl Model {
    fn fit(lessons: &[Lesson], context: &Context<'_>) -> Self {
        let (columns, sensors) = (context.columns, context.members.len());
        let width = columns.len();
        let mut counts = Vec::with_capacity(sensors);
        let mut normals = Vec::with_capacity(sensors * width);
        for at in 0..sensors {
            let seen = || lessons.iter().filter_map(move |lesson| Some((*lesson.counts.get(at)?, lesson)));
            let present = |(count, _): &(u32, &Lesson)| *count > 0;
            let usual = crate::robust::median(&mut seen().filter(present).map(|(count, _)| f64::from(count)).collect());
            let usual = if usual.is_finite() { usual } else { 0.0 };
            let whole =
                || seen().filter(move |(count, _)| *count > 0 && f64::from(*count) >= MIN_READINGS_SHARE * usual);
            counts.push(usual);
            let mut level = 0.0;
            for (place, column) in columns.iter().enumerate() {
                let mut values: Vec<f64> =
                    whole().filter_map(|(_, lesson)| lesson.values.get(at * width + place).copied()).collect();
                let normal = Normal::fit(column.shape, &mut values, level);
                // The first column is the mean, which is the reference level of the others.
                if level == 0.0 && normal.expected.is_finite() {
                    level = normal.expected;
                }
                normals.push(normal);
            }
        }
        let mut model = Self {
            counts,
            normals,
            detector: Any::new(context.config.model),
            windows: u32::try_from(lessons.len()).unwrap_or(u32::MAX),
            monitor: Monitor::new(context.config.warmup_windows as usize, !follows(context.config.model)),
        };
        let z: Vec<_> = lessons.iter().filter_map(|lesson| model.z(lesson, width, columns)).collect();
        // With too few rows the detector stays silent until the next training.
        let _ = model.detector.fit(layout(context, &model.counts), &z);
        model
    }

    /// z-values of a window; NaN for a sensor that is missing or has too few readings. None if no sensor has enough.
    fn z(&self, lesson: &Lesson, width: usize, columns: &[Column]) -> Option<Vec<f64>> {
        let mut z = Vec::with_capacity(self.normals.len());
        let mut any = false;
        for (at, (normals, usual)) in self.normals.chunks(width.max(1)).zip(&self.counts).enumerate() {
            let count = lesson.counts.get(at).copied().unwrap_or(0);
            let whole = count > 0 && f64::from(count) >= MIN_READINGS_SHARE * usual;
            any |= whole;
            for (place, (column, normal)) in columns.iter().zip(normals).enumerate() {
                let value = lesson.values.get(at * width + place).copied().unwrap_or(f64::NAN);
                z.push(if whole { normal.z(column.shape, value) } else { f64::NAN });
            }
        }
        any.then_some(z)
    }

    fn finding(&self, weights: &[f64], window: &Window, z: &[f64], context: &Context<'_>) -> Finding {
        let width = context.columns.len().max(1);
        let parts = explain::parts(weights, |at| {
            let column = context.columns.get(at % width)?;
            let seen = window.rows.get(at / width)?.as_ref()?.values.get(column.at as usize).copied()?;
            Some(Seen {
                sensor: context.members.get(at / width)?.name.to_string(),
                feature: context.features.get(column.at as usize)?.clone(),
                expected: self.normals.get(at)?.expected,
                seen,
            })
        });
        let parts = context.with_units(parts);
        let fault_mode = faults::of_scalars(context, &parts, z);
        let message = context.message(&parts, fault_mode);
        let model = self.detector.kind().name();
        Finding { message, fault_mode, parts, trend: None, model, learnt: self.windows }
    }
}

/// True for a detector that follows the baseline by itself; it is trained only once.
fn follows(kind: Kind) -> bool {
    !matches!(kind, Kind::Ensemble | Kind::Zscore | Kind::Mahalanobis | Kind::Mcd | Kind::Pca | Kind::IsolationForest)
}

/// Layout of the rows of z-values: the mean is the level, the standard deviation the spread, if there is one.
fn layout(context: &Context<'_>, counts: &[f64]) -> Layout {
    let of = |name: &str| {
        let named = |column: &Column| context.features.get(column.at as usize).is_some_and(|feature| feature == name);
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

fn lesson(window: &Window, columns: &[Column]) -> Lesson {
    let mut lesson = Lesson { counts: Vec::with_capacity(window.rows.len()), values: Vec::new() };
    for row in &window.rows {
        lesson.counts.push(row.as_ref().map_or(0, |row| row.count));
        for column in columns {
            let value = row.as_ref().and_then(|row| row.values.get(column.at as usize).copied());
            lesson.values.push(value.unwrap_or(f64::NAN));
        }
    }
    lesson
}

/// The means, which are the first column.
fn levels(lesson: &Lesson, width: usize) -> Vec<f64> {
    lesson.values.iter().step_by(width.max(1)).copied().collect()
}

/// Returns the sensor that keeps losing the most readings while others do not, the share lost, and the ratio.
fn failing(missing: &[(u32, u32)], usual: &[f64], window: &Window) -> Option<(usize, f64, f64)> {
    let lost =
        missing.iter().zip(usual).zip(&window.rows).enumerate().filter_map(|(at, (((rows, there), usual), row))| {
            let share = 1.0 - row.as_ref().map_or(0.0, |row| f64::from(row.count)) / usual;
            (*rows >= DROPOUT_SHARE_AND_WINDOWS.1.max(MAX_ABSENT) && *there >= MIN_PRESENT_WINDOWS)
                .then_some((at, share))
        });
    let worst = lost.max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    // If all sensors are silent, the cause is the gateway or a shutdown, and nothing is scored.
    let others = window.rows.iter().enumerate().any(|(at, row)| {
        let usual = usual.get(at).copied().unwrap_or(0.0);
        at != worst.0
            && row.as_ref().is_some_and(|row| f64::from(row.count) >= (1.0 - DROPOUT_SHARE_AND_WINDOWS.0) * usual)
    });
    others.then_some((worst.0, worst.1, 1.0 + worst.1))
}

fn dropout(context: &Context<'_>, place: usize, share: f64) -> Finding {
    let sensor = context.members.get(place).map_or_else(String::new, |member| member.name.to_string());
    let message = format!(
        "{} lost {:.0} % of its readings in {} consecutive windows while other sensors sent theirs \
         (points to sensor-dropout)",
        context.short(&sensor),
        100.0 * share,
        DROPOUT_SHARE_AND_WINDOWS.1
    );
    let part = Contribution {
        sensor,
        feature: "missing_ratio".to_owned(),
        share: 1.0,
        expected: 0.0,
        seen: share,
        unit: String::new(),
    };
    Finding {
        message,
        fault_mode: Some("sensor-dropout"),
        parts: vec![part],
        trend: None,
        model: "readings",
        learnt: MIN_PRESENT_WINDOWS,
    }
}
