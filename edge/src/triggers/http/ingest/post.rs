//! `POST /api/v1/ingest`.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
};

use axum::{
    Extension,
    body::Body,
    extract::{ConnectInfo, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};

use super::receipt::{await_commit, intake_problem, receipt_response};
use crate::{
    api::Caller,
    clock,
    intake::{Envelope, EventSender},
    topics::DeadLetterEvent,
    triggers::http::{auth::AddressKey, blocking, body, problem::Problem, state::AppState},
};

/// The parameters of the query.
#[derive(Debug)]
struct IngestParams {
    /// The sensor of a payload that names none.
    sensor: Option<String>,
    /// A topic, mapped like the topics of MQTT.
    topic: Option<String>,
    /// The unit of the timestamps of line protocol.
    precision: Option<String>,
}

impl IngestParams {
    /// Unknown parameters and empty values are ignored: webhooks add parameters of their own, and forms send empty
    /// fields.
    fn from_query(query: Result<Query<Vec<(String, String)>>, QueryRejection>) -> Result<Self, Problem> {
        let Query(pairs) = query.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "the query cannot be read; write it as name=value&name=value")
        })?;
        let first = |name: &str| {
            pairs.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.clone())
        };
        let precision = first("precision");
        let known = wheeltapper_api::PRECISIONS;
        if let Some(unknown) = precision.as_deref().filter(|precision| !known.contains(precision)) {
            let detail = format!("precision={unknown:?} is not one of {}", known.join(", "));
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        let (sensor, topic) = (first("sensor"), first("topic"));
        if let Some(sensor) = &sensor {
            wheeltapper_api::check_name(sensor)
                .map_err(|why| Problem::new(StatusCode::BAD_REQUEST, format!("sensor: {why}")))?;
        }
        if topic.as_ref().is_some_and(|topic| topic.chars().any(wheeltapper_api::is_hidden_character)) {
            let detail = "topic has control characters; leave them out";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        Ok(Self { sensor, topic, precision })
    }
}

pub(crate) async fn ingest(
    State(state): State<Arc<AppState>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    caller: Option<Extension<Caller>>,
    Extension(AddressKey(address)): Extension<AddressKey>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = IngestParams::from_query(query)?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let content_length = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let source = params.topic.clone().unwrap_or_else(|| "/api/v1/ingest".to_owned());
    // The memory is released when the response is sent.
    let mut permit = state.memory.permit(address);
    let sent = match body::read(body, content_length, state.max_body, &mut permit).await {
        Ok(sent) => sent,
        Err(error) => return Err(store_dead_letter(&state, &source, error).await),
    };
    let encoding = text(header::CONTENT_ENCODING).map(str::to_owned);
    let (decompressed, _permit) = if body::is_compressed(encoding.as_deref()) {
        let limit = state.max_body;
        blocking::DECOMPRESSION
            .run(move || (body::decompress(sent, encoding.as_deref(), limit, &mut permit), permit))
            .await?
    } else {
        (Ok(sent), permit)
    };
    let payload = match decompressed {
        Ok(payload) => payload,
        Err(error) => return Err(store_dead_letter(&state, &source, error).await),
    };
    let mapped = params.topic.as_deref().and_then(|topic| state.mapping.map(topic));
    let (mapped_sensor, mapped_format) = mapped.unwrap_or_default();
    let format = mapped_format.or_else(|| text(header::CONTENT_TYPE).map(str::to_owned));
    let envelope = Envelope {
        source,
        format: wheeltapper_api::format_with_precision(format, params.precision.as_deref()),
        sensor: params.sensor.or(mapped_sensor),
        arrival: clock::now(),
        payload,
    };
    state.host.metrics.events("http").inc();
    // The requests of one connection keep their order.
    let mut lane = DefaultHasher::new();
    peer.hash(&mut lane);
    let sender =
        caller.map(|Extension(caller)| EventSender { name: Some(caller.actor), sites: caller.sites, is_replay: false });
    let sender = Arc::new(sender.unwrap_or_default());
    let answer = state.host.intake.submit_from(lane.finish(), vec![envelope], sender).map_err(intake_problem)?;
    let receipts = await_commit(answer).await?;
    Ok(receipt_response(receipts.into_iter().next().unwrap_or_default()))
}

/// Keeps a body that cannot be used as a dead letter, and returns the response.
async fn store_dead_letter(state: &AppState, source: &str, error: body::BodyError) -> Problem {
    let body::BodyError { problem, dead_letter } = error;
    if let Some(body::DeadLetterDraft { reason, head, encoding }) = dead_letter.map(|dead_letter| *dead_letter) {
        let event = DeadLetterEvent {
            time: clock::now(),
            source: source.to_owned(),
            reason: reason.to_owned(),
            message: problem.detail().to_owned(),
            payload: head.to_vec(),
            readings: 1,
            sensor: None,
            format: encoding.map(|encoding| format!("{}{encoding}", DeadLetterEvent::ENCODING_PREFIX)),
        };
        state.host.metrics.rejected(reason).inc();
        if let Err(error) = state.host.intake.record_rejected_event(&event).await {
            tracing::error!(%error, "a dead letter could not be stored");
        }
    }
    problem
}
