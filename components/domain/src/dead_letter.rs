//! Content of dead letters.

use serde_json::json;

/// The first 32 hexadecimal digits of the content's BLAKE3 hash: the id of a row that is derived from its content, so
/// that writing it again changes nothing.
pub fn content_id(content: &[u8]) -> String {
    let mut id = blake3::hash(content).to_hex().to_string();
    id.truncate(32);
    id
}

/// A reading as a line of ingest's format `ndjson`, with the line feed. `time` is in nanoseconds since 1970, `value` in
/// the sensor's unit.
pub fn reading_line(sensor: &str, time: i64, value: f64) -> String {
    format!("{}\n", json!({ "sensor_id": sensor, "timestamp": time, "value": value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_the_content_alone() {
        assert_eq!(content_id(b"a").len(), 32);
        assert_eq!(content_id(b"a"), content_id(b"a"));
        assert_ne!(content_id(b"a"), content_id(b"b"));
    }

    #[test]
    fn a_reading_is_one_line_of_json() {
        assert_eq!(reading_line("n/m/x", 5, 1.5), "{\"sensor_id\":\"n/m/x\",\"timestamp\":5,\"value\":1.5}\n");
    }
}
