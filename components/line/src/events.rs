//! What lies in the queues, in postcard's encoding.

use serde::{Deserialize, Serialize};

use crate::contracts::{
    detect::Detected,
    types::{Alert, FeatureBatch, ReadingBatch},
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
    /// Alerts of one step of one asset.
    Alerts(Vec<Alert>),
    /// Time passes.
    Tick(i64),
}
