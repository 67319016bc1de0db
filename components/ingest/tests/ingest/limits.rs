//! Limits of one event. An event that exceeds a limit is rejected as a whole, with the reason.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use crate::common::{NOW, T, decode, envelope, messages, reading, readings, reasons};
use wheeltapper_ingest::{Decoded, Envelope, Ingester, Reason};

fn with(config: &str, format: &str, body: &str) -> Decoded {
    Ingester::open(config).unwrap().decode([envelope(Some(format), body.as_bytes())])
}

fn assert_rejected_as_a_whole(decoded: &Decoded, message: &str) {
    assert_eq!((reasons(decoded), readings(decoded)), (vec![(0, Reason::Oversize)], vec![]), "{:?}", messages(decoded));
    // The host would register the sensors of the dictionary, even those without a reading.
    assert_eq!((decoded.text.as_str(), decoded.accepted.as_slice()), ("", [0].as_slice()));
    assert!(messages(decoded)[0].contains(message), "{:?}", messages(decoded));
    assert!(!decoded.rejected[0].payload.is_empty());
}

#[test]
fn the_number_of_sensors_is_limited_in_every_format() {
    let config = r#"{"max_sensors_per_event":20}"#;
    let numbers = |count: usize| (0..count).map(|at| format!("\"k{at}\":{at}")).collect::<Vec<_>>().join(",");
    let json = |count: usize| format!(r#"{{"sensor_id":"a","timestamp":1700000000,"values":{{{}}}}}"#, numbers(count));
    let array = |count: usize| {
        let all = (0..count).map(|at| format!(r#"{{"sensor_id":"a{at}","timestamp":1700000000,"values":1}}"#));
        format!("[{}]", all.collect::<Vec<_>>().join(","))
    };
    let lists = |count: usize| {
        let all =
            (0..count / 5).map(|at| format!(r#"{{"sensor_id":"a{at}","timestamp":1700000000,"values":[1,2,3,4,5]}}"#));
        all.collect::<Vec<_>>().join("\n")
    };
    let lines = |count: usize| (0..count).map(|at| format!("m,sensor=a{at} value=1 1700000000\n")).collect::<String>();
    let fields = |count: usize| {
        let all: Vec<_> = (0..count).map(|at| format!("f{at}=1")).collect();
        format!("m,sensor=a {} 1700000000\n", all.join(","))
    };
    let senml = |count: usize| {
        let all: Vec<_> = (0..count).map(|at| format!(r#"{{"n":"a{at}","t":1700000000,"v":1}}"#)).collect();
        format!("[{}]", all.join(","))
    };
    let long = |count: usize| {
        (0..count).fold("sensor_id,timestamp,value\n".to_owned(), |all, at| format!("{all}a{at},1700000000,1\n"))
    };
    let wide = |count: usize| {
        let names: Vec<_> = (0..count).map(|at| format!("a{at}")).collect();
        format!("time,{}\n1700000000,{}\n", names.join(","), vec!["1"; count].join(","))
    };
    type Body<'a> = &'a dyn Fn(usize) -> String;
    let forms: [(&str, Body<'_>); 8] = [
        ("json", &json),
        ("json", &array),
        ("ndjson", &lists),
        ("line-protocol", &lines),
        ("line-protocol", &fields),
        ("senml", &senml),
        ("csv", &long),
        ("csv", &wide),
    ];
    for (format, body) in forms {
        assert_eq!(with(config, format, &body(20)).accepted, [20], "{format}: {}", body(20));
        assert_rejected_as_a_whole(&with(config, format, &body(25)), "more than 20 sensors");
    }
    // Configured sensors do not count, and sensors with many readings count once.
    let known: Vec<_> = (0..25).map(|at| format!("\"a{at}\":{{}}")).collect();
    let known = format!(r#"{{"max_sensors_per_event":20,"sensors":{{{}}}}}"#, known.join(","));
    assert_eq!(with(&known, "csv", &long(25)).accepted, [25]);
    let same =
        (0..1000).map(|at| format!("m,sensor=a{} value=1 {}\n", at % 20, 1_700_000_000 + at)).collect::<String>();
    assert_eq!(with(config, "line-protocol", &same).accepted, [1000]);
}

#[test]
fn other_events_of_the_call_are_accepted() {
    let mut ingester = Ingester::open(r#"{"max_sensors_per_event":1}"#).unwrap();
    let (first, second) = (b"a value=1 1700000000", b"c value=1 1700000000\nd value=1 1700000000");
    let decoded =
        ingester.decode([envelope(None, first), envelope(None, second), envelope(None, b"d value=2 1700000000")]);
    assert_eq!(readings(&decoded), [reading("a", 1.0), reading("d", 2.0)]);
    assert_eq!((reasons(&decoded), decoded.rejected[0].envelope), (vec![(0, Reason::Oversize)], 1));
    assert_eq!(decoded.text, "ad");
}

#[test]
fn a_rejected_birth_changes_nothing() {
    let mut ingester = Ingester::open(r#"{"max_sensors_per_event":1}"#).unwrap();
    let metric = |name: u8, alias: u8| {
        let metric = [&[0x0a, 1, name, 0x10, alias, 0x20, 10, 0x69], 1_f64.to_le_bytes().as_slice()].concat();
        [vec![0x12, u8::try_from(metric.len()).unwrap()], metric].concat()
    };
    let before = ingester.snapshot();
    let birth = [metric(b'a', 1), metric(b'b', 2)].concat();
    let decoded = ingester.decode([Envelope { source: "spBv1.0/g/NBIRTH/n", ..envelope(None, &birth) }]);
    assert_rejected_as_a_whole(&decoded, "more than 1 sensors");
    assert_eq!((ingester.snapshot(), decoded.state_changed), (before, false));
}

#[test]
fn the_number_of_readings_is_limited() {
    let config = r#"{"max_readings_per_event":100}"#;
    let rows = |count: i64| (0..count).map(|at| format!("a value=1 {}\n", 1_700_000_000 + at)).collect::<String>();
    assert_eq!(with(config, "line-protocol", &rows(100)).accepted, [100]);
    assert_rejected_as_a_whole(&with(config, "line-protocol", &rows(101)), "more than 100 readings");
}

#[test]
fn the_number_of_rejected_parts_is_limited() {
    let body = "}".repeat(3 << 20);
    let started = Instant::now();
    let decoded = decode(Some("json"), &format!("[{body}"));
    assert_rejected_as_a_whole(&decoded, "more than 50000 parts");
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// Events that would take many times their size once decoded are rejected before that.
#[test]
fn an_event_that_expands_is_rejected_before_it_is_decoded() {
    let size = 4 << 20;
    let started = Instant::now();
    let bodies: [(&str, Vec<u8>); 7] = [
        ("sparkplug", [0x12, 0].repeat(size / 2)),
        ("line-protocol", [b"m ".as_slice(), &b"a=1,".repeat(size / 4), b"a=1 1700000000"].concat()),
        ("line-protocol", [b"m".as_slice(), &b",a=b".repeat(size / 4), b" a=1 1700000000"].concat()),
        ("csv", [b"time".as_slice(), &b",a".repeat(size / 2), b"\n1700000000,1\n"].concat()),
        (
            "json",
            [b"{\"sensor_id\":\"a\",\"values\":{".as_slice(), &b"\"\":1,".repeat(size / 5), b"\"a\":1}}"].concat(),
        ),
        ("json", [b"{\"sensor_id\":\"a\",\"values\":".as_slice(), &b"[".repeat(size)].concat()),
        ("json", [b"{\"sensor_id\":\"a\",\"values\":[".as_slice(), &b"{},".repeat(size / 3), b"{}]}"].concat()),
    ];
    for (format, body) in bodies {
        let source = if format == "sparkplug" { "spBv1.0/g/NDATA/n" } else { "test" };
        let decoded = Ingester::open("").unwrap().decode([Envelope { source, ..envelope(Some(format), &body) }]);
        assert_eq!((decoded.accepted[0], decoded.rejected.len()), (0, 1), "{format}: {:?}", messages(&decoded).first());
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn many_samples_without_a_rate_are_not_channels() {
    let samples = (0..64).map(|at| f64::from(at).to_string()).collect::<Vec<_>>().join(",");
    let body =
        |suffix: &str| format!(r#"{{"sensor_id":"hall/m/acc","timestamp":1700000000,"values":[{samples}]{suffix}}}"#);
    for suffix in
        ["", r#","sampleRate":12800"#, r#","metadata":{"sampling_hz":"fast"}"#, r#","metadata":{"sampling_hz":[1]}"#]
    {
        let decoded = decode(None, &body(suffix));
        assert_eq!((reasons(&decoded), decoded.accepted[0]), (vec![(0, Reason::Malformed)], 0), "{suffix}");
        assert!(messages(&decoded)[0].contains("metadata.sampling_hz"), "{:?}", messages(&decoded));
        assert_eq!(
            (decoded.rejected[0].readings, decoded.rejected[0].rejection.sensor.as_deref()),
            (64, Some("hall/m/acc"))
        );
    }
    for rate in ["\"12800\"", "12800", "\" 1.28e4 \""] {
        let decoded = decode(None, &body(&format!(r#","metadata":{{"by":{{"a":[1]}},"sampling_hz":{rate}}}"#)));
        assert_eq!((decoded.waveforms[0].rate, decoded.waveforms[0].samples.len()), (12_800.0, 64), "{rate}");
    }
    // Other metadata, of any type, is ignored.
    for metadata in ["1", "-1.5", "\"x\"", "[1,{}]", "null", "true", "{}", r#"{"sampling_hz":null}"#] {
        let body = format!(r#"{{"sensor_id":"a","timestamp":1700000000,"values":[1,2],"metadata":{metadata}}}"#);
        assert_eq!(readings(&decode(None, &body)), [reading("a/0", 1.0), reading("a/1", 2.0)], "{metadata}");
    }
}

#[test]
fn confusable_names_are_rejected_in_every_format() {
    for name in ["..", "a/../b", "a//b", "/a", "a/", "a/ b", "a\u{202e}b", "\u{2066}a", "a\u{200f}b", "a\u{200b}"] {
        let mut waveform = b"WTW1".to_vec();
        waveform.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        waveform.extend(name.as_bytes());
        waveform.extend(T.to_le_bytes());
        waveform.extend([0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 1, 0, 0, 0, 0, 0, 0, 0]);
        let metric =
            [&[0x0a, u8::try_from(name.len()).unwrap()], name.as_bytes(), &[0x69], &1_f64.to_le_bytes()].concat();
        let sparkplug = [vec![0x12, u8::try_from(metric.len()).unwrap()], metric].concat();
        let tagged = name.replace(' ', "\\ ");
        let bodies: [(&str, Vec<u8>); 8] = [
            ("json", format!(r#"{{"sensor_id":"{name}","timestamp":1700000000,"values":1}}"#).into()),
            ("json", format!(r#"{{"sensor_id":"a","timestamp":1700000000,"values":{{"x/{name}/y":1}}}}"#).into()),
            ("senml", format!(r#"[{{"n":"{name}","t":1700000000,"v":1}}]"#).into()),
            ("csv", format!("sensor_id,timestamp,value\n\"{name}\",1700000000,1\n").into()),
            ("csv", format!("time,\"{name}\"\n1700000000,1\n").into()),
            ("line-protocol", format!("m,sensor={tagged} value=1 1700000000").into()),
            ("waveform", waveform),
            ("sparkplug", sparkplug),
        ];
        for (format, body) in bodies {
            let source = if format == "sparkplug" { "spBv1.0/g/NDATA/n" } else { "test" };
            let envelope = Envelope { source, ..envelope(Some(format), &body) };
            let decoded = Ingester::open("").unwrap().decode([envelope]);
            assert_eq!(
                (decoded.accepted.as_slice(), decoded.rejected.len()),
                ([0].as_slice(), 1),
                "{format}: {name:?}"
            );
            let text = messages(&decoded)[0];
            assert!(text.contains("the sensor's id") && !text.contains(['\u{202e}', '\u{2066}']), "{text:?}");
        }
        // A bare value, on a topic or path that names the sensor.
        let event = Envelope { sensor: Some(name), ..envelope(None, b"1.5") };
        assert_eq!(Ingester::open("").unwrap().decode([event]).accepted, [0], "{name:?}");
    }
    assert_eq!(decode(None, r#"{"sensor_id":"Größe/ポンプ 1/温度","timestamp":1700000000,"values":1}"#).accepted, [1]);
}

#[test]
fn the_readings_of_an_event_are_sorted() {
    let rows: Vec<_> = (0..6).map(|at| (format!("2026-11-29T10:0{}:00Z", 5 - at), 40.0 + f64::from(at))).collect();
    let json: Vec<_> = rows
        .iter()
        .map(|(time, value)| format!(r#"{{"sensor_id":"hall/m/temp","timestamp":"{time}","value":{value}}}"#))
        .collect();
    let csv = rows.iter().fold("time,temp\n".to_owned(), |all, (time, value)| format!("{all}{time},{value}\n"));
    for (format, body) in [("json", format!("[{}]", json.join(","))), ("csv", csv), ("ndjson", json.join("\n"))] {
        let decoded = decode(Some(format), &body);
        assert_eq!(decoded.value, [45.0, 44.0, 43.0, 42.0, 41.0, 40.0], "{format}");
        assert!(decoded.time.is_sorted());
    }
    // The sort is stable, it keeps the sensors of the readings, and it does not mix events.
    let mut ingester = Ingester::open("").unwrap();
    let first = b"a value=3 1700000003\na value=1 1700000001\na value=2 1700000001\nb value=4 1700000002";
    let decoded = ingester.decode([envelope(None, first), envelope(None, b"a value=0 1700000000")]);
    let at = |name: &str, seconds: i64, value: f64| (name.to_owned(), T + seconds * 1_000_000_000, value);
    assert_eq!(
        readings(&decoded),
        [at("a", 1, 1.0), at("a", 1, 2.0), at("b", 2, 4.0), at("a", 3, 3.0), at("a", 0, 0.0)]
    );
    // Nothing is sorted if the readings of each sensor are in order.
    let decoded =
        ingester.decode([envelope(None, b"a value=1 1700000001\na value=3 1700000003\nb value=4 1700000002")]);
    assert_eq!(decoded.value, [1.0, 3.0, 4.0]);
    assert_eq!(decode(None, "a value=1\na value=2").time, [NOW, NOW]);
}

#[test]
fn columns_of_the_same_name_are_different_sensors() {
    let body = b"time,temp,temp,temp-2,temp\n1700000000,1,90,5,7\n";
    let decoded =
        Ingester::open("").unwrap().decode([Envelope { sensor: Some("hall/m"), ..envelope(Some("csv"), body) }]);
    let expected = [("temp", 1.0), ("temp-2", 90.0), ("temp-2-2", 5.0), ("temp-3", 7.0)];
    assert_eq!(readings(&decoded), expected.map(|(name, value)| reading(&format!("hall/m/{name}"), value)));
}
