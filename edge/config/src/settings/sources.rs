//! By which ways readings come in: HTTP, MQTT and NATS.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{ByteSize, Duration};

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
    /// What clients may hold.
    pub limits: HttpLimits,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            max_body: ByteSize::mib(16),
            sources: Vec::new(),
            tls: None,
            origins: Vec::new(),
            limits: HttpLimits::default(),
        }
    }
}

impl Http {
    /// Bytes of bodies that are held in memory at once. One address may have half of it, and a body is held packed and
    /// unpacked, so that it is four of the largest at least.
    pub fn body_memory(&self) -> u64 {
        let least = self.max_body.bytes().saturating_mul(4);
        self.limits.body_memory.map_or(ByteSize::mib(256).bytes().max(least), ByteSize::bytes)
    }
}

/// `[http.limits]`: what clients may hold of the host, so that none can hold all of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// Connections that are open at once.
    pub connections: usize,
    /// Connections of one address (of a /64 of IPv6). Behind a reverse proxy all clients have the proxy's address.
    pub connections_per_address: usize,
    /// A client has this long for the head of a request, also for the next one on a connection that is kept open.
    pub head_timeout: Duration,
    /// A client has this long for a whole body.
    pub body_timeout: Duration,
    /// Bytes of a body that have to come in each second, after the first half minute.
    pub body_min_rate: ByteSize,
    /// Bytes of bodies that are held in memory at once, beyond the first 64 KiB of each; one address may have half. By
    /// default 256 MiB, or four of the largest bodies where that is more.
    pub body_memory: Option<ByteSize>,
    /// A client that takes nothing of its answer for this long is cut off.
    pub write_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 512,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(300),
            body_min_rate: ByteSize::kib(1),
            body_memory: None,
            write_timeout: Duration::from_secs(60),
        }
    }
}

/// What a source signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureScheme {
    /// Time, nonce, method, path, query and body: it can be neither changed nor repeated.
    #[default]
    Request,
    /// The body alone, as `X-Hub-Signature-256` has it: whoever sees a request can repeat it.
    Body,
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
    /// What it signs; `body` only for senders that cannot do more.
    #[serde(default)]
    pub signature: SignatureScheme,
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
    /// Whether clients may connect without showing who they are. By default from this machine's own addresses only, while
    /// nobody has to sign in (`[access] mode`) and there are no users.
    pub anonymous: Option<bool>,
    /// Who may come.
    #[serde(rename = "user")]
    pub users: Vec<MqttUser>,
    /// Topics whose messages are readings.
    pub ingest: Vec<String>,
    /// The largest packet.
    pub max_packet: ByteSize,
    /// Connections at a time.
    pub max_connections: usize,
    /// Connections at a time from one address.
    pub max_connections_per_address: usize,
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
            max_connections: 10_000,
            max_connections_per_address: 2_000,
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
    /// What it may do.
    #[serde(default = "MqttScope::all")]
    pub scopes: Vec<MqttScope>,
    /// The sites that it is kept to; all, where none are given.
    #[serde(default)]
    pub sites: Option<Vec<String>>,
}

/// What a user of the broker may do, as the scopes of API keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MqttScope {
    /// Publish.
    Ingest,
    /// Subscribe.
    Read,
}

impl MqttScope {
    fn all() -> Vec<Self> {
        vec![Self::Ingest, Self::Read]
    }
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
