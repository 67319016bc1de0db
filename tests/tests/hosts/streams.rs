//! Tests Server-Sent Events and the WebSocket with independent clients (httpx-sse, websockets), reconnects and 1,000
//! simultaneous listeners.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use wheeltapper_tests::{RunningHost, SECOND, T0, TestHost, wait_until};

const CONFIG: &str = "[line]\ncheckpoint = \"200ms\"\n[detect]\nmodel = \"ensemble\"\nwarmup_windows = 10\n\
    [[technician]]\nname = \"Ada\"\nskills = [\"mechanic\", \"vibration-analyst\", \"instrumentation\"]\n";
const TIMEOUT: Duration = Duration::from_secs(60);

fn send(host: &RunningHost, machine: &str, from: i64, to: i64, offset: f64) {
    let mut body = String::new();
    for second in from..to {
        let noise = f64::from(u32::try_from((second * 7919) % 101).unwrap()) / 101.0;
        let (time, value) = (T0 + second * SECOND, 10.0 + noise + offset);
        body.push_str(&format!("{{\"sensor_id\":\"{machine}/s\",\"timestamp\":{time},\"values\":{value}}}\n"));
    }
    assert_eq!(host.post("application/x-ndjson", body.as_bytes()).unwrap().status, 202);
}

/// A Python client that prints JSON lines. [`Client::start`] returns after the client has connected.
struct Client {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Client {
    fn start(script: &str, arguments: &[&str]) -> Option<Self> {
        // `cargo xtask test` creates the environment.
        let Some(python) = std::env::var_os("WHEELTAPPER_PYTHON") else {
            eprintln!("skipped: `cargo xtask test` installs the clients");
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
        let mut child = Command::new(python).arg(script).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut client = Self { child, lines };
        assert!(client.next().get("open").is_some());
        Some(client)
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().unwrap_or_else(|| panic!("the client exited before it received all events"));
        serde_json::from_str(&line.unwrap()).unwrap()
    }

    fn collect_events(mut self, count: usize) -> Vec<Value> {
        let events = (0..count).map(|_| self.next()).collect();
        assert!(self.child.wait().unwrap().success());
        events
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn field_values<'a>(events: &'a [Value], name: &str) -> Vec<&'a str> {
    events.iter().filter_map(|event| event[name].as_str()).collect()
}

#[test]
fn findings_are_streamed_and_resumed() {
    let test_host = TestHost::new(CONFIG).unwrap();
    let host = test_host.start().unwrap();
    send(&host, "plant/a", 0, 400, 0.0);
    wait_until("the readings", TIMEOUT, || Ok(test_host.counts()?["readings"] == 400)).unwrap();
    let url = format!("http://{}/api/v1/anomalies/stream", host.http);
    let Some(sse) = Client::start("sse.py", &[&url, "3"]) else { return };
    let socket = Client::start("ws.py", &[&format!("ws://{}/ws/anomalies", host.http), "3"]).unwrap();
    send(&host, "plant/a", 400, 500, 30.0);
    let (sse_events, socket_events) = (sse.collect_events(3), socket.collect_events(3));
    // Both protocols deliver the same events.
    assert_eq!(field_values(&sse_events, "event"), field_values(&socket_events, "type"));
    assert_eq!(field_values(&sse_events, "id"), field_values(&socket_events, "id"));
    let first = &sse_events[0];
    assert_eq!(first["data"]["asset"], "plant/a", "{first}");
    assert!(first["data"]["detection_time"].as_str().unwrap().starts_with("2026-01-01T"), "{first}");
    wait_until("a work order", TIMEOUT, || Ok(test_host.counts()?["work_orders"] == 1)).unwrap();

    // A client that reconnects receives all missed events once, even after a kill of the host.
    host.kill().unwrap();
    let host = test_host.start().unwrap();
    let url = format!("http://{}/api/v1/anomalies/stream", host.http);
    // The work order is sent after the anomaly and the alert that caused it.
    let mut client = Client::start("sse.py", &[&url, "100000", "0.0.0"]).unwrap();
    let mut all = Vec::new();
    while all.last().is_none_or(|event: &Value| event["event"] != "work-order") {
        all.push(client.next());
    }
    drop(client);
    assert!(
        field_values(&all, "event").contains(&"anomaly") && field_values(&all, "event").contains(&"alert"),
        "{all:?}"
    );
    let rest = all.len() - 2;
    let resumed = Client::start("sse.py", &[&url, &rest.to_string(), all[1]["id"].as_str().unwrap()]).unwrap();
    assert_eq!(field_values(&resumed.collect_events(rest), "id"), field_values(&all[2..], "id"));
    // An unknown event ID is rejected.
    assert_eq!(host.get("/api/v1/anomalies/stream?last_event_id=7.x").unwrap().0, 400);
    assert_eq!(host.get("/api/v1/anomalies/stream?last_event_id=99999999.0.0").unwrap().0, 400);
    host.stop().unwrap();
}

#[test]
fn readings_are_streamed_and_resumed() {
    let test_host = TestHost::new("partitions = 2\n[line]\ncheckpoint = \"1h\"\n").unwrap();
    let host = test_host.start().unwrap();
    send(&host, "plant/a", 0, 10, 0.0);
    let url = format!("http://{}/api/v1/sensors/plant%2Fa%2Fs/stream", host.http);
    wait_until("the sensor", TIMEOUT, || Ok(host.get("/api/v1/sensors/plant%2Fa%2Fs")?.0 == 200)).unwrap();
    thread::sleep(Duration::from_millis(300));
    let Some(mut client) = Client::start("sse.py", &[&url, "1000"]) else { return };
    thread::sleep(Duration::from_millis(300));
    let items = |event: &Value| event["data"]["items"].as_array().unwrap().clone();
    send(&host, "plant/a", 10, 15, 0.0);
    let mut received = Vec::new();
    while received.len() < 5 {
        let event = client.next();
        assert_eq!(event["event"], "readings");
        received.extend(items(&event));
    }
    assert_eq!(received.len(), 5);
    assert_eq!(received[0]["time"], "2026-01-01T00:00:10Z");
    drop(client);
    // A client that resumes receives the readings sent meanwhile, which are not in the store yet.
    send(&host, "plant/a", 15, 30, 0.0);
    thread::sleep(Duration::from_millis(500));
    let id = (T0 + 14 * SECOND).to_string();
    let missed = Client::start("sse.py", &[&url, "1", &id]).unwrap().collect_events(1);
    let missed = items(&missed[0]);
    assert_eq!((missed.len(), &missed[0]["time"]), (15, &Value::from("2026-01-01T00:00:15Z")));
    // The readings route returns them too.
    let (status, body) = host.get("/api/v1/sensors/plant%2Fa%2Fs/readings").unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, body["items"].as_array().unwrap().len()), (200, 30), "{body}");
    assert_eq!(host.get("/api/v1/sensors/no%2Fsuch/stream").unwrap().0, 404);
    host.stop().unwrap();
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_thousand_listeners_use_bounded_memory() {
    const LISTENERS: usize = 1_000;
    let limits = "[http.limits]\nconnections = 1_100\nconnections_per_address = 1_100\n";
    let test_host = TestHost::new(&format!("[line]\ncheckpoint = \"1h\"\n{limits}")).unwrap();
    let host = test_host.start().unwrap();
    send(&host, "plant/a", 0, 1, 0.0);
    wait_until("the sensor", TIMEOUT, || Ok(host.get("/api/v1/sensors/plant%2Fa%2Fs")?.0 == 200)).unwrap();
    let before = resident_kib(host.id());
    let mut listeners: Vec<TcpStream> = (0..LISTENERS)
        .map(|number| {
            let mut stream = TcpStream::connect(&host.http).unwrap();
            let path =
                if number % 2 == 0 { "/api/v1/sensors/plant%2Fa%2Fs/stream" } else { "/api/v1/anomalies/stream" };
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            stream
        })
        .collect();
    for stream in &mut listeners {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut head = [0; 15];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
    }
    let began = Instant::now();
    let mut second = 1;
    while began.elapsed() < Duration::from_secs(5) {
        send(&host, "plant/a", second, second + 100, 0.0);
        second += 100;
        thread::sleep(Duration::from_millis(50));
    }
    // A quarter of the listeners is read to the end; the others do not read.
    let last = format!("\"time\":\"{}\"", format_time(second - 1));
    for stream in listeners.iter().step_by(4) {
        let mut received = String::new();
        let mut reader = BufReader::new(stream);
        while !received.contains(&last) {
            received.clear();
            assert!(reader.read_line(&mut received).unwrap() > 0, "the stream ended");
        }
    }
    let growth = resident_kib(host.id()).saturating_sub(before);
    eprintln!("{LISTENERS} listeners and {second} readings: {growth} KiB more");
    // 64 KiB per listener, including its socket and task.
    assert!(growth < 64 * LISTENERS as u64, "{growth} KiB for {LISTENERS} listeners");
    assert_eq!(host.get("/ready").unwrap().0, 200);
    drop(listeners);
    host.stop().unwrap();
}

/// Formats a time in seconds after [`T0`] like the stream.
fn format_time(second: i64) -> String {
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    format!("2026-01-01T{hours:02}:{minutes:02}:{seconds:02}Z")
}
