//! Arbitrary input is answered, and never with a 5xx.

use http::{Method, Uri};
use proptest::prelude::*;
use serde_json::{Value, json};
use wheeltapper_api::{ROUTES, Settings, respond};

use crate::memory::{NOW, get, plant, problem, request, send};

/// JSON that resembles valid bodies.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("2026-01-01T00:00:00Z")),
        Just(json!("north/hall-1/pump-1/vibration")),
        Just(json!("{ machines { nodes { asset } } }")),
    ];
    let name = prop_oneof![
        "[a-z_]{0,8}",
        prop::sample::select(vec![
            "sensor_data",
            "sensor_id",
            "timestamp",
            "values",
            "metadata",
            "model_name",
            "threshold",
            "comment",
            "pinned",
            "status",
            "scheduled_time",
            "technician",
            "sensor_ids",
            "constraints",
            "not_before",
            "query",
            "variables",
            "extensions",
            "persistedQuery",
            "operationName",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6).prop_map(|members| json!(members)),
        ]
    })
}

/// A path that may match a template.
fn path() -> impl Strategy<Value = String> {
    let id = prop_oneof![
        Just("00000000000000000000000000000001".to_owned()),
        Just("north/hall-1/pump-1/vibration".to_owned()),
        "[a-z0-9%/.~-]{1,12}",
        "(%[0-9A-F]{2}){1,4}",
    ];
    (prop::sample::select(ROUTES.iter().map(|route| route.path).collect::<Vec<_>>()), id).prop_map(|(template, id)| {
        match (template.find('{'), template.find('}')) {
            (Some(open), Some(close)) => format!("{}{id}{}", &template[..open], &template[close + 1..]),
            _ => template.to_owned(),
        }
    })
}

fn query() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "asset",
        "sensor",
        "from",
        "to",
        "limit",
        "cursor",
        "severity",
        "state",
        "points",
        "query",
        "variables",
        "extensions",
        "last_event_id",
        "technician",
        "now",
        "x",
    ]);
    let value = prop_oneof![
        "[a-zA-Z0-9%+:.{}-]{0,16}",
        "(%[0-9A-F]{2}){0,4}",
        "-?[0-9]{1,20}",
        Just("2026-01-01T00:00:00Z".to_owned())
    ];
    prop::collection::vec((name, value), 0..4).prop_map(|pairs| {
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    })
}

/// Names that people could confuse with another name, or that a file system or a proxy would interpret as a path.
#[test]
fn misleading_names_are_rejected() {
    let line = plant();
    for name in ["a/..", "../a", "a//b", "a%2F%2Fb", "a/.", "a%00", "a%0A", "%E2%80%AEa", "a%E2%81%A6b", "a%C2%85"] {
        for path in [name.to_owned(), format!("{name}/readings"), format!("{name}/stream")] {
            let reply = problem(&get(&line, &format!("/api/v1/sensors/{path}")), 400);
            assert!(reply.contains("the name"), "{path}: {reply}");
        }
        let reply = send(&line, Method::POST, &format!("/api/v1/ingest?sensor={name}"), "1");
        assert!(problem(&reply, 400).contains("sensor: the name"));
    }
    for name in ["a/..", "", "a//b", "a\u{202e}b", "a\nb", "/a"] {
        let sample = json!({ "sensor_data": { "sensor_id": name, "timestamp": 1, "values": 1 } });
        problem(&send(&line, Method::POST, "/api/v1/detect", &sample.to_string()), 422);
        let part = json!({ "sensor_data": { "sensor_id": "a", "timestamp": 1, "values": { name: 1 } } });
        problem(&send(&line, Method::POST, "/api/v1/detect", &part.to_string()), 422);
        let plan = json!({ "sensor_ids": [name] });
        problem(&send(&line, Method::POST, "/api/v1/maintenance/schedule", &plan.to_string()), 422);
    }
    assert!(line.queries.borrow().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No request ends in a panic or a 5xx, and every error is a problem document.
    #[test]
    fn any_request_is_answered(
        method in prop::sample::select(vec!["GET", "GET", "POST", "POST", "PATCH", "HEAD", "OPTIONS", "PUT", "DELETE", "FOO"]),
        path in path(),
        query in query(),
        payload in value(),
        raw in prop::option::weighted(0.1, prop::collection::vec(any::<u8>(), 0..40)),
        kind in prop::sample::select(vec!["application/json", "application/json", "application/json; charset=utf-8", "text/csv", ""]),
        event in prop::option::of("[0-9a-f.]{0,30}"),
    ) {
        let Ok(uri) = format!("{path}?{query}").parse::<Uri>() else { return Ok(()) };
        let body = raw.unwrap_or_else(|| payload.to_string().into_bytes());
        let mut headers = vec![("content-type", kind)];
        headers.extend(event.as_deref().map(|id| ("last-event-id", id)));
        let method: Method = method.parse().unwrap();
        let response = respond(&plant(), &Settings::default(), NOW, request(method.clone(), &uri.to_string(), &headers, &body));
        let status = response.status();
        prop_assert!(status.is_success() || status.is_client_error(), "{method} {uri}: {status}");
        prop_assert!(response.headers().contains_key("x-request-id"));
        if status.is_client_error() && method != Method::HEAD {
            prop_assert_eq!(&response.headers()["content-type"], "application/problem+json");
            prop_assert!(serde_json::from_slice::<Value>(response.body()).unwrap()["detail"].is_string());
        }
        if status == 405 {
            prop_assert!(response.headers().contains_key("allow"));
        }
    }

    /// Any text is answered as a GraphQL document.
    #[test]
    fn any_document_is_answered(text in "[a-zA-Z{}()\\[\\]:,$!@.\" ]{0,60}") {
        let payload = json!({ "query": text }).to_string();
        let headers = [("content-type", "application/json")];
        let response = respond(&plant(), &Settings::default(), NOW, request(Method::POST, "/graphql", &headers, payload.as_bytes()));
        prop_assert_eq!(response.status(), 200);
    }
}
