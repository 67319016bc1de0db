//! The settings and their defaults.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use crate::{Access, ByteSize, Duration, Site, Technician, units};

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

/// `[http]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Where to listen.
    pub listen: String,
    /// The largest body, packed or unpacked.
    pub max_body: ByteSize,
    /// Webhooks that sign what they send.
    #[serde(rename = "source")]
    pub sources: Vec<HttpSource>,
    /// HTTPS instead of HTTP.
    pub tls: Option<Tls>,
    /// Origins whose pages may ask, such as `https://plant.example`; `*` for all.
    pub origins: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            max_body: ByteSize::mib(16),
            sources: Vec::new(),
            tls: None,
            origins: Vec::new(),
        }
    }
}

/// `[[http.source]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSource {
    /// What `X-Wheeltapper-Source` says.
    pub name: String,
    /// Environment variable that holds the secret.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// File that holds the secret.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Refuse what is not signed by any source.
    #[serde(default)]
    pub required: bool,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// `[mqtt]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mqtt {
    /// The embedded broker.
    pub broker: Option<Broker>,
    /// External brokers.
    #[serde(rename = "client")]
    pub clients: Vec<MqttClient>,
    /// What topics mean; the first rule that matches counts.
    #[serde(rename = "topic")]
    pub topics: Vec<TopicRule>,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self { broker: Some(Broker::default()), clients: Vec::new(), topics: Vec::new() }
    }
}

/// `[mqtt.broker]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Broker {
    /// Whether it runs.
    pub enabled: bool,
    /// Where to listen, without TLS.
    pub listen: String,
    /// Where to listen with TLS.
    pub tls_listen: Option<String>,
    /// The certificate for it.
    pub tls: Option<Tls>,
    /// Whether clients may come without a name; by default only where the address is this machine's own.
    pub anonymous: Option<bool>,
    /// Who may come.
    #[serde(rename = "user")]
    pub users: Vec<MqttUser>,
    /// Topics whose messages are readings.
    pub ingest: Vec<String>,
    /// The largest packet.
    pub max_packet: ByteSize,
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: "127.0.0.1:1883".into(),
            tls_listen: None,
            tls: None,
            anonymous: None,
            users: Vec::new(),
            ingest: vec!["#".into()],
            max_packet: ByteSize::mib(16),
        }
    }
}

/// `[[mqtt.broker.user]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttUser {
    /// Name.
    pub name: String,
    /// Environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// File that holds the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
}

/// `[[mqtt.client]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttClient {
    /// `mqtt://host:1883` or `mqtts://host:8883`.
    pub url: String,
    /// Under this name the broker keeps the session.
    #[serde(default = "client_id")]
    pub client_id: String,
    /// 4 for MQTT 3.1.1, or 5.
    #[serde(default = "mqtt_version")]
    pub version: u8,
    /// What to subscribe to; `$share/group/topic` shares the load with other hosts.
    pub topics: Vec<String>,
    /// Quality of service, 0 to 2; below 1 messages can be lost.
    #[serde(default = "quality")]
    pub qos: u8,
    /// User name.
    #[serde(default)]
    pub user: Option<String>,
    /// Environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// File that holds the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Certificates to trust instead of the well-known ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn client_id() -> String {
    "wheeltapper".into()
}
fn mqtt_version() -> u8 {
    5
}
fn quality() -> u8 {
    1
}

/// `[[mqtt.topic]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicRule {
    /// Topic filter with `+` and `#`.
    pub filter: String,
    /// The sensor for payloads that name none: `{1}`, `{2}` are what the first, second `+` stood for, `{#}` the rest,
    /// `{topic}` all of it.
    #[serde(default)]
    pub sensor: Option<String>,
    /// The payload's format.
    #[serde(default)]
    pub format: Option<String>,
}

/// `[[nats]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// `nats://host:4222`.
    pub url: String,
    /// The stream; it is made when there is none.
    pub stream: String,
    /// Its subjects, when it is made.
    #[serde(default = "subjects")]
    pub subjects: Vec<String>,
    /// Name of the durable consumer.
    #[serde(default = "client_id")]
    pub durable: String,
    /// User name.
    #[serde(default)]
    pub user: Option<String>,
    /// Environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// Environment variable that holds the token.
    #[serde(default)]
    pub token_env: Option<String>,
    /// Credentials file.
    #[serde(default)]
    pub creds_file: Option<PathBuf>,
    /// Messages to ask for at once.
    #[serde(default = "batch")]
    pub batch: usize,
}

fn subjects() -> Vec<String> {
    vec!["raw-sensor-data.>".into()]
}
fn batch() -> usize {
    500
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Size of a file of the log.
    pub segment: ByteSize,
    /// What is older goes, unless the line still needs it.
    pub retention_age: Duration,
    /// A partition larger than this loses its oldest files, unless the line still needs them.
    pub retention_size: ByteSize,
    /// How long a commit waits for company.
    pub group_commit: Duration,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            segment: ByteSize::mib(64),
            retention_age: Duration::from_secs(7 * 86_400),
            retention_size: ByteSize::mib(10 << 10),
            group_commit: Duration::from_millis(0),
        }
    }
}

/// `[line]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Line {
    /// Readings a call takes, at most about.
    pub max_batch: usize,
    /// How long a call of a component may take.
    pub deadline: Duration,
    /// How much memory an instance may have.
    pub memory: ByteSize,
    /// Between two checkpoints.
    pub checkpoint: Duration,
    /// Between two ticks of the timer, which close the windows of idle sensors.
    pub tick: Duration,
    /// How many bytes of events may wait to be decoded.
    pub queue: ByteSize,
    /// Components to run instead of the built-in ones, by stage.
    pub components: BTreeMap<String, PathBuf>,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            max_batch: 32_768,
            deadline: Duration::from_secs(5),
            memory: ByteSize::mib(2048),
            checkpoint: Duration::from_secs(30),
            tick: Duration::from_secs(15),
            queue: ByteSize::mib(64),
            components: BTreeMap::new(),
        }
    }
}

/// `[ingest]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// The earliest time that is taken, RFC 3339.
    pub earliest: String,
    /// How far a reading's time may be ahead of its arrival.
    pub max_future: Duration,
}

impl Default for Ingest {
    fn default() -> Self {
        Self { earliest: "1990-01-01T00:00:00Z".into(), max_future: Duration::from_secs(300) }
    }
}

/// `[windows]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Windows {
    /// Length of a window.
    pub size: Duration,
    /// From one window's start to the next one's; the size itself makes tumbling windows.
    pub slide: Duration,
    /// How much later than newer ones a reading may come.
    pub lateness: Duration,
}

impl Default for Windows {
    fn default() -> Self {
        Self { size: Duration::from_secs(30), slide: Duration::from_secs(10), lateness: Duration::from_secs(10) }
    }
}

/// `[detect]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detect {
    /// Which detector scores the scalars: `ensemble`, `process`, `stream`, `zscore`, `pca` and so on.
    pub model: String,
    /// Windows of each asset to learn from.
    pub warmup_windows: u32,
    /// The score, 0 to 1, from which a window is an anomaly.
    pub threshold: Option<f64>,
    /// Assets learn up to so many windows later, each its own, so that they do not all learn at once; by default half the
    /// warm-up.
    pub spread_windows: Option<u32>,
    /// The health index (about 1 at the beginning) at which an asset counts as failed.
    pub life_limit: Option<f64>,
    /// Runs to failure that remaining lives are learnt from.
    pub lives: Option<Lives>,
}

/// `[detect.lives]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lives {
    /// Sensors, by id or its last part: columns of the files.
    pub sensors: Vec<String>,
    /// CSV files: one run each, one row a window, the last one at the failure.
    pub files: Vec<PathBuf>,
    /// Remaining windows beyond which no difference shows.
    pub horizon_windows: f64,
}

impl Default for Detect {
    fn default() -> Self {
        Self {
            model: "ensemble".into(),
            warmup_windows: 30,
            threshold: None,
            spread_windows: None,
            life_limit: None,
            lives: None,
        }
    }
}

/// `[alerts]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// Anomalous windows that open an alert ...
    pub open_after: Option<u32>,
    /// ... among so many.
    pub within: Option<u32>,
    /// Quiet windows that resolve it.
    pub close_after: Option<u32>,
    /// A window is quiet below this share of the threshold.
    pub close_below: Option<f64>,
    /// An alert that comes back within this time is the same one.
    pub cooldown: Option<Duration>,
    /// Milder anomalies open none.
    pub minimum_severity: Option<String>,
    /// Where alerts go.
    #[serde(rename = "route")]
    pub routes: Vec<AlertRoute>,
}

/// `[[alerts.route]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRoute {
    /// Name, for logs.
    pub name: String,
    /// The mildest severity that goes this way.
    #[serde(default = "any_severity")]
    pub severity: String,
    /// Sites; none means all.
    #[serde(default)]
    pub sites: Vec<String>,
    /// Gets the alert as JSON by POST; a URL that holds a secret belongs into `webhook_env`.
    pub webhook: Option<String>,
    /// The environment variable that holds the URL.
    pub webhook_env: Option<String>,
}

fn any_severity() -> String {
    "low".into()
}

/// `[schedule]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// How far ahead work is planned.
    pub horizon: Duration,
    /// Of costs.
    pub currency: String,
    /// Of the shifts, from UTC.
    pub utc_offset_minutes: i32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { horizon: Duration::from_secs(336 * 3600), currency: "EUR".into(), utc_offset_minutes: 0 }
    }
}

/// `[store]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// How long raw readings are kept; by default for ever.
    pub retention: Option<Duration>,
}
