//! What a plan would look like: planned on a copy, with what was asked for in its configuration.

use serde_json::{Value as Json, json};
use wheeltapper_front::Table;
use wheeltapper_line::{Value, acts, answer};

use super::{effects::work_order_row, planner::ScheduleFactory};
use crate::components::wit::types::WorkOrder;

/// A plan that somebody asks for.
pub(super) struct Proposal<'a> {
    pub(super) now: i64,
    /// As `wit/front.wit` has it.
    pub(super) request: &'a str,
    /// Whose orders are told; none: all.
    pub(super) assets: Option<&'a [String]>,
}

/// The plan as JSON.
///
/// # Errors
/// Why there is none, in words for who asked.
pub(super) fn propose(
    factory: &dyn ScheduleFactory,
    config: &str,
    snapshot: &[u8],
    proposal: &Proposal<'_>,
) -> anyhow::Result<String> {
    let asked = acts::Asked::parse(proposal.request)?;
    let mut copy = factory.open_schedule(&asked.narrow(config)?, Some(snapshot))?;
    copy.tick(proposal.now)?;
    copy.amend(&[])?;
    let rows = copy.orders()?.iter().map(columns).collect();
    let orders: Vec<Json> = serde_json::from_str(&answer(Table::WorkOrders, rows))?;
    Ok(acts::plan(orders, proposal.assets, asked.from(proposal.now)).to_string())
}

/// As the store has them.
fn columns(order: &WorkOrder) -> Vec<Value> {
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
