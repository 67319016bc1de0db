//! MQTT 3.1.1 and 5.0: an embedded broker, a client of external brokers, and the mapping of topics to sensors.
//!
//! Both the broker and the client hand every message to a [`Sink`] and acknowledge it (PUBACK, PUBREC) only when the sink
//! says that it is stored. That is the difference from the embeddable brokers, which acknowledge as soon as a message is
//! in their own memory, and from the client libraries, which forget on reconnecting which QoS 2 messages they had taken.
//!
//! Sessions, queues and retained messages live in memory. After a restart of this process a message that had not been
//! acknowledged is sent again by its publisher and taken again, at QoS 2 too: what stores it must know it by its content.
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
mod topic;

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;

pub use broker::{Broker, BrokerHandle};
pub use client::run_client;
pub use config::{BrokerConfig, BrokerError, BrokerTls, ClientConfig, User};
pub use mapping::{Mapping, MappingError, MappingRule};
pub use topic::TopicError;

/// A message on its way to the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The topic it was published to; no wildcards.
    pub topic: Arc<str>,
    /// The application's bytes.
    pub payload: Bytes,
    /// Quality of service of its delivery to us, 0 to 2.
    pub qos: u8,
    /// Whether the publisher asked for it to be retained.
    pub retain: bool,
    /// A number that no other connection of this process has.
    pub connection: u64,
    /// The client it came from; for a message from an external broker, our own client id there.
    pub client_id: String,
    /// MQTT 5 content type, such as `application/json`.
    pub content_type: Option<String>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable; acknowledge it.
    Stored,
    /// It is durably kept as a dead letter, for this reason; acknowledge it, and where the protocol can (MQTT 5) say why.
    Refused(String),
    /// It could not be taken now; do not acknowledge it, so that it is sent again.
    Busy,
}

/// The future a sink answers with.
pub type Answer = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Where messages go.
pub trait Sink: Send + Sync + 'static {
    /// Takes one message. Called in the order of a connection's packets; many answers of one connection are awaited at
    /// the same time. An answer may be dropped unfinished when the broker stops.
    fn accept(&self, publish: Publish) -> Answer;
}
