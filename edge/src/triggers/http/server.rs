//! The listener: HTTP/1.1, plain or over TLS.

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
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::body::{Awaited, Stalled};

/// A client has this long for its head, so that slow ones do not hold connections.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// and this long for each further part of a body, for the same reason.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// At most this many connections are open at once.
const CONNECTIONS: usize = 10_000;

/// TLS from PEM files.
///
/// # Errors
/// When a file cannot be read or does not hold what it should.
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

/// Serves until `stop` turns true; open requests get a moment to finish.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = crate::triggers::stopped(&mut stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept(), if connections.len() < CONNECTIONS => accepted,
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
        let router = router.clone();
        let stop = stop.clone();
        match tls.clone() {
            None => connections.spawn(connection(stream, peer, router, stop)),
            Some(tls) => connections.spawn(async move {
                match time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, peer, router, stop).await,
                    Ok(Err(error)) => tracing::debug!(%error, "HTTP: a TLS handshake failed"),
                    Err(_) => tracing::debug!("HTTP: a TLS handshake took too long"),
                }
            }),
        };
    }
    drop(listener);
    let finished =
        time::timeout(Duration::from_secs(3), async { while connections.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let service = tower::service_fn(move |request: Request<Incoming>| answer(router.clone(), peer, request));
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(256 << 10)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = crate::triggers::stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "HTTP: a connection broke off");
    }
}

/// What the routes say, unless the body did not come on.
async fn answer(router: Router, peer: SocketAddr, request: Request<Incoming>) -> Result<Response, Infallible> {
    let stalled = Stalled::default();
    let mut request = request.map(|body| match body.is_end_stream() {
        true => axum::body::Body::empty(),
        false => axum::body::Body::new(Awaited::new(body, BODY_TIMEOUT, stalled.clone())),
    });
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = router.oneshot(request).await?;
    Ok(match stalled.problem(BODY_TIMEOUT) {
        Some(problem) => problem.header(header::CONNECTION, HeaderValue::from_static("close")).into_response(),
        None => response,
    })
}
