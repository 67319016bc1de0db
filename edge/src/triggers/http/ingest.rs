//! `POST /api/v1/ingest`.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
};

use axum::{
    Extension, Json,
    body::Body,
    extract::{ConnectInfo, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Front, Problem, body, guard::BySignature};
use crate::{
    api::Caller,
    clock,
    intake::{Envelope, FailureKind, IntakeError, Receipt, Sender},
    line::DeadLetterEvent,
};

/// An answer lists this many refusals; all lie in the dead letters.
const LISTED: usize = 100;

/// What the query may say.
#[derive(Debug)]
struct Asked {
    /// Stands in for a payload that names no sensor.
    sensor: Option<String>,
    /// A topic, mapped as MQTT's are.
    topic: Option<String>,
    /// What the times of line protocol count.
    precision: Option<String>,
}

impl Asked {
    /// Webhooks add parameters of their own, and forms send what was left empty.
    fn of(query: Result<Query<Vec<(String, String)>>, QueryRejection>) -> Result<Self, Problem> {
        let Query(pairs) = query.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "the query cannot be read; write it as name=value&name=value")
        })?;
        let first = |name: &str| {
            pairs.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.clone())
        };
        let precision = first("precision");
        let known = wheeltapper_api::PRECISIONS;
        if let Some(odd) = precision.as_deref().filter(|precision| !known.contains(precision)) {
            let detail = format!("precision={odd:?} is not one of {}", known.join(", "));
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        Ok(Self { sensor: first("sensor"), topic: first("topic"), precision })
    }
}

pub(super) async fn ingest(
    State(front): State<Arc<Front>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    caller: Option<Extension<Caller>>,
    signed: Option<Extension<BySignature>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let asked = Asked::of(query)?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let announced = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let source = asked.topic.clone().unwrap_or_else(|| "/api/v1/ingest".to_owned());
    let sent = match body::read(body, announced, front.max_body).await {
        Ok(sent) => sent,
        // A body too large to be read cannot show who signed it.
        Err(unusable) if front.sources.required() || signed.is_some() => return Err(unusable.problem),
        Err(unusable) => return Err(keep(&front, &source, unusable).await),
    };
    front.sources.check(&headers, &sent)?;
    let payload = match body::unpack(sent, text(header::CONTENT_ENCODING), front.max_body) {
        Ok(payload) => payload,
        Err(unusable) => return Err(keep(&front, &source, unusable).await),
    };
    let mapped = asked.topic.as_deref().and_then(|topic| front.mapping.map(topic));
    let (mapped_sensor, mapped_format) = mapped.unwrap_or_default();
    let format = mapped_format.or_else(|| text(header::CONTENT_TYPE).map(str::to_owned));
    let envelope = Envelope {
        source,
        format: wheeltapper_api::with_precision(format, asked.precision.as_deref()),
        sensor: asked.sensor.or(mapped_sensor),
        arrival: clock::now(),
        payload,
    };
    front.host.metrics.events("http").inc();
    // One connection's requests keep their order.
    let mut lane = DefaultHasher::new();
    peer.hash(&mut lane);
    let sender = caller.map(|Extension(caller)| Sender { name: Some(caller.actor), sites: caller.sites });
    let sender = Arc::new(sender.unwrap_or_default());
    let answer = front.host.intake.submit_from(lane.finish(), vec![envelope], sender).map_err(problem)?;
    let receipts = answer.await.unwrap_or(Err(IntakeError::Closed)).map_err(problem)?;
    Ok(respond(receipts.into_iter().next().unwrap_or_default()))
}

/// Keeps what could not be used as a dead letter, and gives the answer.
async fn keep(front: &Front, source: &str, unusable: body::Unusable) -> Problem {
    let body::Unusable { problem, letter } = unusable;
    if let Some(body::Letter { reason, head, encoding }) = letter.map(|letter| *letter) {
        let event = DeadLetterEvent {
            time: clock::now(),
            source: source.to_owned(),
            reason: reason.to_owned(),
            message: problem.detail().to_owned(),
            payload: head.to_vec(),
            readings: 1,
            sensor: None,
            format: encoding.map(|encoding| format!("{}{encoding}", DeadLetterEvent::ENCODED)),
        };
        front.host.metrics.refused(reason).inc();
        if let Err(error) = front.host.intake.refuse(&event).await {
            tracing::error!(%error, "a dead letter could not be kept");
        }
    }
    problem
}

/// 202 with what was taken, also when a part was refused; 422 when nothing was taken.
pub(super) fn respond(receipt: Receipt) -> Response {
    let refused: u64 = receipt.refused.iter().map(|refused| u64::from(refused.readings)).sum();
    let listed: Vec<Value> = receipt
        .refused
        .iter()
        .take(LISTED)
        .map(|refused| json!({ "position": refused.position, "reason": refused.reason, "message": refused.message }))
        .collect();
    if receipt.accepted == 0 && refused > 0 {
        let first = receipt.refused.first().map_or_else(String::new, |refused| refused.message.clone());
        let detail = format!("nothing was taken: {first}");
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            .with("accepted", json!(0))
            .with("rejected", json!(refused))
            .with("errors", json!(listed))
            .into_response();
    }
    let body = json!({ "accepted": receipt.accepted, "rejected": refused, "errors": listed });
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

pub(super) fn problem(error: IntakeError) -> Problem {
    let text = error.to_string();
    match error {
        IntakeError::Busy { retry_after, .. } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(retry_after.as_secs().max(1))
        }
        IntakeError::Closed => Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(5),
        IntakeError::Failed { kind: FailureKind::DiskFull, .. } => {
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, text).retry_after(10)
        }
        IntakeError::Failed { kind: FailureKind::Other, .. } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(5)
        }
    }
}
