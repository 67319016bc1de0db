//! What is known of the plant: each stage's configuration, and which machine a sensor sits on.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::LineError;

/// A day, in nanoseconds: how long an event that went through is remembered, so that it is known when it comes again.
pub(crate) const KEPT: i64 = 86_400_000_000_000;

/// The plant, as `wheeltapper config plant` prints it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Plant {
    ingest: Value,
    featurize: Value,
    detect: Value,
    alert: Value,
    schedule: Value,
    /// The asset of each configured sensor.
    assets: BTreeMap<String, String>,
    /// How long a stage is tried on an event before that goes to the dead letters.
    poison_after_seconds: u32,
}

impl Default for Plant {
    fn default() -> Self {
        let nothing = || Value::Null;
        Self {
            ingest: nothing(),
            featurize: nothing(),
            detect: nothing(),
            alert: nothing(),
            schedule: nothing(),
            assets: BTreeMap::new(),
            poison_after_seconds: 60,
        }
    }
}

impl Plant {
    /// Reads the JSON; nothing at all is a plant of which nothing is known.
    pub(crate) fn parse(json: &str) -> Result<Self, LineError> {
        if json.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(json).map_err(|error| {
            LineError::Broken(format!(
                "the variable `plant` is not what `wheeltapper config plant` prints: {error}; print it anew"
            ))
        })
    }

    /// A stage's configuration as it wants it.
    pub(crate) fn stage(&self, name: &str) -> String {
        let config = match name {
            "ingest" => &self.ingest,
            "featurize" => &self.featurize,
            "detect" => &self.detect,
            "alert" => &self.alert,
            _ => &self.schedule,
        };
        if config.is_null() { String::new() } else { config.to_string() }
    }

    /// The machine that a sensor sits on: as configured, or what stands before the last `/` of its id, or the id itself.
    pub(crate) fn asset<'a>(&'a self, sensor: &'a str) -> &'a str {
        match (self.assets.get(sensor), sensor.rsplit_once('/')) {
            (Some(asset), _) => asset,
            (None, Some((asset, _))) if !asset.is_empty() => asset,
            (None, _) => sensor,
        }
    }

    /// Unit and kind of a sensor, empty where they are not configured.
    pub(crate) fn about(&self, sensor: &str) -> (&str, &str) {
        let about = self.detect.get("sensors").and_then(|sensors| sensors.get(sensor));
        let text = |key| about.and_then(|about| about.get(key)).and_then(Value::as_str).unwrap_or("");
        (text("unit"), text("kind"))
    }

    /// In nanoseconds.
    pub(crate) fn poison_after(&self) -> i64 {
        i64::from(self.poison_after_seconds) * 1_000_000_000
    }
}
