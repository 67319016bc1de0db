//! Each alert reaches the webhooks of its routes once, despite failing receivers and a killed host.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;
use wheeltapper_tests::{RunningHost, SECOND, T0, TestHost, wait_until};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Received notifications: idempotency key and body.
type Received = Arc<Mutex<Vec<(String, Value)>>>;

/// Starts a receiver that answers with the given statuses in order, then with 200.
fn start_receiver(listener: TcpListener, mut statuses: Vec<u16>, received: &Received) {
    let received = Arc::clone(received);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (key, body) = read(stream.as_ref().unwrap());
            let status = if statuses.is_empty() { 200 } else { statuses.remove(0) };
            if status == 200 {
                received.lock().unwrap().push((key, body));
            }
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // A sender that timed out has closed the connection.
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

/// Posts readings of the seconds `from..to`; an `offset` other than 0 makes them abnormal.
fn send(host: &RunningHost, machine: &str, from: i64, to: i64, offset: f64) {
    let mut body = String::new();
    for second in from..to {
        let noise = f64::from(u32::try_from((second * 7919) % 101).unwrap()) / 101.0;
        let (time, value) = (T0 + second * SECOND, 10.0 + noise + offset);
        body.push_str(&format!("{{\"sensor_id\":\"{machine}/s\",\"timestamp\":{time},\"values\":{value}}}\n"));
    }
    assert_eq!(host.post("application/x-ndjson", body.as_bytes()).unwrap().status, 202);
}

#[test]
fn each_alert_is_delivered_once_despite_failures_and_a_kill() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let test_host = TestHost::new(&format!(
        "[line]\ncheckpoint = \"200ms\"\n[detect]\nmodel = \"ensemble\"\nwarmup_windows = 10\n\
         [[alerts.route]]\nname = \"all\"\nwebhook = \"http://{address}/hook\"\n\
         [[alerts.route]]\nname = \"elsewhere\"\nsites = [\"no-such-site\"]\nwebhook = \"http://{address}/hook\"\n"
    ))
    .unwrap();
    let host = test_host.start().unwrap();
    // The receiver does not run yet: connections wait in the listener's queue until they time out or are accepted.
    send(&host, "plant/a", 0, 400, 0.0);
    send(&host, "plant/a", 400, 500, 30.0);
    wait_until("an alert", TIMEOUT, || Ok(test_host.counts()?["alerts"] == 1)).unwrap();
    // The receiver first fails with 500 and 429, then accepts.
    let received = Received::default();
    start_receiver(listener, vec![500, 429], &received);
    wait_until("the first notification", TIMEOUT, || Ok(!received.lock().unwrap().is_empty())).unwrap();
    host.kill().unwrap();

    let host = test_host.start().unwrap();
    send(&host, "plant/a", 500, 900, 0.0);
    send(&host, "plant/b", 0, 400, 0.0);
    send(&host, "plant/b", 400, 500, 30.0);
    let resolved = |(_, body): &(String, Value)| body["event"] == "resolved";
    wait_until("both alerts and a resolved alert", TIMEOUT, || {
        let received = received.lock().unwrap();
        let opened =
            |asset: &str| received.iter().any(|(_, body)| body["event"] == "opened" && body["alert"]["asset"] == asset);
        Ok(opened("plant/a") && opened("plant/b") && received.iter().any(resolved))
    })
    .unwrap();
    host.stop().unwrap();

    let received = received.lock().unwrap();
    let mut keys: Vec<_> = received.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    let (_, first) = received.first().unwrap();
    assert!(first["text"].as_str().unwrap().contains("plant/a"), "{first}");
    assert!(first["alert"]["recommendation"].as_str().is_some_and(|text| !text.is_empty()), "{first}");
    assert!(received.iter().all(|(_, body)| body["route"] == "all"), "a route delivered an alert of another site");
    // The kill may repeat the notification in transit, but only with the same key.
    assert!(received.len() - keys.len() <= 1, "{} notifications under {} keys", received.len(), keys.len());
}
