//! What the stage is told.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::time;

/// The configuration, as JSON. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What becomes of readings of sensors that are not in `sensors`.
    pub unknown_sensors: UnknownSensors,
    /// The earliest time that is taken, RFC 3339.
    pub earliest: String,
    /// By how many seconds a reading's time may be ahead of its arrival.
    pub max_future_seconds: f64,
    /// The largest event.
    pub max_payload_bytes: u64,
    /// The longest sensor id.
    pub max_name_bytes: usize,
    /// Sensors that an event may name beside the configured ones.
    pub max_sensors_per_event: usize,
    /// Scalar readings that an event may hold.
    pub max_readings_per_event: usize,
    /// The sensors, by id.
    pub sensors: BTreeMap<String, Sensor>,
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

/// What becomes of readings of sensors that are not configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownSensors {
    /// They are taken.
    #[default]
    Accept,
    /// They are refused.
    Reject,
}

/// What is known of a sensor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sensor {
    /// The lowest value that it can read, in `unit`.
    pub min: Option<f64>,
    /// The highest value that it can read, in `unit`.
    pub max: Option<f64>,
    /// Samples a second: an array of values without a rate of its own is a waveform of this rate, in Hz.
    pub sampling_hz: Option<f64>,
    /// Unit of its values, for messages.
    pub unit: String,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or not these keys.
    #[error("ingest's configuration is not as expected: {0}")]
    Json(String),
    /// `earliest` is no time.
    #[error("`earliest` is {0:?}; expected an RFC 3339 time such as 1990-01-01T00:00:00Z")]
    Earliest(String),
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

/// The configuration, checked.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) reject_unknown: bool,
    pub(crate) earliest: i64,
    pub(crate) max_future: i64,
    pub(crate) max_payload: u64,
    pub(crate) max_name: usize,
    pub(crate) max_sensors: usize,
    pub(crate) max_readings: usize,
    pub(crate) sensors: BTreeMap<String, Sensor>,
}

impl Rules {
    pub(crate) fn parse(json: &str) -> Result<Self, ConfigError> {
        let config: Config = match json.trim() {
            "" => Config::default(),
            text => serde_json::from_str(text).map_err(|error| ConfigError::Json(error.to_string()))?,
        };
        let earliest =
            time::parse_rfc3339(&config.earliest).ok_or_else(|| ConfigError::Earliest(config.earliest.clone()))?;
        let future = config.max_future_seconds;
        if !(0.0..=3.2e9).contains(&future) {
            return Err(number("max_future_seconds", future, "seconds from 0 to 3.2e9"));
        }
        for (name, sensor) in &config.sensors {
            if let Some(rate) = sensor.sampling_hz.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
                return Err(number(&format!("sensors.{name}.sampling_hz"), rate, "a rate above 0, in Hz"));
            }
        }
        Ok(Self {
            reject_unknown: config.unknown_sensors == UnknownSensors::Reject,
            earliest,
            #[allow(clippy::cast_possible_truncation, reason = "checked above")]
            max_future: (future * 1e9) as i64,
            max_payload: config.max_payload_bytes,
            max_name: config.max_name_bytes,
            max_sensors: config.max_sensors_per_event,
            max_readings: config.max_readings_per_event,
            sensors: config.sensors,
        })
    }
}

fn number(key: &str, value: f64, expected: &'static str) -> ConfigError {
    ConfigError::Number { key: key.to_owned(), value, expected }
}
