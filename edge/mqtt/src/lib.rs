//! MQTT 3.1.1 and 5.0: an embedded broker, a client for external brokers, and a mapping of topics to sensors.
//!
//! Both the broker and the client pass every message to a [`Sink`] and acknowledge it (PUBACK, PUBREC) only after the
//! sink has stored it. Existing embeddable brokers acknowledge a message as soon as it is in their own memory. Existing
//! client libraries forget on reconnect which QoS 2 messages they have received.
//!
//! Sessions, queues and retained messages are kept in memory and are lost when this process restarts. The publisher
//! then resends each message that was not acknowledged. At QoS 2 the sink gets the exchange of each message
//! ([`Exchange`]). It can store the exchange together with the message and so recognise a resend.
//!
//! The rights of a client to publish and to read are its [`Grant`]. An [`Authenticator`] provides it at CONNECT; the
//! broker refreshes it every few seconds.
//!
//! Sources: MQTT Version 3.1.1 and MQTT Version 5.0, OASIS standards of 2014-10-29 and 2019-03-07.

mod broker;
mod client;
mod codec;
mod config;
#[cfg(feature = "fuzzing")]
#[allow(clippy::panic, reason = "a panic is how a fuzz target fails")]
pub mod fuzzing;
mod mapping;
mod rights;
mod topic;

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;

pub use broker::{Broker, BrokerHandle, BrokerStats, REVALIDATE_INTERVAL};
pub use client::{ClientEvent, OutgoingMessage, PublishError, publish, run_client};
pub use config::{BrokerConfig, BrokerError, BrokerTls, BrokerUser, ClientConfig};
pub use mapping::{Mapping, MappingError, MappingRule};
pub use rights::{Authenticator, FullGrant, Grant, Login, LoginFuture, LoginRejection, Users};
pub use topic::{TopicError, filters_overlap};

/// A message passed to the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkMessage {
    /// The topic name.
    pub topic: Arc<str>,
    /// The payload.
    pub payload: Bytes,
    /// Quality of service with which it was received, 0 to 2.
    pub qos: u8,
    /// The retain flag of the PUBLISH.
    pub retain: bool,
    /// Number of the connection, unique in this process.
    pub connection_id: u64,
    /// Client id of the publisher. For a message from an external broker, this host's own client id there.
    pub client_id: String,
    /// MQTT 5 content type, such as `application/json`.
    pub content_type: Option<String>,
    /// Owner of the client's rights, see [`Grant::owner`]; empty for a message from an external broker.
    pub owner: String,
    /// The sites whose data the message may contain; `None` means all sites.
    pub sites: Option<Arc<[String]>>,
    /// The exchange of the message, at QoS 2 from a client whose session outlives its connection.
    pub exchange: Option<Exchange>,
}

/// One QoS 2 exchange, from PUBLISH to PUBCOMP. Afterwards the same client may reuse the packet id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// Owner and client id of the session; unique among all sessions.
    pub session: Arc<str>,
    /// The packet identifier.
    pub packet_id: u16,
    /// The DUP flag: whether the client marks the message as a resend.
    pub dup: bool,
}

/// The sink's verdict on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The message is stored durably; it is acknowledged.
    Stored,
    /// Part of the message is stored durably, the rest is kept as a dead letter for this reason. It is acknowledged as
    /// successful, because a resend would store the good part twice.
    PartlyStored(String),
    /// The message is rejected and kept durably as a dead letter, for this reason. It is acknowledged, in MQTT 5 with
    /// the reason.
    Rejected(String),
    /// The message could not be accepted now. It is not acknowledged, so that it is sent again.
    Busy,
}

/// The future of [`Sink::accept`].
pub type VerdictFuture = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// The consumer of the messages.
pub trait Sink: Send + Sync + 'static {
    /// Accepts one message. The calls follow the order of a connection's packets; many verdicts of one connection can
    /// be pending at the same time. A pending verdict may be dropped when the broker stops.
    fn accept(&self, publish: SinkMessage) -> VerdictFuture;

    /// Stores that the client has released a QoS 2 message (PUBREL). PUBCOMP is sent when the future returns `true`.
    /// From then on the client may reuse the packet id for another message, which must not be mistaken for this one
    /// after a restart. `false` means that the release could not be stored now; the connection is closed, and the
    /// client sends PUBREL again.
    fn release(&self, exchange: Exchange) -> ReleaseFuture {
        drop(exchange);
        Box::pin(std::future::ready(true))
    }

    /// Forgets the exchanges of a session that has ended or was replaced by a new one.
    fn end_session(&self, session: &str) {
        let _ = session;
    }
}

/// The future of [`Sink::release`].
pub type ReleaseFuture = Pin<Box<dyn Future<Output = bool> + Send>>;
