//! What the stage is told.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The configuration, as JSON. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    size_seconds: f64,
    slide_seconds: f64,
    lateness_seconds: f64,
    sensors: BTreeMap<String, Sensor>,
}

impl Default for Config {
    fn default() -> Self {
        Self { size_seconds: 30.0, slide_seconds: 10.0, lateness_seconds: 10.0, sensors: BTreeMap::new() }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sensor {
    sampling_hz: Option<f64>,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or not these keys.
    #[error("featurize's configuration is not as expected: {0}")]
    Json(String),
    /// A number that makes no sense.
    #[error("`{key}` is {value}; expected {expected}")]
    Number {
        /// Which key.
        key: String,
        /// What came.
        value: f64,
        /// What was expected.
        expected: &'static str,
    },
}

/// The windows, in nanoseconds, and what is known of the sensors.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) size: i64,
    pub(crate) slide: i64,
    pub(crate) lateness: i64,
    /// Samples a second, where configured.
    pub(crate) sampling_hz: BTreeMap<String, f64>,
}

impl Rules {
    pub(crate) fn parse(json: &str) -> Result<Self, ConfigError> {
        let config: Config = match json.trim() {
            "" => Config::default(),
            text => serde_json::from_str(text).map_err(|error| ConfigError::Json(error.to_string()))?,
        };
        let size = nanoseconds("size_seconds", config.size_seconds, 1e-6)?;
        let slide = nanoseconds("slide_seconds", config.slide_seconds, 1e-6)?;
        let lateness = nanoseconds("lateness_seconds", config.lateness_seconds, 0.0)?;
        if slide > size {
            return Err(number(
                "slide_seconds",
                config.slide_seconds,
                "at most size_seconds: readings between windows would be lost",
            ));
        }
        let mut sampling_hz = BTreeMap::new();
        for (name, sensor) in config.sensors {
            if let Some(rate) = sensor.sampling_hz {
                if !(rate.is_finite() && rate > 0.0) {
                    return Err(number(&format!("sensors.{name}.sampling_hz"), rate, "a rate above 0, in Hz"));
                }
                sampling_hz.insert(name, rate);
            }
        }
        Ok(Self { size, slide, lateness, sampling_hz })
    }
}

fn nanoseconds(key: &str, seconds: f64, least: f64) -> Result<i64, ConfigError> {
    // A year; longer windows would never close.
    if !(least..=31_536_000.0).contains(&seconds) {
        return Err(number(key, seconds, "seconds, from 1e-6 (lateness: 0) to 31536000"));
    }
    #[allow(clippy::cast_possible_truncation, reason = "checked above")]
    Ok((seconds * 1e9).round() as i64)
}

fn number(key: &str, value: f64, expected: &'static str) -> ConfigError {
    ConfigError::Number { key: key.to_owned(), value, expected }
}
