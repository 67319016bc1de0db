//! `GET /api/v1/overview`: what the first page shows.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::{Value, json};

use super::{
    Front, Problem, component,
    reply::{apart, found},
};
use crate::{api::Caller, report};

pub(super) async fn overview(
    State(front): State<Arc<Front>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    if caller.sites.is_some() {
        // The component asks as everybody does, and is told of what the caller may see.
        return Ok(component(&front, caller, request).await);
    }
    let host = Arc::clone(&front.host);
    let made = apart(move || -> anyhow::Result<Value> {
        let latest = report::Latest::read(&host.store)?;
        Ok(json!({
            "readings_per_second": host.metrics.readings_rate().get(),
            "readings": host.metrics.readings_in.get(),
            "sensors": host.registry.len(),
            "windows": host.metrics.windows.get(),
            "uptime_seconds": host.uptime().as_secs(),
            "behind_bytes": host.behind(),
            "counts": latest.counts,
            // Nothing is left uncounted here; on other platforms it names lower bounds.
            "at_least": [],
            "anomalies": latest.anomalies,
            "alerts": latest.alerts,
            "work_orders": latest.work_orders,
        }))
    })
    .await?;
    match made {
        Ok(value) => Ok(found(request.headers(), &value)),
        Err(error) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))),
    }
}
