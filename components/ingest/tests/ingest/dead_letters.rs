//! A dead letter can be sent again by itself: it gives exactly the rejected part, with its own sensor and time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{NOW, T, envelope, readings, reasons};
use proptest::prelude::*;
use wheeltapper_ingest::{Decoded, Envelope, Ingester, Reason, RejectedPart};

const DAY: i64 = 86_400_000_000_000;

/// Sends an event, and each of its dead letters a day later.
fn resend(first: &Envelope<'_>) -> (Decoded, Vec<Decoded>) {
    let mut ingester = Ingester::open("").unwrap();
    let decoded = ingester.decode([*first]);
    let resent = decoded.rejected.iter().map(|rejected| {
        ingester.decode([Envelope {
            source: rejected.source.as_deref().unwrap_or(first.source),
            format: rejected.format.as_deref(),
            sensor: first.sensor,
            arrival: first.arrival + DAY,
            payload: &rejected.payload,
        }])
    });
    let resent = resent.collect();
    (decoded, resent)
}

/// The readings of the dead letters of an event, all of which were rejected as too far in the future.
fn readings_of_dead_letters(first: &Envelope<'_>) -> Vec<(String, i64, f64)> {
    let (decoded, resent) = resend(first);
    assert!(decoded.rejected.iter().all(|rejected| rejected.rejection.reason == Reason::InFuture), "{decoded:?}");
    assert!(resent.iter().all(|result| result.rejected.is_empty()), "{resent:?}");
    resent.iter().flat_map(readings).collect()
}

/// Half an hour after the arrival of the event, in nanoseconds and in seconds.
const AHEAD: i64 = NOW + 1_800_000_000_000;
const AHEAD_S: i64 = AHEAD / 1_000_000_000;

#[test]
fn a_reading_from_the_future_is_accepted_later_in_every_format() {
    type Case<'a> = (&'a str, String, Vec<(&'a str, f64)>);
    let cases: [Case<'_>; 8] = [
        (
            "json",
            format!(r#"{{"sensor_id":"h/m","timestamp":{AHEAD},"values":{{"temp":21.5,"value":2}}}}"#),
            vec![("h/m/temp", 21.5), ("h/m", 2.0)],
        ),
        (
            "json",
            format!(
                r#"[{{"sensor_id":"h/m","timestamp":{AHEAD},"values":[1,2.5]}},{{"sensor_id":"h/n","timestamp":1700000000,"values":3}}]"#
            ),
            vec![("h/m/0", 1.0), ("h/m/1", 2.5)],
        ),
        (
            "ndjson",
            format!("{{\"sensor_id\":\"h/m\",\"timestamp\":{AHEAD},\"value\":1e-300}}\n"),
            vec![("h/m", 1e-300)],
        ),
        (
            "line-protocol",
            format!("temp,site=h,machine=m a=1.5,b=2i {AHEAD}\n"),
            vec![("h/m/temp/a", 1.5), ("h/m/temp/b", 2.0)],
        ),
        (
            "application/vnd.influxdata.line-protocol; precision=s",
            format!("temp,site=h value=1.5 {AHEAD_S}\n"),
            vec![("h/temp", 1.5)],
        ),
        (
            "senml",
            format!(r#"[{{"bn":"h/m/","bt":{},"bv":1,"n":"a","v":1.5,"t":-3000}},{{"n":"b","t":0,"v":2.5}}]"#, AHEAD_S),
            vec![("h/m/b", 3.5)],
        ),
        ("csv", format!("sensor_id;timestamp;value\nh/m/s;{AHEAD};1.5\n"), vec![("h/m/s", 1.5)]),
        ("csv", format!("time,a,b\n{AHEAD},1,\n{AHEAD},,2\n"), vec![("a", 1.0), ("b", 2.0)]),
    ];
    for (format, body, expected) in cases {
        let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name.to_owned(), AHEAD, value)).collect();
        assert_eq!(readings_of_dead_letters(&envelope(Some(format), body.as_bytes())), expected, "{format}: {body}");
    }
}

#[test]
fn a_waveform_from_the_future_is_accepted_later() {
    let samples = vec!["0.1"; 2000].join(",");
    let body =
        format!(r#"{{"sensor_id":"v","timestamp":{AHEAD},"values":[{samples}],"metadata":{{"sampling_hz":1000}}}}"#);
    let (decoded, resent) = resend(&envelope(Some("json"), body.as_bytes()));
    assert_eq!((reasons(&decoded), decoded.rejected[0].readings), (vec![(0, Reason::InFuture)], 2000));
    let waveform = &resent[0].waveforms[0];
    assert_eq!((waveform.start, waveform.rate), (AHEAD, 1000.0));
    assert_eq!((waveform.samples.len(), waveform.samples[7]), (2000, 0.1_f32));

    let mut body = b"WTW1\x00\x00".to_vec();
    body.extend(AHEAD.to_le_bytes());
    body.extend(1000_f64.to_le_bytes());
    body.extend(2000_u32.to_le_bytes());
    body.extend([0_u8; 8000]);
    let (_, resent) = resend(&Envelope { sensor: Some("mapped"), ..envelope(Some("waveform"), &body) });
    assert_eq!((resent[0].waveforms[0].samples.len(), resent[0].text.as_str()), (2000, "mapped"));
}

#[test]
fn a_dead_letter_holds_only_the_rejected_part() {
    let body = br#"{"sensor_id":"hall/m","values":{"temp":21.5,"state":"RUN","more":{"x":1},"list":[1,"a"]}}"#;
    let (decoded, resent) = resend(&envelope(Some("json"), body));
    assert_eq!(readings(&decoded), [("hall/m/temp".to_owned(), NOW, 21.5)]);
    assert_eq!(decoded.rejected.len(), 3);
    for (rejected, result) in decoded.rejected.iter().zip(&resent) {
        // It is rejected again, with the same reason and for the same sensor.
        assert_eq!((readings(result), result.rejected.len()), (vec![], 1), "{result:?}");
        let again = &result.rejected[0];
        assert_eq!(again.rejection, rejected.rejection);
        let text = String::from_utf8_lossy(&rejected.payload);
        assert!(text.contains("2027-01-15T08:00:00Z") && !text.contains("temp"), "{text}");
    }
    assert_eq!(
        String::from_utf8_lossy(&decoded.rejected[0].payload),
        "{\"sensor_id\":\"hall/m/state\",\"timestamp\":\"2027-01-15T08:00:00Z\",\"values\":\"RUN\"}\n"
    );
}

#[test]
fn dead_letters_of_undecodable_parts_keep_their_context() {
    for (format, body) in [
        ("csv", "sensor_id\ttimestamp\tvalue\r\na\tnever\t1\r\n\r\n\tnever\t2\r\n"),
        ("csv", "time,a,b\nnever,1,2\n"),
        ("csv", "sensor_id,timestamp,value\na,1700000000,x\n"),
        ("senml", r#"[{"bn":"h/m/","bt":1.7e9,"bv":3},{"n":"b","t":1e300,"v":2.5}]"#),
        ("senml", r#"[{"bn":"h/m/","bt":1.7e9},{"n":"b","vs":"5"}]"#),
        ("senml", r#"[{"bn":"h/m/","bt":1.7e9},{"n":"b"}]"#),
        ("json", r#"[{"sensor_id":"a","timestamp":"never","values":1},{"sensor_id":"b","timestamp":1700000000}]"#),
        ("line-protocol", "a value=x 1700000000\nbad line here\n"),
        ("application/x-ndjson", "{\"sensor_id\":\"a\"\n"),
    ] {
        let (decoded, resent) = resend(&envelope(Some(format), body.as_bytes()));
        assert_eq!(readings(&decoded), [], "{body}");
        assert!(!decoded.rejected.is_empty(), "{body}");
        for (rejected, result) in decoded.rejected.iter().zip(&resent) {
            assert_eq!(readings(result), [], "{body}");
            let summary = |rejected: &RejectedPart| (rejected.rejection.reason, rejected.rejection.sensor.clone());
            assert_eq!(
                result.rejected.iter().map(summary).collect::<Vec<_>>(),
                [summary(rejected)],
                "{body}: {rejected:?}"
            );
        }
    }
}

#[test]
fn a_metric_without_its_birth_is_accepted_after_the_birth() {
    // Payload: timestamp 1700000000000, one metric: alias 1, double 2.5.
    let metric = |name: &[u8]| [name, &[0x10, 1, 0x20, 10, 0x69], &2.5_f64.to_le_bytes()].concat();
    let payload = |metric: &[u8], with_timestamp: bool| {
        let prefix: &[u8] = if with_timestamp { &[0x08, 0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31] } else { &[] };
        [prefix, &[0x12, u8::try_from(metric.len()).unwrap()], metric].concat()
    };
    let mut ingester = Ingester::open("").unwrap();
    for with_timestamp in [true, false] {
        let data = payload(&metric(&[]), with_timestamp);
        let topic = |topic| Envelope { source: topic, ..envelope(None, b"") };
        let rejected = ingester.decode([Envelope { payload: &data, ..topic("spBv1.0/g/NDATA/n") }]).rejected.remove(0);
        let birth = payload(&metric(b"\x0a\x04load"), true);
        ingester.decode([Envelope { payload: &birth, ..topic("spBv1.0/g/NBIRTH/n") }]);
        let again = Envelope {
            source: rejected.source.as_deref().unwrap(),
            format: rejected.format.as_deref(),
            arrival: NOW + DAY,
            payload: &rejected.payload,
            ..envelope(None, b"")
        };
        let time = if with_timestamp { T } else { NOW };
        assert_eq!(readings(&ingester.decode([again])), [("g/n/load".to_owned(), time, 2.5)]);
        ingester.decode([Envelope { payload: &[], ..topic("spBv1.0/g/NDEATH/n") }]);
    }
}

#[test]
fn a_dead_letter_of_a_birth_does_not_replace_the_birth() {
    // A birth with a valid metric, and one with neither a name nor an alias.
    let valid = [b"\x0a\x04load\x10\x01\x20\x0a\x69".as_slice(), &2.5_f64.to_le_bytes()].concat();
    let invalid = [b"\x20\x0a\x69".as_slice(), &2.5_f64.to_le_bytes()].concat();
    let mut birth = Vec::new();
    for metric in [&valid, &invalid] {
        birth.extend([0x12, u8::try_from(metric.len()).unwrap()]);
        birth.extend(metric);
    }
    let mut ingester = Ingester::open("").unwrap();
    let decoded = ingester.decode([Envelope { source: "spBv1.0/g/NBIRTH/n", ..envelope(None, &birth) }]);
    let rejected = &decoded.rejected[0];
    let state = ingester.snapshot();
    let source = rejected.source.as_deref().unwrap();
    ingester.decode([Envelope { source, format: rejected.format.as_deref(), ..envelope(None, &rejected.payload) }]);
    assert_eq!((source, ingester.snapshot()), ("spBv1.0/g/NDATA/n", state));
}

#[test]
fn a_part_that_is_too_large_to_keep_has_no_payload() {
    let body = format!("{{\"sensor_id\":\"a\",\"timestamp\":\"never\",\"note\":\"{}\"}}", "x".repeat(5 << 20));
    let (decoded, _) = resend(&envelope(Some("json"), body.as_bytes()));
    assert_eq!((reasons(&decoded), decoded.rejected[0].payload.len()), (vec![(0, Reason::Malformed)], 0));
}

proptest! {
    /// The dead letters give no reading that was already accepted, and each of their readings has a sensor and a time.
    #[test]
    fn dead_letters_give_no_reading_twice(
        rows in prop::collection::vec((0_usize..4, 0_i64..3, prop_oneof![Just("1.5"), Just("x"), Just("NaN"), Just("1e999")]), 1..20),
        format in 0_usize..4,
    ) {
        let time = |at: i64| [T, AHEAD, 5][usize::try_from(at).unwrap()];
        let names = ["a", "b/c", "..", "d//e"];
        let body = match format {
            0 => rows.iter().fold("sensor_id,timestamp,value\n".to_owned(), |all, (name, at, value)| format!("{all}{},{},{value}\n", names[*name], time(*at))),
            1 => rows.iter().map(|(name, at, value)| format!("{{\"sensor_id\":{:?},\"timestamp\":{},\"values\":{:?}}}\n", names[*name], time(*at), value)).collect(),
            2 => format!("[{}]", rows.iter().map(|(name, at, value)| format!("{{\"sensor_id\":{:?},\"timestamp\":{},\"values\":{{\"x\":{:?},\"y\":1}}}}", names[*name], time(*at), value)).collect::<Vec<_>>().join(",")),
            _ => rows.iter().map(|(name, at, value)| format!("m,sensor={} x={value},y=1 {}\n", names[*name], time(*at))).collect(),
        };
        let (decoded, resent) = resend(&envelope(Some(["csv", "ndjson", "json", "line-protocol"][format]), body.as_bytes()));
        let mut accepted = readings(&decoded);
        let rejected: u32 = decoded.rejected.iter().map(|rejected| rejected.readings).sum();
        let per_row = if format > 1 { 2 } else { 1 };
        prop_assert_eq!(accepted.len() + rejected as usize, rows.len() * per_row);
        for (rejected, result) in decoded.rejected.iter().zip(&resent) {
            let count: u32 = result.rejected.iter().map(|rejected| rejected.readings).sum();
            prop_assert_eq!(result.accepted[0] + count, rejected.readings);
            if rejected.rejection.reason == Reason::InFuture {
                // The time is checked before the value, so the value may be rejected now.
                prop_assert!(result.accepted[0] == 1 || result.rejected[0].rejection.reason == Reason::NonFinite);
                prop_assert!(readings(result).iter().all(|(_, time, _)| *time == AHEAD));
            } else {
                prop_assert_eq!(result.accepted[0], 0);
            }
            accepted.extend(readings(result));
        }
        prop_assert!(accepted.iter().all(|(name, ..)| !name.contains("..") && !name.contains("//")));
    }
}
