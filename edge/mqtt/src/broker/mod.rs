//! The embedded MQTT broker.

mod admission;
mod connect;
mod connection;
mod hub;
mod hub_stats;
mod inbound;
mod message;
mod pending;
mod reserved_topics;
mod retained;
mod revalidate;
mod session;
mod stats;
mod subscriptions;
mod throttle;
mod tls;

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

pub use self::stats::BrokerStats;
use self::{
    admission::{Admission, AdmissionDecision},
    hub::Hub,
    message::Message,
    revalidate::revalidate_grants,
    session::PendingWill,
    stats::increment,
};
use crate::{
    Sink,
    config::{BrokerConfig, BrokerError},
    rights::{Authenticator, ConfiguredUsers},
    topic,
};

/// Maximum number of wills that wait to be published.
const MAX_QUEUED_WILLS: usize = 16_384;

/// Interval at which the rights of connected clients and stored sessions are refreshed.
pub const REVALIDATE_INTERVAL: Duration = Duration::from_secs(2);

/// A broker with open listeners; [`run`](Broker::run) serves the clients.
#[derive(Debug)]
pub struct Broker {
    hub: Arc<Hub>,
    plain: (TcpListener, SocketAddr),
    tls: Option<(TcpListener, SocketAddr, Acceptor)>,
    wills: mpsc::Receiver<PendingWill>,
    admission: Arc<Admission>,
}

#[derive(Clone)]
struct Acceptor(TlsAcceptor);

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor")
    }
}

/// A handle for publishing from the host and for reading statistics. It is cheap to clone.
#[derive(Clone, Debug)]
pub struct BrokerHandle {
    hub: Arc<Hub>,
    admission: Arc<Admission>,
}

impl BrokerHandle {
    /// Publishes a message to the subscribers, never to the sink. It does not block: a slow subscriber loses the
    /// message if its bounded queue is full. `qos` is 0 to 2; a greater value counts as 2. If the topic is empty or has
    /// wildcards, a warning is logged and nothing is published.
    pub fn publish(&self, topic: &str, payload: Bytes, qos: u8, retain: bool) {
        if !topic::is_valid_name(topic) {
            tracing::warn!(topic, "a message is not published: the topic is empty or has wildcards");
            return;
        }
        self.hub.route(Message { topic: topic.into(), payload, qos: qos.min(2), retain, ..Message::default() });
    }

    /// Number of open connections, including those that have not sent a CONNECT yet. A connection is counted until its
    /// session is detached.
    pub fn connections(&self) -> usize {
        self.admission.open_connections()
    }

    /// Returns the statistics. This iterates over all sessions, so do not call it for every message.
    pub fn stats(&self) -> BrokerStats {
        BrokerStats { connections: self.connections(), ..self.hub.stats() }
    }
}

async fn listen(address: &str) -> Result<(TcpListener, SocketAddr), BrokerError> {
    let failed = |source| BrokerError::Listen { address: address.to_owned(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

impl Broker {
    /// Opens the listeners. Clients can connect from now on, but are served only by [`run`](Broker::run).
    ///
    /// # Errors
    /// An address cannot be bound, the certificate or key cannot be read, a filter of `ingest` is invalid, or a limit
    /// is out of range.
    pub async fn bind(config: BrokerConfig, sink: Arc<dyn Sink>) -> Result<Self, BrokerError> {
        let auth = Arc::new(ConfiguredUsers::new(&config));
        Self::bind_with(config, sink, auth).await
    }

    /// Like [`Broker::bind`], but `auth` authenticates the clients and provides their rights. The settings `users` and
    /// `anonymous` of the configuration are ignored.
    ///
    /// # Errors
    /// See [`Broker::bind`].
    pub async fn bind_with(
        config: BrokerConfig,
        sink: Arc<dyn Sink>,
        auth: Arc<dyn Authenticator>,
    ) -> Result<Self, BrokerError> {
        if config.max_inflight == 0 {
            return Err(BrokerError::LimitOutOfRange { name: "max_inflight", value: 0, expected: "1 to 65535" });
        }
        if !(128..=268_435_460).contains(&config.max_packet) {
            return Err(BrokerError::LimitOutOfRange {
                name: "max_packet",
                value: config.max_packet,
                expected: "128 to 268435460 bytes",
            });
        }
        let plain = listen(&config.listen).await?;
        let tls = match &config.tls {
            Some(settings) => {
                let acceptor = Acceptor(tls::acceptor(settings)?);
                let (listener, local) = listen(&settings.listen).await?;
                Some((listener, local, acceptor))
            }
            None => None,
        };
        let (sender, wills) = mpsc::channel(MAX_QUEUED_WILLS);
        let hub = Arc::new(Hub::new(config, sink, auth, sender)?);
        tracing::info!(address = %plain.1, tls = tls.as_ref().map(|tls| tracing::field::display(tls.1)), "listening for MQTT");
        let admission = Arc::new(Admission::new(hub.config.max_connections, hub.config.max_connections_per_address));
        Ok(Self { hub, plain, tls, wills, admission })
    }

    /// Address of the listener without TLS.
    pub fn local_addr(&self) -> SocketAddr {
        self.plain.1
    }

    /// Address of the TLS listener, if there is one.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls.as_ref().map(|tls| tls.1)
    }

    /// Returns a handle for publishing and statistics.
    pub fn handle(&self) -> BrokerHandle {
        BrokerHandle { hub: Arc::clone(&self.hub), admission: Arc::clone(&self.admission) }
    }

    /// Serves clients until the future is dropped, which closes all connections. It can be called again afterwards:
    /// sessions, subscriptions and retained messages are kept.
    pub async fn run(&mut self) {
        let mut tasks = JoinSet::new();
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut revalidate = tokio::time::interval(REVALIDATE_INTERVAL);
        revalidate.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let revalidating = Arc::new(AtomicBool::new(false));
        loop {
            tokio::select! {
                accepted = self.plain.0.accept() => {
                    if let Some((stream, peer)) = self.admit(accepted).await {
                        self.spawn(&mut tasks, stream, peer, None);
                    }
                }
                accepted = accept_tls(self.tls.as_ref()) => {
                    if let Some((stream, peer)) = self.admit(accepted).await {
                        let acceptor = self.tls.as_ref().map(|tls| tls.2.0.clone());
                        self.spawn(&mut tasks, stream, peer, acceptor);
                    }
                }
                Some(will) = self.wills.recv() => {
                    let hub = Arc::clone(&self.hub);
                    tasks.spawn(async move { hub.deliver_will(will).await });
                }
                _ = second.tick() => self.hub.expire_sessions(),
                _ = revalidate.tick() => {
                    if !revalidating.swap(true, Ordering::AcqRel) {
                        tasks.spawn(revalidate_grants(Arc::clone(&self.hub), Arc::clone(&revalidating)));
                    }
                }
                Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                    if let Err(error) = done {
                        tracing::error!(%error, "an MQTT connection's task failed");
                    }
                }
            }
        }
    }

    async fn admit(&self, accepted: std::io::Result<(TcpStream, SocketAddr)>) -> Option<(TcpStream, SocketAddr)> {
        match accepted {
            Ok(accepted) => Some(accepted),
            Err(error) => {
                // For example too many open files. The next attempt would fail at once too, so wait.
                tracing::warn!(%error, "an MQTT connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                None
            }
        }
    }

    fn spawn(&self, tasks: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
        let permit = match self.admission.admit(peer.ip()) {
            AdmissionDecision::Accepted(permit) => permit,
            rejected => {
                increment(&self.hub.counters.rejected_connections);
                let BrokerConfig { max_connections, max_connections_per_address, .. } = self.hub.config;
                tracing::warn!(%peer, max_connections, max_connections_per_address, "too many MQTT connections; one is rejected");
                // With TLS a handshake only to send the reason would be too expensive.
                if let (AdmissionDecision::Rejected(permit), None) = (rejected, tls) {
                    tasks.spawn(connect::reject_over_limit(permit, stream));
                }
                return;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "TCP_NODELAY");
        }
        let hub = Arc::clone(&self.hub);
        tasks.spawn(async move {
            let _permit = permit;
            match tls {
                None => connect::serve(hub, stream, peer).await,
                Some(acceptor) => match tokio::time::timeout(hub.config.connect_timeout, acceptor.accept(stream)).await
                {
                    Ok(Ok(stream)) => connect::serve(hub, stream, peer).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "the TLS handshake failed"),
                    Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
                },
            }
        });
    }
}

async fn accept_tls(tls: Option<&(TcpListener, SocketAddr, Acceptor)>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match tls {
        Some((listener, ..)) => listener.accept().await,
        None => std::future::pending().await,
    }
}
