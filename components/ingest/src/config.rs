//! The configuration of the stage.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::time;

/// The configuration, as JSON. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether readings of sensors that are not in `sensors` are accepted.
    pub unknown_sensors: UnknownSensors,
    /// The earliest time that is accepted, RFC 3339.
    pub earliest: String,
    /// By how many seconds a reading's time may be after its arrival.
    pub max_future_seconds: f64,
    /// The largest event, in bytes.
    pub max_payload_bytes: u64,
    /// The longest sensor id, in bytes.
    pub max_name_bytes: usize,
    /// The number of sensors that an event may name in addition to the configured ones.
    pub max_sensors_per_event: usize,
    /// The number of scalar readings that an event may contain.
    pub max_readings_per_event: usize,
    /// The configured sensors, by id.
    pub sensors: BTreeMap<String, SensorConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            unknown_sensors: UnknownSensors::Accept,
            earliest: "1990-01-01T00:00:00Z".into(),
            max_future_seconds: 300.0,
            max_payload_bytes: 16 << 20,
            max_name_bytes: 512,
            max_sensors_per_event: 10_000,
            max_readings_per_event: 1_000_000,
            sensors: BTreeMap::new(),
        }
    }
}

/// How readings of sensors that are not configured are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownSensors {
    /// They are accepted.
    #[default]
    Accept,
    /// They are rejected as [`crate::Reason::UnknownSensor`].
    Reject,
}

/// The configuration of a sensor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SensorConfig {
    /// The lowest valid value, in `unit`.
    pub min: Option<f64>,
    /// The highest valid value, in `unit`.
    pub max: Option<f64>,
    /// The sampling rate in Hz of arrays of values whose message gives no rate.
    pub sampling_hz: Option<f64>,
    /// Unit of its values, used in messages only.
    pub unit: String,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not valid JSON, or JSON with unknown keys or wrong types.
    #[error("ingest's configuration is not as expected: {0}")]
    Json(String),
    /// `earliest` is not an RFC 3339 time.
    #[error("`earliest` is {0:?}; expected an RFC 3339 time such as 1990-01-01T00:00:00Z")]
    Earliest(String),
    /// A number outside its valid range.
    #[error("`{key}` is {value}; expected {expected}")]
    Number {
        /// Path of the key.
        key: String,
        /// The configured value.
        value: f64,
        /// The valid range, in words.
        expected: &'static str,
    },
}

/// The validated configuration. Times and durations are in nanoseconds, sizes in bytes.
#[derive(Clone, Debug)]
pub(crate) struct ValidationRules {
    pub(crate) reject_unknown: bool,
    pub(crate) earliest: i64,
    pub(crate) max_future_ns: i64,
    pub(crate) max_payload_bytes: u64,
    pub(crate) max_name_bytes: usize,
    pub(crate) max_sensors: usize,
    pub(crate) max_readings: usize,
    pub(crate) sensors: BTreeMap<String, SensorConfig>,
}

impl ValidationRules {
    pub(crate) fn parse(json: &str) -> Result<Self, ConfigError> {
        let config: Config = match json.trim() {
            "" => Config::default(),
            text => serde_json::from_str(text).map_err(|error| ConfigError::Json(error.to_string()))?,
        };
        let earliest =
            time::parse_rfc3339(&config.earliest).ok_or_else(|| ConfigError::Earliest(config.earliest.clone()))?;
        let future = config.max_future_seconds;
        if !(0.0..=3.2e9).contains(&future) {
            return Err(number_error("max_future_seconds", future, "seconds from 0 to 3.2e9"));
        }
        for (name, sensor) in &config.sensors {
            if let Some(rate) = sensor.sampling_hz.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
                return Err(number_error(&format!("sensors.{name}.sampling_hz"), rate, "a rate above 0, in Hz"));
            }
        }
        Ok(Self {
            reject_unknown: config.unknown_sensors == UnknownSensors::Reject,
            earliest,
            #[allow(clippy::cast_possible_truncation, reason = "checked above")]
            max_future_ns: (future * 1e9) as i64,
            max_payload_bytes: config.max_payload_bytes,
            max_name_bytes: config.max_name_bytes,
            max_sensors: config.max_sensors_per_event,
            max_readings: config.max_readings_per_event,
            sensors: config.sensors,
        })
    }
}

fn number_error(key: &str, value: f64, expected: &'static str) -> ConfigError {
    ConfigError::Number { key: key.to_owned(), value, expected }
}
