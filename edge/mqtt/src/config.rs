//! Settings of the broker and of the client.

use std::{fmt, io, path::PathBuf, time::Duration};

use crate::topic::TopicError;

/// Settings of the embedded broker.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Address and port to listen on without TLS, such as `127.0.0.1:1883`; port 0 takes a free one.
    pub listen: String,
    /// A second listener, with TLS.
    pub tls: Option<BrokerTls>,
    /// Whether clients may come without a user name. `None`: only while no users are configured, and only from this
    /// machine's own (loopback) addresses.
    pub anonymous: Option<bool>,
    /// Who may come with a user name and password. While it is empty, the name and password of a client that may come
    /// anonymously are not looked at.
    pub users: Vec<User>,
    /// Filters of the topics whose messages go to the sink. Topics that begin with `$` never do; to `wheeltapper` and below
    /// nobody may publish but the host.
    pub ingest: Vec<String>,
    /// The largest packet taken from a client, in bytes with its header.
    pub max_packet: usize,
    /// Connections at a time; one more is told that the quota is exceeded (0x97) and closed.
    pub max_connections: usize,
    /// Connections at a time from one address (of IPv6: from one /64), with the same refusal.
    pub max_connections_per_address: usize,
    /// Bytes of packets that are not complete yet, of all connections together; a connection that would exceed it is closed
    /// (0x97). Packets of up to 64 KiB do not count.
    pub max_input_bytes: usize,
    /// Bytes of messages that wait for subscribers, of all sessions together; beyond it new ones are dropped.
    pub max_queued_bytes: usize,
    /// Within this a packet that has begun must be complete, and a client must take some of what waits for it. A large packet
    /// has a second longer for each 16 KiB that have come.
    pub packet_timeout: Duration,
    /// Sessions kept, of connected and absent clients together.
    pub max_sessions: usize,
    /// Longest that the session of an absent client is kept, whatever it asked for.
    pub max_session_expiry: Duration,
    /// Subscriptions of one session.
    pub max_subscriptions: usize,
    /// Messages that wait for one slow or absent subscriber; beyond it new ones are dropped for it. Those of QoS 0 wait
    /// only for a connected one, and take at most half of the room.
    pub max_offline_messages: usize,
    /// The same in bytes of topic, payload and properties.
    pub max_offline_bytes: usize,
    /// Unacknowledged messages in flight for each connection, each way: MQTT 5's receive maximum; from a 3.1.1 client no
    /// more is read from the socket meanwhile. 1 to 65535.
    pub max_inflight: u16,
    /// Bytes of payload of one connection that wait for the sink, beyond which no more is read from its socket.
    pub max_inflight_bytes: usize,
    /// Retained messages kept; beyond it a new topic's message is delivered but not retained.
    pub max_retained: usize,
    /// The same in bytes of topic, payload and properties.
    pub max_retained_bytes: usize,
    /// Within this a new connection must have finished its TLS handshake and sent its CONNECT.
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

/// The TLS listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerTls {
    /// Address and port, such as `0.0.0.0:8883`.
    pub listen: String,
    /// PEM file with the server's certificate, then those that sign it.
    pub cert: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// A client that may come.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// User name.
    pub name: String,
    /// Password; not shown by `Debug`.
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Settings of the client of one external broker.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// `mqtt://host:1883` or `mqtts://host:8883`; the ports may be left out.
    pub url: String,
    /// The name under which the broker keeps our session.
    pub client_id: String,
    /// 4 for MQTT 3.1.1, 5 for MQTT 5.0.
    pub version: u8,
    /// Filters to subscribe to; may begin with `$share/group/`.
    pub topics: Vec<String>,
    /// Quality of service asked for, 0 to 2.
    pub qos: u8,
    /// User name.
    pub user: Option<String>,
    /// Password; not shown by `Debug`.
    pub password: Option<String>,
    /// PEM file of the certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("url", &self.url)
            .field("client_id", &self.client_id)
            .field("version", &self.version)
            .field("topics", &self.topics)
            .field("qos", &self.qos)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Why the broker could not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for MQTT: {source}; choose a free port and an address of this machine")]
    Listen {
        /// What was configured.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The certificate or the key.
    #[error("{path}: {reason}; expected a PEM file with {expected}", path = path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// One of the filters of `ingest`.
    #[error("ingest: {0}")]
    Ingest(#[from] TopicError),
    /// A limit out of its range.
    #[error("{name} is {value}, but must be {expected}")]
    Limit {
        /// Which setting.
        name: &'static str,
        /// What it was.
        value: usize,
        /// Its range.
        expected: &'static str,
    },
}
