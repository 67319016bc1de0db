#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use wheeltapper_config::{AlertRoute, AlertSettings};
use wheeltapper_log::{Partition, WakeSignal};
use wheeltapper_store::Store;

use super::{CHECKPOINT_PREFIX, Notifier, RouteState};
use crate::{
    components::wit::types::Alert,
    metrics::Metrics,
    supervisor::Supervisor,
    topics::{Finding, PublishedEnd, PublishedPartition, PublishedTopic},
};

/// Long enough for a loaded machine; no wait takes that long when all is well.
pub(super) const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A web server that answers each request with the next of `statuses`, then with the last, and passes the bodies on.
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) bodies: Receiver<Value>,
}

pub(super) fn receiver(statuses: &'static [&'static str]) -> Webhook {
    receiver_on(TcpListener::bind("127.0.0.1:0").unwrap(), statuses)
}

pub(super) fn receiver_on(listener: TcpListener, statuses: &'static [&'static str]) -> Webhook {
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, bodies) = mpsc::channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut length, mut line) = (0, String::new());
            while stream.read_line(&mut line).is_ok() && line != "\r\n" {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let status = statuses.get(number).or(statuses.last()).unwrap();
            let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.get_mut().write_all(response.as_bytes()).unwrap();
            if sender.send(serde_json::from_slice(&body).unwrap_or(Value::Null)).is_err() {
                return;
            }
        }
    });
    Webhook { url, bodies }
}

/// A log with one partition of findings, a store, and a notifier that follows them.
pub(super) struct TestLine {
    partition: Partition,
    signal: WakeSignal,
    end: PublishedEnd,
    pub(super) store: Store,
    pub(super) metrics: Arc<Metrics>,
    supervisor: Supervisor,
    _folder: tempfile::TempDir,
}

impl TestLine {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::default());
        let signal = WakeSignal::default();
        Self {
            supervisor: Supervisor::new(Arc::clone(&metrics)),
            partition: Partition::open(&folder.path().join("findings"), 1 << 20).unwrap(),
            end: PublishedEnd::new(&signal),
            signal,
            store: Store::open(&folder.path().join("store.db")).unwrap(),
            metrics,
            _folder: folder,
        }
    }

    fn notifier(&self, routes: &[AlertRoute]) -> anyhow::Result<Notifier> {
        self.notifier_of(&alerts(routes))
    }

    pub(super) fn notifier_of(&self, alerts: &AlertSettings) -> anyhow::Result<Notifier> {
        let partition = PublishedPartition { reader: self.partition.reader(), end: self.end.clone() };
        let findings = PublishedTopic::new(self.signal.clone(), vec![partition]);
        Notifier::start(alerts, &findings, &self.store, &self.metrics, &self.supervisor)
    }

    pub(super) fn append_alert(&mut self, id: &str, state: &str) {
        self.partition.append(&serde_json::to_vec(&Finding::Alert(alert(id, "north/pump", state))).unwrap()).unwrap();
        self.partition.sync().unwrap();
        self.end.publish(self.partition.end());
    }
}

/// An alert of severity high.
pub(super) fn alert(id: &str, asset: &str, state: &str) -> Alert {
    serde_json::from_value(json!({
        "id": id, "asset": asset, "sensor": format!("{asset}/x"), "severity": "High", "state": state,
        "opened": 1, "updated": 2, "resolved": null, "anomalies": 1, "peak_score": 0.9, "peak-score": 0.9,
        "anomaly": "a", "fault_mode": null, "fault-mode": null, "title": "t", "message": "m", "recommendation": "r",
    }))
    .unwrap()
}

fn alerts(routes: &[AlertRoute]) -> AlertSettings {
    AlertSettings { routes: routes.to_vec(), ..AlertSettings::default() }
}

fn route(name: &str, url: &str) -> AlertRoute {
    AlertRoute {
        name: name.into(),
        severity: "low".into(),
        sites: Vec::new(),
        webhook: Some(url.into()),
        webhook_env: None,
        channels: Vec::new(),
    }
}

fn next(receiver: &Webhook) -> (String, String) {
    let body = receiver.bodies.recv_timeout(WAIT_TIMEOUT).unwrap();
    (body["event"].as_str().unwrap().to_owned(), body["alert"]["id"].as_str().unwrap().to_owned())
}

fn wait_until(notifier: &Notifier, what: &str, done: impl Fn(&RouteState) -> bool) {
    let began = Instant::now();
    while !done(&notifier.health()[0].state) {
        assert!(began.elapsed() < WAIT_TIMEOUT, "{what}: {:?}", notifier.health());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_failed_change_leaves_the_old_routes_running() {
    let mut line = TestLine::new();
    let old = receiver(&["204 No Content"]);
    let notifier = line.notifier(&[route("old", &old.url)]).unwrap();
    line.append_alert("1", "Open");
    assert_eq!(next(&old), ("opened".into(), "1".into()));

    let missing = AlertRoute { webhook: None, webhook_env: Some("WHEELTAPPER_NOT_SET".into()), ..route("new", "") };
    for (broken, expected) in [
        (missing, "WHEELTAPPER_NOT_SET is not set"),
        (route("new", "no url"), "not a URL"),
        (route("new", "ftp://secret.example/x"), "not a URL of a web server"),
        (route("old", &old.url), "two routes have this name"),
    ] {
        let error = notifier.prepare(&alerts(&[route("old", &old.url), broken])).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        line.append_alert(expected, "Open");
        assert_eq!(next(&old), ("opened".into(), expected.into()));
    }
    // The same holds for a change that could be made and is dropped.
    drop(notifier.prepare(&alerts(&[route("new", &old.url)])).unwrap());
    // Going back to the previous routes is no change.
    notifier.activate(notifier.prepare(&alerts(&[route("old", &old.url)])).unwrap());
    line.append_alert("2", "Open");
    assert_eq!(next(&old), ("opened".into(), "2".into()));
    assert!(line.supervisor.failures().is_empty());
}

#[test]
fn a_changed_route_resumes_and_others_are_not_touched() {
    let mut line = TestLine::new();
    let (before, after, other) = (receiver(&["200 OK"]), receiver(&["200 OK"]), receiver(&["200 OK"]));
    let notifier = line.notifier(&[route("moves", &before.url), route("stays", &other.url)]).unwrap();
    line.append_alert("1", "Open");
    assert_eq!((next(&before).1, next(&other).1), ("1".into(), "1".into()));
    notifier.activate(notifier.prepare(&alerts(&[route("stays", &other.url), route("moves", &after.url)])).unwrap());
    line.append_alert("1", "Resolved");
    // The state that the receiver was notified of at the old address is remembered.
    assert_eq!(next(&after), ("resolved".into(), "1".into()));
    assert_eq!(next(&other), ("resolved".into(), "1".into()));
    notifier.activate(notifier.prepare(&alerts(&[])).unwrap());
    assert_eq!((notifier.health().len(), notifier.min_needed_offset(0)), (0, u64::MAX));
    drop(notifier);
    assert!(before.bodies.try_recv().is_err() && after.bodies.try_recv().is_err());
}

#[test]
fn a_new_route_begins_with_new_findings() {
    let mut line = TestLine::new();
    line.append_alert("0", "Open");
    let receiver = receiver(&["200 OK"]);
    let notifier = line.notifier(&[]).unwrap();
    let prepared = notifier.prepare(&alerts(&[route("new", &receiver.url)])).unwrap();
    line.append_alert("1", "Open");
    notifier.activate(prepared);
    assert_eq!(next(&receiver).1, "1");
}

#[test]
fn a_redirect_is_not_a_delivery() {
    let mut line = TestLine::new();
    let receiver = receiver(&["302 Found\r\nLocation: http://127.0.0.1:9/else?token=secret", "200 OK"]);
    let notifier = line.notifier(&[route("r", &receiver.url)]).unwrap();
    line.append_alert("1", "Open");
    assert_eq!(next(&receiver).1, "1");
    wait_until(
        &notifier,
        "the redirect is reported",
        |state| matches!(state, RouteState::Waiting { why, .. } if why.contains("final URL") && !why.contains("secret")),
    );
    // The second attempt is the same alert, not one without a body.
    assert_eq!(next(&receiver), ("opened".into(), "1".into()));
    wait_until(&notifier, "delivered", |state| *state == RouteState::Delivering);
    let text = line.metrics.text();
    assert!(text.contains("outcome=\"failed\"} 1") && text.contains("outcome=\"delivered\"} 1"), "{text}");
}

#[test]
fn a_failing_route_is_reported_and_recovers() {
    let mut line = TestLine::new();
    let receiver = receiver(&["200 OK"]);
    line.store.state_put(&format!("{CHECKPOINT_PREFIX}r"), b"{").unwrap();
    let notifier = line.notifier(&[route("r", &receiver.url)]).unwrap();
    let began = Instant::now();
    while line.supervisor.failures().is_empty() {
        assert!(began.elapsed() < WAIT_TIMEOUT, "the failure is not reported");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(line.supervisor.failures()[0].task, "route-r");
    line.append_alert("1", "Open");
    line.store.state_put(&format!("{CHECKPOINT_PREFIX}r"), br#"{"offsets":[0],"notified":{}}"#).unwrap();
    assert_eq!(next(&receiver).1, "1");
    while !line.supervisor.failures().is_empty() {
        assert!(began.elapsed() < WAIT_TIMEOUT, "it does not recover: {:?}", line.supervisor.failures());
        thread::sleep(Duration::from_millis(5));
    }
    drop(notifier);
}
