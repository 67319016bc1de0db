//! The records of the topic dlq-sensor-data.

use serde::{Deserialize, Serialize};
use wheeltapper_domain::content_id;
use wheeltapper_store::DeadLetter;

/// An event of the topic dlq-sensor-data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetterEvent {
    /// When it was rejected, in nanoseconds since 1970.
    pub time: i64,
    /// Its source: topic, path or subject; for readings that a stage rejected, `line` or `planner`.
    pub source: String,
    /// Name of the reason, such as `malformed`.
    pub reason: String,
    /// What was expected, what was received and what to do.
    pub message: String,
    /// The rejected content, unchanged.
    #[serde(with = "base64_bytes")]
    pub payload: Vec<u8>,
    /// Number of readings that were rejected with it.
    pub readings: u32,
    /// The sensor, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<String>,
    /// The format that the sender declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

impl DeadLetterEvent {
    /// Prefix of the format of a body whose Content-Encoding could not be decoded.
    pub const ENCODING_PREFIX: &str = "encoding ";

    /// The store's row. Its id is derived from `key`, such as the position in the log, so that a replay overwrites it.
    pub(crate) fn to_row(&self, key: &str) -> DeadLetter {
        DeadLetter {
            id: content_id(key.as_bytes()),
            time: self.time,
            source: self.source.clone(),
            reason: self.reason.clone(),
            message: self.message.clone(),
            payload: self.payload.clone(),
            readings: self.readings,
            sensor: self.sensor.clone(),
            format: self.format.clone(),
        }
    }
}

mod base64_bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}
