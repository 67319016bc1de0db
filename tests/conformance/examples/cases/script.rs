//! The script of a case, which is written to the case's folder.

use std::{fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

/// 2026-01-05T08:00:00Z, a Monday, in seconds since 1970.
pub(crate) const START: i64 = 1_767_600_000;

/// A case.
pub(crate) struct CaseScript {
    name: &'static str,
    /// What the case tests, in one sentence.
    description: &'static str,
    /// The content of `plant.toml`.
    plant: String,
    /// The content of `events.ndjson`.
    lines: String,
}

impl CaseScript {
    pub(crate) fn new(name: &'static str, description: &'static str, plant: impl Into<String>) -> Self {
        Self { name, description, plant: plant.into(), lines: String::new() }
    }

    /// Adds an event whose format is detected from its bytes.
    pub(crate) fn event(&mut self, payload: &str) {
        self.event_as("plant", None, None, payload);
    }

    pub(crate) fn event_as(&mut self, source: &str, format: Option<&str>, sensor: Option<&str>, payload: &str) {
        self.line(&json!({
            "kind": "event", "source": source, "format": format, "sensor": sensor, "payload": payload,
        }));
    }

    pub(crate) fn bytes(&mut self, source: &str, format: Option<&str>, payload: &[u8]) {
        self.line(&json!({
            "kind": "event", "source": source, "format": format, "payload_base64": STANDARD.encode(payload),
        }));
    }

    /// Adds a tick, in seconds after the start.
    pub(crate) fn tick(&mut self, second: i64) {
        self.line(&json!({ "kind": "tick", "now": timestamp_text(second) }));
    }

    fn line(&mut self, line: &serde_json::Value) {
        self.lines.push_str(&line.to_string());
        self.lines.push('\n');
    }

    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let folder = folder.join(self.name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("case.toml"), format!("description = {:?}\n", self.description))?;
        fs::write(folder.join("plant.toml"), &self.plant)?;
        fs::write(folder.join("events.ndjson"), &self.lines)
    }
}

/// Returns the time that many seconds after the start, as text.
pub(crate) fn timestamp_text(second: i64) -> String {
    jiff::Timestamp::from_second(START + second).map(|time| time.to_string()).unwrap_or_default()
}
