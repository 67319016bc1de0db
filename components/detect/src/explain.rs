//! The reason for an anomaly, for people.

use std::collections::BTreeMap;

use crate::{
    columns::Column,
    config::Sensor,
    detectors::Detector as _,
    unit::{Model, Window},
};

/// At most so many contributions are told.
const MOST: usize = 5;
/// Smaller ones are left out.
const LEAST_SHARE: f64 = 0.02;

/// Beyond so many scales a feature clearly rose or fell.
const CLEAR: f64 = 3.0;

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
    /// The sensor's, Hz, or none.
    pub unit: String,
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
}

/// The score of a ratio to the edge: 1 − 10^(−3 r²), as if distances were normal and one window in a thousand lay beyond
/// the edge.
pub(crate) fn score(ratio: f64) -> f64 {
    1.0 - 10f64.powf(-3.0 * ratio * ratio)
}

/// The ratio whose score this is.
fn ratio_of(score: f64) -> f64 {
    ((1.0 - score).log10() / -3.0).sqrt()
}

/// What the anomaly of a window says.
pub(crate) struct Context<'a> {
    pub(crate) asset: &'a str,
    pub(crate) model: &'a Model,
    pub(crate) features: &'a [String],
    pub(crate) columns: &'a [Column],
    pub(crate) sensors: &'a BTreeMap<String, Sensor>,
    pub(crate) threshold: f64,
}

impl Context<'_> {
    pub(crate) fn anomaly(&self, window: &Window, ratio: f64, z: &[f64]) -> Anomaly {
        let parts = self.parts(window, z);
        // How many times past the threshold, whatever that is set to.
        let beyond = ratio / ratio_of(self.threshold);
        let severity = match beyond {
            beyond if beyond < 1.5 => Severity::Low,
            beyond if beyond < 2.5 => Severity::Medium,
            beyond if beyond < 6.0 => Severity::High,
            _ => Severity::Critical,
        };
        let sensor = parts.first().map_or_else(|| self.asset.to_owned(), |part| part.sensor.clone());
        let fault_mode = self.fault_mode(&parts, z);
        let kind = self.model.detector.kind().name();
        let learnt = f64::from(self.model.windows);
        Anomaly {
            id: id(self.asset, &sensor, window, kind),
            asset: self.asset.to_owned(),
            start: window.start,
            end: window.end,
            score: score(ratio),
            threshold: self.threshold,
            confidence: (1.0 - 0.5 * (-1.5 * (beyond - 1.0)).exp()) * learnt / (learnt + 5.0),
            model: kind,
            severity,
            message: self.message(&parts, fault_mode),
            fault_mode,
            sensor,
            contributions: parts,
        }
    }

    fn parts(&self, window: &Window, z: &[f64]) -> Vec<Contribution> {
        let weights = self.model.detector.weights(z);
        let total: f64 = weights.iter().sum();
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|&a, &b| {
            let weight = |at: usize| weights.get(at).copied().unwrap_or(0.0);
            weight(b).total_cmp(&weight(a)).then(a.cmp(&b))
        });
        let width = self.columns.len().max(1);
        order
            .into_iter()
            .take(MOST)
            .filter_map(|at| {
                let share = weights.get(at).copied().unwrap_or(0.0) / total;
                let (place, column) = (at / width, self.columns.get(at % width)?);
                let name = self.model.sensors.get(place)?.to_string();
                let feature = self.features.get(column.at as usize)?.clone();
                let seen = window.rows.get(place)?.as_ref()?.values.get(column.at as usize).copied()?;
                let unit = self.unit(&name, &feature);
                let expected = self.model.normals.get(at)?.expected;
                // What is not defined for a window (the skewness of a constant) explains nothing.
                (share >= LEAST_SHARE && seen.is_finite() && expected.is_finite()).then_some(Contribution {
                    sensor: name,
                    feature,
                    share,
                    expected,
                    seen,
                    unit,
                })
            })
            .collect()
    }

    fn unit(&self, sensor: &str, feature: &str) -> String {
        match feature {
            "crest_factor" | "skewness" | "kurtosis" | "spectral_entropy" => String::new(),
            "dominant_frequency" => "Hz".to_owned(),
            _ => self.sensors.get(sensor).map(|sensor| sensor.unit.clone()).unwrap_or_default(),
        }
    }

    /// What the pattern points to, by the features of the leading sensor that clearly rose or fell.
    fn fault_mode(&self, parts: &[Contribution], z: &[f64]) -> Option<&'static str> {
        let first = parts.first()?;
        let kind = |sensor: &str| {
            let kind = self.sensors.get(sensor).map_or("", |sensor| sensor.kind.as_str());
            // Sensors that are not configured tell by their name.
            if kind.is_empty() {
                sensor.rsplit('/').next().unwrap_or(sensor).to_lowercase()
            } else {
                kind.to_lowercase()
            }
        };
        let place = self.model.sensors.iter().position(|name| **name == *first.sensor)?;
        let own = z.get(place * self.columns.len()..)?;
        let of = |feature: &str| {
            let named = |column: &Column| self.features.get(column.at as usize).is_some_and(|name| name == feature);
            self.columns.iter().zip(own).find(|(column, _)| named(column)).map_or(0.0, |(_, z)| *z)
        };
        let rose = |feature: &str| of(feature) > CLEAR;
        let fell = |feature: &str| of(feature) < -CLEAR;
        let still = parts.iter().filter(|part| part.sensor == first.sensor).any(|part| {
            matches!(part.feature.as_str(), "std" | "peak_to_peak" | "iqr") && part.seen <= 0.02 * part.expected
        });
        if still {
            return Some("sensor-stuck");
        }
        let named = kind(&first.sensor);
        let is = |words: &[&str]| words.iter().any(|word| named.contains(word));
        if is(&["vibration", "accel", "velocity"]) {
            let impacts = rose("kurtosis") || rose("crest_factor");
            let burst = self.features.iter().any(|feature| feature == crate::stage::BURST);
            let louder = rose("rms") || rose("std") || rose("iqr");
            let pressure = parts.iter().any(|part| {
                let kind = kind(&part.sensor);
                (kind.contains("pressure") || kind.contains("flow")) && part.seen != part.expected
            });
            return match () {
                () if impacts => Some("bearing-impacts"),
                () if louder && (pressure || burst && rose("spectral_entropy")) => Some("cavitation"),
                // Only a burst shows the shaft's own line.
                () if burst && (rose("dominant_magnitude") || louder && fell("spectral_entropy")) => Some("imbalance"),
                () => None,
            };
        }
        let higher = rose("mean") || rose("q50") || rose("rms");
        match () {
            () if is(&["temperature", "thermocouple"]) && higher => Some("overheating"),
            () if is(&["current", "power"]) && higher => Some("electrical-overload"),
            () if is(&["pressure", "flow"]) && (rose("std") || rose("iqr") || rose("peak_to_peak")) => {
                Some("cavitation")
            }
            () => None,
        }
    }

    fn message(&self, parts: &[Contribution], fault_mode: Option<&str>) -> String {
        let mut message = String::new();
        for part in parts.iter().take(2) {
            let name =
                part.sensor.strip_prefix(self.asset).map_or(part.sensor.as_str(), |name| name.trim_start_matches('/'));
            let name = if name.is_empty() { part.sensor.as_str() } else { name };
            let (unit, feature) = (&part.unit, part.feature.replace('_', " "));
            let space = if unit.is_empty() { "" } else { " " };
            if !message.is_empty() {
                message.push_str("; ");
            }
            message.push_str(&format!(
                "{name} {feature} is {}{space}{unit}, normally {}{space}{unit}",
                number(part.seen),
                number(part.expected)
            ));
        }
        if let Some(mode) = fault_mode {
            message.push_str(&format!(" (points to {mode})"));
        }
        message
    }
}

/// Four digits that matter.
fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-3..1e5).contains(&size) {
        let digits = (3 - size.max(1e-3).log10().floor().clamp(-3.0, 3.0) as i32).clamp(0, 5);
        format!("{value:.*}", usize::try_from(digits).unwrap_or(0))
    } else {
        format!("{value:.3e}")
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
