//! Every format: what is accepted and what is rejected.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{NOW, T, decode, envelope, reading, readings, reasons};
use wheeltapper_ingest::{Envelope, Ingester, Reason, RejectedPart};

#[test]
fn json_variants() {
    let a = r#"{"sensor_id":"a","timestamp":1700000000,"values":1.5}"#;
    let b = r#"{"sensor_id":"b","timestamp":"2023-11-14T22:13:20Z","values":{"x":1,"value":2},"metadata":{"by":"me"},"more":[1,{}]}"#;
    let expected = vec![reading("a", 1.5), reading("b/x", 1.0), reading("b", 2.0)];
    for body in [format!("[{a},{b}]"), format!("{a}\n{b}\n"), format!(" {a} {b} "), format!("{a}\r\n\r\n{b}")] {
        let decoded = decode(None, &body);
        assert_eq!(readings(&decoded), expected, "{body}");
        assert_eq!(decoded.accepted, [3]);
        assert!(decoded.rejected.is_empty());
    }
    let channels = decode(None, r#"{"sensor_id":"c","timestamp":1700000000000,"values":[1,2]}"#);
    assert_eq!(readings(&channels), [reading("c/0", 1.0), reading("c/1", 2.0)]);
    let spaced =
        decode(None, r#"{"sensor_id":"c","timestamp":1700000000000,"values":[1,2],"metadata":{"sampling_hz":2}}"#);
    assert_eq!(readings(&spaced), [reading("c", 1.0), ("c".into(), T + 500_000_000, 2.0)]);
}

#[test]
fn an_array_with_a_rate_is_a_waveform() {
    let values: Vec<String> = (0..32).map(|each| each.to_string()).collect();
    let body = format!(
        r#"{{"sensor_id":"v","timestamp":1700000000,"values":[{}],"metadata":{{"sample_rate_hz":1000}}}}"#,
        values.join(",")
    );
    let decoded = decode(None, &body);
    assert_eq!(decoded.accepted, [32]);
    assert_eq!(
        (decoded.waveforms[0].rate, decoded.waveforms[0].samples.len(), decoded.waveforms[0].start),
        (1000.0, 32, T)
    );
}

#[test]
fn only_invalid_elements_are_rejected() {
    let body = [
        r#"{"sensor_id":"a","timestamp":1700000000,"values":1}"#,
        r#"{"sensor_id":"a","timestamp":1700000000,"values":NaN}"#,
        r#"{"sensor_id":"a","timestamp":1700000000,"values":"Infinity"}"#,
        r#"{"sensor_id":"a","timestamp":5,"values":1}"#,
        r#"{"sensor_id":"a","timestamp":1900000000,"values":1}"#,
        r#"{"sensor_id":"a","timestamp":"tomorrow","values":1}"#,
        r#"{"timestamp":1700000000,"values":1}"#,
        r#"{"sensor_id":"a","timestamp":1700000000}"#,
        r#"{"sensor_id":"a","timestamp":1700000000,"values":1"#,
        r#"{"sensor_id":"b","timestamp":1700000000,"values":2}"#,
    ];
    let expected = [
        (2, Reason::NonFinite),
        (3, Reason::NonFinite),
        (4, Reason::TooOld),
        (5, Reason::InFuture),
        (6, Reason::Malformed),
        (7, Reason::Malformed),
        (8, Reason::Malformed),
        (9, Reason::Malformed),
    ];
    let lines = decode(Some("application/x-ndjson; charset=utf-8"), &body.join("\n"));
    assert_eq!(readings(&lines), [reading("a", 1.0), reading("b", 2.0)]);
    assert_eq!(reasons(&lines), expected);
    assert_eq!(lines.rejected[0].payload, body[1].as_bytes());
    let complete: Vec<_> = body.iter().enumerate().filter(|(at, _)| *at != 8).map(|(_, line)| *line).collect();
    let array = decode(Some("json"), &format!("[{}]", complete.join(",")));
    assert_eq!(readings(&array), [reading("a", 1.0), reading("b", 2.0)]);
    assert_eq!(reasons(&array), expected[..7]);
}

#[test]
fn limits_and_unknown_sensors() {
    let config = r#"{"unknown_sensors":"reject","sensors":{"a":{"min":0,"max":10,"unit":"bar"}}}"#;
    let body = "a value=5 1700000000\na value=11 1700000000\nb value=5 1700000000";
    let decoded = Ingester::open(config).unwrap().decode([envelope(None, body.as_bytes())]);
    assert_eq!(readings(&decoded), [reading("a", 5.0)]);
    assert_eq!(reasons(&decoded), [(2, Reason::OutOfRange), (3, Reason::UnknownSensor)]);
    assert!(decoded.rejected[0].rejection.message.contains("bar"));
}

/// Each rejection names its sensor, for every reason and in every format. A host needs it if a sender may know of some
/// sensors only.
#[test]
fn a_rejection_names_its_sensor() {
    let config = r#"{"unknown_sensors":"reject","max_name_bytes":8,
        "sensors":{"a":{"min":0,"max":10},"w":{"sampling_hz":0.000001}}}"#;
    let ingester = std::cell::RefCell::new(Ingester::open(config).unwrap());
    let rejections = |format: &str, body: &str| {
        let decoded = ingester.borrow_mut().decode([envelope(Some(format), body.as_bytes())]);
        let summary = |rejected: &RejectedPart| (rejected.rejection.reason, rejected.rejection.sensor.clone());
        decoded.rejected.iter().map(summary).collect::<Vec<_>>()
    };
    let of = |reason: Reason, sensor: &str| vec![(reason, Some(sensor.to_owned()))];
    let json = |body: &str| rejections("json", &format!("{{{body}}}"));
    assert_eq!(json(r#""sensor_id":"a","values":11"#), of(Reason::OutOfRange, "a"));
    assert_eq!(json(r#""sensor_id":"b","values":11"#), of(Reason::UnknownSensor, "b"));
    assert_eq!(json(r#""sensor_id":"a","values":1,"timestamp":5"#), of(Reason::TooOld, "a"));
    assert_eq!(json(r#""sensor_id":"a","values":1,"timestamp":4102444800"#), of(Reason::InFuture, "a"));
    assert_eq!(json(r#""sensor_id":"a","values":1,"timestamp":"never""#), of(Reason::Malformed, "a"));
    assert_eq!(json(r#""sensor_id":"a","values":null"#), of(Reason::NonFinite, "a"));
    assert_eq!(json(r#""sensor_id":"a","values":[]"#), of(Reason::Malformed, "a"));
    assert_eq!(json(r#""sensor_id":"a","values":{"b":1}"#), of(Reason::UnknownSensor, "a/b"));
    // At the rate that is configured for it, the last sample is beyond the range of a time.
    let waveform = format!(r#""sensor_id":"w","values":[{}]"#, ["1"; 9_300].join(","));
    assert_eq!(json(&waveform), of(Reason::Malformed, "w"));
    assert_eq!(rejections("line-protocol", "a value=x 1700000000"), of(Reason::Malformed, "a"));
    assert_eq!(rejections("senml", r#"[{"n":"a","v":1,"t":1e300}]"#), of(Reason::Malformed, "a"));
    assert_eq!(rejections("csv", "sensor_id,timestamp,value\na,never,1\n"), of(Reason::Malformed, "a"));
    assert_eq!(rejections("csv", "timestamp,a\n1700000000,x\n"), of(Reason::Malformed, "a"));

    // Without a name, or with one that is too long, the rejection names no sensor.
    assert_eq!(json(r#""values":1"#), [(Reason::Malformed, None)]);
    assert_eq!(json(r#""sensor_id":"123456789","values":1"#), [(Reason::Malformed, None)]);
}

#[test]
fn oversize_and_empty() {
    let mut ingester = Ingester::open(r#"{"max_payload_bytes":10}"#).unwrap();
    let decoded = ingester.decode([envelope(None, b"a value=5 1700000000"), envelope(None, b"  ")]);
    assert_eq!(reasons(&decoded), [(0, Reason::Oversize), (0, Reason::Malformed)]);
    assert_eq!(decoded.accepted, [0, 0]);
}

#[test]
fn line_protocol() {
    let body = "# comment\nvib,site=r,machine=p\\ 1,area=h rms=1.5,peak=2i,note=\"a b,c=d\" 1700000000000000000\n\
                temp,sensor_id=x value=t\nbad line here\ntemp value=x 1700000000\n";
    let decoded = decode(None, body);
    let expected = vec![reading("r/h/p 1/vib/rms", 1.5), reading("r/h/p 1/vib/peak", 2.0), ("x".into(), NOW, 1.0)];
    assert_eq!(readings(&decoded), expected);
    assert_eq!(reasons(&decoded), [(4, Reason::Malformed), (5, Reason::Malformed)]);
}

#[test]
fn senml() {
    let body = r#"[{"bn":"urn:dev:1/","bt":1.7e9,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},{"n":"current","t":-5,"v":1.2},{"n":"on","vb":true},{"n":"say","vs":"x"}]"#;
    let decoded = decode(None, body);
    let expected = vec![
        reading("urn:dev:1/voltage", 120.1),
        ("urn:dev:1/current".into(), T - 5_000_000_000, 1.2),
        reading("urn:dev:1/on", 1.0),
    ];
    assert_eq!(readings(&decoded), expected);
    assert_eq!(reasons(&decoded), [(4, Reason::Malformed)]);
    let relative = decode(Some("senml"), r#"[{"n":"a","v":1},{"n":"b","t":-2,"v":1}]"#);
    assert_eq!(readings(&relative), [("a".into(), NOW, 1.0), ("b".into(), NOW - 2_000_000_000, 1.0)]);
}

#[test]
fn csv_long_and_wide() {
    let long =
        decode(None, "sensor_id,timestamp,value\na,1700000000,1\nb,2023-11-14 22:13:20,2\nb,never,2\na,1700000000,x\n");
    assert_eq!(readings(&long), [reading("a", 1.0), reading("b", 2.0)]);
    assert_eq!(reasons(&long), [(4, Reason::Malformed), (5, Reason::Malformed)]);
    let wide = decode(None, "datetime;a;b\n2023-11-14 22:13:20;1;\n2023-11-14 22:13:20;NaN;2\nx;1;2\n");
    assert_eq!(readings(&wide), [reading("a", 1.0), reading("b", 2.0)]);
    assert_eq!(reasons(&wide), [(3, Reason::NonFinite), (4, Reason::Malformed)]);
    assert_eq!(wide.rejected[1].readings, 2);
}

#[test]
fn waveform() {
    let mut body = b"WTW1\x01\x00v".to_vec();
    body.extend(T.to_le_bytes());
    body.extend(1000_f64.to_le_bytes());
    body.extend(3_u32.to_le_bytes());
    for sample in [1_f32, 2.0, 3.0] {
        body.extend(sample.to_le_bytes());
    }
    let mut ingester = Ingester::open("").unwrap();
    let decoded = ingester.decode([envelope(None, &body), envelope(None, &body[..body.len() - 1])]);
    assert_eq!(decoded.waveforms[0].samples, [1.0, 2.0, 3.0]);
    assert_eq!((decoded.accepted, decoded.rejected[0].rejection.reason), (vec![3, 0], Reason::Malformed));
}

#[test]
fn a_mapped_topic_can_send_a_bare_number() {
    let mut ingester = Ingester::open("").unwrap();
    let decoded = ingester.decode([Envelope { sensor: Some("m"), ..envelope(None, b"21.5") }, envelope(None, b"21.5")]);
    assert_eq!(readings(&decoded), [("m".into(), NOW, 21.5)]);
    assert_eq!(decoded.rejected[0].envelope, 1);
}

#[test]
fn config_errors_name_the_key() {
    for (config, key) in [
        ("{\"x\":1}", "x"),
        ("{\"earliest\":\"y\"}", "earliest"),
        ("{\"sensors\":{\"a\":{\"sampling_hz\":0}}}", "sensors.a.sampling_hz"),
    ] {
        let error = Ingester::open(config).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    const FORMATS: [Option<&str>; 8] = [
        None,
        Some("json"),
        Some("ndjson"),
        Some("senml"),
        Some("csv"),
        Some("line-protocol"),
        Some("sparkplug"),
        Some("waveform"),
    ];

    proptest! {
        #[test]
        fn decoding_arbitrary_bytes_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for format in FORMATS {
                let mut ingester = Ingester::open("").unwrap();
                let topic = Envelope { source: "spBv1.0/g/DDATA/n/d", ..envelope(format, &bytes) };
                let decoded = ingester.decode([envelope(format, &bytes), topic]);
                prop_assert_eq!(decoded.accepted.len(), 2);
            }
        }

        #[test]
        fn every_damaged_line_is_counted(cuts in prop::collection::vec((0_usize..60, any::<u8>()), 1..20)) {
            let valid = r#"{"sensor_id":"some/sensor","timestamp":1700000000,"values":1.25}"#;
            let mut lines = Vec::new();
            for (at, byte) in &cuts {
                let mut line = valid.as_bytes().to_vec();
                // A line that begins with a bracket is an array, whose elements are counted.
                line[*at] = if matches!(byte, b'\n' | b'[') { b' ' } else { *byte };
                lines.push(line);
            }
            let decoded = Ingester::open("").unwrap().decode([envelope(Some("ndjson"), &lines.join(&b'\n'))]);
            let rejected: u32 = decoded.rejected.iter().map(|rejected| rejected.readings).sum();
            prop_assert_eq!((decoded.accepted[0] + rejected) as usize, lines.len());
        }

        #[test]
        fn numbers_are_decoded_exactly(value in any::<f64>().prop_filter("finite", |value| value.is_finite()), time in 700_000_000_000_000_000_i64..1_700_000_000_000_000_000) {
            let body = format!(r#"{{"sensor_id":"a","timestamp":{time},"values":{value:?}}}"#);
            let decoded = decode(None, &body);
            prop_assert_eq!((decoded.value[0].to_bits(), decoded.time[0]), (value.to_bits(), time));
        }
    }
}
