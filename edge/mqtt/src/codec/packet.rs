//! The packet types of MQTT 3.1.1 and 5.0.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::{Version, properties::OptionalProperties};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Packet {
    Connect(Box<Connect>),
    ConnAck(ConnAck),
    Publish(Publish),
    PubAck(Ack),
    PubRec(Ack),
    PubRel(Ack),
    PubComp(Ack),
    Subscribe(Subscribe),
    SubAck(SubAck),
    Unsubscribe(Unsubscribe),
    UnsubAck(SubAck),
    PingReq,
    PingResp,
    Disconnect(Disconnect),
    Auth,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) clean_start: bool,
    /// Seconds; 0 turns the keep-alive off.
    pub(crate) keep_alive: u16,
    pub(crate) client_id: String,
    pub(crate) will: Option<Will>,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Bytes>,
    pub(crate) properties: OptionalProperties,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) properties: OptionalProperties,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ConnAck {
    pub(crate) session_present: bool,
    /// A return code (3.1.1) or a reason code (5.0).
    pub(crate) code: u8,
    pub(crate) properties: OptionalProperties,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) topic: Arc<str>,
    /// 0 with QoS 0.
    pub(crate) id: u16,
    pub(crate) payload: Bytes,
    pub(crate) properties: OptionalProperties,
}

/// A PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ack {
    pub(crate) id: u16,
    pub(crate) reason: u8,
    pub(crate) properties: OptionalProperties,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subscribe {
    pub(crate) id: u16,
    pub(crate) filters: Vec<SubscribeFilter>,
    pub(crate) properties: OptionalProperties,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SubscribeFilter {
    pub(crate) filter: String,
    pub(crate) qos: u8,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    /// 0: send retained messages; 1: only if the subscription is new; 2: do not.
    pub(crate) retain_handling: u8,
}

/// A SUBACK or UNSUBACK. In 3.1.1, UNSUBACK has no codes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SubAck {
    pub(crate) id: u16,
    pub(crate) codes: Vec<u8>,
    pub(crate) properties: OptionalProperties,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unsubscribe {
    pub(crate) id: u16,
    pub(crate) filters: Vec<String>,
    pub(crate) properties: OptionalProperties,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Disconnect {
    pub(crate) reason: u8,
    pub(crate) properties: OptionalProperties,
}
