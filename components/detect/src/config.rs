//! What the stage is told.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::detectors::Kind;

/// The configuration, as JSON. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// `ensemble`, `zscore` or `mahalanobis`.
    pub(crate) model: Kind,
    /// Windows of each asset to learn from.
    pub(crate) warmup_windows: u32,
    /// The score from which a window is an anomaly.
    pub(crate) threshold: f64,
    /// By id.
    pub(crate) sensors: BTreeMap<String, Sensor>,
}

impl Default for Config {
    fn default() -> Self {
        Self { model: Kind::Ensemble, warmup_windows: 30, threshold: 0.999, sensors: BTreeMap::new() }
    }
}

/// What is known of a sensor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sensor {
    pub(crate) unit: String,
    pub(crate) kind: String,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or not these keys.
    #[error("detect's configuration is not as expected: {0}")]
    Json(String),
    /// A number that makes no sense.
    #[error("`{key}` is {value}; expected {expected}")]
    Number {
        /// Which key.
        key: &'static str,
        /// What came.
        value: f64,
        /// What was expected.
        expected: &'static str,
    },
}

impl Config {
    pub(crate) fn parse(json: &str) -> Result<Self, ConfigError> {
        let config: Self = match json.trim() {
            "" => Self::default(),
            text => serde_json::from_str(text).map_err(|error| ConfigError::Json(error.to_string()))?,
        };
        if !(config.threshold > 0.0 && config.threshold < 1.0) {
            return Err(ConfigError::Number {
                key: "threshold",
                value: config.threshold,
                expected: "a score between 0 and 1, such as 0.999",
            });
        }
        if !(5..=100_000).contains(&config.warmup_windows) {
            return Err(ConfigError::Number {
                key: "warmup_windows",
                value: config.warmup_windows.into(),
                expected: "5 to 100000: fewer windows do not show what is normal",
            });
        }
        Ok(config)
    }
}
