//! All settings and their defaults.

mod channels;
mod inputs;
mod processing;

use std::path::PathBuf;

use serde::Deserialize;

use crate::{AccessSettings, Site, Technician, units};
pub use channels::{
    AlertChannel, EmailChannel, EmailSecurity, MqttChannel, NtfyChannel, PagerDutyChannel, QuietHours, Silence,
    SlackChannel, SyslogChannel, TeamsChannel, TelegramChannel, TwilioChannel, WebhookChannel, WebhookSignature,
};
pub use inputs::{
    BrokerSettings, BrokerUser, HttpLimits, HttpSettings, HttpSource, MqttClient, MqttScope, MqttSettings, NatsServer,
    SignatureScheme, TlsFiles, TopicRule,
};
pub use processing::{
    AlertRoute, AlertSettings, DetectSettings, FailureRuns, IngestSettings, LineSettings, LogSettings,
    ScheduleSettings, StoreSettings, WindowSettings,
};

/// The whole configuration. Paths are relative to the configuration file; [`crate::load`] resolves them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder for all data of the host.
    pub data: PathBuf,
    /// Number of partitions of the line, up to 1024; 0 means one per core. Fixed once the data folder is created.
    #[serde(deserialize_with = "units::deserialize_partitions")]
    pub partitions: u16,
    /// Whether readings of sensors that are not configured are accepted.
    pub unknown_sensors: UnknownSensors,
    /// HTTP server.
    pub http: HttpSettings,
    /// Access control.
    pub access: AccessSettings,
    /// MQTT broker and clients.
    pub mqtt: MqttSettings,
    /// NATS JetStream servers to consume from.
    pub nats: Vec<NatsServer>,
    /// The durable log.
    pub log: LogSettings,
    /// The line, which runs the stages.
    pub line: LineSettings,
    /// Limits of incoming events.
    pub ingest: IngestSettings,
    /// Windows over which features are computed.
    pub windows: WindowSettings,
    /// Anomaly detection.
    pub detect: DetectSettings,
    /// Alerts and where they are sent.
    pub alerts: AlertSettings,
    /// Planning of maintenance.
    pub schedule: ScheduleSettings,
    /// Retention of stored data.
    pub store: StoreSettings,
    /// Technicians for maintenance work.
    #[serde(rename = "technician")]
    pub technicians: Vec<Technician>,
    /// The plant: sites with areas, machines and sensors.
    #[serde(rename = "site")]
    pub sites: Vec<Site>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "data".into(),
            partitions: 0,
            unknown_sensors: UnknownSensors::Accept,
            http: HttpSettings::default(),
            access: AccessSettings::default(),
            mqtt: MqttSettings::default(),
            nats: Vec::new(),
            log: LogSettings::default(),
            line: LineSettings::default(),
            ingest: IngestSettings::default(),
            windows: WindowSettings::default(),
            detect: DetectSettings::default(),
            alerts: AlertSettings::default(),
            schedule: ScheduleSettings::default(),
            store: StoreSettings::default(),
            technicians: Vec::new(),
            sites: Vec::new(),
        }
    }
}

/// Whether readings of sensors that are not configured are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownSensors {
    /// They are accepted; the asset is the sensor's id up to the last `/`.
    Accept,
    /// They are rejected and kept as dead letters.
    Reject,
}
