//! Rows as the line returns them and as responses contain them.

use std::collections::BTreeMap;

use async_graphql::SimpleObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalars::{JsonObject, Timestamp, text_or_json};

/// A sensor.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
pub(crate) struct Sensor {
    /// The name, which is also the id.
    pub(crate) name: String,
    /// The machine that the sensor is mounted on.
    pub(crate) asset: String,
    /// The unit of its readings.
    pub(crate) unit: String,
    /// The measured quantity.
    pub(crate) kind: String,
}

/// A period in which a machine deviated from its normal behaviour.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
pub(crate) struct Anomaly {
    pub(crate) id: String,
    pub(crate) detection_time: Timestamp,
    pub(crate) sensor: String,
    pub(crate) asset: String,
    pub(crate) start_time: Timestamp,
    pub(crate) end_time: Timestamp,
    /// 0 to 1.
    pub(crate) score: f64,
    /// The score from which it is an anomaly.
    pub(crate) threshold: f64,
    /// 0 to 1.
    pub(crate) confidence: f64,
    /// The detector that scored it.
    pub(crate) model: String,
    pub(crate) severity: String,
    /// Whether a user has marked it as handled.
    pub(crate) handled: bool,
    pub(crate) fault_mode: Option<String>,
    /// What is wrong, as text.
    pub(crate) message: String,
    /// The evidence: contributions of features, and the trend of the largest one.
    #[serde(deserialize_with = "text_or_json")]
    pub(crate) metadata: JsonObject,
}

/// An anomaly with the actions on it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AnomalyWithActions {
    #[serde(flatten)]
    pub(crate) anomaly: Anomaly,
    /// The actions, newest first.
    pub(crate) actions: Vec<ActionRow>,
}

/// A notification about one or more anomalies of a machine.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
pub(crate) struct Alert {
    pub(crate) id: String,
    pub(crate) asset: String,
    pub(crate) sensor: String,
    pub(crate) severity: String,
    /// `open` or `resolved`.
    pub(crate) state: String,
    pub(crate) opened: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) resolved: Option<Timestamp>,
    /// Number of anomalies.
    pub(crate) anomalies: i64,
    pub(crate) peak_score: f64,
    /// The id of the newest anomaly.
    pub(crate) anomaly: String,
    pub(crate) fault_mode: Option<String>,
    pub(crate) title: String,
    pub(crate) message: String,
    /// The recommended action.
    pub(crate) recommendation: String,
}

/// Work on a machine, with technician and time.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
pub(crate) struct WorkOrder {
    pub(crate) id: String,
    /// The alert that caused it.
    pub(crate) alert: String,
    pub(crate) asset: String,
    #[serde(rename = "type")]
    #[graphql(name = "type")]
    pub(crate) kind: String,
    /// 1 (most urgent) to 5.
    pub(crate) priority: i64,
    /// `planned`, `unscheduled`, `done` or `cancelled`.
    pub(crate) status: String,
    pub(crate) scheduled_time: Option<Timestamp>,
    pub(crate) estimated_duration_minutes: i64,
    pub(crate) technician: Option<String>,
    #[serde(deserialize_with = "text_or_json")]
    pub(crate) skills: Vec<String>,
    /// The ids of work orders that must be done first.
    #[serde(deserialize_with = "text_or_json")]
    pub(crate) after: Vec<String>,
    pub(crate) cost: f64,
    pub(crate) notes: String,
    /// Whether it keeps its time and technician when the plan is made again.
    #[serde(default)]
    pub(crate) pinned: bool,
}

/// The state of a machine.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
pub(crate) struct Machine {
    pub(crate) asset: String,
    /// Number of sensors.
    pub(crate) sensors: i64,
    /// Number of open alerts.
    pub(crate) open_alerts: i64,
    /// The highest severity of the open alerts.
    pub(crate) severity: Option<String>,
    /// The title of the open alert with the highest severity.
    pub(crate) title: Option<String>,
    pub(crate) fault_mode: Option<String>,
    pub(crate) last_anomaly: Option<Timestamp>,
    /// 0 to 1.
    pub(crate) health: Option<f64>,
    /// Remaining life in hours, 10th percentile: 90 of 100 such machines run longer.
    pub(crate) p10_hours: Option<f64>,
    pub(crate) p50_hours: Option<f64>,
    pub(crate) p90_hours: Option<f64>,
    pub(crate) prognosis_time: Option<Timestamp>,
    /// The time of the next work order.
    pub(crate) next_order: Option<Timestamp>,
}

/// An action of a user on an anomaly, a work order or a machine.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
#[schemars(rename = "Action")]
#[graphql(name = "Action")]
pub(crate) struct ActionRow {
    pub(crate) id: String,
    pub(crate) time: Timestamp,
    pub(crate) action: String,
    /// The id of the anomaly or the work order, or the name of the machine.
    pub(crate) target: String,
    pub(crate) asset: Option<String>,
    /// The user.
    pub(crate) actor: Option<String>,
    pub(crate) text: String,
}

/// A rejected event or part of an event.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeadLetter {
    pub(crate) id: String,
    pub(crate) time: Timestamp,
    pub(crate) source: String,
    pub(crate) reason: String,
    /// What was expected, what was received, and what to do.
    pub(crate) message: String,
    /// The rejected data, with bytes that are not UTF-8 replaced.
    pub(crate) payload: String,
    /// Number of rejected readings.
    pub(crate) readings: i64,
    pub(crate) sensor: Option<String>,
    pub(crate) format: Option<String>,
}

/// A drift of the normal behaviour of a machine.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Drift {
    pub(crate) id: String,
    pub(crate) asset: String,
    pub(crate) time: Timestamp,
    pub(crate) kind: String,
    pub(crate) sensors: Vec<String>,
    pub(crate) p_value: Option<f64>,
    pub(crate) message: String,
}

/// A prognosis of the remaining life of a machine.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Prognosis {
    pub(crate) asset: String,
    pub(crate) time: Timestamp,
    /// 0 to 1.
    pub(crate) health: Option<f64>,
    /// Remaining life in hours, 10th percentile: 90 of 100 such machines run longer. Null: no end in sight.
    pub(crate) p10_hours: Option<f64>,
    pub(crate) p50_hours: Option<f64>,
    pub(crate) p90_hours: Option<f64>,
    pub(crate) model: String,
}

/// A window of readings with its features.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Window {
    pub(crate) sensor: String,
    pub(crate) asset: String,
    pub(crate) start_time: Timestamp,
    pub(crate) end_time: Timestamp,
    pub(crate) count: i64,
    /// The features by name; null if a feature is not defined for the window.
    pub(crate) features: BTreeMap<String, Option<f64>>,
}

/// A waveform: samples at a constant rate.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Waveform {
    pub(crate) sensor: String,
    pub(crate) start_time: Timestamp,
    /// The sampling rate in Hz.
    pub(crate) rate: f64,
    pub(crate) count: i64,
    pub(crate) samples: Vec<Option<f64>>,
}
