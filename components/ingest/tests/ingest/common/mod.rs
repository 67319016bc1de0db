//! Helpers for the tests: events, and the results of decoding them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test uses some of them")]

use wheeltapper_ingest::{Decoded, Envelope, Ingester, Reason};

/// Arrival of all events, 2027-01-15T08:00:00Z.
pub const NOW: i64 = 1_800_000_000_000_000_000;
/// Time of most readings, 2023-11-14T22:13:20Z.
pub const T: i64 = 1_700_000_000_000_000_000;

pub fn envelope<'a>(format: Option<&'a str>, payload: &'a [u8]) -> Envelope<'a> {
    Envelope { source: "test", format, sensor: None, arrival: NOW, payload }
}

pub fn decode(format: Option<&str>, payload: &str) -> Decoded {
    Ingester::open("").unwrap().decode([envelope(format, payload.as_bytes())])
}

pub fn readings(decoded: &Decoded) -> Vec<(String, i64, f64)> {
    let name = |sensor: u32| {
        let end = |index: usize| decoded.ends[index] as usize;
        let at = sensor as usize;
        decoded.text[if at == 0 { 0 } else { end(at - 1) }..end(at)].to_owned()
    };
    decoded.sensor.iter().zip(&decoded.time).zip(&decoded.value).map(|((&s, &t), &v)| (name(s), t, v)).collect()
}

/// A reading at the time `T`.
pub fn reading(name: &str, value: f64) -> (String, i64, f64) {
    (name.to_owned(), T, value)
}

pub fn reasons(decoded: &Decoded) -> Vec<(u32, Reason)> {
    decoded.rejected.iter().map(|part| (part.position, part.rejection.reason)).collect()
}

/// The message of each rejection.
pub fn messages(decoded: &Decoded) -> Vec<&str> {
    decoded.rejected.iter().map(|part| part.rejection.message.as_str()).collect()
}
