//! The detector: fit, score and explanation.

use serde::{Deserialize, Serialize};

use crate::{FitError, rows};

use super::{
    calibrate::CalibrationData, reference, reference::Reference, scale, settings::ProcessSettings, smooth::Smoother,
    spread::Spread, whiten::SquareMatrix,
};

/// Fewest rows that show what is normal.
const MIN_ROWS: usize = 30;
/// Most rows at the start in which the smoother and the reference settle; a quarter of the rows if there are few.
const MAX_SETTLING_ROWS: usize = 20;
/// Number of independent rows at which the adjusted deviations are halved, because their scatter is uncertain (see
/// [`ProcessDetector`]).
const UNCERTAIN_ROWS: f64 = 6.0;
/// Rows with a sum below this share of the limit are learnt from.
const LEARNING_SHARE: f64 = 0.3;
/// An episode ends once the deviation is below this share of its peak
const EPISODE_END_SHARE: f64 = 0.1;
/// and below this many times the deviation at the limit.
const EPISODE_END_LIMITS: f64 = 3.0;
/// Time constant in which an episode's peak decays, in rows.
const PEAK_DECAY_ROWS: f64 = 300.0;

/// Type of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureKind {
    /// Smoothed level of a channel.
    Level,
    /// Scatter of a channel from row to row.
    Spread,
}

/// A feature in the last scored row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feature {
    /// Index of the channel.
    pub channel: usize,
    /// Type of the feature.
    pub kind: FeatureKind,
    /// Share of the deviation, 0 to 1; all shares sum to 1, or are all 0.
    pub share: f64,
    /// Adjusted deviation `U`, in units of its scatter.
    pub deviation: f64,
    /// Expected level in the channel's unit; NaN for a spread.
    pub expected: f64,
    /// Actual level in the channel's unit; NaN for a spread.
    pub actual: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Channel {
    center: f64,
    scale: f64,
    /// The channel had values in the fitted rows.
    has_values: bool,
}

/// A fitted detector. The module documentation describes the steps.
///
/// **Few rows.** The scatter of smoothed features is estimated from about `ν = n λ / (2 − λ)` independent values.
/// Adjusted deviations are divided by `1 + (6 / ν)²`, which is 1.09 for 400 rows, 2.1 for 100 and 26 for 30. That is
/// about the ratio of Student's t to the normal quantile far out. It falls as rows are learnt: a detector that is
/// fitted on few rows sees only gross faults at first.
///
/// **Learning.** A row with a sum below 0.3 limits moves the scatter of its features by `1 / rows learnt`, down to
/// `1 / memory_rows`.
///
/// **After an episode.** A deviation that follows one 10 times as large, and is within three times the deviation at the
/// limit, is the end of an episode: the asset does not return to exactly its previous state. Such rows score below the
/// limit, and the reference follows them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProcessDetector {
    settings: ProcessSettings,
    channels: Vec<Channel>,
    levels: Smoother,
    spread: Spread,
    spreads: Smoother,
    reference: Reference,
    scatter: Vec<f64>,
    adjustment: SquareMatrix,
    sum_divisor: f64,
    learnt_rows: f64,
    max_learnt_rows: f64,
    peak: f64,
    /// Adjusted deviations of the last row; None for a missing feature.
    last_deviations: Vec<Option<f64>>,
    sum: f64,
}

impl ProcessDetector {
    /// Fits a detector on normal rows, oldest first. Values that are not finite are missing.
    ///
    /// # Errors
    /// [`FitError`] if there are too few rows or their lengths differ.
    pub fn fit(settings: ProcessSettings, rows: &[Vec<f64>]) -> Result<Self, FitError> {
        let settings = settings.clamped();
        let width = rows.first().map_or(0, Vec::len);
        if width == 0 || rows.iter().any(|row| row.len() != width) {
            let got = rows.iter().map(Vec::len).find(|length| *length != width).unwrap_or(0);
            return Err(FitError::Layout { width, got });
        }
        let rows: Vec<&Vec<f64>> = rows.iter().filter(|row| row.iter().any(|value| value.is_finite())).collect();
        if rows.len() < MIN_ROWS {
            return Err(FitError::TooFewRows { got: rows.len(), min: MIN_ROWS });
        }
        let (channels, scaled): (Vec<Channel>, Vec<Vec<f64>>) = (0..width)
            .map(|at| {
                Channel::fit(&rows.iter().map(|row| row.get(at).copied().unwrap_or(f64::NAN)).collect::<Vec<_>>())
            })
            .unzip();

        // The two features of each channel, before and after smoothing.
        let noises = |series: &[Vec<f64>]| series.iter().map(|values| scale::noise(values)).collect::<Vec<_>>();
        let weight = settings.smoothing;
        let level_noises = noises(&scaled);
        let mut levels = Smoother::new(&scaled, &level_noises, weight);
        let (deviations, smooth_levels) = smooth_series(&mut levels, &scaled);
        let (spread, roots) = Spread::fit(&deviations);
        let spread_noises = noises(&roots);
        let mut spreads = Smoother::new(&roots, &spread_noises, weight);
        let (_, smooth_spreads) = smooth_series(&mut spreads, &roots);
        let unsmoothed = [scaled, roots].concat();
        let smoothed = [smooth_levels, smooth_spreads].concat();

        let mut reference = Reference::new(&unsmoothed, settings.reference_rows);
        let mut residuals = vec![Vec::with_capacity(rows.len()); smoothed.len()];
        for at in 0..rows.len() {
            let features = row_at(&smoothed, at);
            for (series, value) in residuals.iter_mut().zip(reference.deviations(&features)) {
                series.push(value);
            }
            reference.follow(&features);
        }

        let settling_rows = MAX_SETTLING_ROWS.min(rows.len() / 4);
        let without_settling = |series: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            series.into_iter().map(|values| values.into_iter().skip(settling_rows).collect()).collect()
        };
        let fitted = CalibrationData {
            deviations: &without_settling(residuals),
            noises: &[level_noises, spread_noises].concat(),
            independent_per_row: settings.independent_per_row(),
        };
        let calibration = fitted.calibrate(settings.deadband, settings.limit);
        let learnt = rows::to_float(rows.len() - settling_rows);
        Ok(Self {
            max_learnt_rows: settings.memory_rows.max(learnt),
            channels,
            levels,
            spread,
            spreads,
            reference,
            scatter: calibration.scatter,
            adjustment: calibration.adjustment,
            sum_divisor: calibration.sum_divisor,
            learnt_rows: learnt,
            peak: 0.0,
            last_deviations: vec![None; 2 * width],
            sum: 0.0,
            settings,
        })
    }

    /// Number of channels in a row.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// Adds the next row and returns its score, 0 to 1; 0.999 is at the limit. Values that are not finite, and those
    /// after the end of a short row, are missing. A row without values scores 0 and is not learnt from.
    pub fn score(&mut self, row: &[f64]) -> f64 {
        let value = |(at, channel): (usize, &Channel)| channel.scaled(row.get(at).copied().unwrap_or(f64::NAN));
        let scaled: Vec<f64> = self.channels.iter().enumerate().map(value).collect();
        if scaled.iter().all(|value| value.is_nan()) {
            self.last_deviations.fill(None);
            self.sum = 0.0;
            return 0.0;
        }
        let missing = || scaled.iter().chain(&scaled).map(|value| value.is_nan());

        let deviations: Vec<f64> = scaled
            .iter()
            .zip(self.levels.levels())
            .map(|(value, level)| if value.is_nan() { 0.0 } else { value - level })
            .collect();
        self.levels.step(&scaled);
        let roots: Vec<f64> = self
            .spread
            .features(&deviations)
            .zip(&scaled)
            .map(|(root, value)| if value.is_nan() { f64::NAN } else { root })
            .collect();
        self.spreads.step(&roots);
        let features: Vec<f64> = self.levels.levels().chain(self.spreads.levels()).collect();

        let residuals: Vec<f64> = self.reference.deviations(&features).collect();
        let unit: Vec<f64> = residuals
            .iter()
            .zip(&self.scatter)
            .zip(missing())
            .map(|((residual, scatter), missing)| if missing { 0.0 } else { residual / scatter })
            .collect();
        let uncertainty = 1.0 + (UNCERTAIN_ROWS / (self.learnt_rows * self.settings.independent_per_row())).powi(2);
        let adjusted = self.adjustment.mul_vector(&unit).zip(missing());
        self.last_deviations = adjusted.map(|(value, missing)| (!missing).then_some(value / uncertainty)).collect();
        let excess: f64 = self.last_deviations.iter().map(|value| self.squared_excess(*value)).sum();
        let (sum, settling) = self.attenuate_episode_end(excess / self.sum_divisor);
        self.sum = sum;

        let (deadband, freeze) = (self.settings.deadband, self.settings.freeze);
        let share = |value: f64| if settling { 1.0 } else { reference::follow_share(value, deadband, freeze) };
        self.reference.follow_partially(&features, self.last_deviations.iter().map(|value| value.map(share)));
        if sum < LEARNING_SHARE * self.settings.limit {
            self.learnt_rows = (self.learnt_rows + 1.0).min(self.max_learnt_rows);
            let parts =
                self.scatter.iter_mut().zip(&residuals).zip(&self.last_deviations).filter(|(_, last)| last.is_some());
            for ((scatter, residual), _) in parts {
                *scatter += 0.5 / self.learnt_rows * (residual * residual / *scatter - *scatter);
            }
        }
        1.0 - 10f64.powf(-3.0 * sum / self.settings.limit)
    }

    /// Accepts the present state as normal, for instance after maintenance or a new set point: the reference moves
    /// there.
    pub fn accept(&mut self) {
        let features: Vec<f64> = self.levels.levels().chain(self.spreads.levels()).collect();
        self.reference.move_to(&features);
        self.peak = 0.0;
    }

    /// Square of the part of an adjusted deviation beyond the deadband.
    fn squared_excess(&self, adjusted: Option<f64>) -> f64 {
        (adjusted.unwrap_or(0.0).abs() - self.settings.deadband).max(0.0).powi(2)
    }

    /// Returns the sum, lowered at the end of an episode, and true if it is the end of one.
    fn attenuate_episode_end(&mut self, sum: f64) -> (f64, bool) {
        let (root, limit) = (sum.sqrt(), self.settings.limit.sqrt());
        self.peak *= 1.0 - 1.0 / PEAK_DECAY_ROWS;
        if root <= limit {
            return (sum, false);
        }
        self.peak = self.peak.max(root);
        let over = EPISODE_END_SHARE * self.peak;
        if root < over && root < EPISODE_END_LIMITS * limit {
            (sum * (limit / over).powi(2), true)
        } else {
            (sum, false)
        }
    }

    /// Ratio of the last row to the limit, `√(G / limit)`; 1 at a score of 0.999.
    pub fn ratio(&self) -> f64 {
        (self.sum / self.settings.limit).sqrt()
    }

    /// Share of each channel in the last row's deviation; the shares sum to 1, or are all 0.
    pub fn contributions(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.channels.len()];
        for feature in self.features() {
            if let Some(share) = shares.get_mut(feature.channel) {
                *share += feature.share;
            }
        }
        shares
    }

    /// Features of the last row: the levels, then the spreads. The shares are those of the squares beyond the deadband,
    /// or of the squared deviations while all features are within it.
    pub fn features(&self) -> Vec<Feature> {
        let excesses: Vec<f64> = self.last_deviations.iter().map(|value| self.squared_excess(*value)).collect();
        let square = |value: &Option<f64>| value.map_or(0.0, |value| value * value);
        let inside = excesses.iter().all(|value| *value <= 0.0);
        let parts = if inside { self.last_deviations.iter().map(square).collect() } else { excesses };
        let total: f64 = parts.iter().sum();
        let width = self.channels.len();
        let expected_and_actual = self.reference.levels().zip(self.levels.levels().chain(self.spreads.levels()));
        let all = parts.iter().zip(&self.last_deviations).zip(expected_and_actual).enumerate();
        all.map(|(at, ((part, last), (expected, actual)))| {
            let (channel, kind) = if at < width { (at, FeatureKind::Level) } else { (at - width, FeatureKind::Spread) };
            let unit = |value: f64| match self.channels.get(channel) {
                Some(scaling) if kind == FeatureKind::Level => scaling.center + scaling.scale * value,
                _ => f64::NAN,
            };
            Feature {
                channel,
                kind,
                share: if total > 0.0 { part / total } else { 0.0 },
                deviation: last.unwrap_or(0.0),
                expected: unit(expected),
                actual: unit(actual),
            }
        })
        .collect()
    }
}

impl Channel {
    /// Fits a channel; also returns its scaled values, where a missing value repeats the one before it.
    fn fit(values: &[f64]) -> (Self, Vec<f64>) {
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let (center, scale) = scale::center_and_scale(&finite);
        let channel = Self { center, scale, has_values: finite.len() >= MIN_ROWS.min(values.len() / 2) };
        let mut before = 0.0;
        let filled = values.iter().map(|value| {
            let scaled = channel.scaled(*value);
            before = if scaled.is_nan() { before } else { scaled };
            before
        });
        let filled = filled.collect();
        (channel, filled)
    }

    /// Scales a value; NaN if it is missing or the channel had no values in the fit.
    fn scaled(&self, value: f64) -> f64 {
        if self.has_values && value.is_finite() { scale::scaled(value, self.center, self.scale) } else { f64::NAN }
    }
}

/// Smooths series. Returns each row's deviation from the smoothed values of the row before, and the smoothed values.
fn smooth_series(smoother: &mut Smoother, series: &[Vec<f64>]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let rows = series.first().map_or(0, Vec::len);
    let mut deviations = vec![Vec::with_capacity(rows); series.len()];
    let mut smoothed = deviations.clone();
    for at in 0..rows {
        let row = row_at(series, at);
        for ((deviations, value), level) in deviations.iter_mut().zip(&row).zip(smoother.levels()) {
            deviations.push(value - level);
        }
        smoother.step(&row);
        for (smoothed, level) in smoothed.iter_mut().zip(smoother.levels()) {
            smoothed.push(level);
        }
    }
    (deviations, smoothed)
}

fn row_at(series: &[Vec<f64>], at: usize) -> Vec<f64> {
    series.iter().map(|values| values.get(at).copied().unwrap_or(f64::NAN)).collect()
}
