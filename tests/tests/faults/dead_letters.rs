//! Replay of dead letters: no reading is lost or counted twice.

use std::{process::Output, time::Duration};

use serde_json::Value;
use wheeltapper_tests::{RunningHost, TestHost, wait_until};

const TIMEOUT: Duration = Duration::from_secs(20);
const CONFIG: &str = "[line]\ncheckpoint = \"200ms\"\n";

fn count(test_host: &TestHost, name: &str) -> u64 {
    test_host.counts().unwrap()[name].as_u64().unwrap()
}

fn wait_for_count(test_host: &TestHost, name: &str, expected: u64) {
    wait_until(&format!("{name} = {expected}"), TIMEOUT, || Ok(count(test_host, name) == expected)).unwrap();
}

fn replay(test_host: &TestHost, host: &RunningHost, extra_arguments: &[&str]) -> (Option<i32>, String) {
    let to = format!("http://{}", host.http);
    let arguments = [&["dead-letters", "replay", "--to", &to][..], extra_arguments].concat();
    let Output { status, stdout, stderr } = test_host.command().unwrap().args(arguments).output().unwrap();
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// A Sparkplug payload with one double metric: with a name, a birth at 2023-11-14T22:13:20Z; without, data one
/// millisecond later.
fn sparkplug(name: Option<&str>, alias: u8, value: f64) -> Vec<u8> {
    let extra_ms = u8::from(name.is_none());
    let mut metric = Vec::new();
    if let Some(name) = name {
        metric.extend([0x0a, u8::try_from(name.len()).unwrap()]);
        metric.extend(name.as_bytes());
    }
    metric.extend([0x10, alias, 0x20, 0x0a, 0x69]);
    metric.extend(value.to_le_bytes());
    // timestamp: 1,700,000,000,000 ms
    let mut payload =
        vec![0x08, 0x80 | extra_ms, 0xd0, 0x95, 0xff, 0xbc, 0x31, 0x12, u8::try_from(metric.len()).unwrap()];
    payload.extend(metric);
    payload
}

fn publish(host: &RunningHost, topic: &str, payload: &[u8]) -> u16 {
    let url = format!("http://{}/api/v1/ingest?topic={topic}", host.http);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    agent.post(url).send(payload).unwrap().status().as_u16()
}

#[test]
fn a_sparkplug_dead_letter_keeps_its_topic() {
    let test_host = TestHost::new(CONFIG).unwrap();
    let host = test_host.start().unwrap();
    // Data before the birth that defines the alias.
    assert_eq!(publish(&host, "spBv1.0/g/DDATA/n/d", &sparkplug(None, 7, 21.5)), 422);
    wait_for_count(&test_host, "dead_letters", 1);
    let before = test_host.query(&["sql", "SELECT reason, message, source FROM dead_letters"]).unwrap();
    // A replay before the birth leaves the dead letter unchanged and does not count it again.
    let (code, output) = replay(&test_host, &host, &[]);
    assert!(
        code == Some(1) && output.contains("0 accepted, 1 rejected again") && output.contains("Rebirth"),
        "{output}"
    );
    let after = test_host.query(&["sql", "SELECT reason, message, source FROM dead_letters"]).unwrap();
    assert_eq!(after, before);
    assert_eq!(count(&test_host, "rejected_readings"), 1);

    assert_eq!(publish(&host, "spBv1.0/g/DBIRTH/n/d", &sparkplug(Some("temp"), 7, 20.0)), 202);
    let (code, output) = replay(&test_host, &host, &[]);
    assert!(code == Some(0) && output.contains("1 accepted, 0 rejected again"), "{output}");
    wait_for_count(&test_host, "readings", 2);
    assert_eq!(count(&test_host, "dead_letters"), 0, "an accepted dead letter is deleted");
    let sensors = test_host.query(&["sensors"]).unwrap();
    assert_eq!(sensors.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), ["g/n/d/temp"]);
    let rows = test_host.query(&["sql", "SELECT count(*) AS n FROM dead_letters"]).unwrap();
    assert_eq!(rows[0]["n"], 0);
    host.stop().unwrap();
}

#[test]
fn a_dead_letter_rejected_again_is_unchanged() {
    let test_host = TestHost::new(CONFIG).unwrap();
    let host = test_host.start().unwrap();
    let future = i64::MAX / 1_000_000_000 - 1_000;
    let body = format!(r#"{{"sensor_id":"m/a","timestamp":{future},"values":1}}"#);
    assert_eq!(host.post("application/json", body.as_bytes()).unwrap().status, 422);
    wait_for_count(&test_host, "dead_letters", 1);
    let read_dead_letter = || -> Value {
        let rows = test_host.query(&["sql", "SELECT * FROM dead_letters"]).unwrap();
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows[0].clone()
    };
    let before = read_dead_letter();
    for _ in 0..3 {
        let (code, output) = replay(&test_host, &host, &["--reason", "in-future"]);
        assert!(code == Some(1) && output.contains("1 rejected again"), "{output}");
        assert_eq!(read_dead_letter(), before);
    }
    // A replay to a host with another data folder fails with an explanation.
    let other_test_host = TestHost::new(CONFIG).unwrap();
    let other_host = other_test_host.start().unwrap();
    let (code, output) = replay(&test_host, &other_host, &[]);
    assert!(
        code == Some(1) && output.contains("knows none of these dead letters") && output.contains("--data"),
        "{output}"
    );
    assert_eq!(read_dead_letter(), before);
    other_host.stop().unwrap();
    host.stop().unwrap();
    let (code, output) = {
        let to = ["dead-letters", "replay", "--to", "http://127.0.0.1:9"];
        let out = test_host.command().unwrap().args(to).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    assert!(code == Some(1) && output.contains("is the host running?"), "{output}");
    assert_eq!(read_dead_letter(), before);
}
