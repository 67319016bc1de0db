//! MQTT 3.1.1 and 5.0: an embedded broker, a client of external brokers, and the mapping of topics to sensors.
//!
//! Both the broker and the client hand every message to a [`Sink`] and acknowledge it (PUBACK, PUBREC) only when the sink
//! says that it is stored. That is the difference from the embeddable brokers, which acknowledge as soon as a message is
//! in their own memory, and from the client libraries, which forget on reconnecting which QoS 2 messages they had taken.
//!
//! Sessions, queues and retained messages live in memory and are gone after a restart of this process. A message that had
//! not been acknowledged is then sent again by its publisher. At QoS 2 the sink is told which exchange a message belongs
//! to ([`Exchange`]), so that it can keep the exchange with the message and know a resend for what it is.
//!
//! What a client may publish and read is decided by its [`Grant`], which an [`Authenticator`] gives at the connect and
//! renews every few seconds.
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

pub use broker::{Broker, BrokerHandle, BrokerStats, REVALIDATE};
pub use client::run_client;
pub use config::{BrokerConfig, BrokerError, BrokerTls, ClientConfig, User};
pub use mapping::{Mapping, MappingError, MappingRule};
pub use rights::{Authenticator, FullGrant, Grant, Login, LoginAnswer, LoginRefusal, Users};
pub use topic::{TopicError, overlap};

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
    /// Whose rights the client has: see [`Grant::owner`]; empty for a message from an external broker.
    pub owner: String,
    /// The sites that its content has to keep to; `None`: any.
    pub sites: Option<Arc<[String]>>,
    /// The exchange it belongs to, at QoS 2 from a client whose session outlasts its connection.
    pub exchange: Option<Exchange>,
}

/// One QoS 2 exchange, from PUBLISH to PUBCOMP. The same client may use the packet id again after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// Owner and client id of the session, distinct from every other session's.
    pub session: Arc<str>,
    /// Packet id.
    pub id: u16,
    /// Whether the client says that it sends the message again.
    pub dup: bool,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable; acknowledge it.
    Stored,
    /// It is durable but for a part of it, which is kept as a dead letter for this reason. Acknowledge it as taken: who
    /// sent it again would store the rest twice.
    Partly(String),
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

    /// The client has released a QoS 2 message (PUBREL). PUBCOMP is sent when the future says `true`: from then on the
    /// client uses the packet id for another message, which must not be taken for this one after a restart. `false`: it
    /// could not be kept now; the client is closed and sends PUBREL again.
    fn release(&self, exchange: Exchange) -> Released {
        drop(exchange);
        Box::pin(std::future::ready(true))
    }

    /// A session has ended, or its client has begun a new one: its exchanges are over.
    fn forget(&self, session: &str) {
        let _ = session;
    }
}

/// The future of [`Sink::release`].
pub type Released = Pin<Box<dyn Future<Output = bool> + Send>>;
