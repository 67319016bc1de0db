//! HTTP: the way in for readings, and what people and Prometheus look at.
//!
//! | route | what |
//! |---|---|
//! | `POST /api/v1/ingest` | readings in any format; answers once they are durable |
//! | `GET /api/v1/overview` | what the first page shows, as JSON |
//! | `GET /health`, `/ready` | is it alive; does the line run |
//! | `GET /metrics` | Prometheus |
//! | `GET /` | the first page |

mod body;
mod ingest;
mod overview;
mod problem;
mod server;
mod signature;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use wheeltapper_mqtt::Mapping;

use crate::host::Host;
pub use problem::Problem;
pub use server::{serve, tls_acceptor};
use signature::Sources;

/// What the handlers share.
#[derive(Debug)]
pub(super) struct Front {
    host: Arc<Host>,
    mapping: Arc<Mapping>,
    sources: Sources,
    max_body: usize,
}

/// The routes.
///
/// # Errors
/// When a webhook source's secret cannot be read.
pub fn router(host: Arc<Host>, mapping: Arc<Mapping>) -> anyhow::Result<Router> {
    let config = host.config();
    let front = Front {
        sources: Sources::load(&config.http.sources)?,
        max_body: usize::try_from(config.http.max_body.bytes()).unwrap_or(usize::MAX),
        mapping,
        host,
    };
    Ok(Router::new()
        .route("/api/v1/ingest", post(ingest::ingest))
        .route("/api/v1/overview", get(overview::overview))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/", get(page))
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "there is nothing here; readings go to POST /api/v1/ingest")
        })
        .with_state(Arc::new(front)))
}

async fn health() -> &'static str {
    "alive\n"
}

async fn ready(State(front): State<Arc<Front>>) -> Response {
    let failed = front.host.failed();
    if failed.is_empty() {
        return "ready\n".into_response();
    }
    let detail = format!(
        "the line of partition {failed:?} stopped; the host's log tells why, a restart goes on where it stopped"
    );
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response()
}

async fn metrics(State(front): State<Arc<Front>>) -> Response {
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], front.host.metrics.text()).into_response()
}

async fn page() -> Response {
    let policy = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Html(include_str!("page.html"))).into_response()
}
