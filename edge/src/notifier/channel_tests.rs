#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use wheeltapper_config::AlertSettings;

use super::{
    OUTBOX_PREFIX,
    tests::{TestLine, WAIT_TIMEOUT, Webhook, receiver, receiver_on},
};

/// A route to the channel `hook`, and channels with these URLs of webhooks.
fn alerts(channels: &[(&str, &str, &str)]) -> AlertSettings {
    let mut text = "[[alerts.route]]\nname = \"ops\"\nchannels = [\"hook\"]\n".to_owned();
    for (name, url, more) in channels {
        text.push_str(&format!(
            "[[alerts.channel]]\nname = {name:?}\ngroup_wait = \"0s\"\ntimeout = \"2s\"\n{more}[alerts.channel.webhook]\nurl = {url:?}\n"
        ));
    }
    wheeltapper_config::parse(&text, "test").unwrap().alerts
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < WAIT_TIMEOUT, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn next(receiver: &Webhook) -> (String, String, String) {
    let body = receiver.bodies.recv_timeout(WAIT_TIMEOUT).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    (text(&body["event"]), text(&body["alert"]["id"]), text(&body["key"]))
}

#[test]
fn a_route_sends_through_its_channel() {
    let mut line = TestLine::new();
    let server = receiver(&["500 Internal Server Error", "200 OK"]);
    let notifier = line.notifier_of(&alerts(&[("hook", &server.url, "")])).unwrap();
    line.append_alert("1", "Open");
    let first = next(&server);
    assert_eq!((first.0.as_str(), first.1.as_str()), ("opened", "1"));
    // The second attempt has the same key.
    assert_eq!(next(&server), first);
    wait_for("the delivery is counted", || {
        let text = line.metrics.text();
        text.contains("wheeltapper_channel_messages_total{channel=\"hook\",outcome=\"delivered\"} 1")
            && text.contains("wheeltapper_channel_messages_total{channel=\"hook\",outcome=\"failed\"} 1")
            && text.contains("wheeltapper_channel_waiting{channel=\"hook\"} 0")
            && text.contains("wheeltapper_channel_breaker{channel=\"hook\"} 0")
    });
    line.append_alert("1", "Resolved");
    assert_eq!(next(&server).0, "resolved");
    // A removed channel has no levels.
    notifier.activate(notifier.prepare(&AlertSettings::default()).unwrap());
    assert!(!line.metrics.text().contains("wheeltapper_channel_breaker{"));
}

#[test]
fn messages_survive_a_restart_while_the_channel_is_down() {
    let mut line = TestLine::new();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = alerts(&[("hook", &format!("http://{address}/hook"), "")]);
    let notifier = line.notifier_of(&settings).unwrap();
    line.append_alert("1", "Open");
    wait_for("an attempt fails", || line.metrics.text().contains("outcome=\"failed\"}"));
    drop(notifier);
    assert!(!line.store.states(OUTBOX_PREFIX).unwrap().is_empty());
    let server = receiver_on(TcpListener::bind(address).unwrap(), &["200 OK"]);
    let notifier = line.notifier_of(&settings).unwrap();
    assert_eq!(next(&server), ("opened".into(), "1".into(), "1-2-opened".into()));
    wait_for("only the small part of the state is left", || line.store.states(OUTBOX_PREFIX).unwrap().len() == 1);
    drop(notifier);
}

#[test]
fn the_fallback_gets_a_message_that_is_rejected() {
    let mut line = TestLine::new();
    let (broken, phones) = (receiver(&["410 Gone"]), receiver(&["200 OK"]));
    let channels = [("hook", broken.url.as_str(), "fallback = \"phones\"\n"), ("phones", phones.url.as_str(), "")];
    let _notifier = line.notifier_of(&alerts(&channels)).unwrap();
    line.append_alert("1", "Open");
    assert_eq!(next(&phones), ("opened".into(), "1".into(), "1-2-opened".into()));
    wait_for("it is counted", || line.metrics.text().contains("channel=\"hook\",outcome=\"handed_over\"} 1"));
}

#[test]
fn channels_that_cannot_work_are_errors_before_anything_changes() {
    let line = TestLine::new();
    let server = receiver(&["200 OK"]);
    let notifier = line.notifier_of(&alerts(&[("hook", &server.url, "")])).unwrap();
    let mut missing = alerts(&[("hook", &server.url, "")]);
    missing.channels[0].webhook.as_mut().unwrap().secret_env = Some("WHEELTAPPER_NOT_SET".into());
    let mut unknown = alerts(&[("hook", &server.url, "")]);
    unknown.routes[0].channels = vec!["nowhere".into()];
    for (settings, expected) in [(missing, "WHEELTAPPER_NOT_SET is not set"), (unknown, "nowhere does not exist")] {
        let error = format!("{:#}", notifier.prepare(&settings).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
}
