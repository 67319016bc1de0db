//! Server-Sent Events, in their short form.

use http::Method;
use serde_json::{Value, json};
use wheeltapper_api::Table;

use crate::memory::{SECOND, T0, anomaly, get, get_with, plant, problem, send, text};

/// The events, and the last id.
fn events(uri: &str, id: Option<&str>, front: &crate::memory::Memory) -> (Vec<(String, Value)>, Option<String>) {
    let headers: Vec<_> = id.into_iter().map(|id| ("last-event-id", id)).collect();
    let answer = get_with(front, uri, &headers);
    assert_eq!((answer.status().as_u16(), text(&answer, "content-type")), (200, Some("text/event-stream")));
    assert_eq!(text(&answer, "cache-control"), Some("no-store"));
    let body = String::from_utf8(answer.body().clone()).unwrap();
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
fn readings_go_on_where_the_client_was() {
    let front = plant();
    let uri = "/api/v1/sensors/north%2Fhall-1%2Fpump-1%2Fvibration/stream";
    let newest = (T0 + 99 * SECOND).to_string();
    // From now on.
    assert_eq!(events(uri, None, &front), (vec![], Some(newest.clone())));
    assert_eq!(events(uri, Some("another host's"), &front).1.as_deref(), Some(newest.as_str()));
    let since = (T0 + 97 * SECOND).to_string();
    let (found, last) = events(uri, Some(&since), &front);
    assert_eq!(last, Some(newest.clone()));
    assert_eq!((found.len(), found[0].0.as_str()), (1, "readings"));
    assert_eq!(found[0].1["sensor"], "north/hall-1/pump-1/vibration");
    let times: Vec<&str> =
        found[0].1["items"].as_array().unwrap().iter().map(|item| item["time"].as_str().unwrap()).collect();
    assert_eq!(times, ["2026-01-01T00:01:38Z", "2026-01-01T00:01:39Z"]);
    assert_eq!(events(&format!("{uri}?last_event_id={since}"), None, &front).0, found);
    assert_eq!(events(uri, Some(&newest), &front), (vec![], Some(newest)));
    problem(&get(&front, "/api/v1/sensors/none/stream"), 404);
}

#[test]
fn what_happens_is_told_once() {
    let mut front = plant();
    let uri = "/api/v1/anomalies/stream";
    let (found, start) = events(uri, None, &front);
    assert_eq!(found, []);
    let start = start.unwrap();
    assert_eq!(events(uri, Some(&start), &front).0, []);
    // One that is found later than another of the same time, and one that is newer.
    let mut late = anomaly(59);
    late["id"] = json!("late");
    front.rows.get_mut(&Table::Anomalies).unwrap().insert(0, anomaly(60));
    front.rows.get_mut(&Table::Anomalies).unwrap().insert(1, late);
    front.rows.get_mut(&Table::Alerts).unwrap()[0]["state"] = json!("resolved");
    send(&front, Method::PATCH, "/api/v1/work-orders/00000000000000000000000000000001", r#"{"technician": "Bo"}"#);
    let (found, next) = events(uri, Some(&start), &front);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["anomaly", "anomaly", "alert", "work-order"]);
    assert_eq!((&found[0].1["id"], &found[1].1["detection_time"]), (&json!("late"), &json!("2026-01-01T00:10:00Z")));
    assert_eq!((&found[2].1["state"], &found[3].1["technician"]), (&json!("resolved"), &json!("Bo")));
    let next = next.unwrap();
    assert_eq!(events(uri, Some(&next), &front).0, []);
    // Whoever was away for long is told what is new all the same.
    front.rows.get_mut(&Table::Anomalies).unwrap().splice(0..0, (61..80).rev().map(anomaly));
    assert_eq!(events(uri, Some(&next), &front).0.len(), 19);
    assert!(next.len() < 3_000, "it has to fit into a header");
    for odd in ["", "1", "1.2", "x.y.z"] {
        assert_eq!(events(uri, Some(odd), &front).0, [], "{odd}");
    }
}
