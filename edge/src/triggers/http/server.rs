//! The listener: HTTP/1.1, plain or over TLS, within the limits of `[http.limits]`.

use std::{convert::Infallible, fs::File, io::BufReader, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    Router,
    extract::ConnectInfo,
    http::{HeaderValue, Request, header},
    response::{IntoResponse as _, Response},
};
use hyper::body::{Body as _, Incoming};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;
use wheeltapper_config::HttpLimits;

use super::{
    body::{BodyTimeouts, TimedBody, TimeoutFlag},
    connections::Connections,
};
use crate::metrics::Metrics;

/// The maximum time between two frames of a body, and until its rate is checked.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that open requests have to finish when the host stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// What each connection needs.
struct Server {
    router: Router,
    pace: BodyTimeouts,
    head_timeout: Duration,
    write_timeout: Duration,
    metrics: Arc<Metrics>,
    stop: watch::Receiver<bool>,
}

/// TLS from PEM files.
///
/// # Errors
/// If a file cannot be read or does not hold a certificate or key.
pub fn tls_acceptor(cert: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let open = |path: &Path| {
        File::open(path).map(BufReader::new).with_context(|| format!("[http.tls] reading {}", path.display()))
    };
    let certs =
        rustls_pemfile::certs(&mut open(cert)?).collect::<Result<Vec<_>, _>>().context("[http.tls] cert is not PEM")?;
    let key = rustls_pemfile::private_key(&mut open(key)?)
        .context("[http.tls] key is not PEM")?
        .with_context(|| format!("[http.tls] {} holds no private key", key.display()))?;
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certs, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until `stop` turns true; open requests then get a moment to finish.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: HttpLimits,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Connections::new(limits.connections, limits.connections_per_address, Arc::clone(&metrics));
    let pace = BodyTimeouts {
        frame_timeout: FRAME_TIMEOUT.min(limits.body_timeout.to_std()),
        total_timeout: limits.body_timeout.to_std(),
        min_rate: limits.body_min_rate.bytes(),
    };
    let server = Arc::new(Server {
        router,
        pace,
        head_timeout: limits.head_timeout.to_std(),
        write_timeout: limits.write_timeout.to_std(),
        metrics,
        stop: stop.clone(),
    });
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = crate::triggers::wait_for_stop(&mut stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "HTTP: a connection could not be accepted");
                time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let permit = match permits.admit(peer.ip()) {
            Ok(permit) => permit,
            // A TLS handshake costs too much for a rejected connection, and without one no response can be sent.
            Err(_) if tls.is_some() => continue,
            Err(rejection) => {
                permits.reject(stream, rejection);
                continue;
            }
        };
        let (server, tls) = (Arc::clone(&server), tls.clone());
        connections.spawn(async move {
            let _permit = permit;
            let Some(tls) = tls else { return server.handle_connection(stream, peer).await };
            match time::timeout(server.head_timeout, tls.accept(stream)).await {
                Ok(Ok(stream)) => server.handle_connection(stream, peer).await,
                Ok(Err(error)) => tracing::debug!(%error, "HTTP: a TLS handshake failed"),
                Err(_) => tracing::debug!("HTTP: a TLS handshake took too long"),
            }
        });
    }
    drop(listener);
    let finished = time::timeout(SHUTDOWN_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        connections.shutdown().await;
    }
}

impl Server {
    async fn handle_connection(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        peer: SocketAddr,
    ) {
        // A client that does not read its response keeps it in memory.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.write_timeout));
        let stream = Box::pin(stream);
        let server = Arc::clone(&self);
        let service = tower::service_fn(move |request: Request<Incoming>| Arc::clone(&server).respond(peer, request));
        let serving = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            .max_buf_size(256 << 10)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .with_upgrades();
        let mut serving = std::pin::pin!(serving);
        let mut stop = self.stop.clone();
        let result = tokio::select! {
            result = serving.as_mut() => result,
            () = crate::triggers::wait_for_stop(&mut stop) => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "HTTP: a connection ended early");
        }
    }

    /// The response of the routes, unless the body timed out.
    async fn respond(self: Arc<Self>, peer: SocketAddr, request: Request<Incoming>) -> Result<Response, Infallible> {
        let timeout_flag = TimeoutFlag::default();
        let mut request = request.map(|body| match body.is_end_stream() {
            true => axum::body::Body::empty(),
            false => axum::body::Body::new(TimedBody::new(body, self.pace, timeout_flag.clone())),
        });
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await?;
        let response = match timeout_flag.problem(&self.pace) {
            Some(problem) => {
                self.metrics.http.count_limited("body-timeout");
                problem.header(header::CONNECTION, HeaderValue::from_static("close")).into_response()
            }
            None => response,
        };
        self.metrics.http.count_response(response.status().as_u16());
        Ok(response)
    }
}
