//! HTTP: receives readings, and serves people and Prometheus.
//!
//! | route | purpose |
//! |---|---|
//! | `POST /api/v1/ingest` | readings in any format; answers once they are durable |
//! | `GET /api/v1/overview` | the data of the first page, as JSON |
//! | `GET /health`, `/ready` | liveness; whether the line runs |
//! | `GET /metrics` | Prometheus |
//! | `GET /api/v1/anomalies/stream`, `/api/v1/sensors/{id}/stream` | Server-Sent Events |
//! | `GET /ws/anomalies` | the same as the first of these, over a WebSocket |
//!
//! All other routes, including the dashboard, are answered by the component `components/api`.

mod auth;
mod blocking;
mod body;
mod component;
mod connections;
mod ingest;
mod overview;
mod problem;
mod reply;
mod request_checks;
mod response_headers;
mod server;
mod state;
mod streams;

use std::sync::Arc;

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::{FromRequestParts as _, Request, State, WebSocketUpgrade},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::sync::watch;
use tower_http::compression::{CompressionLayer, predicate::SizeAbove};
use wheeltapper_mqtt::Mapping;

use crate::{
    api::{Api, Caller, QueryService},
    host::Host,
    streams::{Feed, LiveReadings},
};
use auth::{AuthState, StreamSession};
use component::answer_with_component;
pub use problem::Problem;
pub use server::{serve, tls_acceptor};
use state::AppState;
use streams::{Streams, last_event};

/// The minimum size of a response that is compressed; a smaller one fits into one packet anyway.
const MIN_COMPRESSED_BYTES: u16 = 1024;
/// The maximum size of a WebSocket message from a listener, in bytes; its content is ignored.
const MAX_MESSAGE_BYTES: usize = 4 << 10;

/// The routes. Their streams end when `stopping` turns true.
///
/// # Errors
/// If a webhook source's secret cannot be read, or the API's component cannot be loaded.
pub fn router(host: Arc<Host>, mapping: Arc<Mapping>, stopping: watch::Receiver<bool>) -> anyhow::Result<Router> {
    let config = host.config();
    let auth = Arc::new(AuthState::new(&host).context("opening access.db")?);
    let query_service = Arc::new(QueryService::new(Arc::clone(&host)));
    let streams = Streams {
        feed: Feed::start(Arc::clone(&query_service)).context("starting the stream of findings")?,
        live: LiveReadings::start(Arc::clone(&host), stopping.clone()).context("starting the streams of readings")?,
        stopping,
    };
    tokio::spawn(streams.clone().stop_with_host());
    let state = AppState {
        memory: Arc::clone(&auth.memory),
        max_body: usize::try_from(config.http.max_body.bytes()).unwrap_or(usize::MAX),
        changes: tokio::sync::Mutex::default(),
        api: Arc::new(Api::load(Arc::clone(&query_service), &config.http.origins)?),
        query_service,
        streams,
        mapping,
        host,
    };
    let state = Arc::new(state);
    // These are compressed here; the component compresses its own responses.
    let compressed = Router::new()
        .route("/api/v1/overview", get(overview::overview))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(reply::method_not_allowed)
        .with_state(Arc::clone(&state))
        .merge(auth::account_routes(Arc::clone(&auth)))
        .merge(auth::admin_routes(Arc::clone(&auth)))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(MIN_COMPRESSED_BYTES)));
    Ok(Router::new()
        .route("/api/v1/ingest", post(ingest::ingest))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .merge(ingest::dead_letter_routes())
        .method_not_allowed_fallback(reply::method_not_allowed)
        .fallback(fallback_route)
        .with_state(state)
        .merge(compressed)
        .layer(axum::middleware::from_fn_with_state(auth, auth::guard)))
}

/// The fallback: the streams, and all that the component answers.
async fn fallback_route(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
    if request.method() == Method::GET {
        let path = request.uri().path();
        let last_id = || last_event(request.headers(), request.uri().query());
        let session = || request.extensions().get::<StreamSession>().cloned();
        if path == "/ws/anomalies" {
            return socket(&state, caller, request).await.unwrap_or_else(IntoResponse::into_response);
        }
        if path == "/api/v1/anomalies/stream" {
            let response = state.streams.stream_findings(caller, session(), last_id().as_deref());
            return response.unwrap_or_else(IntoResponse::into_response);
        }
        if let Some(id) = path.strip_prefix("/api/v1/sensors/").and_then(|rest| rest.strip_suffix("/stream"))
            && let Ok(id) = percent_decode_str(id).decode_utf8()
            && let Some((location, _)) = state.query_service.find_sensor(&caller, &id)
        {
            let response = state.streams.stream_readings(id.into_owned(), location, session(), last_id().as_deref());
            return response.unwrap_or_else(IntoResponse::into_response);
        }
    }
    answer_with_component(&state, caller, request).await
}

async fn socket(state: &AppState, caller: Caller, request: Request) -> Result<Response, Problem> {
    let last_id = last_event(request.headers(), request.uri().query());
    let from = state.streams.resume_position(last_id.as_deref())?;
    let session = request.extensions().get::<StreamSession>().cloned();
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.map_err(|_| {
        let detail = "this is a WebSocket: ask for an upgrade; GET /api/v1/anomalies/stream sends the same as Server-Sent Events";
        Problem::new(StatusCode::UPGRADE_REQUIRED, detail)
    })?;
    let streams = state.streams.clone();
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    Ok(upgrade.on_upgrade(move |socket| streams.socket(caller, session, from, socket)))
}

async fn health() -> Response {
    Json(json!({ "status": "alive" })).into_response()
}

/// 200 if every part of the host works; otherwise 503 with the failed parts and their reasons. Both list the external
/// servers that cannot be reached.
async fn ready(State(state): State<Arc<AppState>>) -> Response {
    let faults = state.host.faults();
    let disconnected: Vec<_> = state
        .host
        .connections
        .disconnected()
        .into_iter()
        .map(|down| json!({ "connection": down.name, "reason": down.reason, "seconds": down.duration.as_secs() }))
        .collect();
    if faults.is_empty() {
        return Json(json!({ "status": "ready", "disconnected": disconnected })).into_response();
    }
    let parts: Vec<_> = faults.iter().map(|fault| fault.name.as_str()).collect();
    let listed: Vec<_> = faults
        .iter()
        .map(|fault| json!({ "part": fault.name, "reason": fault.reason, "seconds": fault.duration.as_secs() }))
        .collect();
    let detail = format!("{} does not work; it is retried and recovers once the cause is gone", parts.join(", "));
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        .retry_after(5)
        .with_member("faults", json!(listed))
        .with_member("disconnected", json!(disconnected))
        .into_response()
}

async fn metrics(State(state): State<Arc<AppState>>) -> Response {
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], state.host.metrics.text()).into_response()
}
