//! The response to events: accepted, rejected, or to be sent again.

use std::time::Duration;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    intake::{FailureKind, IntakeError, PendingReceipts, Receipt},
    triggers::http::problem::Problem,
};

/// The maximum time that a sender waits until its readings are durable.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(60);
/// The maximum number of rejected readings that a response lists; the dead letters hold all.
const MAX_LISTED_ERRORS: usize = 100;

/// 202 with the accepted and rejected counts if anything was accepted; 422 if everything was rejected.
pub(super) fn receipt_response(receipt: Receipt) -> Response {
    let rejected: u64 = receipt.rejected.iter().map(|rejected| u64::from(rejected.readings)).sum();
    let listed: Vec<Value> = receipt
        .rejected
        .iter()
        .take(MAX_LISTED_ERRORS)
        .map(
            |rejected| json!({ "position": rejected.position, "reason": rejected.reason, "message": rejected.message }),
        )
        .collect();
    if receipt.accepted == 0 && rejected > 0 {
        let first = receipt.rejected.first().map_or_else(String::new, |rejected| rejected.message.clone());
        let detail = format!("all readings were rejected: {first}");
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            .with_member("accepted", json!(0))
            .with_member("rejected", json!(rejected))
            .with_member("errors", json!(listed))
            .into_response();
    }
    let body = json!({ "accepted": receipt.accepted, "rejected": rejected, "errors": listed });
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

/// Waits until the events are durable, up to a timeout.
pub(super) async fn await_commit(answer: PendingReceipts) -> Result<Vec<Receipt>, Problem> {
    match timeout(COMMIT_TIMEOUT, answer).await {
        Ok(result) => result.unwrap_or(Err(IntakeError::Closed)).map_err(intake_problem),
        Err(_) => {
            let detail = format!(
                "the readings were not durable within {COMMIT_TIMEOUT:?}, but may become durable later; check /ready, then send them again"
            );
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(30))
        }
    }
}

/// The response for an event that was not accepted: when to send it again, and what to do.
pub(super) fn intake_problem(error: IntakeError) -> Problem {
    let text = error.to_string();
    match error {
        IntakeError::Busy { retry_after, .. } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(retry_after.as_secs().max(1))
        }
        IntakeError::Closed => Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(5),
        IntakeError::Failed { kind: FailureKind::DiskFull, message } => {
            let detail = format!(
                "nothing was accepted, because the disk of the data folder is full ({message}); free space, and send the same \
                 again: the host recovers by itself"
            );
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, detail).retry_after(30)
        }
        IntakeError::Failed { kind: FailureKind::Other, message } => {
            let detail = format!(
                "nothing was accepted, because it could not be written ({message}); send the same again, and see the host's log \
                 if this persists"
            );
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(5)
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[test]
    fn a_failed_write_says_when_to_retry() {
        for (kind, status) in [(FailureKind::DiskFull, 507), (FailureKind::Other, 503)] {
            let response = intake_problem(IntakeError::Failed { kind, message: "why".into() }).into_response();
            assert_eq!(response.status().as_u16(), status);
            assert!(response.headers().contains_key(header::RETRY_AFTER));
        }
        assert_eq!(intake_problem(IntakeError::Closed).status(), 503);
    }
}
