//! The plant's configuration: the settings of each stage, and the machine of each sensor.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::LineError;

/// How long a processed event is kept in its queue, in nanoseconds (one day). An event that is sent again within this
/// time is recognised.
pub(crate) const EVENT_RETENTION: i64 = 86_400_000_000_000;

/// The plant, as printed by `wheeltapper config plant`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PlantConfig {
    ingest: Value,
    featurize: Value,
    detect: Value,
    alert: Value,
    schedule: Value,
    /// The asset of each configured sensor.
    assets: BTreeMap<String, String>,
    /// How long a stage is tried on an event before the event is kept as a dead letter.
    poison_after_seconds: u32,
}

impl Default for PlantConfig {
    fn default() -> Self {
        let null = || Value::Null;
        Self {
            ingest: null(),
            featurize: null(),
            detect: null(),
            alert: null(),
            schedule: null(),
            assets: BTreeMap::new(),
            poison_after_seconds: 60,
        }
    }
}

impl PlantConfig {
    /// Parses the JSON. An empty text is a plant without configured machines.
    pub(crate) fn parse(json: &str) -> Result<Self, LineError> {
        if json.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(json).map_err(|error| {
            LineError::Broken(format!(
                "the setting `plant` is not the output of `wheeltapper config plant`: {error}; print it again"
            ))
        })
    }

    /// Returns a stage's configuration as JSON, or an empty string if it has none.
    pub(crate) fn stage_config(&self, name: &str) -> String {
        let config = match name {
            "ingest" => &self.ingest,
            "featurize" => &self.featurize,
            "detect" => &self.detect,
            "alert" => &self.alert,
            _ => &self.schedule,
        };
        if config.is_null() { String::new() } else { config.to_string() }
    }

    /// Returns the machine of a sensor: the configured one, or else the part of the id before the last `/`, or else
    /// the whole id.
    pub(crate) fn asset_of<'a>(&'a self, sensor: &'a str) -> &'a str {
        match (self.assets.get(sensor), sensor.rsplit_once('/')) {
            (Some(asset), _) => asset,
            (None, Some((asset, _))) if !asset.is_empty() => asset,
            (None, _) => sensor,
        }
    }

    /// Returns the unit and kind of a sensor, empty if they are not configured.
    pub(crate) fn unit_and_kind(&self, sensor: &str) -> (&str, &str) {
        let properties = self.detect.get("sensors").and_then(|sensors| sensors.get(sensor));
        let text = |key| properties.and_then(|properties| properties.get(key)).and_then(Value::as_str).unwrap_or("");
        (text("unit"), text("kind"))
    }

    /// Returns how long a stage is tried on an event, in nanoseconds.
    pub(crate) fn poison_timeout(&self) -> i64 {
        i64::from(self.poison_after_seconds) * 1_000_000_000
    }
}
