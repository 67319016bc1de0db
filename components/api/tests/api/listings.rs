//! Tables as pages of items.

use proptest::prelude::*;
use serde_json::{Value, json};
use wheeltapper_api::Table;

use crate::memory::{Memory, SECOND, T0, anomaly, body, dead_letter, get, order, problem, sensor, text};

fn anomalies(count: i64) -> Memory {
    Memory::with(Table::Anomalies, (0..count).map(anomaly).collect())
}

#[test]
fn a_page_of_anomalies() {
    let response = get(&anomalies(3), "/api/v1/anomalies?limit=2");
    assert_eq!(response.status(), 200);
    assert_eq!(text(&response, "link"), Some("</api/v1/anomalies?limit=2&cursor=00000002>; rel=\"next\""));
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(body(&response)) });
}

#[test]
fn the_filter_is_passed_on() {
    let line = anomalies(10);
    let response = get(
        &line,
        "/api/v1/anomalies?asset=north%2Fpump-1&sensor=north/pump-1/vibration&severity=high&from=2026-01-01T00:00:20Z&to=1767225660000000000&limit=7&cursor=",
    );
    // Forms send fields that were left empty.
    assert_eq!(response.status(), 200, "{}", body(&response));
    let (table, filter) = line.queries.take().remove(0);
    assert_eq!(table, Table::Anomalies);
    assert_eq!(filter.asset.as_deref(), Some("north/pump-1"));
    assert_eq!(filter.sensor.as_deref(), Some("north/pump-1/vibration"));
    assert_eq!(filter.kind.as_deref(), Some("high"));
    assert_eq!((filter.after, filter.before), (Some(T0 + 20 * SECOND - 1), Some(T0 + 60 * SECOND)));
    assert_eq!((filter.limit, filter.offset), (8, 0));
}

#[test]
fn invalid_queries_are_rejected() {
    let line = anomalies(1);
    for (query, expected_detail) in [
        (
            "sevrity=high",
            "the query names \"sevrity\"; this route takes asset, sensor, from, to, severity, limit, cursor",
        ),
        ("limit=5&limit=6", "the query names \"limit\" twice"),
        ("severity=worse", "severity=\"worse\" is not one of low, medium, high, critical"),
        ("limit=0", "limit=\"0\" is not a whole number from 1 to 1000"),
        ("limit=1001", "limit=\"1001\" is not a whole number from 1 to 1000"),
        ("limit=ten", "limit=\"ten\" is not a whole number"),
        ("from=yesterday", "from=\"yesterday\" is not a time; give RFC 3339"),
        ("from=20260101T000000Z", "is not a time"),
        ("from=2026-01-01T00:00Z", "is not a time"),
        ("from=2026-02-30T00:00:00Z", "is not a time"),
        ("from=99999999999999999999", "is not a time"),
        ("asset=%00", "contains the character NUL"),
        ("to=2026-01-01", "is not a time"),
        ("cursor=!", "cursor=\"!\" is not a cursor"),
        ("cursor=0000000G", "is not a cursor"),
        ("cursor=1", "is not a cursor"),
    ] {
        let detail = problem(&get(&line, &format!("/api/v1/anomalies?{query}")), 400);
        assert!(detail.contains(expected_detail), "{query}: {detail}");
    }
    assert!(line.queries.take().is_empty());
    let long = problem(&get(&line, &format!("/api/v1/anomalies?asset={}", "ä".repeat(257))), 400);
    assert_eq!(long, "asset has 257 characters; give at most 256");
    assert!(problem(&get(&line, "/api/v1/anomalies/x?limit=1"), 400).contains("this route takes none"));
}

#[test]
fn an_empty_range_returns_no_items() {
    let line = anomalies(3);
    for query in ["from=2&to=1", "from=9999-12-31T23:59:59-23:59", "to=0000-01-01t00:00:00.123456789123z"] {
        let page = body(&get(&line, &format!("/api/v1/anomalies?{query}")));
        assert_eq!(page, json!({ "items": [], "next": null }), "{query}");
    }
}

#[test]
fn two_kind_filters_combine() {
    let alert =
        |id: usize, severity: &str, state: &str| json!({ "id": id.to_string(), "severity": severity, "state": state });
    let alerts = (0..2_500).map(|id| alert(id, "high", if id % 500 == 499 { "open" } else { "resolved" }));
    let line = Memory::with(Table::Alerts, alerts.chain([alert(9_999, "low", "open")]).collect());
    let mut uri = "/api/v1/alerts?severity=high&state=open&limit=2".to_owned();
    let mut ids = Vec::new();
    loop {
        let page = body(&get(&line, &uri));
        ids.extend(page["items"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        uri = next.to_owned();
    }
    assert_eq!(ids, ["499", "999", "1499", "1999", "2499"]);
}

#[test]
fn an_offset_from_utc_needs_no_percent_sign() {
    for (written, seconds) in [("01:00:00+01:00", 0), ("01:00:00%2B01:00", 0), ("00:00:00-01:00", 3_600)] {
        let line = anomalies(0);
        assert_eq!(get(&line, &format!("/api/v1/anomalies?to=2026-01-01T{written}")).status(), 200);
        assert_eq!(line.queries.take()[0].1.before, Some(T0 + seconds * SECOND));
    }
}

#[test]
fn kinds_have_their_own_names() {
    for (uri, kind) in [
        ("alerts?state=open", "open"),
        ("alerts?severity=critical", "critical"),
        ("work-orders?status=planned", "planned"),
        ("dead-letters?reason=out-of-range", "out-of-range"),
        ("drifts?kind=switched", "switched"),
        ("sensors?kind=temperature", "temperature"),
    ] {
        let line = Memory::default();
        let response = get(&line, &format!("/api/v1/{uri}"));
        assert_eq!(body(&response), json!({ "items": [], "next": null }), "{uri}");
        assert_eq!(line.queries.take()[0].1.kind.as_deref(), Some(kind));
    }
    assert_eq!(get(&Memory::default(), "/api/v1/prognoses?asset=a&from=0").status(), 200);
    assert!(problem(&get(&Memory::default(), "/api/v1/prognoses?sensor=a"), 400).contains("takes asset, from, to"));
}

#[test]
fn one_item_by_its_id() {
    let line = anomalies(3);
    let anomaly = body(&get(&line, &format!("/api/v1/anomalies/{:032x}", 1)));
    assert_eq!(anomaly["detection_time"], "2026-01-01T00:00:10Z");
    assert_eq!(anomaly["end_time"], "2026-01-01T00:00:10.5Z");
    assert_eq!(anomaly["metadata"]["contributions"][0]["feature"], "rms");
    let missing = problem(&get(&line, "/api/v1/anomalies/ff"), 404);
    assert_eq!(missing, "there is no anomaly \"ff\"; GET /api/v1/anomalies lists the existing ones");

    let orders = Memory::with(Table::WorkOrders, vec![order(1, "planned")]);
    let order = body(&get(&orders, &format!("/api/v1/work-orders/{:032x}", 1)));
    assert_eq!(order["skills"], json!(["mechanics"]));
    assert_eq!(order["after"], json!([]));
    assert_eq!(order["scheduled_time"], "2026-01-01T00:00:01Z");
    for list in ["dead-letters", "drifts", "prognoses"] {
        problem(&get(&orders, &format!("/api/v1/{list}/x")), 404);
    }
}

#[test]
fn sensors_have_slashes_in_their_ids() {
    let line = Memory::with(Table::Sensors, ["a/b/c", "ä b", "50%"].map(sensor).into());
    for (path, name) in
        [("a/b/c", "a/b/c"), ("a%2Fb%2Fc", "a/b/c"), ("a%2fb/c", "a/b/c"), ("%C3%A4%20b", "ä b"), ("50%25", "50%")]
    {
        assert_eq!(body(&get(&line, &format!("/api/v1/sensors/{path}")))["name"], name);
    }
    problem(&get(&line, "/api/v1/sensors/a/b"), 404);
    problem(&get(&line, "/api/v1/sensors/"), 404);
    assert!(problem(&get(&line, "/api/v1/sensors/%FF"), 400).contains("UTF-8"));
}

#[test]
fn dead_letters_include_the_payload() {
    let line = Memory::with(Table::DeadLetters, vec![dead_letter(2)]);
    let item = body(&get(&line, "/api/v1/dead-letters"))["items"][0].clone();
    assert_eq!((&item["payload"], &item["readings"], &item["sensor"]), (&json!("{"), &json!(2), &Value::Null));
    assert_eq!(item["time"], "2026-01-01T00:00:00Z");
}

#[test]
fn an_invalid_reply_of_the_line_is_a_500() {
    #[derive(Debug)]
    struct InvalidLine(&'static str);
    impl wheeltapper_api::LineApi for InvalidLine {
        fn submit(
            &self,
            _: wheeltapper_api::Submission,
        ) -> Result<wheeltapper_api::Receipt, wheeltapper_api::LineApiError> {
            Ok(wheeltapper_api::Receipt::default())
        }
        fn query(&self, _: Table, _: &wheeltapper_api::Filter) -> Result<String, wheeltapper_api::LineApiError> {
            Ok(self.0.to_owned())
        }
        fn tick(&self, _: i64) -> Result<(), wheeltapper_api::LineApiError> {
            Ok(())
        }
        fn perform_action(&self, _: &wheeltapper_api::ActionRequest) -> Result<String, wheeltapper_api::LineApiError> {
            Ok(self.0.to_owned())
        }
        fn detect(
            &self,
            _: &wheeltapper_api::DetectRequest,
        ) -> Result<wheeltapper_api::Verdict, wheeltapper_api::LineApiError> {
            Err(wheeltapper_api::LineApiError::Internal(self.0.to_owned()))
        }
    }
    for reply in ["", "{}", "[1]", "[{]"] {
        let request = crate::memory::request(http::Method::GET, "/api/v1/drifts", &[], b"");
        let response = wheeltapper_api::respond(&InvalidLine(reply), &wheeltapper_api::Settings::default(), 0, request);
        assert!(problem(&response, 500).contains("API and line have the same version"), "{reply}");
    }
}

proptest! {
    /// A client that follows `next` receives every row once, in order.
    #[test]
    fn following_next_shows_all(count in 0_i64..60, limit in 1_usize..12) {
        let line = anomalies(count);
        let mut uri = format!("/api/v1/anomalies?asset=north%2Fpump-1&limit={limit}");
        let mut ids = Vec::new();
        loop {
            let page = body(&get(&line, &uri));
            let items = page["items"].as_array().unwrap().clone();
            prop_assert!(items.len() == limit || page["next"].is_null());
            ids.extend(items.into_iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => uri = next.to_owned(),
                None => break,
            }
        }
        let all: Vec<String> = (0..count).map(|index| format!("{index:032x}")).collect();
        prop_assert_eq!(ids, all);
    }

    /// No path and no query ends in a panic or a 5xx.
    #[test]
    fn any_request_is_answered(path in "/(api/v1/)?[a-z0-9%/-]{0,24}", query in "[a-z0-9=&%+:.-]{0,24}") {
        if let Ok(uri) = format!("{path}?{query}").parse::<http::Uri>() {
            let response = get(&anomalies(2), &uri.to_string());
            prop_assert!(response.status().is_success() || response.status().is_client_error());
        }
    }
}

#[test]
fn the_longest_page_reports_whether_more_follow() {
    for (count, follows) in [(1_000, false), (1_001, true)] {
        let page = body(&get(&anomalies(count), "/api/v1/anomalies?limit=1000"));
        assert_eq!(page["items"].as_array().unwrap().len(), 1_000);
        assert_eq!(page["next"].is_string(), follows);
    }
}

#[test]
fn offsets_of_windows_and_waveforms_are_bounded() {
    for (name, table) in [("windows", Table::Windows), ("waveforms", Table::Waveforms)] {
        let line = Memory::with(table, vec![]);
        for cursor in ["ffffffff", "000186a1"] {
            let detail = problem(&get(&line, &format!("/api/v1/{name}?cursor={cursor}")), 404);
            assert!(detail.contains("at most 100000") && detail.contains("from and to"), "{detail}");
        }
        assert!(line.queries.borrow().is_empty());
        assert_eq!(get(&line, &format!("/api/v1/{name}?cursor=000186a0")).status(), 200);
    }
    let line = Memory::with(Table::Anomalies, vec![]);
    assert_eq!(get(&line, "/api/v1/anomalies?cursor=ffffffff").status(), 200);
}
