//! Tests of user actions.

use serde_json::{Value as Json, json};

use super::{MemoryPlatform, run};
use crate::{
    Action, ActionError, ActionRequest, Dispatch, Filter, Line, LineError, Ports, Table, Topic,
    action_rules::{self, OrderStatusChange, PlanRequest, RepairRequest, WorkOrderChange, WorkOrderRequest},
    events::{FeaturizeEvent, PlanTask, PlannerCommand},
    queue, schema,
};

const CREW: &str = r#"{"technicians":[{"name":"Ada","skills":["mechanic"]},{"name":"Bob"}],"horizon_hours":336}"#;

/// A plant with one anomaly and two orders. Actions run as on a bus, so that the planner's queue can be inspected.
fn platform() -> MemoryPlatform {
    let platform = MemoryPlatform::new();
    for statement in schema::statements(platform.dialect()) {
        platform.rows(&statement);
    }
    platform.rows("INSERT INTO sensors VALUES ('n/m/x', 'n/m', '', '')");
    platform.rows(
        "INSERT INTO anomalies VALUES ('an', 4, 'n/m/x', 'n/m', 1, 4, 0.9995, 'm', 'medium', 0, 0.999, 0.9, 'imbalance', 'x is 9', '{}')",
    );
    for (id, alert, status, time, technician) in [
        ("o", "al", "planned", "8", "'Ada'"),
        ("u", "al", "unscheduled", "NULL", "NULL"),
        ("d", "al", "done", "2", "'Ada'"),
    ] {
        platform.rows(&format!(
            "INSERT INTO work_orders (id, alert, asset, type, priority, status, scheduled_time, estimated_duration_minutes,
                technician, skills, after, cost, notes, seq) VALUES ('{id}', '{alert}', 'n/m', 't', 1, '{status}', {time}, 60,
                {technician}, '[]', '[]', 1.0, '', 1)"
        ));
    }
    platform
}

fn execute(platform: &MemoryPlatform, action: Action, id: &str, text: &str) -> Result<Json, LineError> {
    let line = Line::new(platform.clone(), &format!("{{\"schedule\":{CREW}}}"), Dispatch::Bus).unwrap();
    let change = ActionRequest { action, id: id.to_owned(), text: text.to_owned(), now: 7 };
    run(line.execute(&change)).map(|row| serde_json::from_str(&row).unwrap())
}

fn rejection(platform: &MemoryPlatform, action: Action, id: &str, text: &str) -> ActionError {
    match execute(platform, action, id, text) {
        Err(LineError::Rejected(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Returns the commands in the planner's queue.
fn commands(platform: &MemoryPlatform) -> Vec<PlannerCommand> {
    let events = run(queue::read_after(platform, Topic::Alerts, "plant", 0)).unwrap();
    events.iter().map(|event| postcard::from_bytes(&event.body).unwrap()).collect()
}

/// Returns the events in the first queue of an asset.
fn raw_events(platform: &MemoryPlatform, asset: &str) -> Vec<FeaturizeEvent> {
    let events = run(queue::read_after(platform, Topic::Raw, asset, 0)).unwrap();
    events.iter().map(|event| postcard::from_bytes(&event.body).unwrap()).collect()
}

fn actions(platform: &MemoryPlatform, target: &str) -> Vec<Json> {
    let filter = Filter { id: Some(target.to_owned()), limit: 9, ..Filter::default() };
    let line = Line::new(platform.clone(), "", Dispatch::Bus).unwrap();
    serde_json::from_str(&run(line.query(Table::Actions, &filter)).unwrap()).unwrap()
}

#[test]
fn an_action_on_an_anomaly_is_recorded_once() {
    let platform = platform();
    for _ in 0..2 {
        let row = execute(&platform, Action::Acknowledge, "an", "seen").unwrap();
        assert_eq!((&row["id"], &row["handled"]), (&json!("an"), &json!(false)));
    }
    assert_eq!(execute(&platform, Action::FalseAlarm, "an", "").unwrap()["handled"], true);
    let recorded = actions(&platform, "an");
    assert_eq!(recorded.len(), 2);
    let acknowledged = recorded.iter().find(|action| action["action"] == "acknowledge").unwrap();
    assert_eq!(
        (&acknowledged["asset"], &acknowledged["text"], &acknowledged["time"]),
        (&json!("n/m"), &json!("seen"), &json!(7))
    );
    assert!(
        matches!(rejection(&platform, Action::Handle, "nobody", ""), ActionError::NotFound(text) if text.contains("nobody"))
    );
    assert!(matches!(rejection(&platform, Action::Comment, "an", " "), ActionError::Invalid(_)));
    execute(&platform, Action::Comment, "an", "the belt is new").unwrap();
    assert_eq!(commands(&platform), []);
}

#[test]
fn a_repair_is_ordered_unless_an_order_is_pending() {
    let platform = platform();
    for _ in 0..2 {
        assert_eq!(execute(&platform, Action::OrderRepair, "an", "before Friday").unwrap()["id"], "an");
    }
    let [PlannerCommand::Alerts(alerts)] = &commands(&platform)[..] else { panic!("{:?}", commands(&platform)) };
    let alert = &alerts[0];
    assert_eq!(
        (alert.asset.as_str(), alert.opened, alert.updated, alert.fault_mode.as_deref()),
        ("n/m", 7, 7, Some("imbalance"))
    );
    assert_eq!(
        (alert.title.as_str(), alert.recommendation.as_str()),
        ("m: repair ordered by hand for imbalance", "before Friday")
    );
    assert_eq!(alert.severity, crate::contracts::types::Severity::High);
    assert_eq!(platform.notifications.lock().unwrap().last(), Some(&(Topic::Alerts, "plant".to_owned())));
    // The alert of the anomaly has an order already.
    platform.rows(
        "INSERT INTO alerts VALUES ('al', 'n/m', 's', 'high', 'open', 1, 2, NULL, 1, 0.9, 'an', 'imbalance', '', '', '', 1)",
    );
    let second_request = ActionRequest { action: Action::OrderRepair, id: "an".into(), text: String::new(), now: 8 };
    run(Line::new(platform.clone(), "", Dispatch::Bus).unwrap().execute(&second_request)).unwrap();
    assert_eq!((commands(&platform).len(), actions(&platform, "an").len()), (1, 2));
}

#[test]
fn work_order_changes_are_validated_before_they_are_queued() {
    let platform = platform();
    let row = execute(&platform, Action::Amend, "o", r#"{"scheduled_time":900,"technician":"Bob"}"#).unwrap();
    assert_eq!(
        (&row["scheduled_time"], &row["technician"], &row["pinned"]),
        (&json!(900), &json!("Bob"), &json!(true))
    );
    let change =
        WorkOrderChange { scheduled_time: Some(900), technician: Some("Bob".into()), ..WorkOrderChange::default() };
    assert_eq!(commands(&platform), [PlannerCommand::AmendWorkOrder { order: "o".into(), change, now: 7 }]);
    assert_eq!(actions(&platform, "o")[0]["action"], "amend");
    let error = |id: &str, text: &str| match rejection(&platform, Action::Amend, id, text) {
        ActionError::NotFound(text) => format!("absent: {text}"),
        ActionError::Invalid(text) => format!("invalid: {text}"),
        ActionError::Conflict(text) => format!("conflict: {text}"),
    };
    for (id, text, expected) in [
        ("x", r#"{"pinned":true}"#, "absent: there is no work order \"x\""),
        ("o", r#"{"technician":"Eve"}"#, "conflict: technician \"Eve\" is unknown; expected one of Ada, Bob"),
        ("o", "{}", "invalid: the change of the work order has no field"),
        ("o", r#"{"when":1}"#, "invalid: invalid change of a work order: unknown field `when`"),
        ("o", r#"{"status":"unscheduled"}"#, "invalid: "),
        ("o", r#"{"reset_baseline":true}"#, "conflict: reset_baseline is true, but the change does not finish"),
        ("o", r#"{"status":"cancelled","reset_baseline":true}"#, "conflict: reset_baseline is true"),
        ("u", r#"{"pinned":true}"#, "conflict: the work order has no slot yet"),
        ("d", r#"{"pinned":true}"#, "conflict: the work order is done; set its status to planned"),
    ] {
        assert!(error(id, text).starts_with(expected), "{}", error(id, text));
    }
    execute(&platform, Action::Amend, "d", r#"{"status":"planned"}"#).unwrap();
    platform.rows(
        "INSERT INTO alerts VALUES ('al', 'n/m', 's', 'high', 'resolved', 1, 2, 3, 1, 0.9, 'an', 'imbalance', '', '', '', 1)",
    );
    assert_eq!(error("d", r#"{"status":"planned"}"#), "conflict: the work order is done, and its alert is resolved");
}

#[test]
fn a_reset_of_a_baseline_is_queued_behind_the_readings_and_recorded_once() {
    let platform = platform();
    let text = r#"{"reason":"new-operating-mode","comment":"a larger impeller"}"#;
    for _ in 0..2 {
        let row = execute(&platform, Action::ResetBaseline, "n/m", text).unwrap();
        assert_eq!(
            (&row["action"], &row["target"], &row["asset"], &row["text"], &row["time"]),
            (&json!("reset-baseline"), &json!("n/m"), &json!("n/m"), &json!(text), &json!(7))
        );
        assert_eq!(actions(&platform, "n/m"), [row]);
    }
    assert_eq!(raw_events(&platform, "n/m"), [FeaturizeEvent::ResetBaseline(7)]);
    assert_eq!(platform.notifications.lock().unwrap().last(), Some(&(Topic::Raw, "n/m".to_owned())));
    assert!(
        matches!(rejection(&platform, Action::ResetBaseline, "n/x", text), ActionError::NotFound(text) if text.contains("n/x"))
    );
    for text in ["", "{}", r#"{"reason":"bored"}"#, r#"{"reason":"cleaned","by":"Ada"}"#] {
        assert!(matches!(rejection(&platform, Action::ResetBaseline, "n/m", text), ActionError::Invalid(_)), "{text}");
    }
    execute(&platform, Action::ResetBaseline, "n/m", r#"{"reason":"cleaned"}"#).unwrap();
    assert_eq!((raw_events(&platform, "n/m").len(), raw_events(&platform, "n/x").len()), (2, 0));
}

#[test]
fn a_finished_order_resets_the_baseline_of_its_machine_if_requested() {
    let platform = platform();
    execute(&platform, Action::Amend, "o", r#"{"status":"done","reset_baseline":false}"#).unwrap();
    assert_eq!(raw_events(&platform, "n/m"), []);
    let row = execute(&platform, Action::Amend, "o", r#"{"status":"done","reset_baseline":true}"#).unwrap();
    assert_eq!((&row["status"], row.get("reset_baseline")), (&json!("done"), None));
    assert_eq!(raw_events(&platform, "n/m"), [FeaturizeEvent::ResetBaseline(7)]);
    let change = WorkOrderChange { status: Some(OrderStatusChange::Done), ..WorkOrderChange::default() };
    let command = PlannerCommand::AmendWorkOrder { order: "o".into(), change, now: 7 };
    assert_eq!(commands(&platform), [command.clone(), command]);
    assert_eq!(actions(&platform, "o").len(), 2);
}

#[test]
fn a_plan_is_a_task_in_the_planners_queue() {
    let platform = platform();
    let text =
        r#"{"sensor_ids":["n/m/x"],"horizon_hours":168.0,"constraints":{"technicians":["Ada"],"not_before":50}}"#;
    let row = execute(&platform, Action::Plan, "", text).unwrap();
    assert_eq!((&row["status"], &row["created"], &row["plan"]), (&json!("queued"), &json!(7), &Json::Null));
    let id = row["id"].as_str().unwrap().to_owned();
    let task = PlanTask { id, request: text.to_owned(), assets: Some(vec!["n/m".into()]), now: 7 };
    assert_eq!(commands(&platform), [PlannerCommand::PlanTask(Box::new(task))]);
    assert_eq!(execute(&platform, Action::Plan, "", text).unwrap()["id"], row["id"]);
    assert_eq!(commands(&platform).len(), 1);
    let invalid = |text: &str| matches!(rejection(&platform, Action::Plan, "", text), ActionError::Invalid(_));
    assert!(invalid("[") && invalid(r#"{"horizon_hours":0}"#) && invalid(r#"{"constraints":{"technicians":[]}}"#));
    let error = rejection(&platform, Action::Plan, "", r#"{"constraints":{"technicians":["Eve"]}}"#).to_string();
    assert!(error.contains("expected one of Ada, Bob"), "{error}");
    assert!(matches!(rejection(&platform, Action::Plan, "", r#"{"sensor_ids":["n/m/y"]}"#), ActionError::NotFound(_)));
}

#[test]
fn a_plan_request_restricts_the_configuration_and_a_plan_is_summarised() {
    let request =
        PlanRequest::parse(r#"{"horizon_hours":24,"constraints":{"technicians":["Bob"],"not_before":50}}"#).unwrap();
    let restricted: Json = serde_json::from_str(&request.restrict_config(CREW).unwrap()).unwrap();
    assert_eq!(restricted, json!({ "technicians": [{ "name": "Bob" }], "horizon_hours": 24.0, "not_before": 50 }));
    assert_eq!((request.start_time(7), request.start_time(90)), (50, 90));
    assert_eq!(PlanRequest::parse("{}").unwrap().restrict_config("").unwrap(), "{}");
    assert_eq!(action_rules::configured_technicians(CREW), ["Ada", "Bob"]);

    let hour = 3_600_000_000_000_i64;
    let order = |id: &str, asset: &str, time: Option<i64>, cost: f64| {
        let status = if time.is_some() { "planned" } else { "unscheduled" };
        json!({ "id": id, "asset": asset, "status": status, "scheduled_time": time, "estimated_duration_minutes": 90, "cost": cost })
    };
    let orders = vec![
        order("b", "m", None, 5.0),
        order("a", "m", Some(2 * hour), 60.0),
        order("c", "other", Some(9 * hour), 1.0),
    ];
    let plan = action_rules::summarize_plan(orders.clone(), Some(&["m".to_owned()]), hour);
    assert_eq!((&plan["unscheduled"], &plan["makespan_hours"], &plan["cost"]), (&json!(1), &json!(2.5), &json!(65.0)));
    assert_eq!((&plan["work_orders"][0]["id"], plan["work_orders"].as_array().unwrap().len()), (&json!("a"), 2));
    assert_eq!(action_rules::summarize_plan(orders, None, 0)["makespan_hours"], 10.5);
    assert_eq!(action_rules::summarize_plan(vec![], None, 5)["makespan_hours"], 0.0);
}

#[test]
fn a_change_previews_the_work_order() {
    let order = json!({ "status": "unscheduled", "scheduled_time": null, "technician": null, "pinned": false });
    let change_of = |text: &str| WorkOrderRequest::parse(text).unwrap().change;
    let changed = change_of(r#"{"scheduled_time":5,"technician":"Ada"}"#).preview(order.clone());
    assert_eq!(changed, json!({ "status": "planned", "scheduled_time": 5, "technician": "Ada", "pinned": true }));
    assert_eq!(change_of(r#"{"status":"cancelled"}"#).preview(order.clone())["status"], "cancelled");
    assert_eq!(change_of(r#"{"status":"planned"}"#).preview(order)["status"], "unscheduled");
    assert_eq!(change_of(r#"{"status":"done"}"#).status, Some(OrderStatusChange::Done));
    let critical = json!({ "id": "i", "asset": "n/m", "severity": "critical", "fault_mode": null });
    assert_eq!(
        (RepairRequest::new(&critical, "", 1).severity, RepairRequest::new(&critical, "", 1).title.as_str()),
        ("critical", "m: repair ordered by hand")
    );
    assert_eq!(RepairRequest::new(&critical, "", 1).id, RepairRequest::new(&critical, "other text", 2).id);
    // A command keeps its content in the queue.
    let body = postcard::to_allocvec(&change_of(r#"{"status":"done","pinned":false}"#)).unwrap();
    assert_eq!(postcard::from_bytes::<WorkOrderChange>(&body).unwrap().pinned, Some(false));
}
