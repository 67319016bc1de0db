//! Maintenance plans, the calendar, and machines.

use http::Method;
use serde_json::{Value, json};
use wheeltapper_api::{Action, Table};

use crate::memory::{Memory, T0, body, get, invalid_body, order, plant, problem, send, text};

#[test]
fn a_plan_can_be_requested_and_read() {
    let line = plant();
    let payload = r#"{"sensor_ids": ["a/b"], "time_horizon_hours": 72, "constraints": {"technicians": ["Ada"], "not_before": "2026-01-01T00:00:00Z"}}"#;
    let response = send(&line, Method::POST, "/api/v1/maintenance/schedule", payload);
    assert_eq!(response.status(), 202, "{}", body(&response));
    let accepted = body(&response);
    let uri = accepted["check_status_url"].as_str().unwrap().to_owned();
    assert_eq!(text(&response, "location"), Some(uri.as_str()));
    let action_request = line.actions.borrow()[0].clone();
    assert_eq!(action_request.action, Action::Plan);
    assert_eq!(
        serde_json::from_str::<Value>(&action_request.text).unwrap(),
        json!({ "sensor_ids": ["a/b"], "horizon_hours": 72.0, "constraints": { "technicians": ["Ada"], "not_before": T0 } })
    );
    let task = body(&get(&line, &uri));
    assert_eq!(task["task_id"], accepted["task_id"]);
    assert_eq!((&task["status"], &task["progress"]), (&json!("done"), &json!(1.0)));
    assert_eq!(task["created"], "2026-01-01T01:00:00Z");
    assert_eq!(task["plan"]["work_orders"][0]["scheduled_time"], "2026-01-01T00:00:01Z");
    assert_eq!(task["plan"]["work_orders"][0]["skills"], json!(["mechanics"]));
    problem(&get(&line, "/api/v1/maintenance/status/none"), 404);
    problem(&get(&line, "/api/v1/maintenance/status/%00"), 404);
}

#[test]
fn a_queued_task_has_no_plan() {
    let row = json!({ "id": "a/b", "status": "queued", "created": T0, "finished": null, "plan": null });
    let line = Memory::with(Table::Tasks, vec![row]);
    assert_eq!(
        body(&get(&line, "/api/v1/maintenance/status/a%2Fb")),
        json!({ "task_id": "a/b", "status": "queued", "progress": 0.0, "created": "2026-01-01T00:00:00Z", "finished": null, "plan": null })
    );
}

#[test]
fn a_plan_has_defaults_and_bounds() {
    let line = plant();
    let plan = |payload: &str| send(&line, Method::POST, "/api/v1/maintenance/schedule", payload);
    assert_eq!(plan(r#"{"sensor_ids": []}"#).status(), 202);
    let text = line.actions.take().remove(0).text;
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({ "sensor_ids": [], "horizon_hours": 168.0, "constraints": {} })
    );
    let many = json!({ "sensor_ids": vec!["a"; 1_001] }).to_string();
    for (payload, expected_pointer, expected_detail) in [
        ("{}", "", "missing field `sensor_ids`"),
        (r#"{"sensor_ids": "a"}"#, "/sensor_ids", "expected a sequence"),
        (r#"{"sensor_ids": [1]}"#, "/sensor_ids/0", "expected a string"),
        (many.as_str(), "/sensor_ids", "1001 names, expected at most 1000"),
        (
            r#"{"sensor_ids": [], "time_horizon_hours": 0.5}"#,
            "/time_horizon_hours",
            "the number 0.5, expected one from 1 to 8760",
        ),
        (r#"{"sensor_ids": [], "constraints": []}"#, "/constraints", "expected an object"),
        (r#"{"sensor_ids": [], "constraints": {"who": 1}}"#, "/constraints/who", "unknown field `who`"),
    ] {
        let (pointer, detail) = invalid_body(&plan(payload));
        assert_eq!(pointer, expected_pointer, "{detail}");
        assert!(detail.contains(expected_detail), "{detail}");
    }
}

#[test]
fn the_plan_is_a_calendar() {
    let mut first = order(1, "planned");
    first["notes"] = json!("Balance; then grease,\nwith \\care\\ – ".to_owned() + &"ä".repeat(60));
    let mut second = order(2, "planned");
    second["technician"] = json!("Bo");
    let line = Memory::with(Table::WorkOrders, vec![first, second, order(3, "done"), order(4, "unscheduled")]);
    let response = get(&line, "/api/v1/maintenance/plan.ics");
    assert_eq!(text(&response, "content-type"), Some("text/calendar; charset=utf-8"));
    let calendar = String::from_utf8(response.body().clone()).unwrap();
    assert!(calendar.split("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')), "{calendar}");
    assert_eq!(calendar.matches("BEGIN:VEVENT\r\n").count(), 2);
    let unfolded = calendar.replace("\r\n ", "");
    assert!(unfolded.contains("DTSTART:20260101T000001Z\r\nDTEND:20260101T013001Z\r\n"), "{unfolded}");
    assert!(unfolded.contains("DESCRIPTION:Balance\\; then grease\\,\\nwith \\\\care\\\\ – ä"), "{unfolded}");
    let orders_of_bo = get(&line, "/api/v1/maintenance/plan.ics?technician=Bo");
    assert_eq!(String::from_utf8_lossy(orders_of_bo.body()).matches("BEGIN:VEVENT").count(), 1);
    problem(&get(&line, "/api/v1/maintenance/plan.ics?who=Bo"), 400);
}

#[test]
fn machines_and_their_tree() {
    let line = plant();
    let machines = body(&get(&line, "/api/v1/machines?limit=1"));
    assert_eq!(machines["items"][0]["last_anomaly"], "2026-01-01T00:00:00Z");
    assert_eq!(machines["items"][0]["next_order"], "2026-01-01T00:00:01Z");
    assert!(machines["next"].is_string());
    let tree = body(&get(&line, "/api/v1/assets"));
    let machine = &tree["items"][0]["children"][0]["children"][0];
    assert_eq!(
        [
            &tree["items"][0]["kind"],
            &tree["items"][0]["children"][0]["kind"],
            &machine["kind"],
            &tree["items"][1]["kind"]
        ],
        ["site", "area", "machine", "machine"]
    );
    assert_eq!((&machine["name"], &machine["path"]), (&json!("pump-1"), &json!("north/hall-1/pump-1")));
    assert_eq!(
        machine["sensors"][1],
        json!({ "id": "north/hall-1/pump-1/vibration", "kind": "vibration", "unit": "mm/s" })
    );
}
