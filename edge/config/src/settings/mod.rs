//! All settings and their defaults.

mod line;
mod sources;

use std::path::PathBuf;

use serde::Deserialize;

use crate::{Access, Site, Technician, units};
pub use line::{AlertRoute, Alerts, Detect, Ingest, Line, Lives, Log, Schedule, Store, Windows};
pub use sources::{
    Broker, Http, HttpLimits, HttpSource, Mqtt, MqttClient, MqttScope, MqttUser, Nats, SignatureScheme, Tls, TopicRule,
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
    pub http: Http,
    /// Access control.
    pub access: Access,
    /// MQTT broker and clients.
    pub mqtt: Mqtt,
    /// NATS JetStream servers to consume from.
    pub nats: Vec<Nats>,
    /// The durable log.
    pub log: Log,
    /// The line, which runs the stages.
    pub line: Line,
    /// Limits of incoming events.
    pub ingest: Ingest,
    /// Windows over which features are computed.
    pub windows: Windows,
    /// Anomaly detection.
    pub detect: Detect,
    /// Alerts and where they are sent.
    pub alerts: Alerts,
    /// Planning of maintenance.
    pub schedule: Schedule,
    /// Retention of stored data.
    pub store: Store,
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
            http: Http::default(),
            access: Access::default(),
            mqtt: Mqtt::default(),
            nats: Vec::new(),
            log: Log::default(),
            line: Line::default(),
            ingest: Ingest::default(),
            windows: Windows::default(),
            detect: Detect::default(),
            alerts: Alerts::default(),
            schedule: Schedule::default(),
            store: Store::default(),
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
