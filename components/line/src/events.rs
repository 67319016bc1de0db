//! What lies in the queues, in postcard's encoding.

use serde::{Deserialize, Serialize};

use crate::{
    acts::Wish,
    contracts::{
        detect::Detected,
        types::{Alert, FeatureBatch, ReadingBatch},
    },
};

/// For featurize.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Raw {
    /// Readings of one asset.
    Push(Box<ReadingBatch>),
    /// Time passes.
    Tick(i64),
}

/// For detect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Processed {
    pub(crate) features: FeatureBatch,
    /// When time passed, and to when.
    pub(crate) tick: Option<i64>,
}

/// For alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) detected: Detected,
    /// What the tick gave, after what the features gave.
    pub(crate) late: Option<Detected>,
    pub(crate) tick: Option<i64>,
}

/// For schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Plan {
    /// Alerts of one step of one asset, or the one of a repair that a person ordered.
    Alerts(Vec<Alert>),
    /// Time passes.
    Tick(i64),
    /// A person wants something of a work order.
    Amend { order: String, wish: Wish, now: i64 },
    /// A person wants to know what a plan would look like.
    Task(Box<Task>),
}

/// A plan that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    /// [`crate::acts::Asked`] in JSON.
    pub(crate) request: String,
    /// Whose orders are told; none: all.
    pub(crate) assets: Option<Vec<String>>,
    pub(crate) now: i64,
}
