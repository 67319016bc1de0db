//! Settings of the detector. One set of defaults serves all data; the two time scales depend on the sampling rate.

use serde::{Deserialize, Serialize};

/// Settings of the process detector. Every field has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessSettings {
    /// Weight λ of a row in the smoothed level: about `2 / λ` rows count.
    pub smoothing: f64,
    /// Time constant in which the reference follows drift, in rows.
    pub reference_rows: f64,
    /// Most rows from which the scatter of the features is learnt; after that older rows fade.
    pub memory_rows: f64,
    /// Adjusted deviations up to this value do not count, and the reference follows them freely.
    pub deadband: f64,
    /// Adjusted deviation from which the reference stops.
    pub freeze: f64,
    /// Sum at which the score is 0.999.
    pub limit: f64,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self { smoothing: 0.1, reference_rows: 60.0, memory_rows: 1000.0, deadband: 2.0, freeze: 4.0, limit: 20.0 }
    }
}

impl ProcessSettings {
    /// Returns the settings with every number clamped to its valid range.
    pub(crate) fn clamped(self) -> Self {
        let or_default = |value: f64, default: f64| if value.is_finite() { value } else { default };
        let default = Self::default();
        let deadband = or_default(self.deadband, default.deadband).clamp(0.0, 100.0);
        Self {
            smoothing: or_default(self.smoothing, default.smoothing).clamp(1e-4, 1.0),
            reference_rows: or_default(self.reference_rows, default.reference_rows).clamp(1.0, 1e9),
            memory_rows: or_default(self.memory_rows, default.memory_rows).clamp(1.0, 1e9),
            deadband,
            freeze: or_default(self.freeze, default.freeze).max(deadband + 1e-3),
            limit: or_default(self.limit, default.limit).max(1e-3),
        }
    }

    /// Independent values of the smoothed level per row: λ / (2 − λ).
    pub(crate) fn independent_per_row(&self) -> f64 {
        self.smoothing / (2.0 - self.smoothing)
    }
}
