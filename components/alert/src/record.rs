//! Input and output records of the stage, as in `wit/types.wit`. Times are nanoseconds since 1970-01-01T00:00:00Z.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Severity, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// The fields of an anomaly that alerts depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Id of the asset.
    pub asset: String,
    /// Id of the sensor with the largest share of the score.
    pub sensor: String,
    /// The feature with the largest share of the score, if the model reports one.
    pub feature: Option<String>,
    /// Start of the window.
    pub start: i64,
    /// End of the window.
    pub end: i64,
    /// 0 to 1.
    pub score: f64,
    /// The score at which a window counts as an anomaly, 0 to 1.
    pub threshold: f64,
    /// Severity of the anomaly.
    pub severity: Severity,
    /// The likely fault, such as `imbalance`.
    pub fault_mode: Option<String>,
    /// Description of the anomaly.
    pub message: String,
}

impl Anomaly {
    /// True if the fault is in the measurement and not in the machine.
    pub fn is_sensor_fault(&self) -> bool {
        self.fault_mode.as_deref().is_some_and(is_sensor_fault)
    }
}

/// True for the name of a fault of a sensor.
pub(crate) fn is_sensor_fault(mode: &str) -> bool {
    mode.starts_with("sensor-")
}

/// State of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// The asset is abnormal.
    Open,
    /// The asset has been quiet for long enough.
    Resolved,
}

/// A condition that a person should act on.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// 32 hexadecimal digits, from the asset and the start of the window that opened it.
    pub id: String,
    /// Id of the asset.
    pub asset: String,
    /// Id of the leading sensor.
    pub sensor: String,
    /// Highest severity among its anomalies.
    pub severity: Severity,
    /// Open or resolved.
    pub state: AlertState,
    /// End of the window that opened it: the first time at which it could be known.
    pub opened: i64,
    /// End of the window of its latest change.
    pub updated: i64,
    /// End of the last quiet window that resolved it.
    pub resolved: Option<i64>,
    /// Number of its anomalies.
    pub anomalies: u32,
    /// Highest score among its anomalies.
    pub peak_score: f64,
    /// Id of its newest anomaly.
    pub anomaly: String,
    /// The likely fault.
    pub fault_mode: Option<String>,
    /// Title of one line.
    pub title: String,
    /// Description with numbers and units.
    pub message: String,
    /// Recommended first action.
    pub recommendation: String,
}
