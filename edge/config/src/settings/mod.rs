//! The settings and their defaults.

mod line;
mod sources;

use std::path::PathBuf;

use serde::Deserialize;

use crate::{Access, Site, Technician, units};
pub use line::{AlertRoute, Alerts, Detect, Ingest, Line, Lives, Log, Schedule, Store, Windows};
pub use sources::{
    Broker, Http, HttpLimits, HttpSource, Mqtt, MqttClient, MqttScope, MqttUser, Nats, SignatureScheme, Tls, TopicRule,
};

/// Everything. Paths are relative to the configuration file; [`crate::load`] resolves them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// How many partitions the line has, up to 1024; 0 is one a core. Fixed once the data folder is made.
    #[serde(deserialize_with = "units::partitions")]
    pub partitions: u16,
    /// What becomes of readings of sensors that are not configured.
    pub unknown_sensors: UnknownSensors,
    /// HTTP.
    pub http: Http,
    /// Who may come in.
    pub access: Access,
    /// MQTT.
    pub mqtt: Mqtt,
    /// NATS JetStream servers to consume from.
    pub nats: Vec<Nats>,
    /// The durable log.
    pub log: Log,
    /// The stages' host.
    pub line: Line,
    /// What is taken in.
    pub ingest: Ingest,
    /// Windows.
    pub windows: Windows,
    /// Detection.
    pub detect: Detect,
    /// Alerts.
    pub alerts: Alerts,
    /// Planning.
    pub schedule: Schedule,
    /// What is kept.
    pub store: Store,
    /// Who repairs.
    #[serde(rename = "technician")]
    pub technicians: Vec<Technician>,
    /// The plant.
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

/// What becomes of readings of sensors that are not configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownSensors {
    /// They are taken; the part before the last `/` of the sensor's id is its asset.
    Accept,
    /// They go to the dead letters.
    Reject,
}
