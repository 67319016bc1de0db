//! The reason for an anomaly, for people.

use crate::{
    columns::Column,
    config::Config,
    life::Runs,
    unit::{Member, Window},
};

/// At most so many contributions are told.
const MOST: usize = 5;
/// Smaller ones are left out.
const LEAST_SHARE: f64 = 0.02;
/// Digits of a number in a message, and how many more may be told.
const MATTER: i32 = 4;
const MORE: i32 = 4;

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Just past the threshold.
    Low,
    /// Clearly past it.
    Medium,
    /// Far past it.
    High,
    /// Beyond anything that was normal.
    Critical,
}

/// One part of the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// The sensor's id.
    pub sensor: String,
    /// The feature's name.
    pub feature: String,
    /// 0 to 1.
    pub share: f64,
    /// Median in the warm-up, in `unit`.
    pub expected: f64,
    /// In `unit`.
    pub seen: f64,
    /// The sensor's, Hz, dB, or none.
    pub unit: String,
}

/// The course of a feature up to a finding, for display.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// The sensor's id.
    pub sensor: String,
    /// The feature's name.
    pub feature: String,
    /// Of the values.
    pub unit: String,
    /// Ends of the windows, in ns since 1970.
    pub times: Vec<i64>,
    /// As many.
    pub values: Vec<f64>,
}

/// A window in which an asset was not as it is when it is well; see the contracts.
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

/// What was found in a window.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) message: String,
    pub(crate) fault_mode: Option<&'static str>,
    /// Largest share first.
    pub(crate) parts: Vec<Contribution>,
    pub(crate) trend: Option<Trend>,
    pub(crate) model: &'static str,
    /// Windows that the model was learnt from.
    pub(crate) learnt: u32,
}

/// What is known beside a window.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) asset: &'a str,
    pub(crate) members: &'a [Member],
    pub(crate) features: &'a [String],
    pub(crate) columns: &'a [Column],
    pub(crate) config: &'a Config,
    pub(crate) runs: Option<&'a Runs>,
}

/// What was seen of a feature, and what was expected.
pub(crate) struct Seen {
    pub(crate) sensor: String,
    pub(crate) feature: String,
    pub(crate) expected: f64,
    pub(crate) seen: f64,
}

/// The score of a ratio to the edge: 1 − 10^(−3 r²), as if distances were normal and one window in a thousand lay beyond
/// the edge.
pub(crate) fn score(ratio: f64) -> f64 {
    1.0 - 10f64.powf(-3.0 * ratio * ratio)
}

/// The ratio whose score this is.
pub(crate) fn ratio_of(score: f64) -> f64 {
    ((1.0 - score).log10() / -3.0).sqrt()
}

/// How sure it is on which side of the threshold a window lies: a half at the threshold, less after few lessons.
fn confidence(beyond: f64, learnt: u32) -> f64 {
    let learnt = f64::from(learnt);
    (1.0 - 0.5 * (-1.5 * (beyond - 1.0).abs()).exp()) * (learnt + 1.0) / (learnt + 6.0)
}

/// The largest of `weights` as shares of their sum.
pub(crate) fn parts(weights: &[f64], seen: impl Fn(usize) -> Option<Seen>) -> Vec<Contribution> {
    let total: f64 = weights.iter().sum();
    let mut order: Vec<(usize, f64)> = weights.iter().copied().enumerate().collect();
    order.sort_by(|(a, one), (b, other)| other.total_cmp(one).then(a.cmp(b)));
    order
        .into_iter()
        .take(MOST)
        .filter_map(|(at, weight)| {
            let share = weight / total;
            let Seen { sensor, feature, expected, seen } = seen(at)?;
            // What is not defined for a window (the skewness of a constant) explains nothing.
            (share >= LEAST_SHARE && seen.is_finite() && expected.is_finite()).then_some(Contribution {
                sensor,
                feature,
                share,
                expected,
                seen,
                unit: String::new(),
            })
        })
        .collect()
}

impl Context<'_> {
    /// An anomaly of a window. `ratio`: to the edge of what is normal.
    pub(crate) fn anomaly(&self, window: &Window, ratio: f64, finding: Finding) -> Anomaly {
        let threshold = self.config.threshold;
        // How many times past the threshold, whatever that is set to.
        let beyond = ratio / ratio_of(threshold);
        let severity = match beyond {
            beyond if beyond < 1.5 => Severity::Low,
            beyond if beyond < 2.5 => Severity::Medium,
            beyond if beyond < 6.0 => Severity::High,
            _ => Severity::Critical,
        };
        let sensor = finding.parts.first().map_or_else(|| self.asset.to_owned(), |part| part.sensor.clone());
        Anomaly {
            id: id(self.asset, &sensor, window, finding.model),
            asset: self.asset.to_owned(),
            start: window.start,
            end: window.end,
            score: score(ratio),
            threshold,
            confidence: confidence(beyond, finding.learnt),
            model: finding.model,
            severity,
            message: finding.message,
            fault_mode: finding.fault_mode,
            sensor,
            contributions: finding.parts,
            trend: finding.trend,
        }
    }

    /// A feature's value by its name; NaN when there is none.
    pub(crate) fn feature(&self, values: &[f64], name: &str) -> f64 {
        let place = self.features.iter().position(|feature| feature == name);
        place.and_then(|place| values.get(place).copied()).unwrap_or(f64::NAN)
    }

    pub(crate) fn with_units(&self, parts: Vec<Contribution>) -> Vec<Contribution> {
        parts.into_iter().map(|part| Contribution { unit: self.unit(&part.sensor, &part.feature), ..part }).collect()
    }

    /// The unit of a sensor's feature.
    pub(crate) fn unit(&self, sensor: &str, feature: &str) -> String {
        let own = || self.config.sensors.get(sensor).map(|sensor| sensor.unit.clone()).unwrap_or_default();
        match feature {
            "crest_factor" | "skewness" | "kurtosis" | "spectral_entropy" | "spectral_kurtosis" | "cusum"
            | "missing_ratio" | "stuck" => String::new(),
            "dominant_frequency" => "Hz".to_owned(),
            "velocity_rms" => "mm/s".to_owned(),
            "trend_slope" | "rate_of_change" => format!("{}/s", own()),
            feature if feature.starts_with("octave_") => "dB".to_owned(),
            feature if feature.ends_with("_frequency") => "Hz".to_owned(),
            feature if ["_ratio", "_evidence", "_strength"].iter().any(|end| feature.ends_with(end)) => String::new(),
            _ => own(),
        }
    }

    /// A sensor's name without its asset's.
    pub(crate) fn short<'s>(&self, sensor: &'s str) -> &'s str {
        let name = sensor.strip_prefix(self.asset).map_or(sensor, |name| name.trim_start_matches('/'));
        if name.is_empty() { sensor } else { name }
    }

    /// What stands out, with numbers and units. Two features that say the same of a sensor are told once.
    pub(crate) fn message(&self, parts: &[Contribution], fault_mode: Option<&str>) -> String {
        let mut told: Vec<&Contribution> = Vec::new();
        for part in parts {
            let same =
                |told: &&Contribution| told.sensor == part.sensor && group(&told.feature) == group(&part.feature);
            if told.len() < 2 && !told.iter().any(same) {
                told.push(part);
            }
        }
        let words = told.iter().map(|part| {
            let (unit, feature) = (&part.unit, words(&part.feature));
            let space = if unit.is_empty() { "" } else { " " };
            let small = 1e-6 * part.expected.abs().max(part.seen.abs());
            let whole = |value: f64| if value.abs() <= small { 0.0 } else { value };
            let (seen, expected) = apart(whole(part.seen), whole(part.expected));
            format!("{} {feature} is {seen}{space}{unit}, normally {expected}{space}{unit}", self.short(&part.sensor))
        });
        let mut message = words.collect::<Vec<_>>().join("; ");
        if let Some(mode) = fault_mode {
            message.push_str(&format!(" (points to {mode})"));
        }
        message
    }
}

/// Features that rise and fall together.
fn group(feature: &str) -> &str {
    match feature {
        "mean" | "rms" | "q25" | "q50" | "q75" | "min" | "max" => "level",
        "std" | "iqr" | "peak_to_peak" | "rolling_mean_std" | "dominant_magnitude" => "spread",
        other => other,
    }
}

fn words(feature: &str) -> String {
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

/// Two numbers with four digits that matter, or as many more as it takes to tell them apart.
fn apart(one: f64, other: f64) -> (String, String) {
    let with = |digits| (number(one, digits), number(other, digits));
    let told = (MATTER..MATTER + MORE).map(with).find(|(one, other)| one != other);
    told.unwrap_or_else(|| with(MATTER))
}

/// With so many digits that matter.
fn number(value: f64, digits: i32) -> String {
    let size = value.abs();
    let places = |count: i32| usize::try_from(count.clamp(0, 8)).unwrap_or(0);
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e9).contains(&size) {
        #[allow(clippy::cast_possible_truncation, reason = "-3 to 9")]
        let before = size.log10().floor() as i32;
        format!("{value:.*}", places(digits - 1 - before))
    } else {
        format!("{value:.*e}", places(digits - 1))
    }
}

/// The same window found again has the same id.
fn id(asset: &str, sensor: &str, window: &Window, model: &str) -> String {
    // A burst's unit is one sensor of an asset; of an asset's scalar unit the window tells.
    let one = if window.rows.len() == 1 { sensor } else { "" };
    let text = format!("{asset}|{one}|{}|{}|{model}", window.start, window.end);
    let hash = blake3::hash(text.as_bytes());
    hex::encode(hash.as_bytes().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_told_apart() {
        let told = |one, other| {
            let (one, other) = apart(one, other);
            format!("{one} {other}")
        };
        assert_eq!(told(88.123_456, 71.0), "88.12 71.00");
        assert_eq!(told(1480.93, 1481.41), "1480.9 1481.4");
        assert_eq!(told(1481.0, 1481.0), "1481 1481");
        assert_eq!(told(101_325.0, 98_000.4), "101325 98000");
        assert_eq!(told(0.001_234_56, -2.0), "0.001235 -2.000");
        assert_eq!(told(1.5e-7, 0.0), "1.500e-7 0");
        assert_eq!(told(2.5e12, 1.0), "2.500e12 1.000");
    }
}
