//! Requests that the API's component answers.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use tokio::time::timeout;

use super::{
    auth::AddressKey,
    body::{self},
    problem::Problem,
    state::AppState,
};
use crate::api::Caller;

/// The maximum body of a request that the component answers; readings have a route of their own.
const MAX_BODY: usize = 1 << 20;
/// How long a change under If-Match waits for other changes.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The component's response.
pub(crate) async fn answer_with_component(state: &AppState, caller: Caller, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let address = parts.extensions.get::<AddressKey>().map_or_else(String::new, |AddressKey(key)| key.clone());
    let content_length = parts.headers.get(header::CONTENT_LENGTH);
    let content_length = content_length.and_then(|length| length.to_str().ok()?.parse().ok());
    // The memory is released when the response is sent.
    let mut permit = state.memory.permit(address);
    let body = match body::read(body, content_length, MAX_BODY, &mut permit).await {
        Ok(body) => body,
        Err(error) if error.dead_letter.is_some() => {
            let detail = format!("the body is larger than {MAX_BODY} bytes; send less at once");
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response();
        }
        Err(error) => return error.problem.into_response(),
    };
    let request = Request::from_parts(parts, body);
    // No other change of this kind may run between the check of the ETag and the change.
    let is_change = request.headers().contains_key(header::IF_MATCH) && !request.method().is_safe();
    let _change_guard = match is_change {
        true => match timeout(CHANGE_TIMEOUT, state.changes.lock()).await {
            Ok(guard) => Some(guard),
            Err(_) => {
                let detail = "other changes take too long to finish; send the request again";
                return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(2).into_response();
            }
        },
        false => None,
    };
    match Arc::clone(&state.api).handle(caller, request).await {
        Ok(response) => response.map(Body::from),
        Err(error) => {
            tracing::error!(%error, "the API's component failed");
            let detail = "the API's component failed on this request; see the host's log for the reason";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
        }
    }
}
