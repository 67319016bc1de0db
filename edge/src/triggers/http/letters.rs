//! One dead letter: taken in again, or deleted.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
    routing::{delete, post},
};
use wheeltapper_store::DeadLetter;

use super::{
    Front, Problem, ingest,
    reply::{apart, part},
};
use crate::{
    api::Caller,
    clock,
    intake::{Envelope, Sender},
    line::Kept,
};

/// The routes.
pub(super) fn routes() -> Router<Arc<Front>> {
    Router::new()
        .route("/api/v1/dead-letters/{id}", delete(remove))
        .route("/api/v1/dead-letters/{id}/replay", post(replay))
}

async fn remove(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let letter = find(&front, caller, part(id)?).await?;
    forget(&front, letter.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn replay(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let DeadLetter { id, source, format, sensor, payload, .. } = {
        let letter = find(&front, caller.clone(), part(id)?).await?;
        let why = match Kept::of(&letter) {
            Kept::Whole => None,
            Kept::Part => Some("it was too large to be kept whole, or cannot be unpacked; have it sent by its source"),
            Kept::Other => Some("it is no reading, but an alert that could not be planned for"),
        };
        if let Some(why) = why {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                format!("this dead letter cannot be taken in again: {why}"),
            ));
        }
        letter
    };
    let envelope = Envelope { source, format, sensor, arrival: clock::now(), payload: payload.into() };
    let sender = Sender { name: Some(caller.actor), sites: caller.sites, is_replay: true };
    let answer = front.host.intake.submit_from(0, vec![envelope], Arc::new(sender)).map_err(ingest::problem)?;
    let receipts = ingest::durable(answer).await?;
    let receipt = receipts.into_iter().next().unwrap_or_default();
    // Where nothing was taken this letter stays: it tells the true reason. What is refused of one that was taken in part is
    // a letter of its own.
    if receipt.accepted > 0 || receipt.refused.is_empty() {
        forget(&front, id).await?;
    }
    Ok(ingest::respond(receipt))
}

/// The letter, if there is one that the caller may see.
async fn find(front: &Arc<Front>, caller: Caller, id: String) -> Result<DeadLetter, Problem> {
    let (front, wanted) = (Arc::clone(front), id.clone());
    let found = apart(move || front.desk.letter(&caller, &wanted)).await?.map_err(|error| unwell(&error))?;
    found.ok_or_else(|| {
        let detail = format!("there is no dead letter {id:?}; GET /api/v1/dead-letters lists those there are");
        Problem::new(StatusCode::NOT_FOUND, detail)
    })
}

async fn forget(front: &Arc<Front>, id: String) -> Result<(), Problem> {
    let store = front.host.store.clone();
    apart(move || store.delete_dead_letter(&id)).await?.map_err(|error| unwell(&error.into()))
}

fn unwell(error: &anyhow::Error) -> Problem {
    tracing::error!(%error, "the store does not do what is asked of a dead letter");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "that cannot be done now; the host's log tells why").retry_after(5)
}
