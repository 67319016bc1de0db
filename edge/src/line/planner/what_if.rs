//! What-if plans: planned on a copy of the schedule stage, with a changed configuration.

use serde_json::Value as Json;
use wheeltapper_line::{action_rules, rows_to_json};
use wheeltapper_line_api::Table;

use super::schedule_stage::ScheduleFactory;
use crate::rows::work_order_row;

/// A request for a what-if plan.
pub(super) struct WhatIfRequest<'a> {
    pub(super) now: i64,
    /// The request as JSON, in the format of `wit/line-api.wit`.
    pub(super) request: &'a str,
    /// Only the orders of these assets are returned; `None`: all.
    pub(super) assets: Option<&'a [String]>,
}

/// Computes the plan; returns it as JSON.
///
/// # Errors
/// Why it cannot be computed, as a message for the user.
pub(super) fn compute_what_if(
    factory: &dyn ScheduleFactory,
    config: &str,
    snapshot: &[u8],
    what_if_request: &WhatIfRequest<'_>,
) -> anyhow::Result<String> {
    let parsed = action_rules::PlanRequest::parse(what_if_request.request)?;
    let mut stage = factory.open_schedule(&parsed.restrict_config(config)?, Some(snapshot))?;
    stage.tick(what_if_request.now)?;
    stage.amend(&[])?;
    let rows = stage.orders()?.iter().map(|order| work_order_row(order).into_values()).collect();
    let orders: Vec<Json> = serde_json::from_str(&rows_to_json(Table::WorkOrders, rows))?;
    Ok(action_rules::summarize_plan(orders, what_if_request.assets, parsed.start_time(what_if_request.now)).to_string())
}
