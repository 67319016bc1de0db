//! Rows, as the line gives them and as they are answered.

use std::collections::BTreeMap;

use async_graphql::SimpleObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalars::{Loose, Moment, text_or_json};

/// A sensor.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
pub(crate) struct Sensor {
    /// Its name, which is its id.
    pub(crate) name: String,
    /// The machine that it is on.
    pub(crate) asset: String,
    /// What its readings are in.
    pub(crate) unit: String,
    /// What it measures.
    pub(crate) kind: String,
}

/// A stretch of time in which a machine was not as it is when it is well.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
pub(crate) struct Anomaly {
    pub(crate) id: String,
    pub(crate) detection_time: Moment,
    pub(crate) sensor: String,
    pub(crate) asset: String,
    pub(crate) start_time: Moment,
    pub(crate) end_time: Moment,
    /// 0 to 1.
    pub(crate) score: f64,
    /// The score from which on it is an anomaly.
    pub(crate) threshold: f64,
    /// 0 to 1.
    pub(crate) confidence: f64,
    /// Which detector judged.
    pub(crate) model: String,
    pub(crate) severity: String,
    /// Whether somebody has dealt with it.
    pub(crate) handled: bool,
    pub(crate) fault_mode: Option<String>,
    /// What is wrong, in words.
    pub(crate) message: String,
    /// What it was told by: contributions, and the course of what stands out most.
    #[serde(deserialize_with = "text_or_json")]
    pub(crate) metadata: Loose,
}

/// An anomaly with what people did about it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AnomalyWithActions {
    #[serde(flatten)]
    pub(crate) anomaly: Anomaly,
    /// The newest first.
    pub(crate) actions: Vec<Action>,
}

/// What people are told of one or several anomalies.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
pub(crate) struct Alert {
    pub(crate) id: String,
    pub(crate) asset: String,
    pub(crate) sensor: String,
    pub(crate) severity: String,
    /// `open` or `resolved`.
    pub(crate) state: String,
    pub(crate) opened: Moment,
    pub(crate) updated: Moment,
    pub(crate) resolved: Option<Moment>,
    /// How many.
    pub(crate) anomalies: i64,
    pub(crate) peak_score: f64,
    /// The newest.
    pub(crate) anomaly: String,
    pub(crate) fault_mode: Option<String>,
    pub(crate) title: String,
    pub(crate) message: String,
    /// What to do.
    pub(crate) recommendation: String,
}

/// What has to be done on a machine, by whom and when.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
pub(crate) struct WorkOrder {
    pub(crate) id: String,
    /// The alert that calls for it.
    pub(crate) alert: String,
    pub(crate) asset: String,
    #[serde(rename = "type")]
    #[graphql(name = "type")]
    pub(crate) kind: String,
    /// 1 (most urgent) to 5.
    pub(crate) priority: i64,
    /// `planned`, `unscheduled`, `done` or `cancelled`.
    pub(crate) status: String,
    pub(crate) scheduled_time: Option<Moment>,
    pub(crate) estimated_duration_minutes: i64,
    pub(crate) technician: Option<String>,
    #[serde(deserialize_with = "text_or_json")]
    pub(crate) skills: Vec<String>,
    /// Orders that come first.
    #[serde(deserialize_with = "text_or_json")]
    pub(crate) after: Vec<String>,
    pub(crate) cost: f64,
    pub(crate) notes: String,
    /// Whether it stays where it is when the others are planned anew.
    #[serde(default)]
    pub(crate) pinned: bool,
}

/// What is known of a machine.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
pub(crate) struct Machine {
    pub(crate) asset: String,
    /// How many it has.
    pub(crate) sensors: i64,
    /// How many are open.
    pub(crate) open_alerts: i64,
    /// The worst that is open.
    pub(crate) severity: Option<String>,
    /// That alert's.
    pub(crate) title: Option<String>,
    pub(crate) fault_mode: Option<String>,
    pub(crate) last_anomaly: Option<Moment>,
    /// 0 to 1.
    pub(crate) health: Option<f64>,
    /// Hours that 90 of 100 such machines outlive.
    pub(crate) p10_hours: Option<f64>,
    pub(crate) p50_hours: Option<f64>,
    pub(crate) p90_hours: Option<f64>,
    pub(crate) prognosis_time: Option<Moment>,
    /// When it is worked on next.
    pub(crate) next_order: Option<Moment>,
}

/// What somebody did.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SimpleObject)]
pub(crate) struct Action {
    pub(crate) id: String,
    pub(crate) time: Moment,
    pub(crate) deed: String,
    /// The anomaly or the work order that it was done to.
    pub(crate) target: String,
    pub(crate) asset: Option<String>,
    /// Who.
    pub(crate) actor: Option<String>,
    pub(crate) text: String,
}

/// What was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeadLetter {
    pub(crate) id: String,
    pub(crate) time: Moment,
    pub(crate) source: String,
    pub(crate) reason: String,
    /// What was expected, what came, what to do.
    pub(crate) message: String,
    /// What came, bytes that are no UTF-8 replaced.
    pub(crate) payload: String,
    /// Readings that were refused with it.
    pub(crate) readings: i64,
    pub(crate) sensor: Option<String>,
    pub(crate) format: Option<String>,
}

/// A change of what is normal for a machine.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Drift {
    pub(crate) id: String,
    pub(crate) asset: String,
    pub(crate) time: Moment,
    pub(crate) kind: String,
    pub(crate) sensors: Vec<String>,
    pub(crate) p_value: Option<f64>,
    pub(crate) message: String,
}

/// How long a machine is likely to last.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Prognosis {
    pub(crate) asset: String,
    pub(crate) time: Moment,
    /// 0 to 1.
    pub(crate) health: Option<f64>,
    /// Hours that 90 of 100 such machines outlive; null: no end in sight.
    pub(crate) p10_hours: Option<f64>,
    pub(crate) p50_hours: Option<f64>,
    pub(crate) p90_hours: Option<f64>,
    pub(crate) model: String,
}

/// A window of readings and what was computed of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Window {
    pub(crate) sensor: String,
    pub(crate) asset: String,
    pub(crate) start_time: Moment,
    pub(crate) end_time: Moment,
    pub(crate) count: i64,
    /// By name; null where one is not defined for the window.
    pub(crate) features: BTreeMap<String, Option<f64>>,
}

/// A burst of samples.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Waveform {
    pub(crate) sensor: String,
    pub(crate) start_time: Moment,
    /// Samples a second.
    pub(crate) rate: f64,
    pub(crate) count: i64,
    pub(crate) samples: Vec<Option<f64>>,
}
