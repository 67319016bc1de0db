//! Errors of the client.

use std::{io, path::PathBuf};

use crate::{codec::DecodeError, topic::TopicError};

/// Why a connection ended or could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("{url:?} is not the address of an MQTT broker ({reason}); write mqtt://host:1883 or mqtts://host:8883")]
    InvalidUrl { url: String, reason: String },
    #[error("{path}: {reason}; expected a PEM file with the certificates to trust", path = path.display())]
    InvalidCaFile { path: PathBuf, reason: String },
    #[error("TLS: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("MQTT version {0} is not supported; set 4 (for 3.1.1) or 5")]
    UnsupportedVersion(u8),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the broker did not answer in time")]
    NoAnswer,
    #[error("the broker closed the connection")]
    Closed,
    #[error("the broker closed the connection with reason {0:#04x}")]
    Disconnected(u8),
    #[error("the broker rejects the connection with code {0:#04x}; check user, password and client id")]
    ConnectionRejected(u8),
    #[error("the broker rejects the subscription to {0:?}; check its access rules for this user")]
    SubscriptionRejected(String),
    #[error("invalid packet from the broker: {0}")]
    Decode(#[from] DecodeError),
    #[error("the end of a QoS 2 exchange could not be stored")]
    ReleaseNotStored,
    #[error("the broker sent a packet that is only valid from a client")]
    UnexpectedPacket,
}
