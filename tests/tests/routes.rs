//! Alerts reach the webhooks of their routes once each, through receivers that fail and a host that is killed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;
use wheeltapper_tests::{Plant, Running, SECOND, T0, wait_until};

const SOON: Duration = Duration::from_secs(30);

/// What a receiver got: the idempotency key and the body.
type Got = Arc<Mutex<Vec<(String, Value)>>>;

/// A receiver that answers with the statuses one after another, then with 200.
fn receiver(listener: TcpListener, mut statuses: Vec<u16>, got: &Got) {
    let got = Arc::clone(got);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (key, body) = read(stream.as_ref().unwrap());
            let status = if statuses.is_empty() { 200 } else { statuses.remove(0) };
            if status == 200 {
                got.lock().unwrap().push((key, body));
            }
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // A sender that gave up waiting is gone.
            let _ = stream.unwrap().write_all(answer.as_bytes());
        }
    });
}

fn read(stream: &TcpStream) -> (String, Value) {
    let mut input = BufReader::new(stream);
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => key = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).unwrap();
    (key, serde_json::from_slice(&body).unwrap())
}

/// Healthy readings, and bad ones in between.
fn send(host: &Running, machine: &str, from: i64, to: i64, offset: f64) {
    let mut body = String::new();
    for second in from..to {
        let noise = f64::from(u32::try_from((second * 7919) % 101).unwrap()) / 101.0;
        let (time, value) = (T0 + second * SECOND, 10.0 + noise + offset);
        body.push_str(&format!("{{\"sensor_id\":\"{machine}/s\",\"timestamp\":{time},\"values\":{value}}}\n"));
    }
    assert_eq!(host.post("application/x-ndjson", body.as_bytes()).unwrap().status, 202);
}

#[test]
fn alerts_are_carried_once_each_through_failures_and_a_kill() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let plant = Plant::new(&format!(
        "[line]\ncheckpoint = \"200ms\"\n[detect]\nwarmup_windows = 10\n\
         [[alerts.route]]\nname = \"all\"\nwebhook = \"http://{address}/hook\"\n\
         [[alerts.route]]\nname = \"elsewhere\"\nsites = [\"no-such-site\"]\nwebhook = \"http://{address}/hook\"\n"
    ))
    .unwrap();
    let host = plant.start().unwrap();
    // The receiver is not there yet: connections wait in the listener's queue until they time out or are taken.
    send(&host, "plant/a", 0, 400, 0.0);
    send(&host, "plant/a", 400, 500, 30.0);
    wait_until("an alert", SOON, || Ok(plant.counts()?["alerts"] == 1)).unwrap();
    // The receiver first fails in two ways, then takes.
    let got = Got::default();
    receiver(listener, vec![500, 429], &got);
    wait_until("the first notification", SOON, || Ok(!got.lock().unwrap().is_empty())).unwrap();
    host.kill().unwrap();

    let host = plant.start().unwrap();
    send(&host, "plant/a", 500, 900, 0.0);
    send(&host, "plant/b", 0, 400, 0.0);
    send(&host, "plant/b", 400, 500, 30.0);
    let resolved = |(_, body): &(String, Value)| body["event"] == "resolved";
    wait_until("both alerts and a recovery", SOON, || {
        let got = got.lock().unwrap();
        let opened =
            |asset: &str| got.iter().any(|(_, body)| body["event"] == "opened" && body["alert"]["asset"] == asset);
        Ok(opened("plant/a") && opened("plant/b") && got.iter().any(resolved))
    })
    .unwrap();
    host.stop().unwrap();

    let got = got.lock().unwrap();
    let mut keys: Vec<_> = got.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    let (_, first) = got.first().unwrap();
    assert!(first["text"].as_str().unwrap().contains("plant/a"), "{first}");
    assert!(first["alert"]["recommendation"].as_str().is_some_and(|text| !text.is_empty()), "{first}");
    assert!(got.iter().all(|(_, body)| body["route"] == "all"), "a route carried another site's alert");
    // The kill may repeat the one that was under way, and only under its own key.
    assert!(got.len() - keys.len() <= 1, "{} notifications under {} keys", got.len(), keys.len());
}
