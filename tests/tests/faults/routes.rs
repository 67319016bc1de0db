//! Delivery of alerts to a webhook that redirects, and a reload with an invalid configuration.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use wheeltapper_tests::{RunningHost, SECOND, T0, TestHost, wait_until};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Starts a receiver that answers with `statuses` in order and repeats the last one.
fn start_receiver(statuses: &'static [&'static str]) -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, bodies) = mpsc::channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut length, mut line) = (0, String::new());
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let status = statuses.get(number).or(statuses.last()).unwrap();
            let _ = write!(stream.get_mut(), "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if sender.send(serde_json::from_slice(&body).unwrap_or(Value::Null)).is_err() {
                return;
            }
        }
    });
    (url, bodies)
}

/// Posts readings of a machine that develops a fault.
fn post_fault(host: &RunningHost, machine: &str) {
    let readings: Vec<Value> = (0..1_200)
        .map(|second| {
            let noise = f64::from((second * 7919) % 101) / 101.0;
            let broken = if second > 900 { 50.0 } else { 0.0 };
            let time = T0 + i64::from(second) * SECOND;
            json!({"sensor_id": format!("north/{machine}/s"), "timestamp": time, "values": 10.0 + noise + broken})
        })
        .collect();
    assert_eq!(host.post("application/json", json!(readings).to_string().as_bytes()).unwrap().status, 202);
}

const LINE_CONFIG: &str = "[line]\ncheckpoint = \"200ms\"\n[detect]\nmodel = \"ensemble\"\nwarmup_windows = 10\n";

fn route(name: &str, what: &str) -> String {
    format!("[[alerts.route]]\nname = \"{name}\"\n{what}\n")
}

#[test]
fn a_redirect_is_not_followed_and_the_alert_sent_again() {
    let (redirect_target, redirected) = start_receiver(&["200 OK"]);
    let redirect: &'static str = format!("302 Found\r\nLocation: {redirect_target}").leak();
    let statuses: &'static [&'static str] = vec![redirect, "200 OK"].leak();
    let (url, bodies) = start_receiver(statuses);
    let test_host = TestHost::new(&format!("{LINE_CONFIG}{}", route("r", &format!("webhook = {url:?}")))).unwrap();
    let host = test_host.start().unwrap();
    post_fault(&host, "pump");
    let first = bodies.recv_timeout(TIMEOUT).unwrap();
    let second_try = bodies.recv_timeout(TIMEOUT).unwrap();
    assert_eq!((&first["event"], &first["alert"]["id"]), (&second_try["event"], &second_try["alert"]["id"]));
    assert_eq!(first["event"], "opened");
    assert!(redirected.try_recv().is_err(), "the redirect was followed");
    wait_until("one delivered notification in the metrics", TIMEOUT, || {
        Ok(host.metric("wheeltapper_notifications_total{outcome=\"delivered\"}")? == 1.0)
    })
    .unwrap();
    let log = std::fs::read_to_string(test_host.path().join("host.log")).unwrap();
    assert!(log.contains("set the final URL"), "{log}");
}

/// Regression test: a reload with a missing environment variable removed all routes, and restoring the configuration
/// did not bring them back.
#[test]
fn a_failed_reload_keeps_the_routes() {
    let (url, bodies) = start_receiver(&["200 OK"]);
    let valid_config = format!("{LINE_CONFIG}{}", route("old", &format!("webhook = {url:?}")));
    let test_host = TestHost::new(&valid_config).unwrap();
    let host = test_host.start().unwrap();
    let count_in_log = |what: &str| {
        let log = std::fs::read_to_string(test_host.path().join("host.log")).unwrap();
        log.matches(what).count()
    };
    test_host
        .configure(&format!("{valid_config}{}", route("new", "webhook_env = \"WHEELTAPPER_TEST_NOT_SET\"")))
        .unwrap();
    host.signal("HUP").unwrap();
    wait_until("the reload fails", TIMEOUT, || Ok(count_in_log("the old configuration stays in force") == 1)).unwrap();
    post_fault(&host, "pump");
    assert_eq!(bodies.recv_timeout(TIMEOUT).unwrap()["alert"]["asset"], "north/pump");
    // The old route and a valid new one.
    let (new_url, new_bodies) = start_receiver(&["200 OK"]);
    test_host.configure(&format!("{valid_config}{}", route("new", &format!("webhook = {new_url:?}")))).unwrap();
    host.signal("HUP").unwrap();
    let began = std::time::Instant::now();
    for number in 0.. {
        post_fault(&host, &format!("fan-{number}"));
        bodies.recv_timeout(TIMEOUT).unwrap();
        if new_bodies.recv_timeout(Duration::from_secs(2)).is_ok() {
            break;
        }
        assert!(began.elapsed() < TIMEOUT, "the new route does not run");
    }
}
