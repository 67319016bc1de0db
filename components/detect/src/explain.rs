//! Human-readable explanations of anomalies.

use crate::{
    columns::Column,
    config::Config,
    run_library::RunLibrary,
    severity::{Diagnosis, Distance, PhysicalZone, Severity, severity},
    window::{Member, Window},
};

/// Most contributions of an anomaly.
const MAX_CONTRIBUTIONS: usize = 5;
/// Contributions with a smaller share are omitted.
const MIN_SHARE: f64 = 0.02;
/// Significant digits of a number in a message.
const DIGITS: i32 = 4;
/// Most additional digits that distinguish two numbers.
const MAX_EXTRA_DIGITS: i32 = 4;

/// Contribution of a feature to an anomaly.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// Id of the sensor.
    pub sensor: String,
    /// Name of the feature.
    pub feature: String,
    /// Share of the anomaly, 0 to 1.
    pub share: f64,
    /// Median of the feature in the warm-up, in `unit`.
    pub expected: f64,
    /// Value of the feature in the window, in `unit`.
    pub actual: f64,
    /// Unit: that of the sensor, Hz, dB, or empty.
    pub unit: String,
}

/// Values of a feature before an anomaly, for display.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// Id of the sensor.
    pub sensor: String,
    /// Name of the feature.
    pub feature: String,
    /// Unit of the values.
    pub unit: String,
    /// Ends of the windows, in ns since 1970.
    pub times: Vec<i64>,
    /// One value per window.
    pub values: Vec<f64>,
}

/// A window in which an asset did not behave normally; see the WIT contracts.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as the contracts' anomaly")]
pub struct Anomaly {
    pub id: String,
    pub asset: String,
    pub sensor: String,
    pub start: i64,
    pub end: i64,
    pub score: f64,
    pub threshold: f64,
    pub confidence: f64,
    pub model: &'static str,
    pub severity: Severity,
    pub fault_mode: Option<&'static str>,
    pub message: String,
    pub contributions: Vec<Contribution>,
    pub trend: Option<Trend>,
}

/// Explanation of a window's score.
#[derive(Clone, Debug)]
pub(crate) struct Explanation {
    pub(crate) message: String,
    pub(crate) fault_mode: Option<&'static str>,
    /// Largest share first.
    pub(crate) contributions: Vec<Contribution>,
    pub(crate) trend: Option<Trend>,
    pub(crate) model: &'static str,
    /// Number of windows that the model was trained on.
    pub(crate) training_windows: u32,
    /// None: by the distance alone.
    pub(crate) severity: Option<Severity>,
}

/// Score and explanation of a window of a dry run.
#[derive(Debug)]
pub(crate) struct DryRunScore {
    pub(crate) ratio: f64,
    pub(crate) finding: Explanation,
    /// Factor on the confidence; below 1 if there were few values.
    pub(crate) confidence_factor: f64,
}

/// Data about an asset that an explanation needs besides the window.
#[derive(Clone, Copy)]
pub(crate) struct AssetContext<'a> {
    pub(crate) asset: &'a str,
    pub(crate) members: &'a [Member],
    pub(crate) features: &'a [String],
    pub(crate) columns: &'a [Column],
    pub(crate) config: &'a Config,
    pub(crate) library: Option<&'a RunLibrary>,
}

/// Actual and expected value of a feature.
pub(crate) struct FeatureValue {
    pub(crate) sensor: String,
    pub(crate) feature: String,
    pub(crate) expected: f64,
    pub(crate) actual: f64,
}

/// Score of a ratio to the limit: 1 − 10^(−3 r²), as if distances were normal and one window in a thousand was beyond
/// the limit.
pub(crate) fn score_of_ratio(ratio: f64) -> f64 {
    1.0 - 10f64.powf(-3.0 * ratio * ratio)
}

/// Ratio that has this score.
pub(crate) fn ratio_of_score(score: f64) -> f64 {
    ((1.0 - score).log10() / -3.0).sqrt()
}

/// Confidence that the window is on the correct side of the threshold: a half at the threshold, less with few training
/// windows.
fn confidence(threshold_ratio: f64, learnt: u32) -> f64 {
    let learnt = f64::from(learnt);
    (1.0 - 0.5 * (-1.5 * (threshold_ratio - 1.0).abs()).exp()) * (learnt + 1.0) / (learnt + 6.0)
}

/// Returns the largest of `weights` as contributions with shares of their sum.
pub(crate) fn largest_contributions(
    weights: &[f64],
    value_at: impl Fn(usize) -> Option<FeatureValue>,
) -> Vec<Contribution> {
    let total: f64 = weights.iter().sum();
    let mut order: Vec<(usize, f64)> = weights.iter().copied().enumerate().collect();
    order.sort_by(|(a, one), (b, other)| other.total_cmp(one).then(a.cmp(b)));
    order
        .into_iter()
        .take(MAX_CONTRIBUTIONS)
        .filter_map(|(at, weight)| {
            let share = weight / total;
            let FeatureValue { sensor, feature, expected, actual } = value_at(at)?;
            // An undefined value (the skewness of a constant) explains nothing.
            (share >= MIN_SHARE && actual.is_finite() && expected.is_finite()).then_some(Contribution {
                sensor,
                feature,
                share,
                expected,
                actual,
                unit: String::new(),
            })
        })
        .collect()
}

impl AssetContext<'_> {
    /// Builds the anomaly of a window. `ratio` is the ratio to the limit of what is normal.
    pub(crate) fn anomaly(&self, window: &Window, ratio: f64, finding: Explanation) -> Anomaly {
        let threshold = self.config.threshold;
        // Ratio to the configured threshold.
        let threshold_ratio = ratio / ratio_of_score(threshold);
        let by_distance = || severity(PhysicalZone::default(), Distance::of_ratio(threshold_ratio), Diagnosis::None);
        let severity = finding.severity.or_else(by_distance).unwrap_or(Severity::Low);
        let sensor = finding.contributions.first().map_or_else(|| self.asset.to_owned(), |part| part.sensor.clone());
        Anomaly {
            id: anomaly_id(self.asset, &sensor, window, finding.model),
            asset: self.asset.to_owned(),
            start: window.start,
            end: window.end,
            score: score_of_ratio(ratio),
            threshold,
            confidence: confidence(threshold_ratio, finding.training_windows),
            model: finding.model,
            severity,
            message: finding.message,
            fault_mode: finding.fault_mode,
            sensor,
            contributions: finding.contributions,
            trend: finding.trend,
        }
    }

    /// Returns the value of a feature by its name; NaN if there is none.
    pub(crate) fn feature(&self, values: &[f64], name: &str) -> f64 {
        let index = self.features.iter().position(|feature| feature == name);
        index.and_then(|index| values.get(index).copied()).unwrap_or(f64::NAN)
    }

    pub(crate) fn with_units(&self, parts: Vec<Contribution>) -> Vec<Contribution> {
        parts.into_iter().map(|part| Contribution { unit: self.unit(&part.sensor, &part.feature), ..part }).collect()
    }

    /// Returns the unit of a sensor's feature.
    pub(crate) fn unit(&self, sensor: &str, feature: &str) -> String {
        let sensor_unit = || self.config.sensors.get(sensor).map(|sensor| sensor.unit.clone()).unwrap_or_default();
        match feature {
            "crest_factor" | "skewness" | "kurtosis" | "spectral_entropy" | "spectral_kurtosis" | "cusum"
            | "missing_ratio" | "stuck" => String::new(),
            "dominant_frequency" => "Hz".to_owned(),
            "velocity_rms" => "mm/s".to_owned(),
            "trend_slope" | "rate_of_change" => format!("{}/s", sensor_unit()),
            feature if feature.starts_with("octave_") => "dB".to_owned(),
            feature if feature.ends_with("_frequency") => "Hz".to_owned(),
            feature if ["_ratio", "_evidence", "_strength"].iter().any(|end| feature.ends_with(end)) => String::new(),
            _ => sensor_unit(),
        }
    }

    /// Returns the name of a sensor without that of its asset.
    pub(crate) fn short_name<'s>(&self, sensor: &'s str) -> &'s str {
        let name = sensor.strip_prefix(self.asset).map_or(sensor, |name| name.trim_start_matches('/'));
        if name.is_empty() { sensor } else { name }
    }

    /// Describes what stands out, with numbers and units. Related features of the same sensor are named only once.
    pub(crate) fn message(&self, parts: &[Contribution], fault_mode: Option<&str>) -> String {
        let mut named: Vec<&Contribution> = Vec::new();
        for part in parts {
            let same = |named: &&Contribution| {
                named.sensor == part.sensor && feature_group(&named.feature) == feature_group(&part.feature)
            };
            if named.len() < 2 && !named.iter().any(same) {
                named.push(part);
            }
        }
        let descriptions = named.iter().map(|part| {
            let (unit, feature) = (&part.unit, feature_label(&part.feature));
            let space = if unit.is_empty() { "" } else { " " };
            let small = 1e-6 * part.expected.abs().max(part.actual.abs());
            let or_zero = |value: f64| if value.abs() <= small { 0.0 } else { value };
            let (actual, expected) = distinct_numbers(or_zero(part.actual), or_zero(part.expected));
            format!(
                "{} {feature} is {actual}{space}{unit}, normally {expected}{space}{unit}",
                self.short_name(&part.sensor)
            )
        });
        let mut message = descriptions.collect::<Vec<_>>().join("; ");
        if let Some(mode) = fault_mode {
            message.push_str(&format!(" (points to {mode})"));
        }
        message
    }
}

/// Group of features that rise and fall together.
fn feature_group(feature: &str) -> &str {
    match feature {
        "mean" | "rms" | "q25" | "q50" | "q75" | "min" | "max" => "level",
        "std" | "iqr" | "peak_to_peak" | "rolling_mean_std" | "dominant_magnitude" => "spread",
        other => other,
    }
}

fn feature_label(feature: &str) -> String {
    match feature {
        "q50" => "median".to_owned(),
        "std" => "standard deviation".to_owned(),
        "iqr" => "interquartile range".to_owned(),
        _ => match feature.strip_prefix("octave_") {
            Some(center) => format!("level around {center} Hz"),
            None => feature.replace('_', " "),
        },
    }
}

/// Formats two numbers with four significant digits, or with as many more as distinguish them.
fn distinct_numbers(one: f64, other: f64) -> (String, String) {
    let with = |digits| (format_number(one, digits), format_number(other, digits));
    let distinct = (DIGITS..DIGITS + MAX_EXTRA_DIGITS).map(with).find(|(one, other)| one != other);
    distinct.unwrap_or_else(|| with(DIGITS))
}

/// Formats a number with this many significant digits.
fn format_number(value: f64, digits: i32) -> String {
    let magnitude = value.abs();
    let decimals = |count: i32| usize::try_from(count.clamp(0, 8)).unwrap_or(0);
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e9).contains(&magnitude) {
        #[allow(clippy::cast_possible_truncation, reason = "-3 to 9")]
        let integer_digits = magnitude.log10().floor() as i32;
        format!("{value:.*}", decimals(digits - 1 - integer_digits))
    } else {
        format!("{value:.*e}", decimals(digits - 1))
    }
}

/// Derives the id from the window, so that the same anomaly found again has the same id.
fn anomaly_id(asset: &str, sensor: &str, window: &Window, model: &str) -> String {
    // The scoring unit of a waveform is one sensor. For the scalars of an asset the window is sufficient.
    // Several of its sensors may be faulty in the same window.
    let scored_sensor = if window.rows.len() == 1 || model == "sensor" { sensor } else { "" };
    let text = format!("{asset}|{scored_sensor}|{}|{}|{model}", window.start, window.end);
    let hash = blake3::hash(text.as_bytes());
    hex::encode(hash.as_bytes().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_distinct() {
        let formatted = |one, other| {
            let (one, other) = distinct_numbers(one, other);
            format!("{one} {other}")
        };
        assert_eq!(formatted(88.123_456, 71.0), "88.12 71.00");
        assert_eq!(formatted(1480.93, 1481.41), "1480.9 1481.4");
        assert_eq!(formatted(1481.0, 1481.0), "1481 1481");
        assert_eq!(formatted(101_325.0, 98_000.4), "101325 98000");
        assert_eq!(formatted(0.001_234_56, -2.0), "0.001235 -2.000");
        assert_eq!(formatted(1.5e-7, 0.0), "1.500e-7 0");
        assert_eq!(formatted(2.5e12, 1.0), "2.500e12 1.000");
    }
}
