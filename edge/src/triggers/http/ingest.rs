//! `POST /api/v1/ingest`.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Json,
    body::Body,
    extract::{ConnectInfo, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Front, Problem, blocking, body, guard::AddressKey};
use crate::{
    api::Caller,
    clock,
    intake::{Envelope, FailureKind, IntakeError, Receipt, Sender},
    line::DeadLetterEvent,
};

/// Whoever sends waits no longer than this until it is durable.
const PATIENCE: Duration = Duration::from_secs(60);
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
        let (sensor, topic) = (first("sensor"), first("topic"));
        if let Some(sensor) = &sensor {
            wheeltapper_api::check_name(sensor)
                .map_err(|why| Problem::new(StatusCode::BAD_REQUEST, format!("sensor: {why}")))?;
        }
        if topic.as_ref().is_some_and(|topic| topic.chars().any(wheeltapper_api::is_hidden)) {
            let detail = "topic has control characters; leave them out";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        Ok(Self { sensor, topic, precision })
    }
}

pub(super) async fn ingest(
    State(front): State<Arc<Front>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    caller: Option<Extension<Caller>>,
    Extension(AddressKey(address)): Extension<AddressKey>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let asked = Asked::of(query)?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let announced = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let source = asked.topic.clone().unwrap_or_else(|| "/api/v1/ingest".to_owned());
    // What it holds is given back when it is answered.
    let mut permit = front.memory.permit(address);
    let sent = match body::read(body, announced, front.max_body, &mut permit).await {
        Ok(sent) => sent,
        Err(unusable) => return Err(keep(&front, &source, unusable).await),
    };
    let encoding = text(header::CONTENT_ENCODING).map(str::to_owned);
    let (unpacked, _permit) = if body::is_packed(encoding.as_deref()) {
        let limit = front.max_body;
        blocking::UNPACKING.run(move || (body::unpack(sent, encoding.as_deref(), limit, &mut permit), permit)).await?
    } else {
        (Ok(sent), permit)
    };
    let payload = match unpacked {
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
    let sender =
        caller.map(|Extension(caller)| Sender { name: Some(caller.actor), sites: caller.sites, is_replay: false });
    let sender = Arc::new(sender.unwrap_or_default());
    let answer = front.host.intake.submit_from(lane.finish(), vec![envelope], sender).map_err(problem)?;
    let receipts = durable(answer).await?;
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

/// Waits until the events are durable, though not for ever.
pub(super) async fn durable(answer: crate::intake::Answer) -> Result<Vec<Receipt>, Problem> {
    match timeout(PATIENCE, answer).await {
        Ok(told) => told.unwrap_or(Err(IntakeError::Closed)).map_err(problem),
        Err(_) => {
            let detail = format!(
                "the readings were not durable within {PATIENCE:?}, and may still become it; look at /ready, then send them again"
            );
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(30))
        }
    }
}

/// Why nothing was taken, as the answer that says when to send again and what to do about it.
pub(super) fn problem(error: IntakeError) -> Problem {
    let text = error.to_string();
    match error {
        IntakeError::Busy { retry_after, .. } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(retry_after.as_secs().max(1))
        }
        IntakeError::Closed => Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(5),
        IntakeError::Failed { kind: FailureKind::DiskFull, message } => {
            let detail = format!(
                "nothing was taken, as the disk of the data folder is full ({message}); free space on it, and send the same \
                 again: the host goes on by itself"
            );
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, detail).retry_after(30)
        }
        IntakeError::Failed { kind: FailureKind::Other, message } => {
            let detail = format!(
                "nothing was taken, as it could not be written ({message}); send the same again, and look at the host's log \
                 if this stays"
            );
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(5)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_says_when_to_come_again() {
        for (kind, status) in [(FailureKind::DiskFull, 507), (FailureKind::Other, 503)] {
            let response = problem(IntakeError::Failed { kind, message: "why".into() }).into_response();
            assert_eq!(response.status().as_u16(), status);
            assert!(response.headers().contains_key(header::RETRY_AFTER));
        }
        assert_eq!(problem(IntakeError::Closed).status(), 503);
    }
}
