//! Settings of the inputs for readings: HTTP, MQTT and NATS.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{ByteSize, Duration};

/// `[http]`: the HTTP server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Address to listen on, `host:port`.
    pub listen: String,
    /// Maximum size of a request body, compressed and decompressed.
    pub max_body: ByteSize,
    /// Sources of signed webhooks.
    #[serde(rename = "source")]
    pub sources: Vec<HttpSource>,
    /// Certificate for HTTPS; `None` means plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Origins for cross-origin requests (CORS), such as `https://plant.example`; `*` allows all.
    pub origins: Vec<String>,
    /// Limits for the resources of clients.
    pub limits: HttpLimits,
}

impl Default for HttpSettings {
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

impl HttpSettings {
    /// Returns the bytes of request bodies that may be in memory at the same time: by default 256 MiB, or four times
    /// the maximum body if that is more. Four, because one address may use half of it, and a body can be in memory both
    /// compressed and decompressed.
    pub fn body_memory(&self) -> u64 {
        let minimum = self.max_body.bytes().saturating_mul(4);
        self.limits.body_memory.map_or(ByteSize::mib(256).bytes().max(minimum), ByteSize::bytes)
    }
}

/// `[http.limits]`: limits for the resources of clients, so that no client can use up those of the host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// Maximum number of open connections.
    pub connections: usize,
    /// Maximum number of open connections from one address (one /64 of IPv6). Behind a reverse proxy, all clients have
    /// the address of the proxy.
    pub connections_per_address: usize,
    /// Timeout for the head of a request, also for the next request on a keep-alive connection.
    pub head_timeout: Duration,
    /// Timeout for the whole body of a request.
    pub body_timeout: Duration,
    /// Minimum transfer rate of a body, in bytes per second, after the first 30 seconds.
    pub body_min_rate: ByteSize,
    /// Maximum bytes of bodies in memory at the same time, without the first 64 KiB of each body; one address may use
    /// half. By default 256 MiB, or four times the maximum body if that is more.
    pub body_memory: Option<ByteSize>,
    /// Timeout after which a client that does not read its response is disconnected.
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

/// Which parts of a request a source signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureScheme {
    /// Time, nonce, method, path, query and body: the request can be neither changed nor replayed.
    #[default]
    Request,
    /// The body alone, like `X-Hub-Signature-256`: anyone who sees the request can replay it.
    Body,
}

/// `[[http.source]]`: a source of signed webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSource {
    /// Name of the source in the header `X-Wheeltapper-Source`.
    pub name: String,
    /// Environment variable that holds the secret.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// File that holds the secret.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Whether to reject requests that no source has signed.
    #[serde(default)]
    pub required: bool,
    /// Which parts it signs; `body` only for senders that cannot sign more.
    #[serde(default)]
    pub signature: SignatureScheme,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// `[mqtt]`: the embedded broker, and clients of other brokers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MqttSettings {
    /// The embedded broker.
    pub broker: Option<BrokerSettings>,
    /// Connections to external brokers.
    #[serde(rename = "client")]
    pub clients: Vec<MqttClient>,
    /// Rules that map topics to sensors and formats; the first matching rule applies.
    #[serde(rename = "topic")]
    pub topics: Vec<TopicRule>,
}

impl Default for MqttSettings {
    fn default() -> Self {
        Self { broker: Some(BrokerSettings::default()), clients: Vec::new(), topics: Vec::new() }
    }
}

/// `[mqtt.broker]`: the embedded MQTT broker.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerSettings {
    /// Whether the broker runs.
    pub enabled: bool,
    /// Address to listen on without TLS, `host:port`.
    pub listen: String,
    /// Address to listen on with TLS, `host:port`.
    pub tls_listen: Option<String>,
    /// Certificate for `tls_listen`.
    pub tls: Option<TlsFiles>,
    /// Whether clients may connect without credentials. By default only clients on this machine may, and only while
    /// there are no users and nobody has to sign in (`[access] mode`).
    pub anonymous: Option<bool>,
    /// Users who may connect.
    #[serde(rename = "user")]
    pub users: Vec<BrokerUser>,
    /// Topic filters; messages on matching topics are readings.
    pub ingest: Vec<String>,
    /// Maximum size of an MQTT packet.
    pub max_packet: ByteSize,
    /// Maximum number of open connections.
    pub max_connections: usize,
    /// Maximum number of open connections from one address.
    pub max_connections_per_address: usize,
}

impl Default for BrokerSettings {
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

/// `[[mqtt.broker.user]]`: a user of the embedded broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerUser {
    /// User name.
    pub name: String,
    /// Environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// File that holds the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// What the user may do; by default publish and subscribe.
    #[serde(default = "MqttScope::all")]
    pub scopes: Vec<MqttScope>,
    /// Sites whose topics the user may use; `None` means all.
    #[serde(default)]
    pub sites: Option<Vec<String>>,
}

/// What a user of the broker may do; corresponds to the scopes of API keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MqttScope {
    /// Publish messages.
    Ingest,
    /// Subscribe to topics.
    Read,
}

impl MqttScope {
    fn all() -> Vec<Self> {
        vec![Self::Ingest, Self::Read]
    }
}

/// `[[mqtt.client]]`: a connection to an external MQTT broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttClient {
    /// URL of the broker: `mqtt://host:1883` or `mqtts://host:8883`.
    pub url: String,
    /// Client id, which identifies the session at the broker.
    #[serde(default = "default_client_id")]
    pub client_id: String,
    /// Protocol version: 4 for MQTT 3.1.1, or 5.
    #[serde(default = "default_mqtt_version")]
    pub version: u8,
    /// Topic filters to subscribe to; `$share/group/topic` shares the load with other hosts.
    pub topics: Vec<String>,
    /// Quality of service, 0 to 2; with 0, messages can be lost.
    #[serde(default = "default_qos")]
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
    /// PEM file with CA certificates to trust instead of the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn default_client_id() -> String {
    "wheeltapper".into()
}
fn default_mqtt_version() -> u8 {
    5
}
fn default_qos() -> u8 {
    1
}

/// `[[mqtt.topic]]`: a rule that maps topics to a sensor and a format.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicRule {
    /// Topic filter with `+` and `#`.
    pub filter: String,
    /// Template of the sensor id, for payloads that name no sensor. `{1}`, `{2}` are the levels matched by the first
    /// and second `+`, `{#}` the levels matched by `#`, and `{topic}` the whole topic.
    #[serde(default)]
    pub sensor: Option<String>,
    /// Payload format, one of [`crate::PAYLOAD_FORMATS`]; `None` detects it.
    #[serde(default)]
    pub format: Option<String>,
}

/// `[[nats]]`: a NATS JetStream server to consume readings from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsServer {
    /// URL of the server: `nats://host:4222`.
    pub url: String,
    /// Name of the stream; it is created if it does not exist.
    pub stream: String,
    /// Subjects of the stream, if it is created.
    #[serde(default = "default_subjects")]
    pub subjects: Vec<String>,
    /// Name of the durable consumer.
    #[serde(default = "default_client_id")]
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
    /// NATS credentials file.
    #[serde(default)]
    pub creds_file: Option<PathBuf>,
    /// Number of messages in one fetch.
    #[serde(default = "default_batch")]
    pub batch: usize,
}

fn default_subjects() -> Vec<String> {
    vec!["raw-sensor-data.>".into()]
}
fn default_batch() -> usize {
    500
}
