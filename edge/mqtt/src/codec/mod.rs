//! The wire format of MQTT 3.1, 3.1.1 and 5.0: one set of packets for all, so that broker and client are written once.
//!
//! Of the published codecs, those fit to be shared by a broker and a client come with a separate set of types for each
//! version of the protocol, and copy or pin the read buffer under each message; hence this one.

mod decode;
mod encode;
mod packet;
mod properties;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use decode::{decode, frame};
pub(crate) use encode::{Outgoing, ack, encode, publish};
pub(crate) use packet::{
    Ack, ConnAck, Connect, Disconnect, Packet, Publish, SubAck, Subscribe, SubscribeFilter, Unsubscribe, Will,
};
pub(crate) use properties::Properties;

/// Bytes of the longest string or binary field.
pub(crate) const MAX_STRING: usize = 65_535;

/// Which rules a connection follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 3.1 and 3.1.1.
    V3,
    /// 5.0.
    V5,
}

/// Reason codes of MQTT 5.0, section 2.4.
pub(crate) mod reason {
    pub(crate) const SUCCESS: u8 = 0x00;
    pub(crate) const DISCONNECT_WITH_WILL: u8 = 0x04;
    pub(crate) const NO_SUBSCRIPTION: u8 = 0x11;
    pub(crate) const MALFORMED: u8 = 0x81;
    pub(crate) const PROTOCOL: u8 = 0x82;
    /// Implementation-specific error: a client that stops in the middle of a packet, or takes nothing of what waits for it.
    pub(crate) const SLOW: u8 = 0x83;
    pub(crate) const UNSUPPORTED_VERSION: u8 = 0x84;
    pub(crate) const CLIENT_ID: u8 = 0x85;
    pub(crate) const BAD_PASSWORD: u8 = 0x86;
    pub(crate) const NOT_AUTHORIZED: u8 = 0x87;
    pub(crate) const SERVER_UNAVAILABLE: u8 = 0x88;
    pub(crate) const SERVER_BUSY: u8 = 0x89;
    pub(crate) const BAD_AUTHENTICATION: u8 = 0x8C;
    pub(crate) const KEEP_ALIVE: u8 = 0x8D;
    pub(crate) const TAKEN_OVER: u8 = 0x8E;
    pub(crate) const FILTER_INVALID: u8 = 0x8F;
    pub(crate) const TOPIC_INVALID: u8 = 0x90;
    pub(crate) const ID_NOT_FOUND: u8 = 0x92;
    pub(crate) const RECEIVE_MAXIMUM: u8 = 0x93;
    pub(crate) const ALIAS_INVALID: u8 = 0x94;
    pub(crate) const TOO_LARGE: u8 = 0x95;
    pub(crate) const QUOTA: u8 = 0x97;
    pub(crate) const PAYLOAD_INVALID: u8 = 0x99;
    pub(crate) const RATE: u8 = 0x9F;

    /// What to tell a client that is sent away, so that whoever reads its log knows what to do.
    pub(crate) fn words(code: u8) -> Option<&'static str> {
        Some(match code {
            MALFORMED => "a packet was malformed",
            PROTOCOL => "a packet was not allowed here",
            SLOW => "a packet was not complete in time, or nothing was taken of what waits for this client",
            KEEP_ALIVE => "nothing came for one and a half times the keep-alive",
            TAKEN_OVER => "another client connected with this client id; give each its own",
            RECEIVE_MAXIMUM => "more messages were under way than the receive maximum allows",
            ALIAS_INVALID => "a topic alias was above the maximum, or not set before",
            TOPIC_INVALID => "a topic name was empty or had wildcards",
            TOO_LARGE => "a packet was larger than the maximum; raise [mqtt.broker] max_packet or send less at a time",
            NOT_AUTHORIZED => "this user or key may not do that, or no longer; see its rights and sites",
            QUOTA => "too much waits for this client",
            _ => return None,
        })
    }
}

/// Why bytes are not a packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The bytes do not follow the format.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// Well-formed, but not allowed.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// Longer than we take.
    #[error("packet of {size} bytes; at most {max} are taken")]
    TooLarge { size: usize, max: usize },
    /// CONNECT of a version we do not speak.
    #[error("protocol level {0} is not spoken here; use MQTT 3.1.1 or 5.0")]
    Version(u8),
}

impl DecodeError {
    /// The MQTT 5 reason code to close with.
    pub(crate) fn reason(&self) -> u8 {
        match self {
            Self::Malformed(_) => reason::MALFORMED,
            Self::Protocol(_) => reason::PROTOCOL,
            Self::TooLarge { .. } => reason::TOO_LARGE,
            Self::Version(_) => reason::UNSUPPORTED_VERSION,
        }
    }
}
