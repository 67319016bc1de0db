//! Each kind of bad input gives the sender an answer with the reason and a dead letter, and the line continues.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use wheeltapper_simulate::encode_waveform;
use wheeltapper_tests::{IngestAnswer, RunningHost, SECOND, T0, TestHost, faulty_featurize, wait_until};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const TIMEOUT: Duration = Duration::from_secs(20);
const SENSOR: &str = "plant/hall/pump/vibration";
const CONFIG: &str = r#"
unknown_sensors = "reject"

[http]
max_body = "64KiB"

[line]
checkpoint = "200ms"

[[site]]
name = "plant"
[[site.area]]
name = "hall"
[[site.area.machine]]
name = "pump"
[[site.area.machine.sensor]]
name = "vibration"
unit = "mm/s"
limits = { min = 0, max = 100 }
"#;

fn reading(time: i64, value: &str) -> String {
    format!(r#"{{"sensor_id":"{SENSOR}","timestamp":{time},"values":{value}}}"#)
}

fn first_error(answer: &IngestAnswer) -> (&str, &str) {
    let error = &answer.body["errors"][0];
    (error["reason"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default())
}

/// Output of `dead-letters list` for a reason.
fn dead_letters(test_host: &TestHost, reason: &str) -> String {
    test_host.output(&["dead-letters", "list", "--reason", reason, "--payload"]).unwrap()
}

fn count(test_host: &TestHost, name: &str) -> u64 {
    test_host.counts().unwrap()[name].as_u64().unwrap()
}

fn wait_for_count(test_host: &TestHost, name: &str, expected: u64) {
    wait_until(&format!("{name} = {expected}"), TIMEOUT, || Ok(count(test_host, name) == expected)).unwrap();
}

/// Checks that a valid reading is accepted and stored.
fn check_ingest_works(test_host: &TestHost, host: &RunningHost, time: i64) {
    let before = count(test_host, "readings");
    let answer = host.post(JSON, reading(time, "2.5").as_bytes()).unwrap();
    assert!(answer.status == 202 && answer.body["accepted"] == 1, "{answer:?}");
    wait_for_count(test_host, "readings", before + 1);
}

fn start_host() -> (TestHost, RunningHost) {
    let test_host = TestHost::new(CONFIG).unwrap();
    let host = test_host.start().unwrap();
    (test_host, host)
}

/// Posts a body that must be rejected completely with `reason` and `text` in the message.
fn check_rejected(body: &[u8], content_type: &str, reason: &str, text: &str) {
    let (test_host, host) = start_host();
    let answer = host.post(content_type, body).unwrap();
    assert_eq!(answer.status, 422, "{answer:?}");
    let (actual, message) = first_error(&answer);
    assert_eq!(actual, reason, "{answer:?}");
    assert!(message.contains(text), "{message:?} does not contain {text:?}");
    wait_for_count(&test_host, "dead_letters", 1);
    assert!(dead_letters(&test_host, reason).contains(reason));
    check_ingest_works(&test_host, &host, T0);
    assert_eq!(count(&test_host, "rejected_readings"), 1);
    host.stop().unwrap();
}

#[test]
fn malformed_json_is_rejected() {
    check_rejected(br#"{"sensor_id":"plant/hall/pump/vibration","timestamp":"#, JSON, "malformed", "expected");
}

#[test]
fn malformed_ndjson_is_rejected() {
    check_rejected(b"this is no json", LINES, "malformed", "sensor_id");
}

#[test]
fn malformed_line_protocol_is_rejected() {
    check_rejected(
        b"vibration value=high 1767225600",
        "application/vnd.influxdata.line-protocol",
        "malformed",
        "field",
    );
}

#[test]
fn line_protocol_uses_the_precision_of_the_request() {
    let (test_host, host) = start_host();
    // Without a precision, this number would be seconds in the year 1970.
    let (tag, minutes) = (format!("m,sensor={SENSOR}"), T0 / SECOND / 60);
    let client = ureq::agent();
    let post = |query: &str| {
        let request = client.post(format!("http://{}/api/v1/ingest{query}", host.http));
        request.config().http_status_as_error(false).build().send(format!("{tag} value=1.5 {minutes}\n")).unwrap()
    };
    assert_eq!(post("").status(), 422);
    assert_eq!(post("?precision=m").status(), 202);
    wait_for_count(&test_host, "readings", 1);
    let mut invalid = post("?precision=minutes");
    let message = invalid.body_mut().read_to_string().unwrap();
    assert!(invalid.status() == 400 && message.contains("not one of ns, us, ms, s"), "{message}");
    host.stop().unwrap();
}

#[test]
fn malformed_senml_is_rejected() {
    check_rejected(
        br#"[{"n":"plant/hall/pump/vibration","u":"mm/s"}]"#,
        "application/senml+json",
        "malformed",
        "value",
    );
}

#[test]
fn malformed_csv_is_rejected() {
    let body = b"sensor_id,timestamp,value\nplant/hall/pump/vibration,yesterday,1\n";
    check_rejected(body, "text/csv", "malformed", "RFC 3339");
}

#[test]
fn malformed_sparkplug_is_rejected() {
    let (test_host, host) = start_host();
    let url = "application/vnd.sparkplug";
    let answer = host.post(url, b"\xff\xff\xff\xff").unwrap();
    assert!(answer.status == 422 && first_error(&answer).0 == "malformed", "{answer:?}");
    wait_for_count(&test_host, "dead_letters", 1);
    check_ingest_works(&test_host, &host, T0);
}

#[test]
fn a_malformed_waveform_is_rejected() {
    let waveform = encode_waveform(SENSOR, T0, 1000.0, &[1.0; 4]);
    let (test_host, host) = start_host();
    let answer = host.post("application/vnd.wheeltapper.waveform", &waveform[..waveform.len() - 3]).unwrap();
    assert!(answer.status == 422 && first_error(&answer).0 == "malformed", "{answer:?}");
    assert_eq!(answer.body["rejected"], 3);
    wait_for_count(&test_host, "dead_letters", 1);
    check_ingest_works(&test_host, &host, T0);
}

#[test]
fn an_unknown_format_is_rejected() {
    check_rejected(b"\x00\x01\x02", "application/octet-stream", "malformed", "format");
    check_rejected(b"{}", "application/pdf", "malformed", "application/pdf");
}

#[test]
fn nan_is_rejected() {
    check_rejected(reading(T0, "NaN").as_bytes(), JSON, "non-finite", "NaN");
}

#[test]
fn infinity_is_rejected() {
    check_rejected(reading(T0, "\"-Infinity\"").as_bytes(), JSON, "non-finite", "inf");
}

#[test]
fn a_reading_far_in_the_past_is_rejected() {
    check_rejected(reading(12, "1").as_bytes(), JSON, "too-old", "1970");
}

#[test]
fn a_reading_far_in_the_future_is_rejected() {
    check_rejected(reading(4_102_444_800, "1").as_bytes(), JSON, "in-future", "2100");
}

#[test]
fn a_reading_outside_the_sensor_limits_is_rejected() {
    check_rejected(reading(T0, "101").as_bytes(), JSON, "out-of-range", "100 mm/s");
}

#[test]
fn an_unknown_sensor_is_rejected() {
    check_rejected(br#"{"sensor_id":"who","timestamp":1767225600,"values":1}"#, JSON, "unknown-sensor", "who");
}

#[test]
fn an_oversize_body_becomes_a_dead_letter() {
    let (test_host, host) = start_host();
    let answer = host.post(JSON, &vec![b' '; 70 << 10]).unwrap();
    assert!(answer.status == 413 && answer.body.to_string().contains("65536"), "{answer:?}");
    wait_for_count(&test_host, "dead_letters", 1);
    assert!(dead_letters(&test_host, "oversize").contains("oversize"));
    check_ingest_works(&test_host, &host, T0);
}

#[test]
fn compressed_bodies_too_large_or_invalid_are_rejected() {
    let (test_host, host) = start_host();
    let post = |encoding: &str, body: &[u8]| {
        host.post_with(&[("Content-Type", JSON), ("Content-Encoding", encoding)], body).unwrap().status
    };
    let bomb = zstd::encode_all(vec![b' '; 50 << 20].as_slice(), 3).unwrap();
    assert_eq!(post("zstd", &bomb), 413);
    assert_eq!(post("gzip", b"no gzip"), 400);
    assert_eq!(post("br", b"x"), 415);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, reading(T0, "1").as_bytes()).unwrap();
    assert_eq!(post("gzip", &packer.finish().unwrap()), 202);
    let packed = zstd::encode_all(reading(T0 + SECOND, "1").as_bytes(), 3).unwrap();
    assert_eq!(post("zstd", &packed), 202);
    wait_for_count(&test_host, "readings", 2);
    check_ingest_works(&test_host, &host, T0 + 2 * SECOND);
}

#[test]
fn a_bad_line_does_not_affect_other_lines() {
    let (test_host, host) = start_host();
    let body =
        [reading(T0, "1"), "oops".into(), reading(T0 + SECOND, "2"), reading(T0 + 2 * SECOND, "1e400")].join("\n");
    let answer = host.post(LINES, body.as_bytes()).unwrap();
    assert!(answer.status == 202 && answer.body["accepted"] == 2 && answer.body["rejected"] == 2, "{answer:?}");
    assert_eq!(answer.body["errors"][0]["position"], 2);
    wait_for_count(&test_host, "readings", 2);
    wait_for_count(&test_host, "dead_letters", 2);
    assert!(dead_letters(&test_host, "malformed").contains("oops"));
    check_ingest_works(&test_host, &host, T0 + 3 * SECOND);
}

#[test]
fn repeated_late_and_contradicting_readings_are_handled() {
    let (test_host, host) = start_host();
    // One event per reading, because the readings of one event are sorted. 101 is repeated; 90 is late but kept.
    for at in [100, 101, 101, 95, 90, 102] {
        assert_eq!(host.post(LINES, reading(T0 + at * SECOND, "1").as_bytes()).unwrap().status, 202);
    }
    // Another value with the same timestamp.
    assert_eq!(host.post(LINES, reading(T0 + 102 * SECOND, "2").as_bytes()).unwrap().status, 202);
    wait_for_count(&test_host, "dead_letters", 1);
    wait_for_count(&test_host, "readings", 5);
    assert_eq!(count(&test_host, "rejected_readings"), 1);
    assert!(dead_letters(&test_host, "duplicate").contains("was received before"));
    check_ingest_works(&test_host, &host, T0 + 103 * SECOND);
}

/// Checks that a batch with `value`, at which the component fails, becomes a dead letter and other batches are stored.
fn check_faulty_component(value: i64, text: &str) {
    let component = faulty_featurize().unwrap().canonicalize().unwrap();
    let limits = "checkpoint = \"200ms\"\ndeadline = \"500ms\"\nmemory = \"128MiB\"";
    let test_host =
        TestHost::new(&format!("partitions = 1\n[line]\n{limits}\n[line.components]\nfeaturize = {component:?}\n"))
            .unwrap();
    let host = test_host.start().unwrap();
    let post = |host: &RunningHost, at: i64, value: i64| {
        let body = format!(r#"{{"sensor_id":"a/b","timestamp":{},"values":{value}}}"#, T0 + at * SECOND);
        assert_eq!(host.post(JSON, body.as_bytes()).unwrap().status, 202);
    };
    post(&host, 0, 1);
    wait_for_count(&test_host, "readings", 1);
    post(&host, 1, value);
    wait_for_count(&test_host, "dead_letters", 1);
    let dead_letters = dead_letters(&test_host, "stage-failure");
    assert!(dead_letters.contains("stage-failure") && dead_letters.contains(text), "{dead_letters}");
    post(&host, 2, 3);
    wait_for_count(&test_host, "readings", 2);
    assert_eq!(count(&test_host, "rejected_readings"), 1);
    assert!(host.metric("wheeltapper_stage_restarts_total{stage=\"featurize\"}").unwrap() >= 2.0);
    assert_eq!(host.get("/ready").unwrap().0, 200);
    // After a restart, the host skips the quarantined batch.
    host.kill().unwrap();
    let host = test_host.start().unwrap();
    post(&host, 3, 4);
    wait_for_count(&test_host, "readings", 3);
    assert_eq!(count(&test_host, "rejected_readings"), 1);
}

#[test]
fn a_component_that_traps_is_restarted() {
    check_faulty_component(666, "featurize failed");
}

#[test]
fn a_machine_that_crashes_a_component_does_not_affect_other_machines() {
    let component = faulty_featurize().unwrap().canonicalize().unwrap();
    let test_host = TestHost::new(&format!(
        "partitions = 1\n[line]\ncheckpoint = \"1h\"\n[line.components]\nfeaturize = {component:?}\n"
    ))
    .unwrap();
    let host = test_host.start().unwrap();
    // One batch of 20 machines; the component panics at the value of the faulty ones.
    let post = |host: &RunningHost, at: i64, faulty_machines: &[i64]| {
        let line = |machine: i64| {
            let value = if faulty_machines.contains(&machine) { 666 } else { machine };
            format!(r#"{{"sensor_id":"m{machine}/v","timestamp":{},"values":{value}}}"#, T0 + at * SECOND)
        };
        let body: Vec<String> = (0..20).map(line).collect();
        assert_eq!(host.post(LINES, body.join("\n").as_bytes()).unwrap().status, 202);
    };
    post(&host, 0, &[]);
    post(&host, 1, &[3, 17]);
    wait_for_count(&test_host, "dead_letters", 2);
    post(&host, 2, &[]);
    post(&host, 3, &[8]);
    wait_for_count(&test_host, "dead_letters", 3);
    let dead_letters = dead_letters(&test_host, "stage-failure");
    assert!(
        dead_letters.contains("m3/v") && dead_letters.contains("m17/v") && dead_letters.contains("m8/v"),
        "{dead_letters}"
    );
    // After a restart, the host processes the same records again without the quarantined ones.
    host.kill().unwrap();
    let host = test_host.start().unwrap();
    post(&host, 4, &[]);
    assert!(host.metric("wheeltapper_stage_restarts_total").unwrap() < 1.0);
    host.stop().unwrap();
    let counts = test_host.counts().unwrap();
    assert!(counts["readings"] == 97 && counts["rejected_readings"] == 3 && counts["dead_letters"] == 3, "{counts}");
    let reading_count = |sensor: &str| test_host.query(&["readings", "--sensor", sensor]).unwrap().len();
    assert_eq!(
        (reading_count("m3/v"), reading_count("m17/v"), reading_count("m8/v"), reading_count("m4/v")),
        (4, 4, 4, 5)
    );
}

#[test]
fn a_component_in_an_endless_loop_is_restarted() {
    check_faulty_component(667, "deadline");
}

#[test]
fn a_component_that_exhausts_memory_is_restarted() {
    check_faulty_component(668, "memory");
}

#[test]
fn dead_letters_are_accepted_after_the_cause_is_fixed() {
    let (test_host, host) = start_host();
    let body = br#"{"sensor_id":"plant/hall/pump/new","timestamp":1767225600,"values":1}"#;
    assert_eq!(host.post(JSON, body).unwrap().status, 422);
    wait_for_count(&test_host, "dead_letters", 1);
    test_host.configure(&format!("{CONFIG}\n[[site.area.machine.sensor]]\nname = \"new\"\n")).unwrap();
    host.signal("HUP").unwrap();
    let to = format!("http://{}", host.http);
    wait_until("no dead letter of an unknown sensor", TIMEOUT, || {
        // Until the new configuration is loaded, the dead letter is rejected again and kept.
        let _ = test_host.output(&["dead-letters", "replay", "--reason", "unknown-sensor", "--to", &to]);
        Ok(count(&test_host, "readings") == 1 && !dead_letters(&test_host, "unknown-sensor").contains("pump/new"))
    })
    .unwrap();
    host.stop().unwrap();
}

/// A sender that gets no answer sends its body again, also when all of it is long behind the watermark.
#[test]
fn a_long_body_sent_again_is_stored_once() {
    let test_host = TestHost::new("").unwrap();
    let host = test_host.start().unwrap();
    let body: String = (0..2_000)
        .map(|at| format!("{{\"sensor_id\":\"a/m/s\",\"timestamp\":{},\"values\":{at}.5}}\n", T0 + at * SECOND))
        .collect();
    // The second copy meets the first in memory, the third after a restart in the store.
    for _ in 0..2 {
        assert_eq!(host.post("application/x-ndjson", body.as_bytes()).unwrap().status, 202);
    }
    host.stop().unwrap();
    let host = test_host.start().unwrap();
    assert_eq!(host.post("application/x-ndjson", body.as_bytes()).unwrap().status, 202);
    host.stop().unwrap();
    assert_eq!(test_host.query(&["readings", "--sensor", "a/m/s", "--limit", "10000"]).unwrap().len(), 2_000);
    assert_eq!(test_host.counts().unwrap()["readings"], 2_000);
}

#[test]
fn dead_letters_rejected_again_are_not_duplicated() {
    let (test_host, host) = start_host();
    let unknown = br#"{"sensor_id":"plant/hall/pump/new","timestamp":1767225600,"values":1}"#;
    assert_eq!(host.post(JSON, unknown).unwrap().status, 422);
    assert_eq!(host.post(JSON, &vec![b' '; 70 << 10]).unwrap().status, 413);
    for encoding in ["br", "gzip"] {
        host.post_with(&[("Content-Encoding", encoding)], b"x").unwrap();
    }
    wait_for_count(&test_host, "dead_letters", 4);
    let to = format!("http://{}", host.http);
    let replay = test_host.command().unwrap().args(["dead-letters", "replay", "--to", &to]).output().unwrap();
    let text = String::from_utf8_lossy(&replay.stdout).into_owned();
    assert!(text.contains("0 accepted, 1 rejected again") && text.contains("3 kept: it was too large"), "{text}");
    assert_eq!(replay.status.code(), Some(1), "{}", String::from_utf8_lossy(&replay.stderr));
    // The dead letters are unchanged and counted once.
    assert_eq!((count(&test_host, "rejected_readings"), count(&test_host, "dead_letters")), (4, 4));
    let error = test_host.output(&["dead-letters", "list", "--reason", "nonsense"]).unwrap_err().to_string();
    assert!(error.contains("malformed") && error.contains("stage-failure"), "{error}");
    host.stop().unwrap();
}

#[test]
fn ports_of_the_command_line_override_the_file() {
    let clash = "[http]\nlisten = \"127.0.0.1:1883\"\n";
    let test_host = TestHost::new(clash).unwrap();
    assert!(test_host.output(&["config", "check"]).unwrap_err().to_string().contains("same port"));
    let host = test_host.start().unwrap();
    test_host.configure(&format!("{clash}[log]\nsegment = \"16MiB\"\n")).unwrap();
    host.signal("HUP").unwrap();
    wait_until("reload of the configuration", TIMEOUT, || {
        let log = std::fs::read_to_string(test_host.path().join("host.log"))?;
        Ok(log.contains("only after a restart: [log];"))
    })
    .unwrap();
    host.stop().unwrap();
}

#[test]
fn a_changed_setting_that_requires_a_restart_is_logged() {
    let (test_host, host) = start_host();
    test_host.configure(&format!("{CONFIG}\n[log]\nsegment = \"16MiB\"\n")).unwrap();
    host.signal("HUP").unwrap();
    wait_until("the warning", TIMEOUT, || {
        let log = std::fs::read_to_string(test_host.path().join("host.log"))?;
        Ok(log.contains("only after a restart: [log]"))
    })
    .unwrap();
    host.stop().unwrap();
}
