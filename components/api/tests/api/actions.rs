//! User actions.

use http::Method;
use serde_json::{Value, json};
use wheeltapper_api::{Action, Settings, respond};

use crate::memory::{
    Memory, NOW, SECOND, T0, body, get, get_with, invalid_body, order, plant, problem, request, send, text,
};

const ANOMALY: &str = "/api/v1/anomalies/00000000000000000000000000000001";
const ORDER: &str = "/api/v1/work-orders/00000000000000000000000000000001";

fn recorded_actions(line: &Memory) -> Vec<(Action, String, String)> {
    line.actions
        .take()
        .into_iter()
        .map(|action_request| (action_request.action, action_request.id, action_request.text))
        .collect()
}

#[test]
fn each_action_is_performed() {
    for (name, action) in [
        ("acknowledge", Action::Acknowledge),
        ("handle", Action::Handle),
        ("false-alarm", Action::FalseAlarm),
        ("comment", Action::Comment),
        ("order-repair", Action::OrderRepair),
    ] {
        let line = plant();
        let response = send(&line, Method::POST, &format!("{ANOMALY}/{name}"), r#"{"comment": "seen, ä"}"#);
        assert_eq!(response.status(), 200, "{}", body(&response));
        let action_request = line.actions.borrow()[0].clone();
        assert_eq!((action_request.action, action_request.text.as_str(), action_request.now), (action, "seen, ä", NOW));
        let anomaly = body(&response);
        assert_eq!(anomaly["handled"], matches!(action, Action::Handle | Action::FalseAlarm));
        assert_eq!(anomaly["actions"][0]["text"], "seen, ä");
        assert_eq!(anomaly["actions"][0]["time"], "2026-01-01T01:00:00Z");
        // GET returns the same.
        assert_eq!(anomaly, body(&get(&line, ANOMALY)));
        assert_eq!(body(&get(&line, &format!("{ANOMALY}/actions")))["items"], anomaly["actions"]);
        assert_eq!(body(&get(&line, "/api/v1/actions"))["items"], anomaly["actions"]);
    }
}

#[test]
fn only_the_action_comment_requires_a_text() {
    let line = plant();
    for payload in ["", "{}"] {
        assert_eq!(send(&line, Method::POST, &format!("{ANOMALY}/acknowledge"), payload).status(), 200);
    }
    assert!(recorded_actions(&line).iter().all(|(_, _, text)| text.is_empty()));
    let comment = format!("{ANOMALY}/comment");
    assert!(problem(&send(&line, Method::POST, &comment, ""), 400).contains("there is no body"));
    assert_eq!(
        invalid_body(&send(&line, Method::POST, &comment, "{}")),
        (String::new(), "missing field `comment`".into())
    );
    let (pointer, detail) = invalid_body(&send(&line, Method::POST, &comment, r#"{"comment": ""}"#));
    assert_eq!((pointer.as_str(), detail.as_str()), ("/comment", "a text of 0 characters, expected 1 to 2000"));
    let long = format!(r#"{{"comment": "{}"}}"#, "ä".repeat(2_001));
    assert_eq!(
        invalid_body(&send(&line, Method::POST, &comment, &long)).1,
        "a text of 2001 characters, expected 1 to 2000"
    );
    assert!(invalid_body(&send(&line, Method::POST, &comment, r#"{"comment": "\u0000"}"#)).1.contains("NUL"));
    assert!(invalid_body(&send(&line, Method::POST, &comment, r#"{"comment": null}"#)).1.contains("expected a string"));
    assert!(recorded_actions(&line).is_empty());
}

#[test]
fn actions_on_unknown_ids_are_a_404() {
    let line = plant();
    for path in ["/api/v1/anomalies/ff/handle", "/api/v1/anomalies/%00/handle", "/api/v1/anomalies/%E2%82%AC/handle"] {
        problem(&send(&line, Method::POST, path, "{}"), 404);
    }
    for path in ["/api/v1/anomalies/ff/actions", "/api/v1/anomalies/ff", "/api/v1/anomalies/%00"] {
        problem(&get(&line, path), 404);
    }
    problem(&send(&line, Method::PATCH, "/api/v1/work-orders/ff", r#"{"pinned": true}"#), 404);
    problem(&send(&line, Method::PATCH, "/api/v1/work-orders/%00", r#"{"pinned": true}"#), 404);
}

/// Sends a request with `If-Match`.
fn send_if_match(line: &Memory, method: Method, uri: &str, tags: &str, body: &str) -> http::Response<Vec<u8>> {
    let headers = [("content-type", "application/json"), ("if-match", tags)];
    respond(line, &Settings::default(), NOW, request(method, uri, &headers, body.as_bytes()))
}

#[test]
fn a_stale_if_match_is_rejected() {
    let acknowledge = format!("{ANOMALY}/acknowledge");
    for (item, method, path, first, then) in [
        (ORDER, Method::PATCH, ORDER, r#"{"pinned": true}"#, r#"{"status": "done"}"#),
        (ANOMALY, Method::POST, acknowledge.as_str(), r#"{"comment": "mine"}"#, r#"{"comment": "mine, too"}"#),
    ] {
        let line = plant();
        let tag = text(&get(&line, item), "etag").unwrap().to_owned();
        assert_eq!(send_if_match(&line, method.clone(), path, &tag, first).status(), 200);
        let late = send_if_match(&line, method.clone(), path, &tag, then);
        assert!(problem(&late, 412).contains("If-Match"), "{path}");
        assert_eq!(line.actions.borrow().len(), 1, "{path}");
        // The new tag is accepted, also the weak one of a compressed response, and so is `*` or no tag.
        let compressed = get_with(&line, item, &[("accept-encoding", "gzip")]);
        let tag = text(&compressed, "etag").unwrap().trim_start_matches("W/").to_owned();
        for tags in [format!("\"other\", W/{tag}"), "*".to_owned()] {
            assert_eq!(send_if_match(&line, method.clone(), path, &tags, then).status(), 200, "{path}");
        }
        assert_eq!(send(&line, method.clone(), path, then).status(), 200);
        let missing_path = path.replace("0001", "00ff");
        problem(&send_if_match(&line, method, &missing_path, "*", then), 404);
    }
}

#[test]
fn moving_an_order_pins_it() {
    for (payload, expected) in [
        (r#"{"scheduled_time": "2026-01-01T00:00:02Z"}"#, json!({ "scheduled_time": T0 + 2 * SECOND, "pinned": true })),
        (r#"{"technician": "Bo", "pinned": false}"#, json!({ "technician": "Bo", "pinned": false })),
        (r#"{"status": "done"}"#, json!({ "status": "done" })),
        (r#"{"status": "done", "reset_baseline": true}"#, json!({ "status": "done", "reset_baseline": true })),
        (r#"{"pinned": true}"#, json!({ "pinned": true })),
    ] {
        let line = plant();
        let response = send(&line, Method::PATCH, ORDER, payload);
        assert_eq!(response.status(), 200, "{}", body(&response));
        let (action, id, text) = recorded_actions(&line).remove(0);
        assert_eq!((action, id.as_str()), (Action::Amend, "00000000000000000000000000000001"));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        assert_eq!(body(&response), body(&get(&line, ORDER)));
    }
    assert_eq!(order(1, "planned")["status"], "planned");
}

#[test]
fn the_baseline_of_a_machine_can_be_reset() {
    let line = plant();
    for path in ["north/hall-1/pump-1", "north%2Fhall-1%2Fpump-1"] {
        let uri = format!("/api/v1/machines/{path}/reset-baseline");
        let payload = r#"{"reason": "new-operating-mode", "comment": "a larger impeller"}"#;
        let response = send(&line, Method::POST, &uri, payload);
        assert_eq!(response.status(), 200, "{}", body(&response));
        let (action, id, text) = recorded_actions(&line).remove(0);
        assert_eq!((action, id.as_str()), (Action::ResetBaseline, "north/hall-1/pump-1"));
        let expected = json!({ "reason": "new-operating-mode", "comment": "a larger impeller" });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        let recorded = body(&response);
        assert_eq!(
            (&recorded["action"], &recorded["target"], &recorded["time"]),
            (&json!("reset-baseline"), &json!("north/hall-1/pump-1"), &json!("2026-01-01T01:00:00Z"))
        );
        // The actions of the machine contain it.
        assert_eq!(body(&get(&line, "/api/v1/actions?asset=north/hall-1/pump-1"))["items"][0], recorded);
    }
    send(&line, Method::POST, "/api/v1/machines/south/reset-baseline", r#"{"reason": "repaired"}"#);
    assert_eq!(recorded_actions(&line)[0].2, r#"{"reason":"repaired"}"#);
}

#[test]
fn invalid_resets_are_rejected() {
    let line = plant();
    let reset = |name: &str, payload: &str| {
        send(&line, Method::POST, &format!("/api/v1/machines/{name}/reset-baseline"), payload)
    };
    let repaired = r#"{"reason": "repaired"}"#;
    problem(&reset("north/hall-1/pump-2", repaired), 404);
    problem(&reset("north/../pump-1", repaired), 400);
    problem(&reset("north%00", repaired), 400);
    problem(&reset("south", ""), 400);
    assert!(reset("south", repaired).status() == 200 && recorded_actions(&line).len() == 2);
    let long = json!({ "reason": "cleaned", "comment": "ä".repeat(2_001) }).to_string();
    for (payload, expected_pointer, expected_detail) in [
        ("{}", "", "missing field `reason`"),
        (
            r#"{"reason": "bored"}"#,
            "/reason",
            "\"bored\", expected one of repaired, replaced, cleaned, new-operating-mode",
        ),
        (r#"{"reason": {"repaired": null}}"#, "/reason", "expected a string"),
        (r#"{"reason": "repaired", "comment": null}"#, "/comment", "expected a string"),
        (long.as_str(), "/comment", "a text of 2001 characters, expected 1 to 2000"),
        (r#"{"reason": "repaired", "by": "Ada"}"#, "/by", "unknown field `by`"),
    ] {
        let (pointer, detail) = invalid_body(&reset("south", payload));
        assert_eq!(pointer, expected_pointer, "{detail}");
        assert!(detail.contains(expected_detail), "{payload}: {detail}");
    }
    assert!(recorded_actions(&line).is_empty());
}

#[test]
fn invalid_amendments_are_rejected() {
    let line = plant();
    for (payload, expected_pointer, expected_detail) in [
        ("{}", "", "at least one of scheduled_time, technician, pinned, status"),
        (r#"{"pinned": null}"#, "/pinned", "expected a boolean"),
        (r#"{"pinned": 1}"#, "/pinned", "invalid type: integer `1`, expected a boolean"),
        (r#"{"status": "lost"}"#, "/status", "\"lost\", expected one of planned, done, cancelled"),
        (r#"{"status": {"done": null}}"#, "/status", "expected a string"),
        (r#"{"reset_baseline": "yes"}"#, "/reset_baseline", "expected a boolean"),
        (
            r#"{"scheduled_time": "tomorrow"}"#,
            "/scheduled_time",
            "invalid value: string \"tomorrow\", expected a time as RFC 3339",
        ),
        (r#"{"scheduled_time": 1.5}"#, "/scheduled_time", "1.5"),
        (r#"{"scheduled": 1}"#, "/scheduled", "unknown field `scheduled`, expected one of `scheduled_time`"),
        (r#"{"pinned": true, "pinned": false}"#, "", "duplicate field `pinned`"),
        (r#"["2026-01-01T00:00:02Z", "Bo", true, "done"]"#, "", "expected an object"),
        ("null", "", "expected an object"),
    ] {
        let (pointer, detail) = invalid_body(&send(&line, Method::PATCH, ORDER, payload));
        assert!(detail.contains(expected_detail), "{payload}: {detail}");
        assert!(expected_pointer.is_empty() || pointer == expected_pointer, "{payload}: {pointer}");
    }
    assert!(recorded_actions(&line).is_empty());
}

#[test]
fn bodies_need_a_content_type() {
    let line = plant();
    let patch = |kind: Option<&str>, payload: &[u8]| {
        let headers: Vec<_> = kind.into_iter().map(|kind| ("content-type", kind)).collect();
        let request = request(Method::PATCH, ORDER, &headers, payload);
        wheeltapper_api::respond(&line, &wheeltapper_api::Settings::default(), NOW, request)
    };
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\""] {
        assert_eq!(patch(Some(kind), br#"{"pinned": true}"#).status(), 200, "{kind}");
    }
    for kind in
        [None, Some("text/plain"), Some("application/jsonx"), Some("application/json; charset=latin1"), Some("")]
    {
        let response = patch(kind, br#"{"pinned": true}"#);
        assert!(problem(&response, 415).contains("send JSON"), "{kind:?}");
        assert_eq!(text(&response, "accept"), Some("application/json"));
    }
    for (payload, expected_detail) in [
        (&b"{"[..], "line 1 column 1"),
        (b"{\"pinned\":\n tru}", "line 2 column 5"),
        (b"\xFF", "line 1 column 1"),
        (b"{\"pinned\": \"\xFF\"}", "line 1"),
        (b"{\"pinned\": true} x", "trailing characters at line 1 column 18"),
        (b"{\"pinned\": NaN}", "line 1 column 12"),
        (b"{\"scheduled_time\": 1e999}", "number out of range"),
    ] {
        let detail = problem(&patch(Some("application/json"), payload), 400);
        assert!(detail.starts_with("the body is not JSON: ") && detail.contains(expected_detail), "{detail}");
    }
    let deep = "[".repeat(10_000);
    assert!(patch(Some("application/json"), deep.as_bytes()).status().is_client_error());
}
