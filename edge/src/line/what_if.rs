//! What-if plans: planned on a copy of the schedule stage, with a changed configuration.

use serde_json::{Value as Json, json};
use wheeltapper_line::{Value, action_rules, rows_to_json};
use wheeltapper_line_api::Table;

use super::{pending_output::work_order_row, planner::ScheduleFactory};
use crate::components::wit::types::WorkOrder;

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
    let rows = stage.orders()?.iter().map(work_order_columns).collect();
    let orders: Vec<Json> = serde_json::from_str(&rows_to_json(Table::WorkOrders, rows))?;
    Ok(action_rules::summarize_plan(orders, what_if_request.assets, parsed.start_time(what_if_request.now)).to_string())
}

/// The columns of a work order as in the store's table.
fn work_order_columns(order: &WorkOrder) -> Vec<Value> {
    let row = work_order_row(order);
    vec![
        Value::Text(row.id),
        Value::Text(row.alert),
        Value::Text(row.asset),
        Value::Text(row.kind),
        Value::Integer(i64::from(row.priority)),
        Value::Text(row.status),
        row.scheduled.map_or(Value::Null, Value::Integer),
        Value::Integer(i64::from(row.duration_minutes)),
        row.technician.map_or(Value::Null, Value::Text),
        Value::Text(json!(row.skills).to_string()),
        Value::Text(json!(row.after).to_string()),
        Value::Real(row.cost),
        Value::Text(row.notes),
        Value::Integer(i64::from(row.pinned)),
    ]
}
