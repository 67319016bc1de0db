//! The configuration file `wheeltapper.toml`: its settings, defaults and validation.
//!
//! [`load`] and [`parse`] return a [`Config`] or [`ConfigErrors`]. Errors are displayed like those of a compiler: with
//! the line, a caret, and what to write instead.

mod access;
mod check;
mod environment;
mod error;
mod formats;
mod messages;
mod paths;
mod plant;
mod plant_iter;
mod plausibility;
mod settings;
mod stage_configs;
mod times;
mod units;

pub use access::{AccessLimits, AccessMode, AccessSettings, AuditSettings, OidcIssuer};
pub use environment::{EnvironmentProblem, check_environment};
pub use error::{ConfigError, ConfigErrors};
pub use formats::PAYLOAD_FORMATS;
pub use plant::{Area, BearingGeometry, Machine, Sensor, SensorRef, Shift, Site, Technician, ValueRange, asset_of};
pub use plausibility::{Warning, warnings};
pub use settings::{
    AlertChannel, AlertRoute, AlertSettings, BrokerSettings, BrokerUser, Config, DetectSettings, EmailChannel,
    EmailSecurity, FailureRuns, HttpLimits, HttpSettings, HttpSource, IngestSettings, LineSettings, LogSettings,
    MqttChannel, MqttClient, MqttScope, MqttSettings, NatsServer, NtfyChannel, PagerDutyChannel, QuietHours,
    ScheduleSettings, SignatureScheme, Silence, SlackChannel, StoreSettings, SyslogChannel, TeamsChannel,
    TelegramChannel, TlsFiles, TopicRule, TwilioChannel, UnknownSensors, WebhookChannel, WebhookSignature,
    WindowSettings,
};
pub use times::{DAY_MINUTES, parse_instant, parse_time_of_day, parse_weekday};
pub use units::{ByteSize, Duration};
pub use wheeltapper_condition_monitoring::waveform::iso20816::MachineClass;

use std::{fs, io, path::Path};

/// An example configuration that explains every setting; `wheeltapper config example` prints it.
pub const EXAMPLE: &str = include_str!("../examples/wheeltapper.toml");

/// Listen addresses from the command line, which override the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenOverride {
    /// Address for HTTP.
    pub http: Option<String>,
    /// Address for the embedded MQTT broker.
    pub mqtt: Option<String>,
}

impl ListenOverride {
    /// Overrides the addresses in `config`.
    pub fn apply(&self, config: &mut Config) {
        if let Some(http) = &self.http {
            config.http.listen.clone_from(http);
        }
        if let (Some(mqtt), Some(broker)) = (&self.mqtt, &mut config.mqtt.broker) {
            broker.listen.clone_from(mqtt);
        }
    }
}

/// Reads the configuration file at `path` and resolves relative paths against its folder. Addresses that `listen`
/// overrides are not validated; the caller applies `listen` afterwards.
///
/// # Errors
/// [`ConfigErrors`] when the file cannot be read or is invalid.
pub fn load(path: &Path, listen: &ListenOverride) -> Result<Config, ConfigErrors> {
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => {
            let mut config = parse_and_check(&text, &name, listen)?;
            config.resolve_paths(path.parent().unwrap_or(Path::new("")));
            Ok(config)
        }
        Err(error) => {
            let help = match error.kind() {
                io::ErrorKind::NotFound => Some("check the path, or write one: `wheeltapper config example > FILE`"),
                io::ErrorKind::PermissionDenied => Some("let the user that runs the host read the file"),
                io::ErrorKind::InvalidData => Some("save the file as UTF-8 text"),
                _ => None,
            };
            Err(ConfigErrors::for_file(&name, format!("the configuration cannot be read: {error}"), help))
        }
    }
}

/// Parses a configuration; `name` is the file name for error messages.
///
/// # Errors
/// [`ConfigErrors`]: the first syntax or type error, or else all validation errors.
pub fn parse(text: &str, name: &str) -> Result<Config, ConfigErrors> {
    parse_and_check(text, name, &ListenOverride::default())
}

fn parse_and_check(text: &str, name: &str, listen: &ListenOverride) -> Result<Config, ConfigErrors> {
    let config: Config = toml::from_str(text).map_err(|error| ConfigErrors::from_toml(&error, text, name))?;
    let errors = check::check(&config, text, name, listen);
    if errors.is_empty() { Ok(config) } else { Err(ConfigErrors::new(errors)) }
}
