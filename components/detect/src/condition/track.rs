//! One sensor over time: the numbers of its windows that are judged, its resolution, and whether it counts.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{sensor_kind::SensorKind, window::FeatureRow};

/// Numbers of a sensor that are judged: level, spread and tail.
pub(crate) const NUMBERS: usize = 3;
/// Index of the level: the median, or the mean of few readings; of a counter its rate per second.
pub(crate) const LEVEL: usize = 0;
/// Index of the spread: ln of the standard deviation around the trend.
pub(crate) const SPREAD: usize = 1;
/// Index of the tail: asinh of the kurtosis, which impacts raise.
pub(crate) const TAIL: usize = 2;

/// Physical floors of spread and tail: a standard deviation must change by half before it can matter.
const SPREAD_FLOOR: f64 = 0.1;
const TAIL_FLOOR: f64 = 0.3;
/// With fewer readings in a window the level is their mean.
const MEDIAN_READINGS: u32 = 3;
/// With fewer readings in a window a spread says little.
const SPREAD_READINGS: u32 = 5;
/// With fewer readings in a window a kurtosis says little.
const TAIL_READINGS: u32 = 16;
/// A sensor with a smaller share of its usual readings is missing in a window.
const MIN_READINGS_SHARE: f64 = 0.5;
/// Windows after which the usual number of readings hardly changes any more.
const COUNT_WINDOWS: u32 = 200;
/// Differences below this share of the value are rounding.
const ROUNDING: f64 = 1e-9;
/// Rising windows without a fall after which a sensor counts, with and without a name that says so.
const COUNTER_RISES: (u32, u32) = (5, 60);
/// Rising windows without a fall after which a sensor may count, so that its level is not judged yet.
const MAYBE_COUNTER_RISES: u32 = 5;
/// Falls after which a sensor does not count, unless its name says so.
const NO_COUNTER_FALLS: u32 = 3;
/// Windows over which the rate of a counter is measured, at most.
const MAX_RATE_WINDOWS: usize = 32;
/// The rate of a counter is measured over at least so many of its steps.
const RATE_STEPS: f64 = 20.0;
/// Weight of a new difference in the noise of the level.
const NOISE_GAIN: f64 = 0.02;

/// The range before the first level.
const NO_RANGE: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);

/// Positions of the features in a feature list.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FeatureIndices {
    mean: Option<usize>,
    std: Option<usize>,
    min: Option<usize>,
    max: Option<usize>,
    kurtosis: Option<usize>,
    median: Option<usize>,
    lower: Option<usize>,
    upper: Option<usize>,
    stuck: Option<usize>,
    slope: Option<usize>,
}

impl FeatureIndices {
    pub(crate) fn of(features: &[String]) -> Self {
        let at = |name: &str| features.iter().position(|feature| feature == name);
        Self {
            mean: at("mean"),
            std: at("std"),
            min: at("min"),
            max: at("max"),
            kurtosis: at("kurtosis"),
            median: at("q50"),
            lower: at("q25"),
            upper: at("q75"),
            stuck: at("stuck"),
            slope: at("trend_slope"),
        }
    }

    /// Name and index of the feature that a number of this window stands for.
    pub(crate) fn of_number(&self, number: usize, count: u32) -> (&'static str, Option<usize>) {
        match number {
            LEVEL if count >= MEDIAN_READINGS && self.median.is_some() => ("q50", self.median),
            LEVEL => ("mean", self.mean),
            SPREAD => ("std", self.std),
            _ => ("kurtosis", self.kurtosis),
        }
    }
}

/// The features of a window that a track uses; NaN if not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) count: u32,
    pub(crate) level: f64,
    std: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    kurtosis: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    /// The longest run of equal readings, as a share of all.
    pub(crate) longest_run: f64,
    /// Slope per second.
    slope: f64,
}

impl Reading {
    pub(crate) fn of(row: &FeatureRow, at: &FeatureIndices) -> Self {
        let get = |index: Option<usize>| index.and_then(|index| row.values.get(index).copied()).unwrap_or(f64::NAN);
        let (_, level) = at.of_number(LEVEL, row.count);
        let or_level = |value: f64| if value.is_finite() { value } else { get(level) };
        Self {
            count: row.count,
            level: get(level),
            std: get(at.std),
            min: or_level(get(at.min)),
            max: or_level(get(at.max)),
            kurtosis: get(at.kurtosis),
            lower: get(at.lower),
            upper: get(at.upper),
            longest_run: get(at.stuck),
            slope: get(at.slope),
        }
    }

    /// Root mean square of the readings.
    pub(crate) fn rms(&self) -> f64 {
        if self.std.is_finite() { self.level.hypot(self.std) } else { self.level.abs() }
    }

    /// Standard deviation around the trend, in a window of so many seconds: a machine that warms up does not scatter.
    fn detrended_std(&self, seconds: f64) -> f64 {
        // The variance of a ramp that rises by `slope` a second.
        let ramp = if self.slope.is_finite() { (self.slope * seconds).powi(2) / 12.0 } else { 0.0 };
        (self.std * self.std - ramp).max(0.0).sqrt()
    }

    /// True if the level cannot be told from 0.
    pub(crate) fn is_zero(&self) -> bool {
        self.level == 0.0 || self.level.abs() <= 2.0 * self.std
    }

    /// True if all readings are equal.
    #[allow(clippy::float_cmp, reason = "equal readings are identical")]
    pub(crate) fn is_constant(&self) -> bool {
        self.min == self.max
    }
}

/// Rises and falls from window to window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Counting {
    rises: u32,
    falls: u32,
    /// Ends and highest values of the latest windows.
    history: VecDeque<(i64, f64)>,
}

/// The state of a sensor; see the module documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Track {
    /// Smallest step between values; infinite until the sensor has moved.
    resolution: f64,
    /// Usual level and standard deviation.
    usual: (f64, f64),
    /// Lowest and highest level learnt.
    range: (f64, f64),
    /// Usual difference between the levels of neighbouring windows, as a standard deviation.
    noise: f64,
    usual_count: f64,
    windows: u32,
    /// Lowest and highest reading of the last window.
    last: (f64, f64),
    /// End and level of the last window of those that do not overlap.
    last_independent: Option<(i64, f64)>,
    counting: Counting,
    /// Step of the counter's rate.
    rate_resolution: f64,
    /// How much larger the physical floor of the level is, because nothing measures what it depends on.
    floor_factor: f64,
}

impl Default for Track {
    fn default() -> Self {
        Self {
            resolution: f64::INFINITY,
            usual: (f64::NAN, f64::NAN),
            range: NO_RANGE,
            noise: f64::NAN,
            usual_count: 0.0,
            windows: 0,
            last: (f64::NAN, f64::NAN),
            last_independent: None,
            counting: Counting::default(),
            rate_resolution: 0.0,
            floor_factor: 1.0,
        }
    }
}

impl Track {
    /// Adds a window and returns the numbers to judge: NaN for those that say nothing.
    pub(crate) fn push(&mut self, reading: &Reading, start: i64, end: i64, kind: SensorKind) -> [f64; NUMBERS] {
        let complete = f64::from(reading.count) >= MIN_READINGS_SHARE * self.usual_count;
        // A sensor that loses readings keeps its usual number for days.
        let gain = 1.0 / f64::from(self.windows + 1).min(if self.windows < COUNT_WINDOWS { 50.0 } else { 20_000.0 });
        self.usual_count += gain * (f64::from(reading.count) - self.usual_count);
        if !complete || !reading.level.is_finite() {
            return [f64::NAN; NUMBERS];
        }
        self.windows = self.windows.saturating_add(1);
        self.see_steps(reading);
        let counted = self.is_counter(kind);
        self.count(reading, end);
        let counts = self.is_counter(kind);
        if counts && !counted {
            (self.usual, self.range, self.noise) = ((f64::NAN, f64::NAN), NO_RANGE, f64::NAN);
            self.last_independent = None;
        }
        let level = if counts {
            self.rate()
        } else if self.may_count(kind) {
            f64::NAN
        } else {
            reading.level
        };
        self.see_noise(level, start, end);
        if !self.has_moved() {
            return [f64::NAN; NUMBERS];
        }
        #[allow(clippy::cast_precision_loss, reason = "a length of time")]
        let seconds = end.saturating_sub(start) as f64 / 1e9;
        let spread = if reading.count >= SPREAD_READINGS && !counts {
            self.spread(reading.detrended_std(seconds), kind)
        } else {
            f64::NAN
        };
        let tail = if reading.count >= TAIL_READINGS && !counts && kind == SensorKind::Vibration {
            reading.kurtosis.asinh()
        } else {
            f64::NAN
        };
        [level, spread, tail]
    }

    /// Sets how much larger the physical floor of the level is than that of the kind.
    pub(crate) fn widen_floor(&mut self, factor: f64) {
        self.floor_factor = factor;
    }

    /// Notes a level as normal.
    pub(crate) fn accept(&mut self, level: f64, std: f64) {
        if !level.is_finite() {
            return;
        }
        self.range = (self.range.0.min(level), self.range.1.max(level));
        let follow = |usual: &mut f64, new: f64| {
            if new.is_finite() {
                *usual = if usual.is_finite() { *usual + 0.02 * (new - *usual) } else { new };
            }
        };
        follow(&mut self.usual.0, level.abs());
        follow(&mut self.usual.1, std);
    }

    /// True once the sensor has changed its value.
    pub(crate) fn has_moved(&self) -> bool {
        self.resolution.is_finite()
    }

    /// Smallest step seen; 0 until the sensor has moved.
    pub(crate) fn resolution(&self) -> f64 {
        if self.has_moved() { self.resolution } else { 0.0 }
    }

    /// Usual absolute level and standard deviation; NaN before the first.
    pub(crate) fn usual(&self) -> (f64, f64) {
        self.usual
    }

    /// The same sensor before anything was learnt about its levels.
    pub(crate) fn without_levels(self) -> Self {
        let Self { usual, range, noise, .. } = Self::default();
        Self { usual, range, noise, ..self }
    }

    pub(crate) fn usual_count(&self) -> f64 {
        self.usual_count
    }

    /// Lowest and highest level learnt; None before the first.
    pub(crate) fn range(&self) -> Option<(f64, f64)> {
        (self.range.0 <= self.range.1).then_some(self.range)
    }

    /// Changes of a number below this are of no importance: in the unit of the level, or of the transformed number.
    pub(crate) fn floor(&self, number: usize, kind: SensorKind) -> f64 {
        match number {
            LEVEL => {
                let (absolute, relative) = kind.floor();
                let usual = [self.usual.0, self.usual.1].into_iter().filter(|usual| usual.is_finite());
                let usual = usual.fold(0.0, f64::max);
                let step = if self.is_counter(kind) { self.rate_resolution } else { self.resolution() };
                (self.floor_factor * absolute).max(relative * usual).max(0.5 * step).max(1e-12)
            }
            SPREAD => SPREAD_FLOOR,
            _ => TAIL_FLOOR,
        }
    }

    /// The floor of a number's limits: its own, and the distance at which states can be told apart.
    pub(crate) fn limit_floor(&self, number: usize, kind: SensorKind) -> f64 {
        let floor = self.floor(number, kind);
        if number == LEVEL { floor.max(0.4 * self.scale(number, kind)) } else { floor }
    }

    /// Scale of a number when states are compared: noise does not make a state, nor does a small part of the range.
    pub(crate) fn scale(&self, number: usize, kind: SensorKind) -> f64 {
        let floor = self.floor(number, kind);
        match number {
            LEVEL => {
                let width = self.range().map_or(0.0, |(low, high)| high - low);
                let noise = if self.noise.is_finite() { self.noise } else { 0.0 };
                floor.max(noise).max(width / 24.0)
            }
            SPREAD => 3.0 * floor,
            _ => floor,
        }
    }

    fn see_steps(&mut self, reading: &Reading) {
        let (min, max) = self.last;
        let steps = [reading.max - reading.min, reading.max - max, reading.min - min];
        let rounding = ROUNDING * reading.max.abs().max(reading.min.abs());
        for step in steps.into_iter().map(f64::abs).filter(|step| *step > rounding) {
            self.resolution = self.resolution.min(step);
        }
    }

    fn see_noise(&mut self, level: f64, start: i64, end: i64) {
        if !level.is_finite() || self.last_independent.is_some_and(|(last, _)| start < last) {
            return;
        }
        if let Some((_, last)) = self.last_independent {
            // The mean difference of two normal numbers is 2/√π standard deviations.
            let difference = 0.886 * (level - last).abs();
            self.noise = if self.noise.is_finite() && self.windows > 10 {
                self.noise + NOISE_GAIN * (difference.min(5.0 * self.noise + self.resolution()) - self.noise)
            } else if self.noise.is_finite() {
                0.8 * self.noise + 0.2 * difference
            } else {
                difference
            };
        }
        self.last_independent = Some((end, level));
    }

    fn count(&mut self, reading: &Reading, end: i64) {
        let (min, max) = self.last;
        let rounding = ROUNDING * reading.max.abs().max(reading.min.abs());
        if max.is_finite() {
            let reset = reading.max < 0.1 * max && reading.min >= 0.0;
            if reset {
                self.counting.history.clear();
            } else if reading.min < min - rounding || reading.max < max - rounding {
                self.counting.falls = self.counting.falls.saturating_add(1);
            } else if reading.max > max + rounding {
                self.counting.rises = self.counting.rises.saturating_add(1);
            }
        }
        self.last = (reading.min, reading.max);
        if self.counting.falls >= NO_COUNTER_FALLS {
            self.counting.history = VecDeque::new();
            return;
        }
        if self.counting.history.len() >= MAX_RATE_WINDOWS {
            self.counting.history.pop_front();
        }
        self.counting.history.push_back((end, reading.max));
        let steps = self.rate_span().map_or(0.0, |(seconds, _)| self.resolution() / seconds);
        self.rate_resolution = steps;
    }

    /// True if the sensor only rises, with rare resets.
    pub(crate) fn is_counter(&self, kind: SensorKind) -> bool {
        let Counting { rises, falls, .. } = self.counting;
        let needed = if kind == SensorKind::Counter { COUNTER_RISES.0 } else { COUNTER_RISES.1 };
        falls < NO_COUNTER_FALLS && rises >= needed && falls <= rises / 100
    }

    fn may_count(&self, kind: SensorKind) -> bool {
        let Counting { rises, falls, .. } = self.counting;
        falls == 0 && (rises >= MAYBE_COUNTER_RISES || kind == SensorKind::Counter)
    }

    /// Seconds and rise since the newest window that is far enough back.
    #[allow(clippy::cast_precision_loss, reason = "a length of time")]
    fn rate_span(&self) -> Option<(f64, f64)> {
        let (end, value) = *self.counting.history.back()?;
        let needed = RATE_STEPS * self.resolution();
        let old = self.counting.history.iter().rev().skip(1);
        let (since, from) =
            old.clone().find(|(_, from)| value - from >= needed).or_else(|| self.counting.history.front())?;
        let seconds = (end - since) as f64 / 1e9;
        (seconds > 0.0).then_some((seconds, value - from))
    }

    /// Rise of a counter per second; NaN if not known.
    fn rate(&self) -> f64 {
        self.rate_span().map_or(f64::NAN, |(seconds, rise)| rise / seconds)
    }

    /// ln of the standard deviation, above what the resolution and a small part of the floor add.
    fn spread(&self, std: f64, kind: SensorKind) -> f64 {
        let least = 0.5 * self.resolution() + 0.25 * self.floor(LEVEL, kind);
        std.hypot(least).ln()
    }

    /// Standard deviation of a spread.
    pub(crate) fn std_of_spread(&self, spread: f64, kind: SensorKind) -> f64 {
        let least = 0.5 * self.resolution() + 0.25 * self.floor(LEVEL, kind);
        (spread.exp().powi(2) - least * least).max(0.0).sqrt()
    }
}
