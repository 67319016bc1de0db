//! The records of the topic anomaly-events.

use serde::{Deserialize, Serialize};

use crate::components::wit::types::{Alert, Anomaly, Drift, Prognosis};

/// An event of the topic anomaly-events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Finding {
    /// A window that was not normal.
    Anomaly(Anomaly),
    /// An alert that opened, changed or resolved.
    Alert(Alert),
    /// An asset's baseline drifted, was kept or was replaced.
    Drift(Drift),
    /// A prognosis of an asset's remaining useful life.
    Prognosis(Prognosis),
}
