//! Bad input of every kind: a clear answer to the sender, a dead letter with the reason, and a line that goes on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use wheeltapper_simulate::encode_waveform;
use wheeltapper_tests::{Answer, Plant, Running, SECOND, T0, hostile_featurize, wait_until};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const SOON: Duration = Duration::from_secs(20);
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

fn first_error(answer: &Answer) -> (&str, &str) {
    let error = &answer.body["errors"][0];
    (error["reason"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default())
}

/// What `dlq list` prints of a reason.
fn dead_letters(plant: &Plant, reason: &str) -> String {
    plant.output(&["dlq", "list", "--reason", reason, "--payload"]).unwrap()
}

fn count(plant: &Plant, name: &str) -> u64 {
    plant.counts().unwrap()[name].as_u64().unwrap()
}

fn reaches(plant: &Plant, name: &str, wanted: u64) {
    wait_until(&format!("{name} = {wanted}"), SOON, || Ok(count(plant, name) == wanted)).unwrap();
}

/// A good reading still goes through and is stored.
fn goes_on(plant: &Plant, host: &Running, time: i64) {
    let before = count(plant, "readings");
    let answer = host.post(JSON, reading(time, "2.5").as_bytes()).unwrap();
    assert!(answer.status == 202 && answer.body["accepted"] == 1, "{answer:?}");
    reaches(plant, "readings", before + 1);
}

fn host() -> (Plant, Running) {
    let plant = Plant::new(CONFIG).unwrap();
    let host = plant.start().unwrap();
    (plant, host)
}

/// Posts what must be refused whole for `reason`, with `word` in its message.
fn refused(body: &[u8], kind: &str, reason: &str, word: &str) {
    let (plant, host) = host();
    let answer = host.post(kind, body).unwrap();
    assert_eq!(answer.status, 422, "{answer:?}");
    let (got, message) = first_error(&answer);
    assert_eq!(got, reason, "{answer:?}");
    assert!(message.contains(word), "{message:?} does not say {word:?}");
    reaches(&plant, "dead_letters", 1);
    assert!(dead_letters(&plant, reason).contains(reason));
    goes_on(&plant, &host, T0);
    assert_eq!(count(&plant, "rejected_readings"), 1);
    host.stop().unwrap();
}

#[test]
fn malformed_json() {
    refused(br#"{"sensor_id":"plant/hall/pump/vibration","timestamp":"#, JSON, "malformed", "expected");
}

#[test]
fn malformed_ndjson() {
    refused(b"this is no json", LINES, "malformed", "sensor_id");
}

#[test]
fn malformed_line_protocol() {
    refused(b"vibration value=high 1767225600", "application/vnd.influxdata.line-protocol", "malformed", "field");
}

#[test]
fn lines_count_time_as_their_sender_says() {
    let (plant, host) = host();
    // By its size this would be seconds, in the year 1970.
    let (tag, minutes) = (format!("m,sensor={SENSOR}"), T0 / SECOND / 60);
    let client = ureq::agent();
    let post = |query: &str| {
        let request = client.post(format!("http://{}/api/v1/ingest{query}", host.http));
        request.config().http_status_as_error(false).build().send(format!("{tag} value=1.5 {minutes}\n")).unwrap()
    };
    assert_eq!(post("").status(), 422);
    assert_eq!(post("?precision=m").status(), 202);
    reaches(&plant, "readings", 1);
    let mut odd = post("?precision=minutes");
    let said = odd.body_mut().read_to_string().unwrap();
    assert!(odd.status() == 400 && said.contains("not one of ns, us, ms, s"), "{said}");
    host.stop().unwrap();
}

#[test]
fn malformed_senml() {
    refused(br#"[{"n":"plant/hall/pump/vibration","u":"mm/s"}]"#, "application/senml+json", "malformed", "value");
}

#[test]
fn malformed_csv() {
    let body = b"sensor_id,timestamp,value\nplant/hall/pump/vibration,yesterday,1\n";
    refused(body, "text/csv", "malformed", "RFC 3339");
}

#[test]
fn malformed_sparkplug() {
    let (plant, host) = host();
    let url = "application/vnd.sparkplug";
    let answer = host.post(url, b"\xff\xff\xff\xff").unwrap();
    assert!(answer.status == 422 && first_error(&answer).0 == "malformed", "{answer:?}");
    reaches(&plant, "dead_letters", 1);
    goes_on(&plant, &host, T0);
}

#[test]
fn malformed_waveform() {
    let burst = encode_waveform(SENSOR, T0, 1000.0, &[1.0; 4]);
    let (plant, host) = host();
    let answer = host.post("application/vnd.wheeltapper.waveform", &burst[..burst.len() - 3]).unwrap();
    assert!(answer.status == 422 && first_error(&answer).0 == "malformed", "{answer:?}");
    assert_eq!(answer.body["rejected"], 3);
    reaches(&plant, "dead_letters", 1);
    goes_on(&plant, &host, T0);
}

#[test]
fn of_no_format() {
    refused(b"\x00\x01\x02", "application/octet-stream", "malformed", "format");
    refused(b"{}", "application/pdf", "malformed", "application/pdf");
}

#[test]
fn not_a_number() {
    refused(reading(T0, "NaN").as_bytes(), JSON, "non-finite", "NaN");
}

#[test]
fn infinite() {
    refused(reading(T0, "\"-Infinity\"").as_bytes(), JSON, "non-finite", "inf");
}

#[test]
fn far_in_the_past() {
    refused(reading(12, "1").as_bytes(), JSON, "too-old", "1970");
}

#[test]
fn far_in_the_future() {
    refused(reading(4_102_444_800, "1").as_bytes(), JSON, "in-future", "2100");
}

#[test]
fn beyond_its_limits() {
    refused(reading(T0, "101").as_bytes(), JSON, "out-of-range", "100 mm/s");
}

#[test]
fn of_an_unknown_sensor() {
    refused(br#"{"sensor_id":"who","timestamp":1767225600,"values":1}"#, JSON, "unknown-sensor", "who");
}

#[test]
fn oversize_over_http() {
    let (plant, host) = host();
    let answer = host.post(JSON, &vec![b' '; 70 << 10]).unwrap();
    assert!(answer.status == 413 && answer.body.to_string().contains("65536"), "{answer:?}");
    reaches(&plant, "dead_letters", 1);
    assert!(dead_letters(&plant, "oversize").contains("oversize"));
    goes_on(&plant, &host, T0);
}

#[test]
fn packed_bodies_that_unpack_too_large_or_not_at_all() {
    let (plant, host) = host();
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
    reaches(&plant, "readings", 2);
    goes_on(&plant, &host, T0 + 2 * SECOND);
}

#[test]
fn one_bad_line_costs_its_neighbours_nothing() {
    let (plant, host) = host();
    let body =
        [reading(T0, "1"), "oops".into(), reading(T0 + SECOND, "2"), reading(T0 + 2 * SECOND, "1e400")].join("\n");
    let answer = host.post(LINES, body.as_bytes()).unwrap();
    assert!(answer.status == 202 && answer.body["accepted"] == 2 && answer.body["rejected"] == 2, "{answer:?}");
    assert_eq!(answer.body["errors"][0]["position"], 2);
    reaches(&plant, "readings", 2);
    reaches(&plant, "dead_letters", 2);
    assert!(dead_letters(&plant, "malformed").contains("oops"));
    goes_on(&plant, &host, T0 + 3 * SECOND);
}

#[test]
fn repeated_contradicting_and_late_data() {
    let (plant, host) = host();
    // Each in an event of its own, as the readings of one event are put in order. 101 comes again, 90 is late and kept.
    for at in [100, 101, 101, 95, 90, 102] {
        assert_eq!(host.post(LINES, reading(T0 + at * SECOND, "1").as_bytes()).unwrap().status, 202);
    }
    // Another value of that time.
    assert_eq!(host.post(LINES, reading(T0 + 102 * SECOND, "2").as_bytes()).unwrap().status, 202);
    reaches(&plant, "dead_letters", 1);
    reaches(&plant, "readings", 5);
    assert_eq!(count(&plant, "rejected_readings"), 1);
    assert!(dead_letters(&plant, "duplicate").contains("came before"));
    goes_on(&plant, &host, T0 + 103 * SECOND);
}

/// A component that misbehaves at `value`: that batch ends in the dead letters, its neighbours in the store.
fn misbehaves(value: i64, word: &str) {
    let component = hostile_featurize().unwrap().canonicalize().unwrap();
    let limits = "checkpoint = \"200ms\"\ndeadline = \"500ms\"\nmemory = \"128MiB\"";
    let plant =
        Plant::new(&format!("partitions = 1\n[line]\n{limits}\n[line.components]\nfeaturize = {component:?}\n"))
            .unwrap();
    let host = plant.start().unwrap();
    let post = |host: &Running, at: i64, value: i64| {
        let body = format!(r#"{{"sensor_id":"a/b","timestamp":{},"values":{value}}}"#, T0 + at * SECOND);
        assert_eq!(host.post(JSON, body.as_bytes()).unwrap().status, 202);
    };
    post(&host, 0, 1);
    reaches(&plant, "readings", 1);
    post(&host, 1, value);
    reaches(&plant, "dead_letters", 1);
    let told = dead_letters(&plant, "stage-failure");
    assert!(told.contains("stage-failure") && told.contains(word), "{told}");
    post(&host, 2, 3);
    reaches(&plant, "readings", 2);
    assert_eq!(count(&plant, "rejected_readings"), 1);
    assert!(host.metric("wheeltapper_stage_restarts_total{stage=\"featurize\"}").unwrap() >= 2.0);
    assert_eq!(host.get("/ready").unwrap().0, 200);
    // A restart goes over what was given up without trying it again.
    host.kill().unwrap();
    let host = plant.start().unwrap();
    post(&host, 3, 4);
    reaches(&plant, "readings", 3);
    assert_eq!(count(&plant, "rejected_readings"), 1);
}

#[test]
fn a_component_that_traps() {
    misbehaves(666, "featurize failed");
}

#[test]
fn a_machine_that_breaks_a_component_costs_its_neighbours_nothing() {
    let component = hostile_featurize().unwrap().canonicalize().unwrap();
    let plant = Plant::new(&format!(
        "partitions = 1\n[line]\ncheckpoint = \"1h\"\n[line.components]\nfeaturize = {component:?}\n"
    ))
    .unwrap();
    let host = plant.start().unwrap();
    // What 20 machines send at once, two of them what cannot be borne.
    let post = |host: &Running, at: i64, poison: &[i64]| {
        let line = |machine: i64| {
            let value = if poison.contains(&machine) { 666 } else { machine };
            format!(r#"{{"sensor_id":"m{machine}/v","timestamp":{},"values":{value}}}"#, T0 + at * SECOND)
        };
        let body: Vec<String> = (0..20).map(line).collect();
        assert_eq!(host.post(LINES, body.join("\n").as_bytes()).unwrap().status, 202);
    };
    post(&host, 0, &[]);
    post(&host, 1, &[3, 17]);
    reaches(&plant, "dead_letters", 2);
    post(&host, 2, &[]);
    post(&host, 3, &[8]);
    reaches(&plant, "dead_letters", 3);
    let told = dead_letters(&plant, "stage-failure");
    assert!(told.contains("m3/v") && told.contains("m17/v") && told.contains("m8/v"), "{told}");
    // A restart goes through the same again, without what was given up.
    host.kill().unwrap();
    let host = plant.start().unwrap();
    post(&host, 4, &[]);
    assert!(host.metric("wheeltapper_stage_restarts_total").unwrap() < 1.0);
    host.stop().unwrap();
    let counts = plant.counts().unwrap();
    assert!(counts["readings"] == 97 && counts["rejected_readings"] == 3 && counts["dead_letters"] == 3, "{counts}");
    let of = |sensor: &str| plant.query(&["readings", "--sensor", sensor]).unwrap().len();
    assert_eq!((of("m3/v"), of("m17/v"), of("m8/v"), of("m4/v")), (4, 4, 4, 5));
}

#[test]
fn a_component_that_loops_for_ever() {
    misbehaves(667, "deadline");
}

#[test]
fn a_component_that_allocates_without_end() {
    misbehaves(668, "memory");
}

#[test]
fn dead_letters_are_replayed_once_mended() {
    let (plant, host) = host();
    let body = br#"{"sensor_id":"plant/hall/pump/new","timestamp":1767225600,"values":1}"#;
    assert_eq!(host.post(JSON, body).unwrap().status, 422);
    reaches(&plant, "dead_letters", 1);
    plant.configure(&format!("{CONFIG}\n[[site.area.machine.sensor]]\nname = \"new\"\n")).unwrap();
    host.signal("HUP").unwrap();
    let to = format!("http://{}", host.http);
    wait_until("no letter of an unknown sensor", SOON, || {
        // Until the new configuration is read the letter is refused again and stays.
        let _ = plant.output(&["dlq", "replay", "--reason", "unknown-sensor", "--to", &to]);
        Ok(count(&plant, "readings") == 1 && !dead_letters(&plant, "unknown-sensor").contains("pump/new"))
    })
    .unwrap();
    host.stop().unwrap();
}

#[test]
fn letters_that_are_refused_again_do_not_double() {
    let (plant, host) = host();
    let unknown = br#"{"sensor_id":"plant/hall/pump/new","timestamp":1767225600,"values":1}"#;
    assert_eq!(host.post(JSON, unknown).unwrap().status, 422);
    assert_eq!(host.post(JSON, &vec![b' '; 70 << 10]).unwrap().status, 413);
    for encoding in ["br", "gzip"] {
        host.post_with(&[("Content-Encoding", encoding)], b"x").unwrap();
    }
    reaches(&plant, "dead_letters", 4);
    let to = format!("http://{}", host.http);
    let told = plant.command().unwrap().args(["dlq", "replay", "--to", &to]).output().unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(text.contains("0 taken, 1 refused again") && text.contains("3 kept: it was too large"), "{text}");
    assert_eq!(told.status.code(), Some(1), "{}", String::from_utf8_lossy(&told.stderr));
    // Each stays as it was, and counts once.
    assert_eq!((count(&plant, "rejected_readings"), count(&plant, "dead_letters")), (4, 4));
    let error = plant.output(&["dlq", "list", "--reason", "nonsense"]).unwrap_err().to_string();
    assert!(error.contains("malformed") && error.contains("stage-failure"), "{error}");
    host.stop().unwrap();
}

#[test]
fn ports_named_at_the_start_go_before_those_of_the_file() {
    let clash = "[http]\nlisten = \"127.0.0.1:1883\"\n";
    let plant = Plant::new(clash).unwrap();
    assert!(plant.output(&["config", "check"]).unwrap_err().to_string().contains("same port"));
    let host = plant.start().unwrap();
    plant.configure(&format!("{clash}[log]\nsegment = \"16MiB\"\n")).unwrap();
    host.signal("HUP").unwrap();
    wait_until("the configuration read anew", SOON, || {
        let log = std::fs::read_to_string(plant.path().join("host.log"))?;
        Ok(log.contains("next start only: [log];"))
    })
    .unwrap();
    host.stop().unwrap();
}

#[test]
fn a_changed_setting_that_waits_for_the_next_start_is_named() {
    let (plant, host) = host();
    plant.configure(&format!("{CONFIG}\n[log]\nsegment = \"16MiB\"\n")).unwrap();
    host.signal("HUP").unwrap();
    wait_until("the warning", SOON, || {
        let log = std::fs::read_to_string(plant.path().join("host.log"))?;
        Ok(log.contains("next start only: [log]"))
    })
    .unwrap();
    host.stop().unwrap();
}
