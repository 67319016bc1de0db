//! NAB's scorer: the reward of each row as an alarm, and the total score of all alarms at a threshold.

use std::collections::BTreeMap;

use super::Series;
use crate::Error;

/// Weights of an application profile; true negatives have no weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Maximum reward of the first detection in a window.
    pub tp: f64,
    /// Maximum cost of a false alarm.
    pub fp: f64,
    /// Cost of a missed window.
    pub fn_: f64,
}

/// The application profiles of NAB v1.1 (`config/profiles.json`), in the order of the result files' columns.
pub const PROFILES: [(&str, Weights); 3] = [
    ("reward_low_FP_rate", Weights { tp: 1.0, fp: 0.22, fn_: 1.0 }),
    ("reward_low_FN_rate", Weights { tp: 1.0, fp: 0.11, fn_: 2.0 }),
    ("standard", Weights { tp: 1.0, fp: 0.11, fn_: 1.0 }),
];

/// A threshold above every score: no row is an alarm.
const ABOVE_ALL_SCORES: f64 = 1.1;

/// Position of a row relative to the anomaly windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowPosition {
    /// In the probation period; the row is not scored, even if it is within a window.
    Probation,
    /// Outside all windows.
    Outside,
    /// In the window with this number.
    Window(usize),
}

/// A row with its score and reward.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredRow {
    /// Score of the detector.
    pub score: f64,
    /// Reward if the row is an alarm; negative for a false alarm.
    pub reward: f64,
    /// Position relative to the windows.
    pub position: WindowPosition,
}

impl ScoredRow {
    pub(crate) fn window(&self) -> Option<usize> {
        match self.position {
            WindowPosition::Window(window) => Some(window),
            _ => None,
        }
    }
}

/// Number of unscored rows at the start of a file: 15 %, rounded down, at most 750.
#[must_use]
pub const fn probation(rows: usize) -> usize {
    let share = rows * 3 / 20;
    if share < 750 { share } else { 750 }
}

/// NAB's scaled sigmoid `2 / (1 + exp(5 x)) - 1`: 0.98661 at the left edge of a window (`x` = -1), 0 at its right edge,
/// and towards -1 after it, with `x` the distance in window lengths; -1 beyond 3.
#[must_use]
pub fn scaled_sigmoid(x: f64) -> f64 {
    if x > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * x).exp()) - 1.0 }
}

/// Computes the reward of each row. Windows are numbered from `first` on.
///
/// # Errors
/// [`Error::Layout`] if the last time of a window is not in the file, and [`Error::InvalidResult`] if the number of
/// scores is not the number of rows.
pub fn reward_points(series: &Series, scores: &[f64], weights: Weights, first: usize) -> Result<Vec<ScoredRow>, Error> {
    let rows = series.times.len();
    if scores.len() != rows {
        return Err(Error::invalid_result(&*series.name, format!("{rows} scores"), scores.len().to_string()));
    }
    let row_of = |time: i64| {
        let row = series.times.iter().position(|other| *other == time);
        row.ok_or_else(|| Error::layout(&*series.name, "the first and last times of all windows", "a missing time"))
    };
    let most = scaled_sigmoid(-1.0);
    let unscored = probation(rows);
    let mut waiting = series.windows.iter().enumerate();
    let mut next = waiting.next();
    // Number, last row and length of the current window; last row and length of the previous window.
    let mut within: Option<(usize, usize, f64)> = None;
    let mut before: Option<(usize, f64)> = None;
    let mut points = Vec::with_capacity(rows);
    for (row, (&time, &score)) in series.times.iter().zip(scores).enumerate() {
        if let Some((number, &(start, end))) = next
            && start == time
        {
            let last = row_of(end)?;
            within = Some((first + number, last, (last + 1).saturating_sub(row_of(start)?) as f64));
            next = waiting.next();
        }
        let reward = match (within, before) {
            (Some((_, last, length)), _) => {
                let position = -(last as f64 - row as f64 + 1.0) / length;
                scaled_sigmoid(position) * weights.tp / most
            }
            (None, Some((last, length))) => scaled_sigmoid((row - last) as f64 / (length - 1.0)) * weights.fp,
            (None, None) => -weights.fp,
        };
        let position = match within {
            _ if row < unscored => WindowPosition::Probation,
            Some((number, ..)) => WindowPosition::Window(number),
            None => WindowPosition::Outside,
        };
        // Adding zero turns a negative zero, which would sort lower, into a positive one.
        points.push(ScoredRow { score: score + 0.0, reward, position });
        if let Some((number, _, length)) = within
            && series.windows.get(number - first).is_some_and(|(_, end)| *end == time)
        {
            before = Some((row, length));
            within = None;
        }
    }
    if let Some((_, (start, _))) = next {
        row_of(*start)?;
    }
    Ok(points)
}

/// Score and counts at a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ThresholdStep {
    /// Rows with this score or a higher one are alarms.
    pub threshold: f64,
    /// Total score: best alarm of each window, missed windows and false alarms.
    pub score: f64,
    /// Number of rows in windows with an alarm.
    pub tp: u64,
    /// Number of rows outside windows without an alarm.
    pub tn: u64,
    /// Number of rows outside windows with an alarm.
    pub fp: u64,
    /// Number of rows in windows without an alarm.
    pub fn_: u64,
}

/// Scores all thresholds, from the highest to the lowest; the first is above every score.
#[must_use]
pub fn sweep(points: &[ScoredRow], weights: Weights) -> Vec<ThresholdStep> {
    let mut scored: Vec<&ScoredRow> =
        points.iter().filter(|point| point.position != WindowPosition::Probation).collect();
    scored.sort_by(|one, other| other.score.total_cmp(&one.score));
    let mut windows: BTreeMap<usize, f64> =
        scored.iter().filter_map(|point| Some((point.window()?, -weights.fn_))).collect();
    let anomalous = scored.iter().filter(|point| point.window().is_some()).count() as u64;
    let mut false_alarms = 0.0;
    let mut step = ThresholdStep {
        threshold: ABOVE_ALL_SCORES,
        fn_: anomalous,
        tn: scored.len() as u64 - anomalous,
        ..ThresholdStep::default()
    };
    step.score = windows.values().sum();
    let mut steps = vec![step];
    for tied in scored.chunk_by(|one, other| one.score == other.score) {
        for point in tied {
            match point.window().and_then(|window| windows.get_mut(&window)) {
                Some(best) => {
                    *best = best.max(point.reward);
                    step.tp += 1;
                    step.fn_ -= 1;
                }
                None => {
                    false_alarms += point.reward;
                    step.fp += 1;
                    step.tn -= 1;
                }
            }
        }
        step.threshold = tied.first().map_or(ABOVE_ALL_SCORES, |point| point.score);
        step.score = false_alarms + windows.values().sum::<f64>();
        steps.push(step);
    }
    steps
}

/// The step with the highest score; among equal scores, the one with the highest threshold.
#[must_use]
pub fn best_step(steps: &[ThresholdStep]) -> ThresholdStep {
    let better = |best: ThresholdStep, step: &ThresholdStep| if step.score > best.score { *step } else { best };
    steps.iter().fold(steps.first().copied().unwrap_or_default(), better)
}

/// The step at a threshold: the last one whose threshold is not below it.
#[must_use]
pub fn step_at_threshold(steps: &[ThresholdStep], threshold: f64) -> ThresholdStep {
    let last = steps.iter().rfind(|step| step.threshold >= threshold);
    last.or(steps.first()).copied().unwrap_or_default()
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
