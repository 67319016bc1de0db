//! Server-Sent Events by polling.

use http::Method;
use serde_json::{Value, json};
use wheeltapper_api::Table;

use crate::memory::{SECOND, T0, anomaly, get, get_with, plant, problem, send, text};

/// Returns the events of a response, and the last id.
fn events(uri: &str, id: Option<&str>, line: &crate::memory::Memory) -> (Vec<(String, Value)>, Option<String>) {
    let headers: Vec<_> = id.into_iter().map(|id| ("last-event-id", id)).collect();
    let response = get_with(line, uri, &headers);
    assert_eq!((response.status().as_u16(), text(&response, "content-type")), (200, Some("text/event-stream")));
    assert_eq!(text(&response, "cache-control"), Some("no-store"));
    let body = String::from_utf8(response.body().clone()).unwrap();
    assert!(body.starts_with("retry: 2000\n") && body.ends_with("\n\n"), "{body}");
    let (mut events, mut last) = (Vec::new(), None);
    for block in body.split("\n\n") {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        last = field("id: ").or(last);
        if let Some(data) = field("data: ") {
            events.push((field("event: ").unwrap(), serde_json::from_str(&data).unwrap()));
        }
    }
    (events, last)
}

#[test]
fn readings_continue_after_the_last_id() {
    let line = plant();
    let uri = "/api/v1/sensors/north%2Fhall-1%2Fpump-1%2Fvibration/stream";
    let newest = (T0 + 99 * SECOND).to_string();
    // Without an id, the stream starts now.
    assert_eq!(events(uri, None, &line), (vec![], Some(newest.clone())));
    assert_eq!(events(uri, Some("another host's"), &line).1.as_deref(), Some(newest.as_str()));
    let since = (T0 + 97 * SECOND).to_string();
    let (received, last) = events(uri, Some(&since), &line);
    assert_eq!(last, Some(newest.clone()));
    assert_eq!((received.len(), received[0].0.as_str()), (1, "readings"));
    assert_eq!(received[0].1["sensor"], "north/hall-1/pump-1/vibration");
    let times: Vec<&str> =
        received[0].1["items"].as_array().unwrap().iter().map(|item| item["time"].as_str().unwrap()).collect();
    assert_eq!(times, ["2026-01-01T00:01:38Z", "2026-01-01T00:01:39Z"]);
    assert_eq!(events(&format!("{uri}?last_event_id={since}"), None, &line).0, received);
    assert_eq!(events(uri, Some(&newest), &line), (vec![], Some(newest)));
    problem(&get(&line, "/api/v1/sensors/none/stream"), 404);
}

#[test]
fn events_are_sent_once() {
    let mut line = plant();
    let uri = "/api/v1/anomalies/stream";
    let (received, start) = events(uri, None, &line);
    assert_eq!(received, []);
    let start = start.unwrap();
    assert_eq!(events(uri, Some(&start), &line).0, []);
    // One anomaly that was added late with an earlier time, and one that is newer.
    let mut late = anomaly(59);
    late["id"] = json!("late");
    line.rows.get_mut(&Table::Anomalies).unwrap().insert(0, anomaly(60));
    line.rows.get_mut(&Table::Anomalies).unwrap().insert(1, late);
    line.rows.get_mut(&Table::Alerts).unwrap()[0]["state"] = json!("resolved");
    send(&line, Method::PATCH, "/api/v1/work-orders/00000000000000000000000000000001", r#"{"technician": "Bo"}"#);
    let (received, next) = events(uri, Some(&start), &line);
    let names: Vec<&str> = received.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["anomaly", "anomaly", "alert", "work-order"]);
    assert_eq!(
        (&received[0].1["id"], &received[1].1["detection_time"]),
        (&json!("late"), &json!("2026-01-01T00:10:00Z"))
    );
    assert_eq!((&received[2].1["state"], &received[3].1["technician"]), (&json!("resolved"), &json!("Bo")));
    let next = next.unwrap();
    assert_eq!(events(uri, Some(&next), &line).0, []);
    // A client that was disconnected for a long time still receives all new events.
    line.rows.get_mut(&Table::Anomalies).unwrap().splice(0..0, (61..80).rev().map(anomaly));
    assert_eq!(events(uri, Some(&next), &line).0.len(), 19);
    assert!(next.len() < 3_000, "the id has to fit into a header");
    for invalid in ["", "1", "1.2", "x.y.z"] {
        assert_eq!(events(uri, Some(invalid), &line).0, [], "{invalid}");
    }
}
