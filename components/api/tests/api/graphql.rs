//! GraphQL.

use http::{Method, Response};
use serde_json::{Value, json};
use wheeltapper_api::{Action, LineApiError, Settings, Table, respond};

use crate::memory::{Memory, NOW, alert, body, get, get_with, plant, problem, request, send, sensor, text};

fn post(line: &Memory, payload: &Value) -> Response<Vec<u8>> {
    send(line, Method::POST, "/graphql", &payload.to_string())
}

fn query_graphql(line: &Memory, query: &str) -> Value {
    let response = post(line, &json!({ "query": query }));
    assert_eq!(response.status(), 200);
    body(&response)
}

fn data(line: &Memory, query: &str) -> Value {
    let mut reply = query_graphql(line, query);
    assert!(reply.get("errors").is_none(), "{reply}");
    reply["data"].take()
}

fn error(reply: &Value) -> &str {
    assert!(reply.get("data").is_none_or(Value::is_null), "{reply}");
    reply["errors"][0]["message"].as_str().unwrap()
}

#[test]
fn all_is_asked_for_at_once() {
    let query = "query All($start: DateTime) {
        sensors(status: OK, first: 1) { nodes { name asset unit kind } pageInfo { endCursor hasNextPage } }
        anomalies(sensorId: \"north/pump-1/vibration\", startTime: $start, severity: HIGH, first: 1) {
            nodes { id detectionTime severity handled metadata }
        }
        anomaly(id: \"00000000000000000000000000000001\") { score }
        assets { name kind children { name children { name sensors { id unit } } } }
        alerts(state: OPEN, severity: HIGH) { nodes { id title openedAt: opened resolved } }
        workOrders(status: PLANNED) { nodes { id type skills scheduledTime pinned } }
        machines { nodes { asset openAlerts health p90Hours } }
        actions { nodes { action } }
    }";
    let line = plant();
    let response = post(
        &line,
        &json!({ "query": query, "operationName": "All", "variables": { "start": "2026-01-01T00:00:05Z" } }),
    );
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(body(&response)) });
    let queries = line.queries.borrow();
    let anomalies = queries.iter().find(|(_, filter)| filter.after.is_some()).unwrap();
    assert_eq!(
        (anomalies.1.kind.as_deref(), anomalies.1.sensor.as_deref()),
        (Some("high"), Some("north/pump-1/vibration"))
    );
}

#[test]
fn pages_are_chained_by_cursor() {
    let line = plant();
    let (mut after, mut count) = (Value::Null, 0);
    loop {
        let query = "query ($after: String) { anomalies(first: 25, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } } }";
        let page =
            body(&post(&line, &json!({ "query": query, "variables": { "after": after } })))["data"]["anomalies"].take();
        count += page["nodes"].as_array().unwrap().len();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(count, 59);
    assert!(error(&query_graphql(&line, "{ sensors(first: 0) { nodes { name } } }")).contains("not from 1 to 1000"));
    assert!(error(&query_graphql(&line, "{ sensors(after: \"x\") { nodes { name } } }")).contains("endCursor"));
    assert_eq!(data(&line, "{ sensors(asset: \"\\u0000\") { nodes { name } } }")["sensors"]["nodes"], json!([]));
}

#[test]
fn sensors_of_machines_that_alert() {
    let mut line = plant();
    line.rows.get_mut(&wheeltapper_api::Table::Alerts).unwrap()[0]["asset"] = json!("south");
    let names = |status: &str| {
        data(&line, &format!("{{ sensors(status: {status}) {{ nodes {{ name }} }} }}"))["sensors"]["nodes"].clone()
    };
    assert_eq!(names("ALERTING"), json!([{ "name": "south/fan" }]));
    assert_eq!(names("OK").as_array().unwrap().len(), 2);
}

#[test]
fn filtered_pages_need_few_queries() {
    let mut line = plant();
    let sensors: Vec<Value> = (0..12_500).map(|at| sensor(&format!("north/m{at:05}/x"))).collect();
    line.rows.insert(Table::Sensors, sensors);
    let count_queries =
        |line: &Memory| line.queries.borrow_mut().drain(..).filter(|(table, _)| *table == Table::Sensors).count();
    let fields = |count: usize, field: &str| {
        (0..count).fold("{".to_owned(), |query, at| query + &format!("a{at}:{field} ")) + "}"
    };
    let none = "sensors(status: ALERTING, first: 1) { nodes { name } pageInfo { endCursor hasNextPage } }";
    let first = data(&line, &fields(15, none));
    // The limit of queries was reached before the end: the client continues from the cursor.
    assert_eq!(first["a14"], json!({ "nodes": [], "pageInfo": { "endCursor": "00002710", "hasNextPage": true } }));
    assert_eq!(count_queries(&line), 10);
    let on = none.replace("first: 1", "after: \"00002710\"");
    let last = json!({ "nodes": [], "pageInfo": { "endCursor": null, "hasNextPage": false } });
    assert_eq!(data(&line, &format!("{{ {on} }}"))["sensors"], last);
    assert_eq!(count_queries(&line), 3);
    data(&line, &fields(3, "assets { path }"));
    assert_eq!(count_queries(&line), 13);

    for (max, field) in [
        (19, "sensors(status: OK, first: 1) { pageInfo { hasNextPage } }"),
        (19, "alerts(state: RESOLVED, severity: LOW, first: 1) { pageInfo { hasNextPage } }"),
        (19, "machines(first: 1) { pageInfo { hasNextPage } }"),
        (4, "assets { path }"),
        (192, "anomalies(sensorId: \"x\", first: 1) { pageInfo { hasNextPage } }"),
    ] {
        data(&line, &fields(max, field));
        assert!(error(&query_graphql(&line, &fields(max + 1, field))).contains("too complex"), "{field}");
    }
}

#[test]
fn alerts_of_a_state_and_a_severity() {
    let mut line = plant();
    let alerts = [("a", "open", "high"), ("b", "resolved", "high"), ("c", "open", "low"), ("d", "resolved", "low")];
    let rows = alerts.map(|(id, state, severity)| {
        let mut row = alert();
        (row["id"], row["state"], row["severity"]) = (json!(id), json!(state), json!(severity));
        row
    });
    line.rows.insert(Table::Alerts, rows.to_vec());
    let ids = |arguments: &str| {
        let reply = data(&line, &format!("{{ alerts{arguments} {{ nodes {{ id }} }} }}"));
        let nodes = reply["alerts"]["nodes"].as_array().unwrap().clone();
        nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect::<String>()
    };
    assert_eq!(ids(""), "abcd");
    assert_eq!(
        (ids("(state: OPEN)"), ids("(state: RESOLVED)"), ids("(severity: LOW)")),
        ("ac".into(), "bd".into(), "cd".into())
    );
    assert_eq!(
        (ids("(state: OPEN, severity: HIGH)"), ids("(state: RESOLVED, severity: LOW)")),
        ("a".into(), "d".into())
    );
}

#[test]
fn the_longest_page_reports_whether_more_follow() {
    let mut line = plant();
    for (count, more) in [(1_000, false), (1_001, true)] {
        let sensors = (0..count).map(|at| sensor(&format!("n/m/s{at:04}"))).collect();
        line.rows.insert(Table::Sensors, sensors);
        let reply = data(&line, "{ sensors(first: 1000) { nodes { name } pageInfo { endCursor hasNextPage } } }");
        assert_eq!(reply["sensors"]["nodes"].as_array().unwrap().len(), 1_000);
        assert_eq!(reply["sensors"]["pageInfo"], json!({ "endCursor": "000003e8", "hasNextPage": more }));
    }
}

#[test]
fn mutations_perform_actions() {
    for (field, action) in [
        ("acknowledgeAnomaly", Action::Acknowledge),
        ("handleAnomaly", Action::Handle),
        ("markFalseAlarm", Action::FalseAlarm),
        ("commentAnomaly", Action::Comment),
        ("orderRepair", Action::OrderRepair),
    ] {
        let line = plant();
        let query = format!(
            "mutation {{ {field}(id: \"00000000000000000000000000000001\", comment: \"c\") {{ id handled }} }}"
        );
        let changed = data(&line, &query);
        assert_eq!(changed[field]["handled"], matches!(action, Action::Handle | Action::FalseAlarm));
        let action_request = line.actions.borrow()[0].clone();
        assert_eq!((action_request.action, action_request.text.as_str(), action_request.now), (action, "c", NOW));
    }
    let line = plant();
    let missing = query_graphql(&line, "mutation { acknowledgeAnomaly(id: \"ff\") { id } }");
    assert_eq!(missing["errors"][0]["extensions"]["code"], "NOT_FOUND");
}

#[test]
fn a_mutation_resets_a_baseline() {
    let line = plant();
    let mutation = |asset: &str, arguments: &str| {
        format!("mutation {{ resetBaseline(asset: \"{asset}\", {arguments}) {{ action target text time }} }}")
    };
    let recorded = data(&line, &mutation("south", "reason: NEW_NORMAL, comment: \"c\""));
    assert_eq!(
        (&recorded["resetBaseline"]["action"], &recorded["resetBaseline"]["target"]),
        (&json!("reset-baseline"), &json!("south"))
    );
    let text = serde_json::from_str::<Value>(recorded["resetBaseline"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, json!({ "reason": "new-normal", "comment": "c" }));
    assert_eq!(line.actions.borrow()[0].action, Action::ResetBaseline);
    let missing = query_graphql(&line, &mutation("nowhere", "reason: REPAIRED"));
    assert_eq!(missing["errors"][0]["extensions"]["code"], "NOT_FOUND");
    let long = format!("reason: REPAIRED, comment: \"{}\"", "a".repeat(2_001));
    assert!(error(&query_graphql(&line, &mutation("south", &long))).contains("at most 2000 characters"));
    error(&query_graphql(&line, &mutation("south", "reason: BORED")));
}

const MUTATION: &str = "mutation { acknowledgeAnomaly(id: \"00000000000000000000000000000001\") { id } }";

#[test]
fn mutations_require_the_permission_write() {
    let line = plant();
    let with = |permissions: &str, payload: &Value| {
        let headers = [("content-type", "application/json"), ("x-wheeltapper-permissions", permissions)];
        let request = request(Method::POST, "/graphql", &headers, payload.to_string().as_bytes());
        body(&respond(&line, &Settings::default(), NOW, request))
    };
    let two = format!("query Q {{ __typename }} {MUTATION}").replace("mutation {", "mutation M {");
    for permissions in ["read", "", "read, writes", "READ,WRITE"] {
        for payload in
            [json!({ "query": MUTATION }), json!({ "query": two, "operationName": "M" }), json!({ "query": two })]
        {
            assert!(
                error(&with(permissions, &payload)).contains("requires the permission write"),
                "{permissions} {payload}"
            );
        }
        assert!(with(permissions, &json!({ "query": two, "operationName": "Q" })).get("errors").is_none());
    }
    assert!(line.actions.borrow().is_empty());
    assert!(with("read, write", &json!({ "query": MUTATION })).get("errors").is_none());
    assert_eq!(line.actions.borrow().len(), 1);
}

#[test]
fn get_accepts_queries_only() {
    let line = plant();
    let response =
        get(&line, "/graphql?query=query($n:Int){machines(first:$n){nodes{asset}}}&variables=%7B%22n%22:1%7D");
    assert_eq!(body(&response)["data"]["machines"]["nodes"], json!([{ "asset": "north/hall-1/pump-1" }]));
    let changed = get(
        &line,
        &format!(
            "/graphql?query={}",
            MUTATION.replace(' ', "+").replace('"', "%22").replace('{', "%7B").replace('}', "%7D")
        ),
    );
    problem(&changed, 405);
    assert!(text(&changed, "allow").unwrap().contains("POST"));
    assert!(line.actions.borrow().is_empty());
    for variables in ["x", "[]", ""] {
        assert!(
            problem(&get(&line, &format!("/graphql?query=%7B__typename%7D&variables={variables}")), 400)
                .contains("JSON object")
        );
    }
    assert_eq!(error(&body(&get(&line, "/graphql"))), "there is no document; send it as `query`");
}

#[test]
fn batches_and_invalid_bodies_are_rejected() {
    let line = plant();
    problem(&send(&line, Method::POST, "/graphql", r#"[{"query": "{ __typename }"}]"#), 422);
    problem(&send(&line, Method::POST, "/graphql", "{"), 400);
    problem(&respond(&line, &Settings::default(), NOW, request(Method::POST, "/graphql", &[], b"{}")), 415);
    problem(&send(&line, Method::PUT, "/graphql", "{}"), 405);
}

#[test]
fn the_media_type_follows_accept() {
    let line = plant();
    let with = |accept: &str, query: &str| get_with(&line, &format!("/graphql?query={query}"), &[("accept", accept)]);
    let plain = with("*/*", "%7Bx%7D");
    assert_eq!((plain.status().as_u16(), text(&plain, "content-type")), (200, Some("application/json")));
    let strict = with("application/graphql-response+json, application/json;q=0.9", "%7Bx%7D");
    assert_eq!(
        (strict.status().as_u16(), text(&strict, "content-type")),
        (400, Some("application/graphql-response+json"))
    );
    assert!(body(&strict).get("data").is_none());
    let known = with("application/graphql-response+json", "%7B__typename%7D");
    assert_eq!((known.status().as_u16(), &body(&known)), (200, &json!({ "data": { "__typename": "Query" } })));
}

#[test]
fn documents_have_limits() {
    let line = plant();
    let deep = format!("{{ assets {} name {} }}", "{ children ".repeat(12), "}".repeat(12));
    assert!(error(&query_graphql(&line, &deep)).contains("too deep"), "{}", query_graphql(&line, &deep));
    let wide: String =
        (0..5).map(|index| format!("a{index}: sensors(first: 1000) {{ nodes {{ name asset unit }} }} ")).collect();
    assert!(error(&query_graphql(&line, &format!("{{ {wide} }}"))).contains("too complex"));
    assert!(error(&query_graphql(&line, &format!("{{ {} }}", "a".repeat(20_000)))).contains("send at most"));
    assert!(line.queries.borrow().is_empty());
    // Fragments that spread each other.
    error(&query_graphql(&line, "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"));
    error(&query_graphql(&line, &format!("{}{}", "{ a ".repeat(3_000), "}".repeat(3_000))));
    error(&query_graphql(&line, "subscription { x }"));
    error(&query_graphql(&line, "query A { __typename } query B { __typename }"));
}

/// 1 KB that validation would visit for most of a minute, and lists that would overflow the stack of the parser.
#[test]
fn expanding_documents_are_rejected_at_once() {
    let line = plant();
    let last = "fragment f27 on Query { machines { nodes { asset } } }";
    let bomb = (0..27).fold(format!("{{ ...f0 }} {last}"), |text, at| {
        format!("{text} fragment f{at} on Query {{ ...f{0} ...f{0} }}", at + 1)
    });
    let started = std::time::Instant::now();
    assert!(error(&query_graphql(&line, &bomb)).contains("selections, at most"));
    for list in ["[".repeat(1_000), "[".repeat(1_000) + &"]".repeat(1_000), "{a:".repeat(1_000)] {
        let reply = query_graphql(&line, &format!("{{ machines(first: {list}) {{ nodes {{ asset }} }} }}"));
        assert!(error(&reply).contains("brackets"), "{reply}");
    }
    // Variables are JSON; the JSON parser has its own depth limit.
    let deep = format!("{{\"query\":\"{{ __typename }}\",\"variables\":{{\"a\":{}", "[".repeat(1_000));
    problem(&send(&line, Method::POST, "/graphql", &deep), 400);
    assert!(started.elapsed() < std::time::Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(line.queries.borrow().is_empty());
}

/// The introspection query of graphql-core, the Python reference implementation: 17 fields deep.
#[test]
fn introspection_is_answered() {
    let of_type = (0..9).fold("kind name".to_owned(), |inner, _| format!("kind name ofType {{ {inner} }}"));
    let query = format!(
        "query IntrospectionQuery {{ __schema {{ queryType {{ name }} mutationType {{ name }} types {{ ...T }}
            directives {{ name args {{ ...V }} }} }} }}
        fragment T on __Type {{ kind name fields(includeDeprecated: true) {{ name args {{ ...V }} type {{ ...R }} }}
            inputFields {{ ...V }} interfaces {{ ...R }} enumValues {{ name }} possibleTypes {{ ...R }} }}
        fragment V on __InputValue {{ name type {{ ...R }} defaultValue }}
        fragment R on __Type {{ {of_type} }}"
    );
    let line = plant();
    let schema = data(&line, &query);
    let types: Vec<&str> =
        schema["__schema"]["types"].as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap()).collect();
    for name in ["Sensor", "Anomaly", "Machine", "WorkOrderPage", "DateTime", "JSON", "Severity"] {
        assert!(types.contains(&name), "{types:?}");
    }
    assert!(line.queries.borrow().is_empty());
}

#[test]
fn persisted_documents_are_found_by_hash() {
    use sha2::{Digest as _, Sha256};
    let line = plant();
    let query = "{ machines { nodes { asset } } }";
    let hash: String = Sha256::digest(query).iter().map(|byte| format!("{byte:02x}")).collect();
    let persisted = json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
    let unknown = body(&post(&line, &json!({ "extensions": persisted })));
    assert_eq!(unknown["errors"][0]["message"], "PersistedQueryNotFound");
    assert_eq!(unknown["errors"][0]["extensions"]["code"], "PERSISTED_QUERY_NOT_FOUND");
    let other = body(&post(&line, &json!({ "query": "{ __typename }", "extensions": persisted })));
    assert_eq!(error(&other), "provided sha does not match query");
    let stored = body(&post(&line, &json!({ "query": query, "extensions": persisted })));
    assert_eq!(stored["data"]["machines"]["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(body(&post(&line, &json!({ "extensions": persisted }))), stored);
    let uri =
        format!("/graphql?extensions=%7B%22persistedQuery%22:%7B%22version%22:1,%22sha256Hash%22:%22{hash}%22%7D%7D");
    assert_eq!(body(&get(&line, &uri)), stored);
    let unsupported = json!({ "extensions": { "persistedQuery": { "version": 2, "sha256Hash": hash } } });
    assert_eq!(error(&body(&post(&line, &unsupported))), "PersistedQueryNotSupported");
}

#[test]
fn line_errors_are_reported() {
    let line = Memory { failure: Some(LineApiError::Unavailable("locked".into())), ..Memory::default() };
    let reply = query_graphql(&line, "{ machines { nodes { asset } } sensors { nodes { name } } }");
    assert_eq!(reply["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    assert!(reply["errors"][0]["message"].as_str().unwrap().contains("locked"));
}
