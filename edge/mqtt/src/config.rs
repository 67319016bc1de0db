//! Configuration of the broker and of the client.

use std::{fmt, io, path::PathBuf, time::Duration};

use crate::topic::TopicError;

/// Settings of the embedded broker.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Address and port to listen on without TLS, such as `127.0.0.1:1883`; port 0 selects a free port.
    pub listen: String,
    /// A second listener, with TLS.
    pub tls: Option<BrokerTls>,
    /// Whether clients may connect without a user name. `None` allows it only if no users are configured, and only from
    /// loopback addresses.
    pub anonymous: Option<bool>,
    /// Users that may connect with a name and password. If empty, the name and password of a client that may connect
    /// anonymously are ignored.
    pub users: Vec<BrokerUser>,
    /// Filters of the topics whose messages go to the sink. Topics that begin with `$` never do. Only the host may
    /// publish to `wheeltapper` and below.
    pub ingest: Vec<String>,
    /// Maximum size of a packet from a client, in bytes including its header.
    pub max_packet: usize,
    /// Maximum number of open connections. Further ones are rejected with "quota exceeded" (0x97).
    pub max_connections: usize,
    /// Maximum number of open connections from one address (IPv6: one /64 prefix); further ones are rejected likewise.
    pub max_connections_per_address: usize,
    /// Maximum total size of incomplete packets of all connections, in bytes. A connection that would exceed it is
    /// closed (0x97). Packets of up to 64 KiB do not count.
    pub max_input_bytes: usize,
    /// Maximum total size of the messages queued for subscribers in all sessions, in bytes. Beyond it, new messages are
    /// dropped.
    pub max_queued_bytes: usize,
    /// Time within which a started packet must be complete, and within which a client must read some of its pending
    /// output. A large packet gets one second more for each 16 KiB received.
    pub packet_timeout: Duration,
    /// Maximum number of sessions, of connected and disconnected clients together.
    pub max_sessions: usize,
    /// Maximum time for which the session of a disconnected client is kept; it limits the requested session expiry.
    pub max_session_expiry: Duration,
    /// Maximum number of subscriptions of one session.
    pub max_subscriptions: usize,
    /// Maximum number of messages queued for one slow or disconnected subscriber; beyond it, new messages for it are
    /// dropped. QoS 0 messages are queued only for a connected subscriber, and use at most half of the queue.
    pub max_offline_messages: usize,
    /// The same limit in bytes of topic, payload and properties.
    pub max_offline_bytes: usize,
    /// Maximum number of unacknowledged messages of one connection, in each direction: the receive maximum of MQTT 5.
    /// For a 3.1.1 client, reading from the socket pauses instead. 1 to 65535.
    pub max_inflight: u16,
    /// Maximum payload in bytes of one connection that waits for the sink; beyond it, reading from its socket pauses.
    pub max_inflight_bytes: usize,
    /// Maximum number of retained messages; beyond it, a message of a new topic is delivered but not retained.
    pub max_retained: usize,
    /// The same limit in bytes of topic, payload and properties.
    pub max_retained_bytes: usize,
    /// Time within which a new connection must complete its TLS handshake and send its CONNECT.
    pub connect_timeout: Duration,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:1883".into(),
            tls: None,
            anonymous: None,
            users: Vec::new(),
            ingest: vec!["#".into()],
            max_packet: 1 << 20,
            max_connections: 10_000,
            max_connections_per_address: 2_000,
            max_input_bytes: 256 << 20,
            max_queued_bytes: 256 << 20,
            packet_timeout: Duration::from_secs(30),
            max_sessions: 20_000,
            max_session_expiry: Duration::from_secs(7 * 24 * 3600),
            max_subscriptions: 1_000,
            max_offline_messages: 10_000,
            max_offline_bytes: 8 << 20,
            max_inflight: 1_024,
            max_inflight_bytes: 8 << 20,
            max_retained: 10_000,
            max_retained_bytes: 64 << 20,
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// Configuration of the TLS listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerTls {
    /// Address and port, such as `0.0.0.0:8883`.
    pub listen: String,
    /// PEM file with the server's certificate, followed by its issuers' certificates.
    pub cert: PathBuf,
    /// PEM file with the private key of the certificate.
    pub key: PathBuf,
}

/// A user that may connect to the broker.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUser {
    /// User name.
    pub name: String,
    /// Password; not shown by `Debug`.
    pub password: String,
}

impl fmt::Debug for BrokerUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Settings of the client of one external broker.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// `mqtt://host:1883` or `mqtts://host:8883`; the port is optional.
    pub url: String,
    /// Client id; the broker stores this client's session under it.
    pub client_id: String,
    /// 4 for MQTT 3.1.1, 5 for MQTT 5.0.
    pub version: u8,
    /// Topic filters to subscribe to; a filter may begin with `$share/group/`.
    pub topics: Vec<String>,
    /// Requested quality of service, 0 to 2.
    pub qos: u8,
    /// User name.
    pub user_name: Option<String>,
    /// Password; not shown by `Debug`.
    pub password: Option<String>,
    /// PEM file of the certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl ClientConfig {
    /// The broker's address without user and password, for messages.
    pub fn redacted_url(&self) -> String {
        match url::Url::parse(&self.url) {
            Ok(url) => {
                format!("{}://{}:{}", url.scheme(), url.host_str().unwrap_or_default(), url.port().unwrap_or_default())
            }
            Err(_) => "(invalid URL)".into(),
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("url", &self.url)
            .field("client_id", &self.client_id)
            .field("version", &self.version)
            .field("topics", &self.topics)
            .field("qos", &self.qos)
            .field("user", &self.user_name)
            .finish_non_exhaustive()
    }
}

/// Why the broker could not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address is in use, or is not an address of this machine.
    #[error("cannot listen on {address} for MQTT: {source}; choose a free port and an address of this machine")]
    Listen {
        /// The configured address.
        address: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The certificate or the key cannot be used.
    #[error("{path}: {reason}; expected a PEM file with {expected}", path = path.display())]
    Tls {
        /// Path of the file.
        path: PathBuf,
        /// The expected content.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A filter of `ingest` is invalid.
    #[error("ingest: {0}")]
    InvalidIngestFilter(#[from] TopicError),
    /// A limit is out of range.
    #[error("{name} is {value}, but must be {expected}")]
    LimitOutOfRange {
        /// Name of the setting.
        name: &'static str,
        /// The configured value.
        value: usize,
        /// The allowed range.
        expected: &'static str,
    },
}
