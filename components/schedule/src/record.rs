//! Input and output records of the stage, as in `wit/types.wit`. Times are nanoseconds since 1970-01-01T00:00:00Z.

use serde::{Deserialize, Serialize};

/// Severity, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Inspect it at the next opportunity.
    Low,
    /// Plan a repair.
    Medium,
    /// Repair it soon.
    High,
    /// Repair it now.
    Critical,
}

/// The fields of an alert that planning depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Id of the asset.
    pub asset: String,
    /// Id of the leading sensor.
    pub sensor: String,
    /// Severity of the alert.
    pub severity: Severity,
    /// Whether the alert is open.
    pub open: bool,
    /// Time at which it opened.
    pub opened: i64,
    /// Time of its latest change.
    pub updated: i64,
    /// The likely fault.
    pub fault_mode: Option<String>,
    /// Title of one line.
    pub title: String,
    /// Recommended first action.
    pub recommendation: String,
}

/// Status of a work order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderStatus {
    /// It has a time and a technician.
    Planned,
    /// It has no slot; the notes say why.
    Unscheduled,
    /// A person reported it as done, or its work had started when the alert resolved.
    Done,
    /// It is no longer needed, or a person cancelled it.
    Cancelled,
}

/// A repair that is assigned to a technician.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkOrder {
    /// 32 hexadecimal digits, derived from alert and kind.
    pub id: String,
    /// Id of the alert.
    pub alert: String,
    /// Id of the asset.
    pub asset: String,
    /// Kind of the job, such as `inspection`.
    pub kind: String,
    /// Priority, from 1 (most urgent) to 5.
    pub priority: u8,
    /// Its status.
    pub status: OrderStatus,
    /// Start of the work.
    pub scheduled: Option<i64>,
    /// Duration in minutes.
    pub duration_minutes: u32,
    /// Name of the technician.
    pub technician: Option<String>,
    /// Skills that the technician must have, all of them.
    pub skills: Vec<String>,
    /// Ids of the orders that must be done first.
    pub after: Vec<String>,
    /// Cost of labour and parts in the configured currency; parts alone without a technician.
    pub cost: f64,
    /// Notes for the technician: reason, tools and predecessors.
    pub notes: String,
    /// Whether a person fixed its time and technician.
    pub pinned: bool,
}

/// A person's change to a work order; an absent field stays unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendment {
    /// Id of the work order.
    pub order: String,
    /// New start of the work.
    pub scheduled: Option<i64>,
    /// Name of the new technician.
    pub technician: Option<String>,
    /// Whether the planner must not move it; if absent, an order that is moved is pinned.
    pub pinned: Option<bool>,
    /// New status: done, cancelled, or planned to reopen a closed order.
    pub status: Option<OrderStatus>,
}
