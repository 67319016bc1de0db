//! The wire format of MQTT 3.1, 3.1.1 and 5.0. All versions share one set of packet types, so broker and client need
//! only one implementation.
//!
//! This codec exists because the published codecs that suit both a broker and a client have a separate set of types for
//! each protocol version, and copy or pin the read buffer for each message.

mod decode;
mod encode;
mod packet;
mod properties;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use decode::{decode, frame};
pub(crate) use encode::{OutgoingPublish, encode, encode_ack, encode_publish};
pub(crate) use packet::{
    Ack, ConnAck, Connect, Disconnect, Packet, Publish, SubAck, Subscribe, SubscribeFilter, Unsubscribe, Will,
};
pub(crate) use properties::Properties;

/// Maximum length of a string or binary field in bytes.
pub(crate) const MAX_FIELD_BYTES: usize = 65_535;

/// The protocol version of a connection.
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
    pub(crate) const NO_SUBSCRIPTION_EXISTED: u8 = 0x11;
    pub(crate) const MALFORMED_PACKET: u8 = 0x81;
    pub(crate) const PROTOCOL_ERROR: u8 = 0x82;
    /// Implementation-specific error (0x83): a client that stops in the middle of a packet or does not read its
    /// messages.
    pub(crate) const CLIENT_TOO_SLOW: u8 = 0x83;
    pub(crate) const UNSUPPORTED_PROTOCOL_VERSION: u8 = 0x84;
    pub(crate) const CLIENT_ID_NOT_VALID: u8 = 0x85;
    pub(crate) const BAD_USER_NAME_OR_PASSWORD: u8 = 0x86;
    pub(crate) const NOT_AUTHORIZED: u8 = 0x87;
    pub(crate) const SERVER_UNAVAILABLE: u8 = 0x88;
    pub(crate) const SERVER_BUSY: u8 = 0x89;
    pub(crate) const BAD_AUTHENTICATION_METHOD: u8 = 0x8C;
    pub(crate) const KEEP_ALIVE_TIMEOUT: u8 = 0x8D;
    pub(crate) const SESSION_TAKEN_OVER: u8 = 0x8E;
    pub(crate) const TOPIC_FILTER_INVALID: u8 = 0x8F;
    pub(crate) const TOPIC_NAME_INVALID: u8 = 0x90;
    pub(crate) const PACKET_ID_NOT_FOUND: u8 = 0x92;
    pub(crate) const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
    pub(crate) const TOPIC_ALIAS_INVALID: u8 = 0x94;
    pub(crate) const PACKET_TOO_LARGE: u8 = 0x95;
    pub(crate) const QUOTA_EXCEEDED: u8 = 0x97;
    pub(crate) const PAYLOAD_FORMAT_INVALID: u8 = 0x99;
    pub(crate) const CONNECTION_RATE_EXCEEDED: u8 = 0x9F;

    /// The reason string for a client whose connection the broker closes. It helps the reader of the client's log.
    pub(crate) fn description(code: u8) -> Option<&'static str> {
        Some(match code {
            MALFORMED_PACKET => "a packet was malformed",
            PROTOCOL_ERROR => "a packet was not allowed at this point",
            CLIENT_TOO_SLOW => "a packet was not completed in time, or this client did not read its pending messages",
            KEEP_ALIVE_TIMEOUT => "no packet arrived for one and a half times the keep-alive",
            SESSION_TAKEN_OVER => "another client connected with this client id; use a unique id for each client",
            RECEIVE_MAXIMUM_EXCEEDED => "more messages were in flight than the receive maximum allows",
            TOPIC_ALIAS_INVALID => "a topic alias was above the maximum, or not set before",
            TOPIC_NAME_INVALID => "a topic name was empty or had wildcards",
            PACKET_TOO_LARGE => {
                "a packet was larger than the maximum; raise [mqtt.broker] max_packet or send less at a time"
            }
            NOT_AUTHORIZED => "this user or key does not have this right, or lost it; check its rights and sites",
            QUOTA_EXCEEDED => "a quota of the broker is exceeded",
            _ => return None,
        })
    }
}

/// Why bytes cannot be decoded as a packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The bytes do not follow the format.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// The packet is well-formed, but the protocol does not allow it.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// The packet is longer than the limit.
    #[error("packet of {size} bytes; at most {max} are accepted")]
    TooLarge { size: usize, max: usize },
    /// A CONNECT with a protocol version that is not supported.
    #[error("protocol level {0} is not supported; use MQTT 3.1.1 or 5.0")]
    UnsupportedVersion(u8),
}

impl DecodeError {
    /// The MQTT 5 reason code for closing the connection.
    pub(crate) fn reason(&self) -> u8 {
        match self {
            Self::Malformed(_) => reason::MALFORMED_PACKET,
            Self::Protocol(_) => reason::PROTOCOL_ERROR,
            Self::TooLarge { .. } => reason::PACKET_TOO_LARGE,
            Self::UnsupportedVersion(_) => reason::UNSUPPORTED_PROTOCOL_VERSION,
        }
    }
}
