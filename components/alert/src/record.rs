//! What the stage takes and gives, as in `wit/types.wit`. Times are nanoseconds since 1970-01-01T00:00:00Z.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad it is, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// What an alert needs to know of an anomaly.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The machine.
    pub asset: String,
    /// The sensor that carries most of the score.
    pub sensor: String,
    /// The feature that carries most of the score, when the model told.
    pub feature: Option<String>,
    /// Start of the window.
    pub start: i64,
    /// End of the window.
    pub end: i64,
    /// 0 to 1.
    pub score: f64,
    /// The score at which a window counts as an anomaly, 0 to 1.
    pub threshold: f64,
    /// How bad it is.
    pub severity: Severity,
    /// The fault that it points to, such as `imbalance`.
    pub fault_mode: Option<String>,
    /// The reason in words.
    pub message: String,
}

/// Whether the asset is still abnormal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// It is.
    Open,
    /// It has been quiet for long enough.
    Resolved,
}

/// Something a person should act on.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// 32 hexadecimal digits, from the asset and the start of the window that opened it.
    pub id: String,
    /// The machine.
    pub asset: String,
    /// The sensor that leads.
    pub sensor: String,
    /// The highest among its anomalies.
    pub severity: Severity,
    /// Open or resolved.
    pub state: AlertState,
    /// End of the window that opened it: the first moment at which it could be known.
    pub opened: i64,
    /// End of the window that changed it last.
    pub updated: i64,
    /// End of the last of the quiet windows that resolved it.
    pub resolved: Option<i64>,
    /// How many anomalies it gathers.
    pub anomalies: u32,
    /// The highest score among them.
    pub peak_score: f64,
    /// Id of the newest of them.
    pub anomaly: String,
    /// The fault that they point to.
    pub fault_mode: Option<String>,
    /// One line.
    pub title: String,
    /// The reason, with numbers and units.
    pub message: String,
    /// What to do first.
    pub recommendation: String,
}
