//! Publishes one message to an external broker.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    error::ClientError,
    transport::{BrokerAddress, BrokerStream},
};
use crate::{
    ClientConfig,
    codec::{self, Connect, Packet, Publish, Version},
};

/// Maximum size of an answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
const PACKET_ID: u16 = 1;

/// A message for [`publish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// Topic name, without wildcards.
    pub topic: String,
    /// Payload.
    pub payload: Bytes,
    /// Whether the broker keeps it for new subscribers.
    pub retain: bool,
}

/// A message was not published.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PublishError {
    /// What is wrong and what to do.
    pub message: String,
    /// Whether the same message would fail again.
    pub is_permanent: bool,
}

impl From<ClientError> for PublishError {
    fn from(error: ClientError) -> Self {
        Self { message: error.to_string(), is_permanent: false }
    }
}

/// Connects to a broker with a clean session, publishes a message at QoS 1, waits for its PUBACK, and disconnects. The
/// topics and the QoS of `config` are not used. Everything together takes at most `timeout`.
///
/// # Errors
/// If the broker cannot be reached, rejects the connection or the message, or does not acknowledge it in time.
pub async fn publish(config: &ClientConfig, message: &OutgoingMessage, timeout: Duration) -> Result<(), PublishError> {
    match tokio::time::timeout(timeout, exchange(config, message)).await {
        Ok(result) => result,
        Err(_) => Err(ClientError::NoAnswer.into()),
    }
}

async fn exchange(config: &ClientConfig, message: &OutgoingMessage) -> Result<(), PublishError> {
    let version = match config.version {
        4 => Version::V3,
        5 => Version::V5,
        other => return Err(ClientError::UnsupportedVersion(other).into()),
    };
    if message.topic.is_empty() || message.topic.contains(['+', '#', '\0']) {
        let text = format!("{:?} is not the name of a topic; write one without + and #", message.topic);
        return Err(PublishError { message: text, is_permanent: true });
    }
    let stream = BrokerAddress::parse(config)?.connect().await?;
    let mut connection = Connection { stream, version, input: BytesMut::new() };
    connection.send(&Packet::Connect(Box::new(connect_packet(config, version)))).await?;
    match connection.receive().await? {
        Packet::ConnAck(ack) if ack.code == 0 => {}
        Packet::ConnAck(ack) => return Err(ClientError::ConnectionRejected(ack.code).into()),
        _ => return Err(ClientError::UnexpectedPacket.into()),
    }
    let publish = Publish {
        dup: false,
        qos: 1,
        retain: message.retain,
        topic: message.topic.as_str().into(),
        id: PACKET_ID,
        payload: message.payload.clone(),
        properties: None,
    };
    connection.send(&Packet::Publish(publish)).await?;
    loop {
        match connection.receive().await? {
            Packet::PubAck(ack) if ack.id == PACKET_ID && ack.reason < 0x80 => break,
            Packet::PubAck(ack) if ack.id == PACKET_ID => {
                let text = format!(
                    "the broker rejects the message with reason {:#04x}; check its access rules for this user and topic",
                    ack.reason
                );
                return Err(PublishError { message: text, is_permanent: false });
            }
            Packet::Disconnect(disconnect) => return Err(ClientError::Disconnected(disconnect.reason).into()),
            _ => {}
        }
    }
    // The message is acknowledged; whether the broker reads the farewell does not matter.
    let _ = connection.send(&Packet::Disconnect(codec::Disconnect::default())).await;
    Ok(())
}

fn connect_packet(config: &ClientConfig, version: Version) -> Connect {
    Connect {
        version,
        clean_start: true,
        keep_alive: 60,
        client_id: config.client_id.clone(),
        will: None,
        // 3.1.1 does not allow a password without a user name.
        user_name: config.user_name.clone().or_else(|| config.password.as_ref().map(|_| String::new())),
        password: config.password.clone().map(Bytes::from),
        properties: None,
    }
}

struct Connection {
    stream: Box<dyn BrokerStream>,
    version: Version,
    input: BytesMut,
}

impl Connection {
    async fn send(&mut self, packet: &Packet) -> Result<(), ClientError> {
        let mut output = BytesMut::new();
        codec::encode(&mut output, self.version, packet);
        self.stream.write_all(&output).await?;
        Ok(self.stream.flush().await?)
    }

    async fn receive(&mut self) -> Result<Packet, ClientError> {
        loop {
            let frame = codec::frame(&self.input, MAX_ANSWER)?;
            if let Some(frame) = frame.filter(|frame| frame.packet_length <= self.input.len()) {
                let packet = self.input.split_to(frame.packet_length);
                let body = packet.get(frame.header_length..).unwrap_or_default();
                return Ok(codec::decode(frame.first_byte, body, self.version)?);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(ClientError::Closed);
            }
        }
    }
}
