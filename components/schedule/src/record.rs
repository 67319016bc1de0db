//! What the stage takes and gives, as in `wit/types.wit`. Times are nanoseconds since 1970-01-01T00:00:00Z.

use serde::{Deserialize, Serialize};

/// How bad it is, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Worth a look.
    Low,
    /// Worth a plan.
    Medium,
    /// Worth a repair soon.
    High,
    /// Worth a repair now.
    Critical,
}

/// What planning needs to know of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The machine.
    pub asset: String,
    /// The sensor that leads.
    pub sensor: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whether the asset is still abnormal.
    pub open: bool,
    /// When it opened.
    pub opened: i64,
    /// When it changed last.
    pub updated: i64,
    /// The fault that it points to.
    pub fault_mode: Option<String>,
    /// One line.
    pub title: String,
    /// What to do first.
    pub recommendation: String,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderStatus {
    /// It has a time and a technician.
    Planned,
    /// It has none; the notes say why.
    Unscheduled,
    /// A person said so, or its work had begun when the alert resolved.
    Done,
    /// Nobody needs it any more, or a person said so.
    Cancelled,
}

/// A repair, placed on a technician.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkOrder {
    /// 32 hexadecimal digits, from alert and kind.
    pub id: String,
    /// The alert's id.
    pub alert: String,
    /// The machine.
    pub asset: String,
    /// `inspection`, `lubrication` and so on.
    pub kind: String,
    /// 1 is the most urgent, 5 the least.
    pub priority: u8,
    /// Where it stands.
    pub status: OrderStatus,
    /// When it begins.
    pub scheduled: Option<i64>,
    /// How long it takes, in minutes.
    pub duration_minutes: u32,
    /// Who does it.
    pub technician: Option<String>,
    /// What that one person must be able to do, all of it.
    pub skills: Vec<String>,
    /// Orders, by id, that must be done first.
    pub after: Vec<String>,
    /// Labour and parts, in the configured currency; parts alone while nobody is planned.
    pub cost: f64,
    /// Why, with what, and after what, in plain words.
    pub notes: String,
    /// A person fixed its time and technician.
    pub pinned: bool,
}

/// What a person wants of an order; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendment {
    /// The order's id.
    pub order: String,
    /// When it begins.
    pub scheduled: Option<i64>,
    /// Who does it.
    pub technician: Option<String>,
    /// Whether it stays there; none where it is moved means that it does.
    pub pinned: Option<bool>,
    /// Done or cancelled; planned takes up again what was.
    pub status: Option<OrderStatus>,
}
