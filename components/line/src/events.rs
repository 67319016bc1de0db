//! The events in the queues, encoded with postcard.

use serde::{Deserialize, Serialize};

use crate::{
    action_rules::WorkOrderChange,
    contracts::{
        detect::Detected,
        types::{Alert, FeatureBatch, ReadingBatch},
    },
};

/// Input of featurize.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum FeaturizeEvent {
    /// Readings of one asset.
    Push(Box<ReadingBatch>),
    /// The current time, in nanoseconds since 1970.
    Tick(i64),
}

/// Input of detect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DetectEvent {
    pub(crate) features: FeatureBatch,
    /// The current time if the event is a tick.
    pub(crate) tick: Option<i64>,
}

/// Input of alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlertEvent {
    pub(crate) detected: Detected,
    /// The output of the tick, which follows that of the features.
    pub(crate) tick_output: Option<Detected>,
    pub(crate) tick: Option<i64>,
}

/// Input of schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum PlannerCommand {
    /// The alerts that one step of one asset changed, or the alert of a repair that a user ordered.
    Alerts(Vec<Alert>),
    /// The current time, in nanoseconds since 1970.
    Tick(i64),
    /// A user changes a work order.
    AmendWorkOrder { order: String, change: WorkOrderChange, now: i64 },
    /// A user requests a what-if plan.
    PlanTask(Box<PlanTask>),
}

/// A what-if plan to compute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlanTask {
    pub(crate) id: String,
    /// [`crate::action_rules::PlanRequest`] as JSON.
    pub(crate) request: String,
    /// The assets whose orders are reported. `None`: all.
    pub(crate) assets: Option<Vec<String>>,
    pub(crate) now: i64,
}
