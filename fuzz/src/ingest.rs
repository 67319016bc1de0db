//! Events in every format that is taken.

use std::collections::HashSet;

use wheeltapper_ingest::{Decoded, Envelope, Ingester};

use crate::{NOW, bounds, byte, piece};

/// By how much a reading may be ahead of its arrival by default, in nanoseconds.
const FUTURE: i64 = 300_000_000_000;
/// 1990-01-01, the earliest time that is taken by default, in nanoseconds since 1970.
const EARLIEST: i64 = 631_152_000_000_000_000;
/// Bytes of a refused part that are kept, and of a name, at most.
const KEPT: usize = 4 << 20;
const LONGEST: usize = 512;

/// Limits and a rate for sensors of these names, so that an input can meet them.
const LIMITED: &str = r#"{"sensors":{"s":{"min":-10,"max":10,"unit":"mm/s"},"w":{"sampling_hz":100}}}"#;

/// JSON: one object, an array, or objects one after the other.
pub fn json(bytes: &[u8]) {
    text(bytes, "json");
}

/// JSON, one object a line.
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

/// SenML: a value is the sum of what the record and its base say, so that it need not stand in the text.
pub fn senml(bytes: &[u8]) {
    decode(bytes, Some("senml"));
}

/// Bursts of samples.
pub fn waveform(bytes: &[u8]) {
    let decoded = decode(bytes, Some("waveform"));
    let samples: usize = decoded.waveforms.iter().map(|burst| burst.samples.len()).sum();
    assert!(samples <= bytes.len() / 4, "more samples than bytes for them");
}

/// Events whose format is told from their first bytes.
pub fn unnamed(bytes: &[u8]) {
    decode(bytes, None);
}

/// Sparkplug B: a sequence of messages, each the kind of topic, a node or device, and a payload with its length before it.
///
/// # Panics
/// When what is decoded breaks a promise, or the state is another after a restart.
pub fn sparkplug(mut bytes: &[u8]) {
    const KINDS: [&str; 8] = ["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH", "NCMD", "STATE"];
    let mut ingester = open("");
    let mut messages = 0;
    while !bytes.is_empty() && messages < 64 {
        messages += 1;
        let kind = KINDS[usize::from(byte(&mut bytes)) % KINDS.len()];
        let place = byte(&mut bytes);
        let node = ["n", "m"][usize::from(place & 1)];
        let topic = match place >> 1 & 3 {
            _ if kind == "STATE" => "spBv1.0/STATE/host".to_owned(),
            0 => format!("spBv1.0/g/{kind}/{node}"),
            1 => format!("spBv1.0/g/{kind}/{node}/d"),
            2 => format!("spBv1.0/g/{kind}/{node}/e"),
            _ => format!("spBv1.0//{kind}/{node}//"),
        };
        let payload = piece(&mut bytes);
        let event = Envelope { source: &topic, format: None, sensor: None, arrival: NOW, payload };
        let before = ingester.snapshot();
        let decoded = bounds::measured(payload.len(), || ingester.decode([event]));
        sound(&decoded, 1);
        let after = ingester.snapshot();
        // A birth that says what the one before said counts as a change.
        assert!(decoded.state_changed || before == after, "the state changed without a word");
        let mut again = match Ingester::restore("", &before) {
            Ok(again) => again,
            Err(error) => panic!("a snapshot cannot be read: {error}"),
        };
        assert_eq!(again.decode([event]), decoded, "{topic} means something else after a restart");
        assert_eq!(again.snapshot(), after);
    }
}

/// A format in which each value stands as text.
fn text(bytes: &[u8], format: &str) {
    let decoded = decode(bytes, Some(format));
    // An escape may hide a number.
    if bytes.contains(&b'\\') {
        return;
    }
    let known = numbers(bytes.get(1..).unwrap_or_default());
    for value in &decoded.value {
        assert!(known.contains(&value.to_bits()), "{value} stands nowhere in the event");
    }
    for sample in decoded.waveforms.iter().flat_map(|burst| &burst.samples) {
        let stands = known.iter().any(|known| (f64::from_bits(*known) as f32).to_bits() == sample.to_bits());
        assert!(stands, "the sample {sample} stands nowhere in the event");
    }
}

/// All numbers and truth values in a text, however it is put together.
fn numbers(bytes: &[u8]) -> HashSet<u64> {
    let text = String::from_utf8_lossy(bytes);
    let mut found: HashSet<u64> = HashSet::new();
    let mut add = |token: &str| {
        let token = token.trim();
        let number = match token {
            "t" | "T" | "true" | "True" | "TRUE" => Some(1.0),
            "f" | "F" | "false" | "False" | "FALSE" => Some(0.0),
            // Whole numbers of line protocol end in i or u.
            token => token.parse().or_else(|_| token.trim_end_matches(['i', 'u']).parse::<f64>()).ok(),
        };
        // JSON has whole numbers of 64 bits as such, line protocol too: as a double they may be rounded twice.
        let whole = token.trim_end_matches(['i', 'u']);
        let whole = whole.parse::<i64>().map(|n| n as f64).or_else(|_| whole.parse::<u64>().map(|n| n as f64)).ok();
        found.extend(number.into_iter().chain(whole).map(f64::to_bits));
    };
    for token in text.split(|mark: char| mark.is_whitespace() || mark.is_control() || ",;:=[]{}\"".contains(mark)) {
        add(token);
        // A cell in quotes may have them within.
        add(token.trim_matches('\''));
    }
    found
}

/// Decodes one event; the first byte says what is known of its sensor.
fn decode(mut bytes: &[u8], format: Option<&str>) -> Decoded {
    let options = byte(&mut bytes);
    let sensor = (options & 1 == 1).then_some("mapped/s");
    let config = if options & 2 == 2 { LIMITED } else { "" };
    let decoded = bounds::linear(bytes, |payload| {
        let decoded = open(config).decode([Envelope { source: "fuzz", format, sensor, arrival: NOW, payload }]);
        sound(&decoded, 1);
        decoded
    });
    // The same whatever it comes with, and no state is left behind.
    let mut ingester = open(config);
    let event = Envelope { source: "fuzz", format, sensor, arrival: NOW, payload: bytes };
    let twice = ingester.decode([event, event]);
    sound(&twice, 2);
    assert_eq!(twice.accepted, [decoded.accepted.clone(), decoded.accepted.clone()].concat());
    assert_eq!(twice.rejected.len(), 2 * decoded.rejected.len());
    assert_eq!(ingester.decode([event]), decoded, "the same event is decoded in another way");
    decoded
}

fn open(config: &str) -> Ingester {
    match Ingester::open(config) {
        Ok(ingester) => ingester,
        Err(error) => panic!("the configuration of this target is wrong: {error}"),
    }
}

/// What holds of anything that was decoded.
fn sound(decoded: &Decoded, events: usize) {
    let Decoded { text, ends, sensor, time, value, waveforms, accepted, rejected: refusals, .. } = decoded;
    assert_eq!((sensor.len(), sensor.len(), events), (time.len(), value.len(), accepted.len()));
    let mut from = 0;
    for &end in ends {
        let name = text.get(from..end as usize);
        let Some(name) = name else { panic!("a name from {from} to {end} of {text:?}") };
        assert!(!name.is_empty() && name.len() <= LONGEST, "the name {name:?}");
        assert!(!name.chars().any(char::is_control), "the name {name:?} has control characters");
        from = end as usize;
    }
    assert_eq!(from, text.len());
    assert!(sensor.iter().all(|&sensor| (sensor as usize) < ends.len()), "a reading of a sensor without a name");
    assert!(value.iter().all(|value| value.is_finite()), "a reading that is no finite number");
    let timely = |time: i64| (EARLIEST..=NOW + FUTURE).contains(&time);
    assert!(time.iter().all(|&time| timely(time)), "a reading out of time");
    for burst in waveforms {
        assert!((burst.sensor as usize) < ends.len() && !burst.samples.is_empty() && timely(burst.start));
        assert!(burst.rate.is_finite() && burst.rate > 0.0 && burst.samples.iter().all(|sample| sample.is_finite()));
    }
    let samples: usize = waveforms.iter().map(|burst| burst.samples.len()).sum();
    let taken: usize = accepted.iter().map(|&count| count as usize).sum();
    assert_eq!(taken, sensor.len() + samples, "what is said to be accepted is not what was decoded");
    for refusal in refusals {
        assert!((refusal.envelope as usize) < events && refusal.readings > 0 && refusal.payload.len() <= KEPT);
        assert!(!refusal.rejection.message.is_empty());
    }
}
