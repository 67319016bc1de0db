//! A client for an external broker. It acknowledges a message only after the sink has stored it.
//!
//! It uses the codec of the embedded broker. Client libraries with manual acknowledgements forget on reconnect which
//! QoS 2 messages they have received; they then receive them twice or fail on the PUBREL.

mod connection;
mod error;
mod observer;
mod publisher;
mod transport;

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::time::Instant;

use self::{
    connection::{BrokerConnection, ResumeState},
    error::ClientError,
    observer::Observer,
    transport::BrokerAddress,
};
pub use self::{
    observer::ClientEvent,
    publisher::{OutgoingMessage, PublishError, publish},
};
use crate::{ClientConfig, Sink, topic};

/// Delays between connection attempts.
const FIRST_RECONNECT_DELAY: Duration = Duration::from_millis(250);
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(30);

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
        tracing::warn!(url = %config.redacted_url(), %error, again_in = ?pause, "no connection to the MQTT broker");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_RECONNECT_DELAY);
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
