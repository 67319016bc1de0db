//! The events in the queues, encoded with postcard.

use serde::{Deserialize, Serialize};

use crate::{
    acts::Wish,
    contracts::{
        detect::Detected,
        types::{Alert, FeatureBatch, ReadingBatch},
    },
};

/// Input of featurize.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Raw {
    /// Readings of one asset.
    Push(Box<ReadingBatch>),
    /// The current time, in nanoseconds since 1970.
    Tick(i64),
}

/// Input of detect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Processed {
    pub(crate) features: FeatureBatch,
    /// The current time if the event is a tick.
    pub(crate) tick: Option<i64>,
}

/// Input of alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) detected: Detected,
    /// The output of the tick, which follows that of the features.
    pub(crate) late: Option<Detected>,
    pub(crate) tick: Option<i64>,
}

/// Input of schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Plan {
    /// The alerts that one step of one asset changed, or the alert of a repair that a user ordered.
    Alerts(Vec<Alert>),
    /// The current time, in nanoseconds since 1970.
    Tick(i64),
    /// A user changes a work order.
    Amend { order: String, wish: Wish, now: i64 },
    /// A user requests a what-if plan.
    Task(Box<Task>),
}

/// A what-if plan to compute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    /// [`crate::acts::Asked`] as JSON.
    pub(crate) request: String,
    /// The assets whose orders are reported. `None`: all.
    pub(crate) assets: Option<Vec<String>>,
    pub(crate) now: i64,
}
