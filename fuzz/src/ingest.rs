//! Events in every supported format.

use std::collections::HashSet;

use wheeltapper_ingest::{Decoded, Envelope, Ingester};

use crate::{NOW, bounds, byte, slice};

/// The default maximum by which a reading may be ahead of its arrival, in nanoseconds.
const MAX_FUTURE_NS: i64 = 300_000_000_000;
/// The earliest time that is accepted by default: 1990-01-01, in nanoseconds since 1970.
const EARLIEST: i64 = 631_152_000_000_000_000;
/// The maximum size of the stored payload of a rejected part.
const MAX_PAYLOAD_BYTES: usize = 4 << 20;
const MAX_NAME_BYTES: usize = 512;

/// A configuration with limits and a sampling rate for the sensors `s` and `w`, whose short names an input can contain.
const CONFIG_WITH_LIMITS: &str = r#"{"sensors":{"s":{"min":-10,"max":10,"unit":"mm/s"},"w":{"sampling_hz":100}}}"#;

/// JSON: one object, an array, or concatenated objects.
pub fn json(bytes: &[u8]) {
    text(bytes, "json");
}

/// NDJSON: one JSON object on each line.
pub fn ndjson(bytes: &[u8]) {
    text(bytes, "ndjson");
}

/// CSV with a header.
pub fn csv(bytes: &[u8]) {
    text(bytes, "csv");
}

/// InfluxDB line protocol.
pub fn line_protocol(bytes: &[u8]) {
    text(bytes, "line-protocol");
}

/// SenML: a value is the sum of the record's value and its base value, so the text need not contain it.
pub fn senml(bytes: &[u8]) {
    decode(bytes, Some("senml"));
}

/// Waveforms.
pub fn waveform(bytes: &[u8]) {
    let decoded = decode(bytes, Some("waveform"));
    let samples: usize = decoded.waveforms.iter().map(|waveform| waveform.samples.len()).sum();
    assert!(samples <= bytes.len() / 4, "{samples} samples in {} bytes", bytes.len());
}

/// Events whose format is detected from their first bytes.
pub fn detected_format(bytes: &[u8]) {
    decode(bytes, None);
}

/// Sparkplug B: a sequence of messages. Each consists of a message type, a node or device, and a payload with its
/// length before it.
///
/// # Panics
/// If the decoded data violates an invariant, or the state differs after a restart.
pub fn sparkplug(mut bytes: &[u8]) {
    const MESSAGE_TYPES: [&str; 8] = ["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH", "NCMD", "STATE"];
    let mut ingester = open("");
    let mut messages = 0;
    while !bytes.is_empty() && messages < 64 {
        messages += 1;
        let kind = MESSAGE_TYPES[usize::from(byte(&mut bytes)) % MESSAGE_TYPES.len()];
        let selector = byte(&mut bytes);
        let node = ["n", "m"][usize::from(selector & 1)];
        let topic = match selector >> 1 & 3 {
            _ if kind == "STATE" => "spBv1.0/STATE/host".to_owned(),
            0 => format!("spBv1.0/g/{kind}/{node}"),
            1 => format!("spBv1.0/g/{kind}/{node}/d"),
            2 => format!("spBv1.0/g/{kind}/{node}/e"),
            _ => format!("spBv1.0//{kind}/{node}//"),
        };
        let payload = slice(&mut bytes);
        let event = Envelope { source: &topic, format: None, sensor: None, arrival: NOW, payload };
        let before = ingester.snapshot();
        let decoded = bounds::measured(payload.len(), || ingester.decode([event]));
        assert_valid(&decoded, 1);
        let after = ingester.snapshot();
        // A birth that repeats the previous one also sets `state_changed`.
        assert!(decoded.state_changed || before == after, "the state changed, but state_changed is false");
        let mut restored = match Ingester::restore("", &before) {
            Ok(restored) => restored,
            Err(error) => panic!("the snapshot cannot be restored: {error}"),
        };
        assert_eq!(restored.decode([event]), decoded, "{topic} is decoded differently after a restart");
        assert_eq!(restored.snapshot(), after);
    }
}

/// Decodes an event in a format in which each value is text, and asserts that the event contains every decoded value.
fn text(bytes: &[u8], format: &str) {
    let decoded = decode(bytes, Some(format));
    // An escape may encode a number.
    if bytes.contains(&b'\\') {
        return;
    }
    let numbers = numbers_in(bytes.get(1..).unwrap_or_default());
    for value in &decoded.value {
        assert!(numbers.contains(&value.to_bits()), "the event does not contain {value}");
    }
    for sample in decoded.waveforms.iter().flat_map(|waveform| &waveform.samples) {
        let is_contained = numbers.iter().any(|bits| (f64::from_bits(*bits) as f32).to_bits() == sample.to_bits());
        assert!(is_contained, "the event does not contain the sample {sample}");
    }
}

/// Returns the bits of all numbers and Boolean values in a text of any format. A Boolean value is 0 or 1.
fn numbers_in(bytes: &[u8]) -> HashSet<u64> {
    let text = String::from_utf8_lossy(bytes);
    let mut found: HashSet<u64> = HashSet::new();
    let mut add = |token: &str| {
        let token = token.trim();
        let number = match token {
            "t" | "T" | "true" | "True" | "TRUE" => Some(1.0),
            "f" | "F" | "false" | "False" | "FALSE" => Some(0.0),
            // Integers of the line protocol end in i or u.
            token => token.parse().or_else(|_| token.trim_end_matches(['i', 'u']).parse::<f64>()).ok(),
        };
        // JSON and the line protocol have 64-bit integers, whose conversion to a double may round differently.
        let digits = token.trim_end_matches(['i', 'u']);
        let integer = digits.parse::<i64>().map(|n| n as f64).or_else(|_| digits.parse::<u64>().map(|n| n as f64)).ok();
        found.extend(number.into_iter().chain(integer).map(f64::to_bits));
    };
    for token in text.split(|mark: char| mark.is_whitespace() || mark.is_control() || ",;:=[]{}\"".contains(mark)) {
        add(token);
        // A quoted cell may contain single quotes.
        add(token.trim_matches('\''));
    }
    found
}

/// Decodes one event. The first byte selects whether its topic is mapped to a sensor, and the configuration.
fn decode(mut bytes: &[u8], format: Option<&str>) -> Decoded {
    let options = byte(&mut bytes);
    let sensor = (options & 1 == 1).then_some("mapped/s");
    let config = if options & 2 == 2 { CONFIG_WITH_LIMITS } else { "" };
    let decoded = bounds::linear(bytes, |payload| {
        let decoded = open(config).decode([Envelope { source: "fuzz", format, sensor, arrival: NOW, payload }]);
        assert_valid(&decoded, 1);
        decoded
    });
    // The result does not depend on other events of the batch, or on earlier batches.
    let mut ingester = open(config);
    let event = Envelope { source: "fuzz", format, sensor, arrival: NOW, payload: bytes };
    let twice = ingester.decode([event, event]);
    assert_valid(&twice, 2);
    assert_eq!(twice.accepted, [decoded.accepted.clone(), decoded.accepted.clone()].concat());
    assert_eq!(twice.rejected.len(), 2 * decoded.rejected.len());
    assert_eq!(ingester.decode([event]), decoded, "the same event is decoded differently");
    decoded
}

fn open(config: &str) -> Ingester {
    match Ingester::open(config) {
        Ok(ingester) => ingester,
        Err(error) => panic!("the configuration of this target is invalid: {error}"),
    }
}

/// Asserts the invariants of decoded events.
fn assert_valid(decoded: &Decoded, events: usize) {
    let Decoded { text, ends, sensor, time, value, waveforms, accepted, rejected, .. } = decoded;
    assert_eq!((sensor.len(), sensor.len(), events), (time.len(), value.len(), accepted.len()));
    let mut from = 0;
    for &end in ends {
        let name = text.get(from..end as usize);
        let Some(name) = name else { panic!("{from} to {end} is not a name in {text:?}") };
        assert!(!name.is_empty() && name.len() <= MAX_NAME_BYTES, "the name {name:?} is empty or too long");
        assert!(!name.chars().any(char::is_control), "the name {name:?} contains control characters");
        from = end as usize;
    }
    assert_eq!(from, text.len());
    assert!(sensor.iter().all(|&sensor| (sensor as usize) < ends.len()), "a reading has a sensor without a name");
    assert!(value.iter().all(|value| value.is_finite()), "a reading is not finite");
    let is_valid_time = |time: i64| (EARLIEST..=NOW + MAX_FUTURE_NS).contains(&time);
    assert!(time.iter().all(|&time| is_valid_time(time)), "a reading has an invalid time");
    for waveform in waveforms {
        assert!((waveform.sensor as usize) < ends.len() && !waveform.samples.is_empty());
        assert!(is_valid_time(waveform.start) && waveform.rate.is_finite() && waveform.rate > 0.0);
        assert!(waveform.samples.iter().all(|sample| sample.is_finite()));
    }
    let samples: usize = waveforms.iter().map(|waveform| waveform.samples.len()).sum();
    let total: usize = accepted.iter().map(|&count| count as usize).sum();
    assert_eq!(total, sensor.len() + samples, "the accepted count is not the number of readings and samples");
    for part in rejected {
        assert!((part.envelope as usize) < events && part.readings > 0 && part.payload.len() <= MAX_PAYLOAD_BYTES);
        assert!(!part.rejection.message.is_empty());
    }
}
