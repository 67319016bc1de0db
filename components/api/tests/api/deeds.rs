//! What people do.

use http::Method;
use serde_json::{Value, json};
use wheeltapper_api::{Deed, Settings, respond};

use crate::memory::{Memory, NOW, SECOND, T0, body, get, get_with, misfit, order, plant, problem, request, send, text};

const ANOMALY: &str = "/api/v1/anomalies/00000000000000000000000000000001";
const ORDER: &str = "/api/v1/work-orders/00000000000000000000000000000001";

fn acted(front: &Memory) -> Vec<(Deed, String, String)> {
    front.acted.take().into_iter().map(|change| (change.deed, change.id, change.text)).collect()
}

#[test]
fn each_deed_is_done() {
    for (name, deed) in [
        ("acknowledge", Deed::Acknowledge),
        ("handle", Deed::Handle),
        ("false-alarm", Deed::FalseAlarm),
        ("comment", Deed::Comment),
        ("order-repair", Deed::OrderRepair),
    ] {
        let front = plant();
        let answer = send(&front, Method::POST, &format!("{ANOMALY}/{name}"), r#"{"comment": "seen, ä"}"#);
        assert_eq!(answer.status(), 200, "{}", body(&answer));
        let change = front.acted.borrow()[0].clone();
        assert_eq!((change.deed, change.text.as_str(), change.now), (deed, "seen, ä", NOW));
        let anomaly = body(&answer);
        assert_eq!(anomaly["handled"], matches!(deed, Deed::Handle | Deed::FalseAlarm));
        assert_eq!(anomaly["actions"][0]["text"], "seen, ä");
        assert_eq!(anomaly["actions"][0]["time"], "2026-01-01T01:00:00Z");
        // As GET gives it.
        assert_eq!(anomaly, body(&get(&front, ANOMALY)));
        assert_eq!(body(&get(&front, &format!("{ANOMALY}/actions")))["items"], anomaly["actions"]);
        assert_eq!(body(&get(&front, "/api/v1/actions"))["items"], anomaly["actions"]);
    }
}

#[test]
fn a_remark_may_be_left_out_but_of_a_comment() {
    let front = plant();
    for sent in ["", "{}"] {
        assert_eq!(send(&front, Method::POST, &format!("{ANOMALY}/acknowledge"), sent).status(), 200);
    }
    assert!(acted(&front).iter().all(|(_, _, text)| text.is_empty()));
    let comment = format!("{ANOMALY}/comment");
    assert!(problem(&send(&front, Method::POST, &comment, ""), 400).contains("there is no body"));
    assert_eq!(misfit(&send(&front, Method::POST, &comment, "{}")), (String::new(), "missing field `comment`".into()));
    let (place, said) = misfit(&send(&front, Method::POST, &comment, r#"{"comment": ""}"#));
    assert_eq!((place.as_str(), said.as_str()), ("/comment", "a text of 0 characters, expected 1 to 2000"));
    let long = format!(r#"{{"comment": "{}"}}"#, "ä".repeat(2_001));
    assert_eq!(misfit(&send(&front, Method::POST, &comment, &long)).1, "a text of 2001 characters, expected 1 to 2000");
    assert!(misfit(&send(&front, Method::POST, &comment, r#"{"comment": "\u0000"}"#)).1.contains("NUL"));
    assert!(misfit(&send(&front, Method::POST, &comment, r#"{"comment": null}"#)).1.contains("expected a string"));
    assert!(acted(&front).is_empty());
}

#[test]
fn what_is_not_there_cannot_be_acted_on() {
    let front = plant();
    for path in ["/api/v1/anomalies/ff/handle", "/api/v1/anomalies/%00/handle", "/api/v1/anomalies/%E2%82%AC/handle"] {
        problem(&send(&front, Method::POST, path, "{}"), 404);
    }
    for path in ["/api/v1/anomalies/ff/actions", "/api/v1/anomalies/ff", "/api/v1/anomalies/%00"] {
        problem(&get(&front, path), 404);
    }
    problem(&send(&front, Method::PATCH, "/api/v1/work-orders/ff", r#"{"pinned": true}"#), 404);
    problem(&send(&front, Method::PATCH, "/api/v1/work-orders/%00", r#"{"pinned": true}"#), 404);
}

/// What is sent with `If-Match` beside.
fn send_if(front: &Memory, method: Method, uri: &str, tags: &str, body: &str) -> http::Response<Vec<u8>> {
    let headers = [("content-type", "application/json"), ("if-match", tags)];
    respond(front, &Settings::default(), NOW, request(method, uri, &headers, body.as_bytes()))
}

#[test]
fn what_was_changed_meanwhile_is_not_changed_unseen() {
    let acknowledge = format!("{ANOMALY}/acknowledge");
    for (seen, method, path, first, then) in [
        (ORDER, Method::PATCH, ORDER, r#"{"pinned": true}"#, r#"{"status": "done"}"#),
        (ANOMALY, Method::POST, acknowledge.as_str(), r#"{"comment": "mine"}"#, r#"{"comment": "mine, too"}"#),
    ] {
        let front = plant();
        let tag = text(&get(&front, seen), "etag").unwrap().to_owned();
        assert_eq!(send_if(&front, method.clone(), path, &tag, first).status(), 200);
        let late = send_if(&front, method.clone(), path, &tag, then);
        assert!(problem(&late, 412).contains("If-Match"), "{path}");
        assert_eq!(front.acted.borrow().len(), 1, "{path}");
        // Whoever has looked again may, and who does not care; a packed answer's tag is as good.
        let packed = get_with(&front, seen, &[("accept-encoding", "gzip")]);
        let tag = text(&packed, "etag").unwrap().trim_start_matches("W/").to_owned();
        for tags in [format!("\"other\", W/{tag}"), "*".to_owned()] {
            assert_eq!(send_if(&front, method.clone(), path, &tags, then).status(), 200, "{path}");
        }
        assert_eq!(send(&front, method.clone(), path, then).status(), 200);
        let absent = path.replace("0001", "00ff");
        problem(&send_if(&front, method, &absent, "*", then), 404);
    }
}

#[test]
fn moving_an_order_pins_it() {
    for (sent, wanted) in [
        (r#"{"scheduled_time": "2026-01-01T00:00:02Z"}"#, json!({ "scheduled_time": T0 + 2 * SECOND, "pinned": true })),
        (r#"{"technician": "Bo", "pinned": false}"#, json!({ "technician": "Bo", "pinned": false })),
        (r#"{"status": "done"}"#, json!({ "status": "done" })),
        (r#"{"pinned": true}"#, json!({ "pinned": true })),
    ] {
        let front = plant();
        let answer = send(&front, Method::PATCH, ORDER, sent);
        assert_eq!(answer.status(), 200, "{}", body(&answer));
        let (deed, id, text) = acted(&front).remove(0);
        assert_eq!((deed, id.as_str()), (Deed::Amend, "00000000000000000000000000000001"));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), wanted);
        assert_eq!(body(&answer), body(&get(&front, ORDER)));
    }
    assert_eq!(order(1, "planned")["status"], "planned");
}

#[test]
fn an_amendment_that_is_none_is_told() {
    let front = plant();
    for (sent, place, said) in [
        ("{}", "", "at least one of scheduled_time, technician, pinned, status"),
        (r#"{"pinned": null}"#, "/pinned", "expected a boolean"),
        (r#"{"pinned": 1}"#, "/pinned", "invalid type: integer `1`, expected a boolean"),
        (r#"{"status": "lost"}"#, "/status", "\"lost\", expected one of planned, done, cancelled"),
        (r#"{"status": {"done": null}}"#, "/status", "expected a string"),
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
        let (pointer, detail) = misfit(&send(&front, Method::PATCH, ORDER, sent));
        assert!(detail.contains(said), "{sent}: {detail}");
        assert!(place.is_empty() || pointer == place, "{sent}: {pointer}");
    }
    assert!(acted(&front).is_empty());
}

#[test]
fn a_body_says_what_it_is() {
    let front = plant();
    let patch = |kind: Option<&str>, sent: &[u8]| {
        let headers: Vec<_> = kind.into_iter().map(|kind| ("content-type", kind)).collect();
        let asked = request(Method::PATCH, ORDER, &headers, sent);
        wheeltapper_api::respond(&front, &wheeltapper_api::Settings::default(), NOW, asked)
    };
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\""] {
        assert_eq!(patch(Some(kind), br#"{"pinned": true}"#).status(), 200, "{kind}");
    }
    for kind in
        [None, Some("text/plain"), Some("application/jsonx"), Some("application/json; charset=latin1"), Some("")]
    {
        let answer = patch(kind, br#"{"pinned": true}"#);
        assert!(problem(&answer, 415).contains("send JSON"), "{kind:?}");
        assert_eq!(text(&answer, "accept"), Some("application/json"));
    }
    for (sent, said) in [
        (&b"{"[..], "line 1 column 1"),
        (b"{\"pinned\":\n tru}", "line 2 column 5"),
        (b"\xFF", "line 1 column 1"),
        (b"{\"pinned\": \"\xFF\"}", "line 1"),
        (b"{\"pinned\": true} x", "trailing characters at line 1 column 18"),
        (b"{\"pinned\": NaN}", "line 1 column 12"),
        (b"{\"scheduled_time\": 1e999}", "number out of range"),
    ] {
        let detail = problem(&patch(Some("application/json"), sent), 400);
        assert!(detail.starts_with("the body is no JSON: ") && detail.contains(said), "{detail}");
    }
    let deep = "[".repeat(10_000);
    assert!(patch(Some("application/json"), deep.as_bytes()).status().is_client_error());
}
