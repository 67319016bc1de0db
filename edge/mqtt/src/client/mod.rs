//! A client for an external broker. It acknowledges a message only after the sink has stored it.
//!
//! It uses the codec of the embedded broker. Client libraries with manual acknowledgements forget on reconnect which
//! QoS 2 messages they have received; they then receive them twice or fail on the PUBREL.

mod connection;
mod transport;

use std::{collections::HashSet, convert::Infallible, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use self::{connection::Taking, transport::Target};
use crate::{
    ClientConfig, Sink,
    codec::DecodeError,
    topic::{self, TopicError},
};

/// Delays between connection attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a connection ended or could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("{url:?} is not the address of an MQTT broker ({reason}); write mqtt://host:1883 or mqtts://host:8883")]
    Url { url: String, reason: String },
    #[error("{path}: {reason}; expected a PEM file with the certificates to trust", path = path.display())]
    Ca { path: PathBuf, reason: String },
    #[error("TLS: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("MQTT version {0} is not supported; set 4 (for 3.1.1) or 5")]
    Version(u8),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the broker did not answer in time")]
    Silent,
    #[error("the broker closed the connection")]
    Closed,
    #[error("the broker closed the connection with reason {0:#04x}")]
    Disconnected(u8),
    #[error("the broker rejects the connection with code {0:#04x}; check user, password and client id")]
    Refused(u8),
    #[error("the broker rejects the subscription to {0:?}; check its access rules for this user")]
    Subscription(String),
    #[error("invalid packet from the broker: {0}")]
    Decode(#[from] DecodeError),
    #[error("the end of a QoS 2 exchange could not be stored")]
    Release,
    #[error("the broker sent a packet that is only valid from a client")]
    Unexpected,
}

/// State that is kept across reconnects.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Packet ids of QoS 2 messages that are stored and not yet released by the broker.
    received: HashSet<u16>,
}

/// Subscribes to an external broker and passes its messages to the sink. Each message is acknowledged only after the
/// sink has stored it. While the sink is busy, the message is offered to it again.
///
/// Never returns: after an error it reconnects to the same session with increasing delays, so that QoS 1 and 2 messages
/// which arrived in the meantime are delivered. Dropping the future closes the connection.
///
/// A filter that is removed from the configuration stays subscribed in the broker's session until the session is
/// removed at the broker or another client id is chosen.
pub async fn run_client(config: ClientConfig, sink: Arc<dyn Sink>) {
    let mut memory = Memory::default();
    let mut pause = FIRST_PAUSE;
    let mut number = 0;
    loop {
        let since = Instant::now();
        number += 1;
        let Err(error) = once(&config, &sink, &mut memory, number).await;
        if since.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(url = %shown(&config.url), %error, again_in = ?pause, "no connection to the MQTT broker");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The URL without user and password, for messages.
fn shown(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(url) => {
            format!("{}://{}:{}", url.scheme(), url.host_str().unwrap_or_default(), url.port().unwrap_or_default())
        }
        Err(_) => "(invalid URL)".into(),
    }
}

async fn once(
    config: &ClientConfig,
    sink: &Arc<dyn Sink>,
    memory: &mut Memory,
    number: u64,
) -> Result<Infallible, ClientError> {
    if !matches!(config.version, 4 | 5) {
        return Err(ClientError::Version(config.version));
    }
    for topic in &config.topics {
        topic::parse_filter(topic)?;
    }
    let target = Target::parse(config)?;
    let stream =
        tokio::time::timeout(connection::PATIENCE, target.connect()).await.map_err(|_| ClientError::Silent)??;
    let mut connection = Taking::new(config, sink, memory, number);
    let result = connection.serve(stream).await;
    connection.drain().await;
    result
}
