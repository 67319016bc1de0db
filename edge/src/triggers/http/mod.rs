//! HTTP: the way in for readings, and what people and Prometheus look at.
//!
//! | route | what |
//! |---|---|
//! | `POST /api/v1/ingest` | readings in any format; answers once they are durable |
//! | `GET /api/v1/overview` | what the first page shows, as JSON |
//! | `GET /health`, `/ready` | is it alive; does the line run |
//! | `GET /metrics` | Prometheus |
//! | `GET /api/v1/anomalies/stream`, `/api/v1/sensors/{id}/stream` | Server-Sent Events |
//! | `GET /ws/anomalies` | the same as the first of these, over a WebSocket |
//!
//! All else, the dashboard as well, is answered by the component `components/api`.

mod accounts;
mod admin;
mod blocking;
mod body;
mod connections;
mod demand;
mod guard;
mod ingest;
mod letters;
mod memory;
mod metrics;
mod overview;
mod problem;
mod reply;
mod request_checks;
mod seal;
mod server;
mod signature;
mod standing;
mod streams;
mod trail;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    Json, Router,
    body::Body,
    extract::{FromRequestParts as _, Request, State, WebSocketUpgrade},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::{sync::watch, time::timeout};
use tower_http::compression::{CompressionLayer, predicate::SizeAbove};
use wheeltapper_mqtt::Mapping;

use crate::{
    api::{Api, Caller, Desk},
    host::Host,
    streams::{Feed, Live},
};
use guard::AddressKey;
use memory::BodyMemory;
pub use metrics::HttpMetrics;
pub use problem::Problem;
pub use server::{serve, tls_acceptor};
use standing::Standing;
use streams::{Streams, last_event};

/// Bodies of requests that the component answers; readings have a route of their own.
const MOST_BODY: usize = 1 << 20;

/// Who changes something under If-Match waits no longer for others who do.
const PATIENCE: Duration = Duration::from_secs(10);
/// A smaller answer fits into one packet anyway.
const LEAST_PACKED: u16 = 1024;
/// What a listener sends to a WebSocket is not looked at, in bytes.
const MOST_MESSAGE: usize = 4 << 10;

/// What the handlers share.
#[derive(Debug)]
pub(super) struct Front {
    host: Arc<Host>,
    mapping: Arc<Mapping>,
    memory: Arc<BodyMemory>,
    max_body: usize,
    api: Arc<Api>,
    /// Held while something is changed that has to be as it was seen.
    changes: tokio::sync::Mutex<()>,
    desk: Arc<Desk>,
    streams: Streams,
}

/// The routes. What they watch the line with ends when `stopping` turns true.
///
/// # Errors
/// When a webhook source's secret cannot be read, or the API's component cannot be loaded.
pub fn router(host: Arc<Host>, mapping: Arc<Mapping>, stopping: watch::Receiver<bool>) -> anyhow::Result<Router> {
    let config = host.config();
    let door = Arc::new(guard::Door::new(&host).context("opening access.db")?);
    let desk = Arc::new(Desk::new(Arc::clone(&host)));
    let streams = Streams {
        feed: Feed::start(Arc::clone(&desk)).context("following the findings")?,
        live: Live::new(Arc::clone(&host)),
        stopping,
    };
    let watched = streams.clone();
    tokio::spawn(host.supervisor.supervise("streams", move |_| {
        let streams = watched.clone();
        async move {
            streams.run().await;
            Ok(())
        }
    }));
    let front = Front {
        memory: Arc::clone(&door.memory),
        max_body: usize::try_from(config.http.max_body.bytes()).unwrap_or(usize::MAX),
        changes: tokio::sync::Mutex::default(),
        api: Arc::new(Api::load(Arc::clone(&desk), &config.http.origins)?),
        desk,
        streams,
        mapping,
        host,
    };
    let front = Arc::new(front);
    // Packed here; the component packs what it answers itself.
    let packed = Router::new()
        .route("/api/v1/overview", get(overview::overview))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(reply::other_method)
        .with_state(Arc::clone(&front))
        .merge(accounts::routes(Arc::clone(&door)))
        .merge(admin::routes(Arc::clone(&door)))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(LEAST_PACKED)));
    Ok(Router::new()
        .route("/api/v1/ingest", post(ingest::ingest))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .merge(letters::routes())
        .method_not_allowed_fallback(reply::other_method)
        .fallback(elsewhere)
        .with_state(front)
        .merge(packed)
        .layer(axum::middleware::from_fn_with_state(door, guard::guard)))
}

/// What the component answers, and the streams among its paths.
async fn elsewhere(State(front): State<Arc<Front>>, request: Request) -> Response {
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
    if request.method() == Method::GET {
        let path = request.uri().path();
        let last = || last_event(request.headers(), request.uri().query());
        let standing = || request.extensions().get::<Standing>().cloned();
        if path == "/ws/anomalies" {
            return socket(&front, caller, request).await.unwrap_or_else(IntoResponse::into_response);
        }
        if path == "/api/v1/anomalies/stream" {
            let told = front.streams.findings(caller, standing(), last().as_deref());
            return told.unwrap_or_else(IntoResponse::into_response);
        }
        if let Some(id) = path.strip_prefix("/api/v1/sensors/").and_then(|rest| rest.strip_suffix("/stream"))
            && let Ok(id) = percent_decode_str(id).decode_utf8()
            && let Some((place, _)) = front.desk.sensor(&caller, &id)
        {
            let told = front.streams.readings(id.into_owned(), place, standing(), last().as_deref());
            return told.unwrap_or_else(IntoResponse::into_response);
        }
    }
    component(&front, caller, request).await
}

pub(super) async fn component(front: &Front, caller: Caller, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let address = parts.extensions.get::<AddressKey>().map_or_else(String::new, |AddressKey(key)| key.clone());
    let announced = parts.headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    // What it holds is given back when it is answered.
    let mut permit = front.memory.permit(address);
    let body = match body::read(body, announced, MOST_BODY, &mut permit).await {
        Ok(body) => body,
        Err(unusable) if unusable.letter.is_some() => {
            let detail = format!("the body is larger than {MOST_BODY} bytes; send less at once");
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response();
        }
        Err(unusable) => return unusable.problem.into_response(),
    };
    let request = Request::from_parts(parts, body);
    // Between the look at what there is and the change, no other of this kind may change it.
    let is_change = request.headers().contains_key(header::IF_MATCH) && !request.method().is_safe();
    let _alone = match is_change {
        true => match timeout(PATIENCE, front.changes.lock()).await {
            Ok(alone) => Some(alone),
            Err(_) => {
                let detail = "others change something and do not come to an end; send the same again";
                return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(2).into_response();
            }
        },
        false => None,
    };
    match Arc::clone(&front.api).answer(caller, request).await {
        Ok(response) => response.map(Body::from),
        Err(error) => {
            tracing::error!(%error, "the API's component gave no answer");
            let detail = "the API's component was stopped on this request; the host's log tells why";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
        }
    }
}

async fn socket(front: &Front, caller: Caller, request: Request) -> Result<Response, Problem> {
    let last = last_event(request.headers(), request.uri().query());
    let from = front.streams.place(last.as_deref())?;
    let standing = request.extensions().get::<Standing>().cloned();
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.map_err(|_| {
        let detail = "this is a WebSocket: ask for an upgrade; GET /api/v1/anomalies/stream tells the same as Server-Sent Events";
        Problem::new(StatusCode::UPGRADE_REQUIRED, detail)
    })?;
    let streams = front.streams.clone();
    let upgrade = upgrade.max_message_size(MOST_MESSAGE).max_frame_size(MOST_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| streams.socket(caller, standing, from, socket)))
}

async fn health() -> Response {
    Json(json!({ "status": "alive" })).into_response()
}

/// 200 when every part of the host works; otherwise 503 with the parts that do not, and why.
async fn ready(State(front): State<Arc<Front>>) -> Response {
    let faults = front.host.faults();
    if faults.is_empty() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    let parts: Vec<_> = faults.iter().map(|fault| fault.part.as_str()).collect();
    let listed: Vec<_> = faults
        .iter()
        .map(|fault| json!({ "part": fault.part, "reason": fault.reason, "seconds": fault.since.as_secs() }))
        .collect();
    let detail = format!("{} does not work; it is tried again and heals when its cause is gone", parts.join(", "));
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(5).with("faults", json!(listed)).into_response()
}

async fn metrics(State(front): State<Arc<Front>>) -> Response {
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], front.host.metrics.text()).into_response()
}
