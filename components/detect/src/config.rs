//! Configuration of the stage.

use std::collections::BTreeMap;

use serde::Deserialize;
use wheeltapper_condition_monitoring::{
    life::{history::RunToFailure, library::Library},
    waveform::iso20816::MachineClass,
};
use wheeltapper_detectors::DetectorKind;

use crate::{physical::Limits, run_library::RunLibrary};

/// Training windows of a detector that is trained in one go.
const DEFAULT_WARMUP: u32 = 30;

/// The configuration, parsed from JSON. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Detector of the scalar sensors; see [`DetectorKind`].
    pub(crate) model: DetectorKind,
    /// Number of training windows per asset. None: by time and windows for `similarity`, [`DEFAULT_WARMUP`] for the
    /// others.
    pub(crate) warmup_windows: Option<u32>,
    /// The training of each asset by a detector that is trained in one go is delayed by its own number of windows, up
    /// to this, so that not all assets are trained at the same time. By default none is.
    pub(crate) spread_windows: u32,
    /// The detector is trained again after this many times the warm-up; 1 disables that.
    pub(crate) learn: u32,
    /// Score from which a window is an anomaly.
    pub(crate) threshold: f64,
    /// Health index at which an asset counts as failed; a healthy asset has about 1.
    pub(crate) life_limit: f64,
    /// Recorded runs to failure for the library of remaining lives.
    pub(crate) run_to_failure: Option<RunToFailureConfig>,
    /// Settings of sensors, by sensor id.
    pub(crate) sensors: BTreeMap<String, SensorConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: DetectorKind::Similarity,
            warmup_windows: None,
            spread_windows: 0,
            learn: 4,
            threshold: 0.999,
            life_limit: 8.0,
            run_to_failure: None,
            sensors: BTreeMap::new(),
        }
    }
}

/// Settings of a sensor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SensorConfig {
    pub(crate) unit: String,
    pub(crate) kind: String,
    /// Class of the machine for the zones of ISO 20816.
    pub(crate) iso_class: Option<MachineClass>,
    /// Upper limits of the level.
    pub(crate) above: Limits,
    /// Lower limits of the level.
    pub(crate) below: Limits,
}

/// Runs to failure. A run has rows of the sensors' means, one per window; the last row is at the failure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunToFailureConfig {
    /// Sensor ids, or their last path segments.
    pub(crate) sensors: Vec<String>,
    pub(crate) runs: Vec<Vec<Vec<f64>>>,
    /// Number of remaining windows beyond which differences are not visible.
    pub(crate) horizon_windows: f64,
}

/// Reason why a configuration is invalid.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not valid JSON, or an unknown key.
    #[error("detect's configuration is not as expected: {0}")]
    Json(String),
    /// A number out of range.
    #[error("`{key}` is {value}; expected {expected}")]
    Number {
        /// Key of the number.
        key: &'static str,
        /// The configured value.
        value: f64,
        /// Description of the valid range.
        expected: &'static str,
    },
    /// Limits of a sensor that contradict each other.
    #[error(
        "the limits `{side}` of sensor {sensor:?} are not in order; expected finite numbers, warn passed before alarm, \
         alarm before danger"
    )]
    Limits {
        /// Id of the sensor.
        sensor: String,
        /// `above` or `below`.
        side: &'static str,
    },
    /// Runs to failure from which nothing can be learnt.
    #[error("`run_to_failure`: {0}")]
    RunsToFailure(String),
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
        if let Some(windows) = config.warmup_windows.filter(|windows| !(5..=100_000).contains(windows)) {
            return Err(ConfigError::Number {
                key: "warmup_windows",
                value: windows.into(),
                expected: "5 to 100000: fewer windows do not show what is normal",
            });
        }
        if !(1..=100).contains(&config.learn) {
            return Err(ConfigError::Number {
                key: "learn",
                value: config.learn.into(),
                expected: "1 to 100 times the warm-up",
            });
        }
        if !(config.life_limit > 1.0 && config.life_limit.is_finite()) {
            return Err(ConfigError::Number {
                key: "life_limit",
                value: config.life_limit,
                expected: "a health index above 1, such as 8",
            });
        }
        for (name, sensor) in &config.sensors {
            for (side, limits, sign) in [("above", &sensor.above, 1.0), ("below", &sensor.below, -1.0)] {
                if !limits.is_in_order(sign) {
                    return Err(ConfigError::Limits { sensor: name.clone(), side });
                }
            }
        }
        Ok(config)
    }

    /// Fits the library to the configured runs; None if there are none.
    pub(crate) fn fit_library(&self) -> Result<Option<RunLibrary>, ConfigError> {
        let Some(runs_to_failure) = &self.run_to_failure else { return Ok(None) };
        let invalid = |text: String| ConfigError::RunsToFailure(text);
        let mut histories = Vec::with_capacity(runs_to_failure.runs.len());
        for (at, run) in runs_to_failure.runs.iter().enumerate() {
            let history =
                RunToFailure::new(run).filter(|history| history.sensor_count() == runs_to_failure.sensors.len());
            histories.push(history.ok_or_else(|| {
                invalid(format!(
                    "run {} must have rows of {} numbers, one per sensor, none missing",
                    at + 1,
                    runs_to_failure.sensors.len()
                ))
            })?);
        }
        let library =
            Library::fit(&histories, runs_to_failure.horizon_windows).map_err(|error| invalid(error.to_string()))?;
        Ok(Some(RunLibrary {
            sensors: runs_to_failure.sensors.clone(),
            horizon: runs_to_failure.horizon_windows,
            library,
        }))
    }

    /// Training windows of a detector that is trained in one go.
    pub(crate) fn warmup(&self) -> usize {
        self.warmup_windows.unwrap_or(DEFAULT_WARMUP) as usize
    }

    /// Number of windows by which the training of this asset is delayed; depends only on its name.
    pub(crate) fn training_delay(&self, asset: &str) -> usize {
        let spread = u64::from(self.spread_windows) + 1;
        let hash = asset
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        usize::try_from((hash >> 32) % spread).unwrap_or(0)
    }
}
