//! A client for an external broker. It acknowledges a message only after the sink has stored it.
//!
//! It uses the codec of the embedded broker. Client libraries with manual acknowledgements forget on reconnect which
//! QoS 2 messages they have received; they then receive them twice or fail on the PUBREL.

mod connection;
mod transport;

use std::{collections::HashSet, convert::Infallible, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use self::{connection::BrokerConnection, transport::BrokerAddress};
use crate::{
    ClientConfig, Sink,
    codec::DecodeError,
    topic::{self, TopicError},
};

/// Delays between connection attempts.
const FIRST_RECONNECT_DELAY: Duration = Duration::from_millis(250);
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(30);

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

/// A change of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEvent<'a> {
    /// The broker has accepted the connection and all subscriptions.
    Subscribed,
    /// The connection could not be made, or has ended.
    Disconnected {
        /// Why.
        reason: &'a str,
    },
}

/// Called at every change of the connection.
pub(crate) type Observer<'a> = &'a (dyn Fn(ClientEvent<'_>) + Send + Sync);

/// State that is kept across reconnects.
#[derive(Debug, Default)]
pub(crate) struct ResumeState {
    /// Packet ids of QoS 2 messages that are stored and not yet released by the broker.
    received_qos2: HashSet<u16>,
}

/// Subscribes to an external broker and passes its messages to the sink. Each message is acknowledged only after the
/// sink has stored it. While the sink is busy, the message is offered to it again.
///
/// Never returns: after an error it reconnects to the same session with increasing delays, so that QoS 1 and 2 messages
/// which arrived in the meantime are delivered. Dropping the future closes the connection.
///
/// A filter that is removed from the configuration stays subscribed in the broker's session until the session is
/// removed at the broker or another client id is chosen.
///
/// `observe` is called at every change of the connection, and after every failed attempt.
pub async fn run_client(
    config: ClientConfig,
    sink: Arc<dyn Sink>,
    observe: impl Fn(ClientEvent<'_>) + Send + Sync + 'static,
) {
    let mut memory = ResumeState::default();
    let mut pause = FIRST_RECONNECT_DELAY;
    let mut number = 0;
    loop {
        let since = Instant::now();
        number += 1;
        let Err(error) = run_connection(&config, &sink, &mut memory, number, &observe).await;
        observe(ClientEvent::Disconnected { reason: &error.to_string() });
        if since.elapsed() > MAX_RECONNECT_DELAY {
            pause = FIRST_RECONNECT_DELAY;
        }
        tracing::warn!(url = %redacted_url(&config.url), %error, again_in = ?pause, "no connection to the MQTT broker");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_RECONNECT_DELAY);
    }
}

/// The URL without user and password, for messages.
pub(crate) fn redacted_url(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(url) => {
            format!("{}://{}:{}", url.scheme(), url.host_str().unwrap_or_default(), url.port().unwrap_or_default())
        }
        Err(_) => "(invalid URL)".into(),
    }
}

async fn run_connection(
    config: &ClientConfig,
    sink: &Arc<dyn Sink>,
    memory: &mut ResumeState,
    number: u64,
    observe: Observer<'_>,
) -> Result<Infallible, ClientError> {
    if !matches!(config.version, 4 | 5) {
        return Err(ClientError::UnsupportedVersion(config.version));
    }
    for topic in &config.topics {
        topic::parse_filter(topic)?;
    }
    let target = BrokerAddress::parse(config)?;
    let stream = tokio::time::timeout(connection::RESPONSE_TIMEOUT, target.connect())
        .await
        .map_err(|_| ClientError::NoAnswer)??;
    let mut connection = BrokerConnection::new(config, sink, memory, number, observe);
    let result = connection.serve(stream).await;
    connection.drain().await;
    result
}
