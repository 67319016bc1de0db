//! Detector for one series.
//!
//! 1. Six kinds of [`Evidence`] examine the value; each is a number that grows with how unusual the value is.
//! 2. Each is divided by its own decaying record: the ratio `u_k` is above 1 if it exceeds what it reached before.
//! 3. The ratios are combined by a power mean without its divisor, `u = (Σ (w_k u_k)^p)^(1/p)`: nearly the largest,
//!    with some credit where several agree.
//! 4. After a ratio was reported, only a clearly higher one counts for some rows: one alarm per event.
//! 5. The score is `u / (u + alarm)`: 0.5 is the limit of an alarm.

use serde::{Deserialize, Serialize};

use super::{change::BaselineChange, novelty::Novelty, profile::Profile, record::DecayingRecord};

const DAY_NS: i64 = 86_400_000_000_000;
/// Values are capped here, so that their squares are finite.
const MAX_VALUE: f64 = 1e120;
/// Changes below this share of the range are rounding errors.
const ROUNDING_SHARE: f64 = 1e-6;
/// Smallest ratio that starts a silence.
const MIN_SILENCING_RATIO: f64 = 0.25;

/// Kinds of evidence for an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The value is unusual for this time of day.
    Day,
    /// The value is unusual for this time of the week.
    Week,
    /// The last hours resemble no earlier window.
    Novelty,
    /// The value hardly changes any more.
    Quiet,
    /// The value changes more or less than before.
    Activity,
    /// The values spread wider or narrower than before.
    Spread,
}

const ALL_EVIDENCE: [Evidence; 6] =
    [Evidence::Day, Evidence::Week, Evidence::Novelty, Evidence::Quiet, Evidence::Activity, Evidence::Spread];

/// Settings of the detector. All times except the two periods are in rows. The defaults are one setting for all of NAB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamConfig {
    /// Ratio to the record from which a value is an alarm.
    pub alarm: f64,
    /// Rows before the first score.
    pub warmup: u32,
    /// Weights of the evidence, in the order of [`Evidence`].
    pub weights: [f64; 6],
    /// Half-lives of the records, in the order of [`Evidence`].
    pub half_lives: [f64; 6],
    /// Exponent of the power mean.
    pub exponent: f64,
    /// For this many rows after a ratio was reported ...
    pub silence: u32,
    /// ... only a ratio that is higher by this factor counts.
    pub again: f64,
    /// Number of slots of the day and of the week.
    pub slots: [usize; 2],
    /// Number of residuals that are averaged, for the day and the week.
    pub residuals: [usize; 2],
    /// Smallest weight of a new value in its slot's level.
    pub rate: f64,
    /// Values per point of [`Evidence::Novelty`].
    pub step: usize,
    /// Points per window of [`Evidence::Novelty`].
    pub points: usize,
    /// Past windows that [`Evidence::Novelty`] remembers.
    pub bank: usize,
    /// Rows that are compared with the earlier ones: for quiet, activity, spread.
    pub recent: [usize; 3],
    /// Rows that the earlier ones reach back.
    pub memory: f64,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            alarm: 1.2,
            warmup: 150,
            weights: [1.0, 1.0, 1.0, 0.8, 0.8, 0.8],
            half_lives: [4000.0, 4000.0, 1500.0, 3000.0, 3000.0, 3000.0],
            exponent: 3.0,
            silence: 250,
            again: 1.2,
            slots: [48, 336],
            residuals: [4, 12],
            rate: 0.2,
            step: 12,
            points: 4,
            bank: 500,
            recent: [96, 48, 144],
            memory: 1500.0,
        }
    }
}

/// Result for a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoredValue {
    /// Score from 0 to 1; 0.5 is the limit of an alarm.
    pub score: f64,
    /// Combined ratio to the records, before the silence after an alarm is applied.
    pub ratio: f64,
    /// Evidence with the largest ratio, if any is above 0.
    pub evidence: Option<Evidence>,
    /// Weighted ratio of each kind of evidence, in the order of [`Evidence`].
    pub ratios: [f64; 6],
}

/// Detector for one series; see the module documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvidenceDetector {
    config: StreamConfig,
    rows: u64,
    last_value: f64,
    min_value: f64,
    max_value: f64,
    day: Profile,
    week: Profile,
    novelty: Novelty,
    quiet: BaselineChange,
    activity: BaselineChange,
    spread: BaselineChange,
    records: Vec<DecayingRecord>,
    /// Last reported ratio, and rows since then.
    last_reported: f64,
    rows_since_report: u32,
}

/// Replaces a setting that is not finite and positive by its default.
fn positive_or(value: f64, default: f64) -> f64 {
    if value.is_finite() && value > 0.0 { value } else { default }
}

impl EvidenceDetector {
    /// Creates a detector without history. Invalid settings are replaced by their defaults.
    pub fn new(config: StreamConfig) -> Self {
        let defaults = StreamConfig::default();
        let config = StreamConfig {
            alarm: positive_or(config.alarm, defaults.alarm),
            exponent: positive_or(config.exponent, defaults.exponent).clamp(0.5, 16.0),
            again: positive_or(config.again, defaults.again),
            rate: positive_or(config.rate, defaults.rate).min(1.0),
            memory: positive_or(config.memory, defaults.memory).max(2.0),
            weights: config.weights.map(|weight| if weight.is_finite() { weight.max(0.0) } else { 1.0 }),
            half_lives: config.half_lives.map(|half_life| positive_or(half_life, 3000.0)),
            ..config
        };
        // Evidence that never matters: standard deviations, share of the range, differences of a logarithm.
        const FLOORS: [f64; 6] = [0.3, 0.3, 1e-3, 0.5, 0.5, 0.3];
        let records = config
            .half_lives
            .iter()
            .zip(FLOORS)
            .map(|(&half_life, floor)| DecayingRecord::new(half_life, floor))
            .collect();
        let ([by_day, by_week], [day_mean, week_mean]) = (config.slots, config.residuals);
        let [quiet, activity, spread] = config.recent;
        Self {
            rows: 0,
            last_value: 0.0,
            min_value: 0.0,
            max_value: 0.0,
            day: Profile::new(DAY_NS, by_day, config.rate, day_mean),
            week: Profile::new(7 * DAY_NS, by_week, config.rate, week_mean),
            novelty: Novelty::new(config.step, config.points, config.bank),
            quiet: BaselineChange::new(quiet, config.memory),
            activity: BaselineChange::new(activity, config.memory),
            spread: BaselineChange::new(spread, config.memory),
            records,
            last_reported: 0.0,
            rows_since_report: 0,
            config,
        }
    }

    /// Returns the settings.
    pub fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// Scores the next value, from 0 to 1; 0.5 is the limit of an alarm. See [`EvidenceDetector::score_with_evidence`].
    pub fn score(&mut self, time_ns: i64, value: f64) -> f64 {
        self.score_with_evidence(time_ns, value).score
    }

    /// Scores the next value and returns the evidence. Ignores NaN: score 0, nothing learnt. Time only matters for the
    /// time of day and week; rows may come at any distance.
    pub fn score_with_evidence(&mut self, time_ns: i64, value: f64) -> ScoredValue {
        if value.is_nan() {
            return ScoredValue::default();
        }
        let value = value.clamp(-MAX_VALUE, MAX_VALUE);
        let evidence = self.evidence(time_ns, value);
        let is_warm = self.rows >= u64::from(self.config.warmup);
        self.rows = self.rows.saturating_add(1);

        let mut ratios = [0.0; 6];
        for (((ratio, record), evidence), weight) in
            ratios.iter_mut().zip(&mut self.records).zip(evidence).zip(self.config.weights)
        {
            let to_record = record.ratio(evidence);
            if is_warm {
                *ratio = weight * to_record;
            }
        }
        let exponent = self.config.exponent;
        let ratio = ratios.iter().map(|ratio: &f64| ratio.powf(exponent)).sum::<f64>().powf(exponent.recip());
        let ratio = if ratio.is_finite() { ratio } else { f64::MAX };
        let largest = ratios.iter().zip(ALL_EVIDENCE).max_by(|(one, _), (other, _)| one.total_cmp(other));
        let reported_ratio = if self.report(ratio) { ratio } else { 0.0 };
        ScoredValue {
            score: reported_ratio / (reported_ratio + self.config.alarm).min(f64::MAX),
            ratio,
            evidence: largest.filter(|&(&ratio, _)| ratio > 0.0).map(|(_, evidence)| evidence),
            ratios,
        }
    }

    fn evidence(&mut self, time_ns: i64, value: f64) -> [f64; 6] {
        if self.rows == 0 {
            (self.last_value, self.min_value, self.max_value) = (value, value, value);
        }
        let step = (value - self.last_value).abs();
        self.last_value = value;
        self.min_value = self.min_value.min(value);
        self.max_value = self.max_value.max(value);
        self.quiet.push(step);
        self.activity.push(step);
        self.spread.push(value);
        let range = self.max_value - self.min_value;
        // While the series is constant the unit is not used, but must not be 0.
        let unit = if range > 0.0 { ROUNDING_SHARE * range } else { f64::INFINITY };
        let observed = [
            self.day.observe(time_ns, value, unit),
            self.week.observe(time_ns, value, unit),
            self.novelty.observe(value, range),
        ];
        if range > 0.0 {
            let [day, week, novelty] = observed;
            [
                day,
                week,
                novelty,
                self.quiet.quietness(unit),
                self.activity.mean_shift(unit),
                self.spread.spread_change(unit),
            ]
        } else {
            [0.0; 6]
        }
    }

    /// True if the ratio is reported: not in the silence after a higher one.
    fn report(&mut self, ratio: f64) -> bool {
        if self.rows_since_report >= self.config.silence {
            self.last_reported = 0.0;
        }
        let is_reported = ratio > self.last_reported * self.config.again;
        if is_reported && ratio > MIN_SILENCING_RATIO {
            (self.last_reported, self.rows_since_report) = (ratio, 0);
        }
        self.rows_since_report = self.rows_since_report.saturating_add(1);
        is_reported
    }
}
