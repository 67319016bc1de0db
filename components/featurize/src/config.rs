//! The configuration of the stage.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use wheeltapper_condition::{
    bearing::{
        geometry::{Geometry, Orders},
        table,
    },
    speed,
    wave::{features::Unit, iso20816::MachineClass},
};

/// Limit for the number of windows that a reading belongs to.
const MOST_OVERLAPPING: i64 = 3_600;

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
    Geometry(Inside),
}

/// Diameters in mm, the contact angle in degrees.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inside {
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

/// The validated configuration: the windows, in nanoseconds, and the sensors.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) size: i64,
    pub(crate) slide: i64,
    pub(crate) lateness: i64,
    sensors: BTreeMap<String, About>,
}

/// The properties of a sensor.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// The configured sampling rate, in Hz.
    pub(crate) rate: Option<f64>,
    /// For a speed sensor: the factor that converts its readings to a shaft speed in Hz.
    pub(crate) speed: Option<f64>,
    /// The machine that the sensor is mounted on.
    pub(crate) machine: Option<Box<Machine>>,
}

/// The properties of the machine that a sensor is mounted on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) unit: Option<Unit>,
    /// The shaft speed in Hz, used when no speed sensor gives it.
    pub(crate) shaft: Option<f64>,
    pub(crate) speed_sensor: Option<String>,
    pub(crate) bearing: Option<Orders>,
    pub(crate) teeth: Option<u32>,
    pub(crate) class: Option<MachineClass>,
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
                "at most size_seconds, so that no reading falls between windows",
            ));
        }
        if size / slide > MOST_OVERLAPPING {
            return Err(number(
                "slide_seconds",
                config.slide_seconds,
                "at least size_seconds / 3600, so that a reading belongs to at most 3600 windows",
            ));
        }
        let speed_sensors: BTreeSet<&String> =
            config.sensors.values().filter_map(|sensor| sensor.speed_sensor.as_ref()).collect();
        let mut sensors = BTreeMap::new();
        for (name, sensor) in &config.sensors {
            let rate = positive(name, "sampling_hz", sensor.sampling_hz, "a rate above 0, in Hz")?;
            let factor = speed_sensors.contains(name).then(|| hertz(name, &sensor.unit)).transpose()?;
            let machine = machine(name, sensor)?.map(Box::new);
            sensors.insert(name.clone(), About { rate, speed: factor, machine });
        }
        // Speed sensors without a configuration of their own give revolutions per minute.
        for name in &speed_sensors {
            sensors.entry((*name).clone()).or_insert_with(|| About { speed: Some(PER_MINUTE), ..About::default() });
        }
        Ok(Self { size, slide, lateness, sensors })
    }

    pub(crate) fn about(&self, sensor: &str) -> About {
        self.sensors.get(sensor).cloned().unwrap_or_default()
    }
}

const PER_MINUTE: f64 = 1.0 / 60.0;

/// Returns the factor that converts a speed in this unit to Hz.
fn hertz(name: &str, unit: &str) -> Result<f64, ConfigError> {
    speed::hertz(unit).ok_or_else(|| ConfigError::Text {
        key: format!("sensors.{name}.unit"),
        value: unit.to_owned(),
        expected: "rpm or Hz, because this sensor is the speed_sensor of another one".to_owned(),
    })
}

/// Returns the properties of the sensor's machine, or None if nothing of it is configured.
fn machine(name: &str, sensor: &Sensor) -> Result<Option<Machine>, ConfigError> {
    let shaft_hz = positive(name, "shaft_hz", sensor.shaft_hz, "a speed above 0, in Hz")?;
    let rpm = positive(name, "rpm", sensor.rpm, "a speed above 0, in revolutions per minute")?;
    let bearing = match &sensor.bearing {
        None => None,
        Some(Bearing::Named(designation)) => {
            let entry = table::find(designation).ok_or_else(|| ConfigError::Text {
                key: format!("sensors.{name}.bearing"),
                value: designation.clone(),
                expected: format!(
                    "one of {}, or {{balls, ball_diameter, pitch_diameter, contact_angle}}",
                    table::BEARINGS.map(|entry| entry.name).join(", ")
                ),
            })?;
            entry.geometry.orders()
        }
        Some(Bearing::Geometry(inside)) => {
            let geometry = Geometry {
                elements: inside.balls,
                diameter: inside.ball_diameter,
                pitch: inside.pitch_diameter,
                angle: inside.contact_angle,
            };
            Some(geometry.orders().ok_or_else(|| ConfigError::Text {
                key: format!("sensors.{name}.bearing"),
                value: format!("{inside:?}"),
                expected: Geometry::POSSIBLE.to_owned(),
            })?)
        }
    };
    if let Some(teeth) = sensor.teeth.filter(|teeth| *teeth < 2) {
        return Err(number(&format!("sensors.{name}.teeth"), f64::from(teeth), "the teeth of a gear wheel, 2 or more"));
    }
    let machine = Machine {
        unit: Unit::parse(&sensor.unit),
        shaft: shaft_hz.or(rpm.map(|rpm| rpm * PER_MINUTE)),
        speed_sensor: sensor.speed_sensor.clone(),
        bearing,
        teeth: sensor.teeth,
        class: sensor.iso_class,
    };
    let known = machine.unit.is_some()
        || machine.shaft.is_some()
        || machine.speed_sensor.is_some()
        || machine.bearing.is_some()
        || machine.class.is_some();
    Ok(known.then_some(machine))
}

fn positive(name: &str, key: &str, value: Option<f64>, expected: &'static str) -> Result<Option<f64>, ConfigError> {
    match value {
        Some(invalid) if !(invalid.is_finite() && invalid > 0.0) => {
            Err(number(&format!("sensors.{name}.{key}"), invalid, expected))
        }
        value => Ok(value),
    }
}

fn nanoseconds(key: &str, seconds: f64, min: f64) -> Result<i64, ConfigError> {
    // At most a year: longer windows would hardly ever close.
    if !(min..=31_536_000.0).contains(&seconds) {
        return Err(number(key, seconds, "seconds, from 1e-6 (lateness: 0) to 31536000"));
    }
    #[allow(clippy::cast_possible_truncation, reason = "checked above")]
    Ok((seconds * 1e9).round() as i64)
}

fn number(key: &str, value: f64, expected: &'static str) -> ConfigError {
    ConfigError::Number { key: key.to_owned(), value, expected }
}
