//! What the tests share: events, and what came of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test uses a part")]

use wheeltapper_ingest::{Decoded, Envelope, Ingester, Reason};

pub const NOW: i64 = 1_800_000_000_000_000_000;
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

pub fn one(name: &str, value: f64) -> (String, i64, f64) {
    (name.to_owned(), T, value)
}

pub fn reasons(decoded: &Decoded) -> Vec<(u32, Reason)> {
    decoded.refusals.iter().map(|refusal| (refusal.position, refusal.rejection.reason)).collect()
}

/// What was said of each refusal.
pub fn messages(decoded: &Decoded) -> Vec<&str> {
    decoded.refusals.iter().map(|refusal| refusal.rejection.message.as_str()).collect()
}
