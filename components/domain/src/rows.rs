//! The rows of findings, work orders and dead letters. Times are nanoseconds since 1970.

use serde::Serialize;
use serde_json::json;

use crate::Value;

/// An anomaly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnomalyRow {
    /// Derived from the content.
    pub id: String,
    /// End of the window, when the anomaly was detected.
    pub detection_time: i64,
    /// The sensor that contributes most to the score.
    pub sensor: String,
    /// The asset.
    pub asset: String,
    /// Start of the window.
    pub start_time: i64,
    /// End of the window.
    pub end_time: i64,
    /// 0 to 1.
    pub score: f64,
    /// The model that computed the score.
    pub model: String,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// Whether a user has handled it.
    pub handled: bool,
    /// 0 to 1.
    pub threshold: f64,
    /// 0 to 1.
    pub confidence: f64,
    /// The indicated fault.
    pub fault_mode: Option<String>,
    /// The reason, as text.
    pub message: String,
    /// The contributions, as JSON.
    pub metadata: String,
}

impl AnomalyRow {
    /// The values in the order of the columns. `handled` is left out: only a user sets it.
    pub fn into_values(self) -> Vec<Value> {
        vec![
            self.id.into(),
            self.detection_time.into(),
            self.sensor.into(),
            self.asset.into(),
            self.start_time.into(),
            self.end_time.into(),
            self.score.into(),
            self.model.into(),
            self.severity.into(),
            self.threshold.into(),
            self.confidence.into(),
            self.fault_mode.into(),
            self.message.into(),
            self.metadata.into(),
        ]
    }
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertRow {
    /// Derived from the content.
    pub id: String,
    /// The asset.
    pub asset: String,
    /// The sensor that contributes most to the score.
    pub sensor: String,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// `open` or `resolved`.
    pub state: String,
    /// When it opened.
    pub opened: i64,
    /// When it last changed.
    pub updated: i64,
    /// When it resolved.
    pub resolved: Option<i64>,
    /// Number of anomalies in the alert.
    pub anomalies: u32,
    /// The highest score of its anomalies.
    pub peak_score: f64,
    /// Id of the newest anomaly.
    pub anomaly: String,
    /// The indicated fault.
    pub fault_mode: Option<String>,
    /// A title of one line.
    pub title: String,
    /// The reason, as text.
    pub message: String,
    /// The recommended first step.
    pub recommendation: String,
}

impl AlertRow {
    /// The values in the order of the columns.
    pub fn into_values(self) -> Vec<Value> {
        vec![
            self.id.into(),
            self.asset.into(),
            self.sensor.into(),
            self.severity.into(),
            self.state.into(),
            self.opened.into(),
            self.updated.into(),
            self.resolved.into(),
            i64::from(self.anomalies).into(),
            self.peak_score.into(),
            self.anomaly.into(),
            self.fault_mode.into(),
            self.title.into(),
            self.message.into(),
            self.recommendation.into(),
        ]
    }
}

/// A work order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkOrderRow {
    /// Derived from the alert.
    pub id: String,
    /// Id of the alert that caused it.
    pub alert: String,
    /// The asset.
    pub asset: String,
    /// The type of work.
    pub kind: String,
    /// 1 (most urgent) to 5.
    pub priority: u8,
    /// `planned`, `unscheduled`, `done` or `cancelled`.
    pub status: String,
    /// Start time; `None` if it is not scheduled.
    pub scheduled: Option<i64>,
    /// Estimated duration.
    pub duration_minutes: u32,
    /// The assigned technician.
    pub technician: Option<String>,
    /// The required skills.
    pub skills: Vec<String>,
    /// Ids of the orders that must be done first.
    pub after: Vec<String>,
    /// Cost of labour and parts.
    pub cost: f64,
    /// Notes for the technician.
    pub notes: String,
    /// Whether a user fixed its time and technician.
    pub pinned: bool,
}

impl WorkOrderRow {
    /// The values in the order of the columns; the lists are JSON arrays.
    pub fn into_values(self) -> Vec<Value> {
        vec![
            self.id.into(),
            self.alert.into(),
            self.asset.into(),
            self.kind.into(),
            i64::from(self.priority).into(),
            self.status.into(),
            self.scheduled.into(),
            i64::from(self.duration_minutes).into(),
            self.technician.into(),
            json!(self.skills).to_string().into(),
            json!(self.after).to_string().into(),
            self.cost.into(),
            self.notes.into(),
            i64::from(self.pinned).into(),
        ]
    }
}

/// A rejected message or reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Derived from its offset in the log.
    pub id: String,
    /// When it was rejected.
    pub time: i64,
    /// MQTT topic, HTTP path, NATS subject, or `line`.
    pub source: String,
    /// The name of the reason.
    pub reason: String,
    /// What was expected, what was received, and what to do.
    pub message: String,
    /// The received bytes.
    #[serde(skip)]
    pub payload: Vec<u8>,
    /// Number of rejected readings.
    pub readings: u32,
    /// The sensor, if known.
    pub sensor: Option<String>,
    /// The declared format.
    pub format: Option<String>,
}

impl DeadLetter {
    /// The values in the order of the columns.
    pub fn into_values(self) -> Vec<Value> {
        vec![
            self.id.into(),
            self.time.into(),
            self.source.into(),
            self.reason.into(),
            self.message.into(),
            Value::Blob(self.payload),
            i64::from(self.readings).into(),
            self.sensor.into(),
            self.format.into(),
        ]
    }
}

/// A change of an asset's baseline, or the outcome of relearning it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftRow {
    /// Derived from the content.
    pub id: String,
    /// The asset.
    pub asset: String,
    /// Time of detection, in nanoseconds since 1970.
    pub time: i64,
    /// `drifted`, `kept` or `switched`.
    pub kind: String,
    /// Sensors with a changed baseline.
    pub sensors: Vec<String>,
    /// The p-value, adjusted for the number of tests.
    pub p_value: f64,
    /// The explanation, as text.
    pub message: String,
}

impl DriftRow {
    /// The values in the order of the columns; the list of sensors is a JSON array.
    pub fn into_values(self) -> Vec<Value> {
        vec![
            self.id.into(),
            self.asset.into(),
            self.time.into(),
            self.kind.into(),
            json!(self.sensors).to_string().into(),
            self.p_value.into(),
            self.message.into(),
        ]
    }
}

/// The predicted remaining life of an asset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrognosisRow {
    /// The asset.
    pub asset: String,
    /// Time of the prediction, in nanoseconds since 1970.
    pub time: i64,
    /// Health index: 1 for a new asset, 0 at the limit.
    pub health: f64,
    /// 10th percentile of the remaining hours; `None` if no end is predicted.
    pub p10_hours: Option<f64>,
    /// 50th percentile (median) of the remaining hours.
    pub p50_hours: Option<f64>,
    /// 90th percentile of the remaining hours.
    pub p90_hours: Option<f64>,
    /// `library` or `degradation`.
    pub model: String,
}

impl PrognosisRow {
    /// The values in the order of the columns.
    pub fn into_values(self) -> Vec<Value> {
        vec![
            self.asset.into(),
            self.time.into(),
            self.health.into(),
            self.p10_hours.into(),
            self.p50_hours.into(),
            self.p90_hours.into(),
            self.model.into(),
        ]
    }
}
