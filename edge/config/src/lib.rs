//! `wheeltapper.toml`: what it may say, and what to tell who wrote it when it cannot be used.
//!
//! [`load`] and [`parse`] give a [`Config`] or [`ConfigErrors`], which render as a compiler would: the line, a caret, and
//! what to write instead.

mod access;
mod advice;
mod check;
mod error;
mod formats;
mod machine;
mod paths;
mod plant;
mod settings;
mod stages;
mod units;
mod words;

pub use access::{Access, AccessLimits, AccessMode, Audit, Oidc};
pub use advice::{Warning, warnings};
pub use error::{ConfigError, ConfigErrors};
pub use formats::FORMATS;
pub use machine::{MachineProblem, check_machine};
pub use plant::{Area, BearingGeometry, Limits, Machine, Sensor, SensorRef, Shift, Site, Technician, asset_of};
pub use settings::{
    AlertRoute, Alerts, Broker, Config, Detect, Http, HttpLimits, HttpSource, Ingest, Line, Lives, Log, Mqtt,
    MqttClient, MqttScope, MqttUser, Nats, Schedule, SignatureScheme, Store, Tls, TopicRule, UnknownSensors, Windows,
};
pub use units::{ByteSize, Duration};
pub use wheeltapper_condition::wave::iso20816::MachineClass;

use std::{fs, path::Path};

/// A configuration with every setting explained; it is what `wheeltapper config example` prints.
pub const EXAMPLE: &str = include_str!("../examples/wheeltapper.toml");

/// Where to listen instead of where the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// For HTTP.
    pub http: Option<String>,
    /// For the embedded MQTT broker.
    pub mqtt: Option<String>,
}

impl Listen {
    /// Goes before what `config` says.
    pub fn apply(&self, config: &mut Config) {
        if let Some(http) = &self.http {
            config.http.listen.clone_from(http);
        }
        if let (Some(mqtt), Some(broker)) = (&self.mqtt, &mut config.mqtt.broker) {
            broker.listen.clone_from(mqtt);
        }
    }
}

/// Reads the configuration in `path`; paths in it are relative to its own folder, and `listen` has to go before it.
///
/// # Errors
/// [`ConfigErrors`] when the file cannot be read or used.
pub fn load(path: &Path, listen: &Listen) -> Result<Config, ConfigErrors> {
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => {
            let mut config = read(&text, &name, listen)?;
            config.resolve(path.parent().unwrap_or(Path::new("")));
            Ok(config)
        }
        Err(error) => Err(ConfigErrors::whole(&name, format!("the configuration cannot be read: {error}"))),
    }
}

/// Reads a configuration; `name` is what errors call it.
///
/// # Errors
/// [`ConfigErrors`]: the first error of syntax or type, or else all errors of meaning.
pub fn parse(text: &str, name: &str) -> Result<Config, ConfigErrors> {
    read(text, name, &Listen::default())
}

fn read(text: &str, name: &str, listen: &Listen) -> Result<Config, ConfigErrors> {
    let config: Config = toml::from_str(text).map_err(|error| ConfigErrors::from_toml(&error, text, name))?;
    let errors = check::check(&config, text, name, listen);
    if errors.is_empty() { Ok(config) } else { Err(ConfigErrors::new(errors)) }
}
