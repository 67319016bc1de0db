//! Alerts on their way to a webhook, and a configuration that cannot be taken.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use wheeltapper_tests::{Plant, Running, SECOND, T0, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver that answers with `statuses` in turn, the last for ever.
fn receiver(statuses: &'static [&'static str]) -> (String, Receiver<Value>) {
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

/// Readings of a machine that breaks.
fn break_down(host: &Running, machine: &str) {
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

const LINE: &str = "[line]\ncheckpoint = \"200ms\"\n[detect]\nwarmup_windows = 10\n";

fn route(name: &str, what: &str) -> String {
    format!("[[alerts.route]]\nname = \"{name}\"\n{what}\n")
}

#[test]
fn a_receiver_that_redirects_loses_no_alert() {
    let (elsewhere, other) = receiver(&["200 OK"]);
    let redirect: &'static str = format!("302 Found\r\nLocation: {elsewhere}").leak();
    let statuses: &'static [&'static str] = vec![redirect, "200 OK"].leak();
    let (url, bodies) = receiver(statuses);
    let plant = Plant::new(&format!("{LINE}{}", route("r", &format!("webhook = {url:?}")))).unwrap();
    let host = plant.start().unwrap();
    break_down(&host, "pump");
    let first = bodies.recv_timeout(PATIENCE).unwrap();
    let again = bodies.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&first["event"], &first["alert"]["id"]), (&again["event"], &again["alert"]["id"]));
    assert_eq!(first["event"], "opened");
    assert!(other.try_recv().is_err(), "the redirect was followed");
    wait_until("it is counted as delivered once", PATIENCE, || {
        Ok(host.metric("wheeltapper_notifications_total{outcome=\"delivered\"}")? == 1.0)
    })
    .unwrap();
    let log = std::fs::read_to_string(plant.path().join("host.log")).unwrap();
    assert!(log.contains("set the final URL"), "{log}");
}

/// A new route whose environment variable is missing once left no route at all, and going back did not bring them back.
#[test]
fn a_reload_that_fails_leaves_the_routes_as_they_were() {
    let (url, bodies) = receiver(&["200 OK"]);
    let good = format!("{LINE}{}", route("old", &format!("webhook = {url:?}")));
    let plant = Plant::new(&good).unwrap();
    let host = plant.start().unwrap();
    let said = |what: &str| {
        let log = std::fs::read_to_string(plant.path().join("host.log")).unwrap();
        log.matches(what).count()
    };
    plant.configure(&format!("{good}{}", route("new", "webhook_env = \"WHEELTAPPER_TEST_NOT_SET\""))).unwrap();
    host.signal("HUP").unwrap();
    wait_until("the reload fails", PATIENCE, || Ok(said("the old configuration stays in force") == 1)).unwrap();
    break_down(&host, "pump");
    assert_eq!(bodies.recv_timeout(PATIENCE).unwrap()["alert"]["asset"], "north/pump");
    // Back to what was, and one more that works.
    let (second, more) = receiver(&["200 OK"]);
    plant.configure(&format!("{good}{}", route("new", &format!("webhook = {second:?}")))).unwrap();
    host.signal("HUP").unwrap();
    let began = std::time::Instant::now();
    for number in 0.. {
        break_down(&host, &format!("fan-{number}"));
        bodies.recv_timeout(PATIENCE).unwrap();
        if more.recv_timeout(Duration::from_secs(2)).is_ok() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the new route does not run");
    }
}
