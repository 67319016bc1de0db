//! A single dead letter: replayed, or deleted.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
    routing::{delete, post},
};
use wheeltapper_store::DeadLetter;

use super::receipt::{await_commit, intake_problem, receipt_response};
use crate::{
    api::Caller,
    clock,
    intake::{Envelope, EventSender},
    line::Replayability,
    triggers::http::{
        problem::Problem,
        reply::{path_param, run_blocking},
        state::AppState,
    },
};

/// The routes for single dead letters.
pub(crate) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/v1/dead-letters/{id}", delete(remove))
        .route("/api/v1/dead-letters/{id}/replay", post(replay))
}

async fn remove(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let dead_letter = find_dead_letter(&state, caller, path_param(id)?).await?;
    delete_stored(&state, dead_letter.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn replay(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let DeadLetter { id, source, format, sensor, payload, .. } = {
        let dead_letter = find_dead_letter(&state, caller.clone(), path_param(id)?).await?;
        let why = match Replayability::of_dead_letter(&dead_letter) {
            Replayability::Replayable => None,
            Replayability::Truncated => {
                Some("it was too large to be kept completely, or cannot be decompressed; send it again from its source")
            }
            Replayability::NotReadings => Some("it is not a reading, but an alert that could not be planned"),
        };
        if let Some(why) = why {
            return Err(Problem::new(StatusCode::CONFLICT, format!("this dead letter cannot be replayed: {why}")));
        }
        dead_letter
    };
    let envelope = Envelope { source, format, sensor, arrival: clock::now(), payload: payload.into() };
    let sender = EventSender { name: Some(caller.actor), sites: caller.sites, is_replay: true };
    let answer = state.host.intake.submit_from(0, vec![envelope], Arc::new(sender)).map_err(intake_problem)?;
    let receipts = await_commit(answer).await?;
    let receipt = receipts.into_iter().next().unwrap_or_default();
    // If nothing was accepted, this dead letter stays, because it holds the original reason. If it was accepted in
    // part, the rejected part becomes a dead letter of its own.
    if receipt.accepted > 0 || receipt.rejected.is_empty() {
        delete_stored(&state, id).await?;
    }
    Ok(receipt_response(receipt))
}

/// The dead letter, if it exists and the caller may see it.
async fn find_dead_letter(state: &Arc<AppState>, caller: Caller, id: String) -> Result<DeadLetter, Problem> {
    let (state, key) = (Arc::clone(state), id.clone());
    let found = run_blocking(move || state.query_service.dead_letter(&caller, &key))
        .await?
        .map_err(|error| store_problem(&error))?;
    found.ok_or_else(|| {
        let detail = format!("there is no dead letter {id:?}; GET /api/v1/dead-letters lists all");
        Problem::new(StatusCode::NOT_FOUND, detail)
    })
}

async fn delete_stored(state: &Arc<AppState>, id: String) -> Result<(), Problem> {
    let store = state.host.store.clone();
    run_blocking(move || store.delete_dead_letter(&id)).await?.map_err(|error| store_problem(&error.into()))
}

fn store_problem(error: &anyhow::Error) -> Problem {
    tracing::error!(%error, "the store cannot read or delete a dead letter");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "the request failed; try again, and see the host's log for the reason",
    )
    .retry_after(5)
}
