//! Windows: the rows of the sensors that are scored together.

use serde::{Deserialize, Serialize};

/// After this many consecutive windows without a sensor, windows no longer wait for it.
pub(crate) const MAX_ABSENT: u32 = 3;

/// Features of one sensor in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FeatureRow {
    pub(crate) count: u32,
    pub(crate) values: Vec<f64>,
}

/// A sensor of the unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) name: Box<str>,
    /// Consecutive windows without it.
    pub(crate) missed_windows: u32,
}

/// A window with the rows of its sensors, in the order of the unit's members; None for a missing sensor.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) rows: Vec<Option<FeatureRow>>,
}
