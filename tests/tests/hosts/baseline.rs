//! A user resets the baseline of a machine: its alerts resolve, and it is learnt again, also after a kill.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::{Value, json};
use wheeltapper_tests::{RunningHost, SECOND, T0, TestHost, client::send, wait_until};

const TIMEOUT: Duration = Duration::from_secs(60);
const DETECT: &str = "[detect]\nmodel = \"ensemble\"\nwarmup_windows = 10\n";

/// Posts readings of the seconds `from..to`, with this level above the level at the beginning.
fn post_readings(host: &RunningHost, from: i64, to: i64, level: f64) {
    let mut body = String::new();
    for second in from..to {
        let noise = f64::from(u32::try_from((second * 7919) % 101).unwrap()) / 101.0;
        let (time, value) = (T0 + second * SECOND, 10.0 + noise + level);
        body.push_str(&format!("{{\"sensor_id\":\"plant/a/s\",\"timestamp\":{time},\"values\":{value}}}\n"));
    }
    assert_eq!(host.post("application/x-ndjson", body.as_bytes()).unwrap().status, 202);
}

fn items(host: &RunningHost, path: &str) -> Vec<Value> {
    let answer = send(host, "GET", path, &[], None);
    answer.body["items"].as_array().cloned().unwrap_or_default()
}

fn alerts(host: &RunningHost) -> Vec<Value> {
    items(host, "/api/v1/alerts?asset=plant/a")
}

fn wait_until_resolved(host: &RunningHost) -> Value {
    wait_until("the alert is resolved", TIMEOUT, || {
        Ok(alerts(host).first().is_some_and(|alert| alert["state"] == "resolved"))
    })
    .unwrap();
    let mut alerts = alerts(host);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    alerts.remove(0)
}

#[test]
fn a_reset_resolves_the_alerts_and_survives_a_kill() {
    // No checkpoint is made before the kill: the stages are restored from the log.
    let test_host = TestHost::new(&format!("[line]\ncheckpoint = \"1h\"\n{DETECT}")).unwrap();
    let host = test_host.start().unwrap();
    post_readings(&host, 0, 400, 0.0);
    post_readings(&host, 400, 500, 30.0);
    wait_until("an alert", TIMEOUT, || Ok(alerts(&host).iter().any(|alert| alert["state"] == "open"))).unwrap();

    let reset = |name: &str, body: Value| {
        send(&host, "POST", &format!("/api/v1/machines/{name}/reset-baseline"), &[], Some(&body))
    };
    assert_eq!(reset("plant/b", json!({ "reason": "repaired" })).status, 404);
    assert_eq!(reset("plant/a", json!({ "reason": "bored" })).status, 422);
    let answer = reset("plant/a", json!({ "reason": "repaired", "comment": "new bearings" }));
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((&answer.body["action"], &answer.body["target"]), (&json!("reset-baseline"), &json!("plant/a")));
    let resolved = wait_until_resolved(&host);
    assert!(resolved["message"].as_str().unwrap().contains("the baseline was reset"), "{resolved}");
    assert_eq!(items(&host, "/api/v1/actions?asset=plant/a"), [answer.body]);
    host.kill().unwrap();

    let host = test_host.start().unwrap();
    assert_eq!(alerts(&host), std::slice::from_ref(&resolved));
    // What raised the alert is learnt as normal; what is abnormal after that, from second 900 on, raises another alert.
    post_readings(&host, 500, 900, 30.0);
    post_readings(&host, 900, 1000, 90.0);
    let opened_after = |alert: &Value, time: &str| alert["opened"].as_str().is_some_and(|opened| opened > time);
    wait_until("another alert", TIMEOUT, || {
        Ok(alerts(&host).iter().any(|alert| opened_after(alert, "2026-01-01T00:15:00Z")))
    })
    .unwrap();
    // With the old baseline an alert would have opened at second 500.
    let others: Vec<Value> = alerts(&host).into_iter().filter(|alert| alert["id"] != resolved["id"]).collect();
    assert!(others.iter().all(|alert| opened_after(alert, "2026-01-01T00:12:00Z")), "{others:?}");
    host.stop().unwrap();
}

#[test]
fn a_finished_repair_resets_the_baseline_if_requested() {
    let technician =
        "[[technician]]\nname = \"Ada\"\nskills = [\"mechanic\", \"vibration-analyst\", \"instrumentation\"]\n";
    let test_host = TestHost::new(&format!("{DETECT}{technician}")).unwrap();
    let host = test_host.start().unwrap();
    post_readings(&host, 0, 400, 0.0);
    post_readings(&host, 400, 500, 30.0);
    let planned = || items(&host, "/api/v1/work-orders?asset=plant/a&status=planned");
    wait_until("a work order", TIMEOUT, || Ok(!planned().is_empty())).unwrap();
    let order = planned()[0]["id"].as_str().unwrap().to_owned();
    let amend = |body: Value| send(&host, "PATCH", &format!("/api/v1/work-orders/{order}"), &[], Some(&body));
    assert_eq!(amend(json!({ "reset_baseline": true })).status, 409);
    let answer = amend(json!({ "status": "done", "reset_baseline": true }));
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("done")), "{}", answer.body);
    wait_until_resolved(&host);
    // The order was done before its alert resolved, so it is not cancelled.
    let (_, body) = host.get(&format!("/api/v1/work-orders/{order}")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["status"], "done");
    let actions = items(&host, "/api/v1/actions?asset=plant/a");
    assert!(actions.len() == 1 && actions[0]["action"] == "amend", "{actions:?}");
    assert!(actions[0]["text"].as_str().unwrap().contains("\"reset_baseline\":true"), "{actions:?}");
    host.stop().unwrap();
}
