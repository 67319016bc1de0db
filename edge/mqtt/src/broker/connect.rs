//! The start of a connection: CONNECT, login, session and CONNACK.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    admission::RejectionPermit,
    connection::Connection,
    hub::{Hub, SessionAttachment, SessionRequest},
    inbound::TOPIC_ALIAS_MAXIMUM,
    message::{Message, forwarded_properties},
    reserved_topics::is_reserved,
    session::{PeerLimits, PendingWill},
    stats::increment,
    throttle::AddressKey,
};
use crate::{
    codec::{self, ConnAck, Connect, DecodeError, Packet, Properties, Version, reason},
    rights::{Grant, Login, LoginRejection},
    topic,
};

/// Maximum length of a client id in bytes.
const MAX_CLIENT_ID: usize = 1_024;

/// Maximum size of a CONNECT in bytes; the limit is low because the client is not authenticated yet.
const MAX_CONNECT: usize = 256 << 10;

/// Maximum size in bytes of a CONNECT above the connection limit, and the time to wait for it.
const MAX_REJECTED_CONNECT: usize = 16 << 10;
const REJECTED_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a CONNECT is rejected: the MQTT 5 reason code, and a reason string if it adds information.
struct ConnectRejection(u8, Option<String>);

impl From<u8> for ConnectRejection {
    fn from(code: u8) -> Self {
        Self(code, None)
    }
}

/// Rejects a client above the connection limit. Waits for its CONNECT, because the answer depends on the protocol
/// version.
pub(crate) async fn reject_over_limit<S: AsyncRead + AsyncWrite + Unpin>(permit: RejectionPermit, mut stream: S) {
    let mut input = BytesMut::new();
    let read =
        tokio::time::timeout(REJECTED_CONNECT_TIMEOUT, read_connect(&mut stream, &mut input, MAX_REJECTED_CONNECT));
    if let Ok(Ok(connect)) = read.await {
        let why = "there are too many connections, in all or from this address; close some, or raise [mqtt.broker] max_connections or max_connections_per_address";
        write_connack(
            &mut stream,
            connect.version,
            reason::QUOTA_EXCEEDED,
            false,
            reason_string_properties(why.to_owned()),
        )
        .await;
    }
    drop(permit);
}

fn reason_string_properties(why: String) -> Option<Box<Properties>> {
    Some(Box::new(Properties { reason_string: Some(why), ..Properties::default() }))
}

/// Serves one connection to its end.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(hub: Arc<Hub>, mut stream: S, peer: SocketAddr) {
    let mut input = BytesMut::new();
    let read = tokio::time::timeout(
        hub.config.connect_timeout,
        read_connect(&mut stream, &mut input, hub.config.max_packet.min(MAX_CONNECT)),
    );
    let connect = match read.await {
        Ok(Ok(connect)) => connect,
        Ok(Err(Some(error))) => {
            tracing::debug!(%peer, %error, "the first MQTT packet is not a valid CONNECT");
            if let DecodeError::UnsupportedVersion(level) = error {
                let (version, code) =
                    if level > 5 { (Version::V5, reason::UNSUPPORTED_PROTOCOL_VERSION) } else { (Version::V3, 1) };
                write_connack(&mut stream, version, code, false, None).await;
            }
            return;
        }
        Ok(Err(None)) => return,
        Err(_) => {
            tracing::debug!(%peer, "an MQTT client sent no CONNECT in time");
            return;
        }
    };
    let version = connect.version;
    let number = hub.next_number();
    match open_session(&hub, *connect, peer, number).await {
        Ok((attachment, peer_limits, setup)) => {
            if write_connack(&mut stream, version, reason::SUCCESS, attachment.session_present, setup.properties).await
            {
                tracing::debug!(%peer, client = %attachment.session.client_id, "an MQTT client is connected");
                let connection = Connection::new(
                    hub,
                    attachment,
                    number,
                    peer_limits,
                    setup.keep_alive,
                    setup.problem_information,
                    input,
                );
                connection.serve(stream).await;
            }
        }
        Err(ConnectRejection(code, why)) => {
            tracing::debug!(%peer, code, "an MQTT client is rejected");
            write_connack(&mut stream, version, code, false, why.and_then(reason_string_properties)).await;
        }
    }
}

async fn read_connect<S: AsyncRead + Unpin>(
    stream: &mut S,
    input: &mut BytesMut,
    max: usize,
) -> Result<Box<Connect>, Option<DecodeError>> {
    loop {
        if let Some(frame) = codec::frame(input, max)? {
            if frame.first_byte != 0x10 {
                return Err(Some(DecodeError::Protocol("the first packet is not CONNECT")));
            }
            if input.len() >= frame.packet_length {
                let packet = input.split_to(frame.packet_length);
                let body = packet.get(frame.header_length..).unwrap_or_default();
                return match codec::decode(frame.first_byte, body, Version::V5)? {
                    Packet::Connect(connect) => Ok(connect),
                    _ => Err(None),
                };
            }
        }
        input.reserve(1_024);
        if stream.read_buf(input).await.map_err(|_| None)? == 0 {
            return Err(None);
        }
    }
}

/// Writes the CONNACK. Returns whether that succeeded within 5 s.
async fn write_connack<S: AsyncWrite + Unpin>(
    stream: &mut S,
    version: Version,
    code: u8,
    session_present: bool,
    properties: Option<Box<Properties>>,
) -> bool {
    let code = match (version, code) {
        (Version::V5, code) | (Version::V3, code @ 0..=5) => code,
        (Version::V3, reason::CLIENT_ID_NOT_VALID) => 2,
        (Version::V3, reason::BAD_USER_NAME_OR_PASSWORD) => 4,
        (Version::V3, reason::NOT_AUTHORIZED) => 5,
        (Version::V3, _) => 3,
    };
    let mut out = BytesMut::new();
    codec::encode(&mut out, version, &Packet::ConnAck(ConnAck { session_present, code, properties }));
    let write = async {
        stream.write_all(&out).await?;
        stream.flush().await
    };
    matches!(tokio::time::timeout(Duration::from_secs(5), write).await, Ok(Ok(())))
}

/// Negotiated parameters for the CONNACK and the connection.
struct ConnectionParams {
    keep_alive: Option<Duration>,
    problem_information: bool,
    properties: Option<Box<Properties>>,
}

/// Authenticates the client. After too many failed logins, further attempts are rejected unchecked until a delay is
/// over.
async fn authenticate(hub: &Arc<Hub>, connect: &Connect, peer: SocketAddr) -> Result<Arc<dyn Grant>, ConnectRejection> {
    let (address, name) = (AddressKey::from_ip(peer.ip()), connect.user_name.as_deref().unwrap_or_default());
    let throttle = || hub.throttle.lock().unwrap_or_else(PoisonError::into_inner);
    let wait = throttle().remaining_delay(address, name, Instant::now());
    if let Some(wait) = wait {
        increment(&hub.counters.rejected_logins);
        let seconds = wait.as_secs() + 1;
        return Err(ConnectRejection(
            reason::CONNECTION_RATE_EXCEEDED,
            Some(format!("too many failed logins; try again in {seconds} s")),
        ));
    }
    let login = Login {
        peer,
        client_id: connect.client_id.clone(),
        user_name: connect.user_name.clone(),
        password: connect.password.clone(),
    };
    let rejection = match hub.auth.authenticate(login).await {
        Ok(grant) => {
            throttle().record_success(address, name, Instant::now());
            return Ok(grant);
        }
        Err(rejection) => rejection,
    };
    if rejection == LoginRejection::Unavailable {
        return Err(ConnectRejection(reason::SERVER_UNAVAILABLE, None));
    }
    throttle().record_failure(address, name, Instant::now());
    increment(&hub.counters.rejected_logins);
    tracing::warn!(%peer, client = %connect.client_id, "an MQTT client sent a wrong user name, password or key");
    Err(match rejection {
        LoginRejection::CredentialsRequired => reason::NOT_AUTHORIZED.into(),
        LoginRejection::InvalidCredentials | LoginRejection::Unavailable => reason::BAD_USER_NAME_OR_PASSWORD.into(),
    })
}

/// Validates the CONNECT, authenticates the client and attaches to its session.
async fn open_session(
    hub: &Arc<Hub>,
    mut connect: Connect,
    peer: SocketAddr,
    number: u64,
) -> Result<(SessionAttachment, PeerLimits, ConnectionParams), ConnectRejection> {
    let v5 = connect.version == Version::V5;
    let requested = connect.properties.take().map(|properties| *properties).unwrap_or_default();
    if requested.authentication_method.is_some() {
        return Err(reason::BAD_AUTHENTICATION_METHOD.into());
    }
    let grant = authenticate(hub, &connect, peer).await?;
    if connect.client_id.len() > MAX_CLIENT_ID || (connect.client_id.is_empty() && !v5 && !connect.clean_start) {
        return Err(reason::CLIENT_ID_NOT_VALID.into());
    }
    let mut properties = Properties::default();
    if connect.client_id.is_empty() {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        connect.client_id = format!("assigned-{:x}-{number:x}", since.as_nanos());
        properties.assigned_client_id = Some(connect.client_id.clone());
    }
    let requested_expiry = match (v5, connect.clean_start) {
        (true, _) => Duration::from_secs(requested.session_expiry.unwrap_or(0).into()),
        (false, true) => Duration::ZERO,
        (false, false) => Duration::MAX,
    };
    let expiry = requested_expiry.min(hub.config.max_session_expiry);
    if expiry < requested_expiry {
        properties.session_expiry = Some(u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX));
    }
    let will = connect.will.take();
    let will = will.map(|will| prepare_will(hub, &*grant, will, &connect.client_id, number)).transpose()?;
    let max_packet = requested.maximum_packet_size.map_or(usize::MAX, |size| size as usize);
    let window = requested.receive_maximum.unwrap_or(u16::MAX).min(hub.config.max_inflight);
    let limits = PeerLimits { version: connect.version, receive_maximum: window.into(), max_packet };
    properties.receive_maximum = Some(hub.config.max_inflight);
    properties.maximum_packet_size = Some(u32::try_from(hub.config.max_packet).unwrap_or(u32::MAX));
    properties.topic_alias_maximum = Some(TOPIC_ALIAS_MAXIMUM);
    let request = SessionRequest {
        client_id: connect.client_id.as_str().into(),
        grant,
        clean_start: connect.clean_start,
        expiry,
        will,
    };
    let attachment = hub.attach(request).await?;
    let setup = ConnectionParams {
        keep_alive: (connect.keep_alive > 0).then(|| Duration::from_secs(connect.keep_alive.into())),
        problem_information: requested.request_problem_information != Some(0),
        properties: v5.then(|| Box::new(properties)),
    };
    Ok((attachment, limits, setup))
}

fn prepare_will(
    hub: &Hub,
    grant: &dyn Grant,
    will: codec::Will,
    client_id: &str,
    connection: u64,
) -> Result<PendingWill, ConnectRejection> {
    if !topic::is_valid_name(&will.topic) {
        return Err(reason::TOPIC_NAME_INVALID.into());
    }
    if is_reserved(&will.topic) || !grant.may_publish(&will.topic) {
        increment(&hub.counters.denied_publishes);
        return Err(ConnectRejection(
            reason::NOT_AUTHORIZED,
            Some("this client may not publish to the topic of its will".into()),
        ));
    }
    let delay = will.properties.as_ref().and_then(|properties| properties.will_delay).unwrap_or(0);
    // The expiry starts when the will is published: after the connection has ended and the delay is over.
    let expiry = will.properties.as_ref().and_then(|properties| properties.message_expiry);
    let expiry = expiry.map(|seconds| Duration::from_secs(seconds.into()));
    let (properties, _) = forwarded_properties(will.properties);
    let message = Message {
        topic: will.topic.into(),
        payload: will.payload,
        qos: will.qos,
        retain: will.retain,
        properties,
        ..Message::default()
    };
    Ok(PendingWill {
        message,
        delay: Duration::from_secs(delay.into()),
        expiry,
        client_id: client_id.into(),
        connection_id: connection,
        owner: grant.owner().to_owned(),
        sites: grant.sites(),
    })
}
