//! `GET /api/v1/overview`: the data of the dashboard's first page.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::{Value, json};

use super::{
    component::answer_with_component,
    problem::Problem,
    reply::{json_with_etag, run_blocking},
    state::AppState,
};
use crate::{api::Caller, latest_findings};

pub(crate) async fn overview(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    if caller.sites.is_some() {
        // The component reads with this caller's rights, so it sees only the caller's sites.
        return Ok(answer_with_component(&state, caller, request).await);
    }
    let host = Arc::clone(&state.host);
    let result = run_blocking(move || -> anyhow::Result<Value> {
        let latest = latest_findings::LatestFindings::read(&host.store)?;
        Ok(json!({
            "readings_per_second": host.metrics.readings_rate().get(),
            "readings": host.metrics.readings_in.get(),
            "sensors": host.registry.len(),
            "windows": host.metrics.windows.get(),
            "uptime_seconds": host.uptime().as_secs(),
            "behind_bytes": host.backlog_bytes(),
            "counts": latest.counts,
            // The counts are exact here; on other platforms this names the counts that are lower bounds.
            "at_least": [],
            "anomalies": latest.anomalies,
            "alerts": latest.alerts,
            "work_orders": latest.work_orders,
        }))
    })
    .await?;
    match result {
        Ok(value) => Ok(json_with_etag(request.headers(), &value)),
        Err(error) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))),
    }
}
