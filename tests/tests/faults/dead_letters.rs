//! Dead letters that are taken in again: nothing of them is lost, nothing is counted twice.

use std::{process::Output, time::Duration};

use serde_json::Value;
use wheeltapper_tests::{Plant, Running, wait_until};

const SOON: Duration = Duration::from_secs(20);
const CONFIG: &str = "[line]\ncheckpoint = \"200ms\"\n";

fn count(plant: &Plant, name: &str) -> u64 {
    plant.counts().unwrap()[name].as_u64().unwrap()
}

fn reaches(plant: &Plant, name: &str, wanted: u64) {
    wait_until(&format!("{name} = {wanted}"), SOON, || Ok(count(plant, name) == wanted)).unwrap();
}

fn replay(plant: &Plant, host: &Running, more: &[&str]) -> (Option<i32>, String) {
    let to = format!("http://{}", host.http);
    let arguments = [&["dlq", "replay", "--to", &to][..], more].concat();
    let Output { status, stdout, stderr } = plant.command().unwrap().args(arguments).output().unwrap();
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// Sparkplug's payload with one metric of type double: a birth at 2023-11-14T22:13:20Z, or data a millisecond later.
fn sparkplug(name: Option<&str>, alias: u8, value: f64) -> Vec<u8> {
    let after = u8::from(name.is_none());
    let mut metric = Vec::new();
    if let Some(name) = name {
        metric.extend([0x0a, u8::try_from(name.len()).unwrap()]);
        metric.extend(name.as_bytes());
    }
    metric.extend([0x10, alias, 0x20, 0x0a, 0x69]);
    metric.extend(value.to_le_bytes());
    // timestamp: 1,700,000,000,000 ms
    let mut payload = vec![0x08, 0x80 | after, 0xd0, 0x95, 0xff, 0xbc, 0x31, 0x12, u8::try_from(metric.len()).unwrap()];
    payload.extend(metric);
    payload
}

fn publish(host: &Running, topic: &str, payload: &[u8]) -> u16 {
    let url = format!("http://{}/api/v1/ingest?topic={topic}", host.http);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    agent.post(url).send(payload).unwrap().status().as_u16()
}

#[test]
fn a_letter_of_sparkplug_keeps_its_topic() {
    let plant = Plant::new(CONFIG).unwrap();
    let host = plant.start().unwrap();
    // Data before the birth that names it.
    assert_eq!(publish(&host, "spBv1.0/g/DDATA/n/d", &sparkplug(None, 7, 21.5)), 422);
    reaches(&plant, "dead_letters", 1);
    let before = plant.query(&["sql", "SELECT reason, message, source FROM dead_letters"]).unwrap();
    // As long as nothing has changed it stays as it was, and is not counted again.
    let (code, told) = replay(&plant, &host, &[]);
    assert!(code == Some(1) && told.contains("0 taken, 1 refused again") && told.contains("Rebirth"), "{told}");
    let after = plant.query(&["sql", "SELECT reason, message, source FROM dead_letters"]).unwrap();
    assert_eq!(after, before);
    assert_eq!(count(&plant, "rejected_readings"), 1);

    assert_eq!(publish(&host, "spBv1.0/g/DBIRTH/n/d", &sparkplug(Some("temp"), 7, 20.0)), 202);
    let (code, told) = replay(&plant, &host, &[]);
    assert!(code == Some(0) && told.contains("1 taken, 0 refused again"), "{told}");
    reaches(&plant, "readings", 2);
    assert_eq!(count(&plant, "dead_letters"), 0, "the letter is gone once it was taken");
    let sensors = plant.query(&["sensors"]).unwrap();
    assert_eq!(sensors.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), ["g/n/d/temp"]);
    let rows = plant.query(&["sql", "SELECT count(*) AS n FROM dead_letters"]).unwrap();
    assert_eq!(rows[0]["n"], 0);
    host.stop().unwrap();
}

#[test]
fn what_is_refused_again_keeps_its_reason_and_payload() {
    let plant = Plant::new(CONFIG).unwrap();
    let host = plant.start().unwrap();
    let ahead = i64::MAX / 1_000_000_000 - 1_000;
    let body = format!(r#"{{"sensor_id":"m/a","timestamp":{ahead},"values":1}}"#);
    assert_eq!(host.post("application/json", body.as_bytes()).unwrap().status, 422);
    reaches(&plant, "dead_letters", 1);
    let letter = || -> Value {
        let letters = plant.query(&["sql", "SELECT * FROM dead_letters"]).unwrap();
        assert_eq!(letters.len(), 1, "{letters:?}");
        letters[0].clone()
    };
    let before = letter();
    for _ in 0..3 {
        let (code, told) = replay(&plant, &host, &["--reason", "in-future"]);
        assert!(code == Some(1) && told.contains("1 refused again"), "{told}");
        assert_eq!(letter(), before);
    }
    // Whoever names another host's folder is told.
    let other = Plant::new(CONFIG).unwrap();
    let strange = other.start().unwrap();
    let (code, told) = replay(&plant, &strange, &[]);
    assert!(code == Some(1) && told.contains("knows none of these letters") && told.contains("--data"), "{told}");
    assert_eq!(letter(), before);
    strange.stop().unwrap();
    host.stop().unwrap();
    let (code, told) = {
        let to = ["dlq", "replay", "--to", "http://127.0.0.1:9"];
        let out = plant.command().unwrap().args(to).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    assert!(code == Some(1) && told.contains("is the host running?"), "{told}");
    assert_eq!(letter(), before);
}
