//! The configuration of the stage.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use wheeltapper_condition_monitoring::{
    bearing::{
        geometry::{FaultOrders, Geometry},
        table,
    },
    speed,
    waveform::{features::SampleUnit, iso20816::MachineClass},
};

/// Limit for the number of windows that a reading belongs to.
const MAX_OVERLAP: i64 = 3_600;

/// The configuration, as JSON. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    size_seconds: Option<f64>,
    slide_seconds: f64,
    lateness_seconds: f64,
    follow_rate: Option<bool>,
    sensors: BTreeMap<String, RawSensorConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            size_seconds: None,
            slide_seconds: 10.0,
            lateness_seconds: 10.0,
            follow_rate: None,
            sensors: BTreeMap::new(),
        }
    }
}

/// Length of a window in seconds, if none is configured.
const DEFAULT_SIZE: f64 = 30.0;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawSensorConfig {
    sampling_hz: Option<f64>,
    unit: String,
    shaft_hz: Option<f64>,
    rpm: Option<f64>,
    speed_sensor: Option<String>,
    bearing: Option<Bearing>,
    teeth: Option<u32>,
    iso_class: Option<MachineClass>,
}

/// A bearing by its designation or by its geometry.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Bearing {
    Named(String),
    Geometry(BearingGeometry),
}

/// Diameters in mm, the contact angle in degrees.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BearingGeometry {
    balls: u32,
    ball_diameter: f64,
    pitch_diameter: f64,
    #[serde(default)]
    contact_angle: f64,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not valid JSON, or JSON with unknown keys or wrong types.
    #[error("featurize's configuration is not as expected: {0}")]
    Json(String),
    /// A number outside its valid range.
    #[error("`{key}` is {value}; expected {expected}")]
    Number {
        /// Path of the key.
        key: String,
        /// The configured value.
        value: f64,
        /// The valid values, in words.
        expected: &'static str,
    },
    /// A string or an object that is not one of the valid values.
    #[error("`{key}` is {value:?}; expected {expected}")]
    Text {
        /// Path of the key.
        key: String,
        /// The configured value.
        value: String,
        /// The valid values, in words.
        expected: String,
    },
}

/// The validated configuration: the windows and the sensors.
#[derive(Clone, Debug)]
pub(crate) struct WindowRules {
    /// The windows of a sensor with many readings.
    pub(crate) shortest: WindowTimes,
    /// Whether the windows of a sensor with few readings are longer.
    pub(crate) follows_rate: bool,
    sensors: BTreeMap<String, SensorProperties>,
}

/// The windows of a sensor, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowTimes {
    pub(crate) size: i64,
    pub(crate) slide: i64,
    pub(crate) lateness: i64,
}

impl WindowTimes {
    /// Windows that are longer by a factor.
    pub(crate) fn times(self, factor: i64) -> Self {
        Self { size: self.size.saturating_mul(factor), slide: self.slide.saturating_mul(factor), ..self }
    }
}

/// The properties of a sensor.
#[derive(Clone, Debug, Default)]
pub(crate) struct SensorProperties {
    /// The configured sampling rate, in Hz.
    pub(crate) sampling_hz: Option<f64>,
    /// For a speed sensor: the factor that converts its readings to a shaft speed in Hz.
    pub(crate) speed_factor: Option<f64>,
    /// The machine that the sensor is mounted on.
    pub(crate) machine: Option<Box<MachineProperties>>,
}

/// The properties of the machine that a sensor is mounted on.
#[derive(Clone, Debug, Default)]
pub(crate) struct MachineProperties {
    pub(crate) unit: Option<SampleUnit>,
    /// The shaft speed in Hz, used when no speed sensor gives it.
    pub(crate) shaft_hz: Option<f64>,
    pub(crate) speed_sensor: Option<String>,
    pub(crate) bearing: Option<FaultOrders>,
    pub(crate) teeth: Option<u32>,
    pub(crate) class: Option<MachineClass>,
}

impl WindowRules {
    pub(crate) fn parse(json: &str) -> Result<Self, ConfigError> {
        let config: Config = match json.trim() {
            "" => Config::default(),
            text => serde_json::from_str(text).map_err(|error| ConfigError::Json(error.to_string()))?,
        };
        let size = parse_nanoseconds("size_seconds", config.size_seconds.unwrap_or(DEFAULT_SIZE), 1e-6)?;
        let slide = parse_nanoseconds("slide_seconds", config.slide_seconds, 1e-6)?;
        let lateness = parse_nanoseconds("lateness_seconds", config.lateness_seconds, 0.0)?;
        if slide > size {
            return Err(number_error(
                "slide_seconds",
                config.slide_seconds,
                "at most size_seconds, so that no reading falls between windows",
            ));
        }
        if size / slide > MAX_OVERLAP {
            return Err(number_error(
                "slide_seconds",
                config.slide_seconds,
                "at least size_seconds / 3600, so that a reading belongs to at most 3600 windows",
            ));
        }
        let speed_sensors: BTreeSet<&String> =
            config.sensors.values().filter_map(|sensor| sensor.speed_sensor.as_ref()).collect();
        let mut sensors = BTreeMap::new();
        for (name, sensor) in &config.sensors {
            let rate = check_positive(name, "sampling_hz", sensor.sampling_hz, "a rate above 0, in Hz")?;
            let factor = speed_sensors.contains(name).then(|| speed_factor(name, &sensor.unit)).transpose()?;
            let machine = parse_machine(name, sensor)?.map(Box::new);
            sensors.insert(name.clone(), SensorProperties { sampling_hz: rate, speed_factor: factor, machine });
        }
        // Speed sensors without a configuration of their own give revolutions per minute.
        for name in &speed_sensors {
            sensors
                .entry((*name).clone())
                .or_insert_with(|| SensorProperties { speed_factor: Some(HZ_PER_RPM), ..SensorProperties::default() });
        }
        let follows_rate = config.follow_rate.unwrap_or(config.size_seconds.is_none());
        Ok(Self { shortest: WindowTimes { size, slide, lateness }, follows_rate, sensors })
    }

    pub(crate) fn properties(&self, sensor: &str) -> SensorProperties {
        self.sensors.get(sensor).cloned().unwrap_or_default()
    }
}

const HZ_PER_RPM: f64 = 1.0 / 60.0;

/// Returns the factor that converts a speed in this unit to Hz.
fn speed_factor(name: &str, unit: &str) -> Result<f64, ConfigError> {
    speed::hertz_per_unit(unit).ok_or_else(|| ConfigError::Text {
        key: format!("sensors.{name}.unit"),
        value: unit.to_owned(),
        expected: "rpm or Hz, because this sensor is the speed_sensor of another one".to_owned(),
    })
}

/// Returns the properties of the sensor's machine, or None if nothing of it is configured.
fn parse_machine(name: &str, sensor: &RawSensorConfig) -> Result<Option<MachineProperties>, ConfigError> {
    let shaft_hz = check_positive(name, "shaft_hz", sensor.shaft_hz, "a speed above 0, in Hz")?;
    let rpm = check_positive(name, "rpm", sensor.rpm, "a speed above 0, in revolutions per minute")?;
    let bearing = match &sensor.bearing {
        None => None,
        Some(Bearing::Named(designation)) => {
            let entry = table::find_bearing(designation).ok_or_else(|| ConfigError::Text {
                key: format!("sensors.{name}.bearing"),
                value: designation.clone(),
                expected: format!(
                    "one of {}, or {{balls, ball_diameter, pitch_diameter, contact_angle}}",
                    table::BEARINGS.map(|entry| entry.designation).join(", ")
                ),
            })?;
            entry.geometry.fault_orders()
        }
        Some(Bearing::Geometry(bearing)) => {
            let geometry = Geometry {
                elements: bearing.balls,
                diameter: bearing.ball_diameter,
                pitch: bearing.pitch_diameter,
                angle: bearing.contact_angle,
            };
            Some(geometry.fault_orders().ok_or_else(|| ConfigError::Text {
                key: format!("sensors.{name}.bearing"),
                value: format!("{bearing:?}"),
                expected: Geometry::REQUIREMENTS.to_owned(),
            })?)
        }
    };
    if let Some(teeth) = sensor.teeth.filter(|teeth| *teeth < 2) {
        return Err(number_error(
            &format!("sensors.{name}.teeth"),
            f64::from(teeth),
            "the teeth of a gear wheel, 2 or more",
        ));
    }
    let machine = MachineProperties {
        unit: SampleUnit::parse(&sensor.unit),
        shaft_hz: shaft_hz.or(rpm.map(|rpm| rpm * HZ_PER_RPM)),
        speed_sensor: sensor.speed_sensor.clone(),
        bearing,
        teeth: sensor.teeth,
        class: sensor.iso_class,
    };
    let is_known = machine.unit.is_some()
        || machine.shaft_hz.is_some()
        || machine.speed_sensor.is_some()
        || machine.bearing.is_some()
        || machine.class.is_some();
    Ok(is_known.then_some(machine))
}

fn check_positive(
    name: &str,
    key: &str,
    value: Option<f64>,
    expected: &'static str,
) -> Result<Option<f64>, ConfigError> {
    match value {
        Some(invalid) if !(invalid.is_finite() && invalid > 0.0) => {
            Err(number_error(&format!("sensors.{name}.{key}"), invalid, expected))
        }
        value => Ok(value),
    }
}

fn parse_nanoseconds(key: &str, seconds: f64, min: f64) -> Result<i64, ConfigError> {
    // At most a year: longer windows would hardly ever close.
    if !(min..=31_536_000.0).contains(&seconds) {
        return Err(number_error(key, seconds, "seconds, from 1e-6 (lateness: 0) to 31536000"));
    }
    #[allow(clippy::cast_possible_truncation, reason = "checked above")]
    Ok((seconds * 1e9).round() as i64)
}

fn number_error(key: &str, value: f64, expected: &'static str) -> ConfigError {
    ConfigError::Number { key: key.to_owned(), value, expected }
}
