//! The content of the first page.

use serde_json::{Value, json};
use wheeltapper_api::{LineApiError, Table};

use crate::memory::{Memory, NOW, SECOND, T0, alert, anomaly, body, dead_letter, get, order, problem, sensor};

fn chunk(end: i64, count: i64) -> Value {
    json!({ "sensor": "s", "start_time": end - SECOND, "end_time": end, "count": count, "times": [], "vals": [] })
}

fn filled() -> Memory {
    Memory {
        rows: [
            (Table::Anomalies, vec![anomaly(1)]),
            (Table::Alerts, vec![alert()]),
            (
                Table::WorkOrders,
                vec![order(1, "done"), order(2, "planned"), order(3, "unscheduled"), order(4, "cancelled")],
            ),
            (Table::Sensors, ["a/b", "a/c"].map(sensor).into()),
            (Table::DeadLetters, vec![dead_letter(2), dead_letter(3)]),
            (Table::Readings, vec![chunk(NOW - SECOND, 40), chunk(NOW - 9 * SECOND, 60), chunk(T0, 1_000)]),
        ]
        .into(),
        ..Memory::default()
    }
}

#[test]
fn an_overview() {
    let overview = body(&get(&filled(), "/api/v1/overview"));
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(overview) });
}

/// Every member that the page reads exists and has the expected type.
#[test]
fn the_page_can_read_it() {
    for line in [Memory::default(), filled()] {
        let all = body(&get(&line, "/api/v1/overview"));
        assert!(all["readings_per_second"].is_f64());
        for member in ["readings", "windows", "uptime_seconds", "behind_bytes"] {
            assert_eq!(
                all.get(member),
                Some(&Value::Null),
                "a figure that cannot be derived from the rows is null, not missing"
            );
        }
        assert!(all["sensors"].is_u64() && all["counts"]["rejected_readings"].is_u64());
        for list in ["alerts", "work_orders", "anomalies"] {
            assert!(all[list].is_array());
        }
        // The page expects times in nanoseconds since 1970.
        for anomaly in all["anomalies"].as_array().unwrap() {
            assert!(anomaly["detection_time"].is_i64());
        }
        for order in all["work_orders"].as_array().unwrap() {
            assert!(
                order["kind"].is_string() && order["duration_minutes"].is_u64() && order.get("scheduled").is_some()
            );
        }
    }
}

#[test]
fn lower_bounds_are_named() {
    let rows = [
        (Table::DeadLetters, vec![dead_letter(2); 300]),
        (Table::Sensors, (0..2_500).map(|index| sensor(&format!("a/{index}"))).collect()),
        (Table::WorkOrders, (0..30).map(|index| order(index, "planned")).collect()),
        // 250 chunks per second: the rate is computed over the time that the newest chunks cover.
        (Table::Readings, (0..2_500).map(|index| chunk(NOW - index * SECOND / 250, 1)).collect()),
    ];
    let overview = body(&get(&Memory { rows: rows.into(), ..Memory::default() }, "/api/v1/overview"));
    assert_eq!(overview["at_least"], json!(["dead_letters", "rejected_readings", "work_orders"]));
    assert_eq!(overview["counts"]["rejected_readings"], 400);
    assert_eq!(overview["sensors"], 2_500);
    assert_eq!(overview["work_orders"].as_array().unwrap().len(), 20);
    let rate = overview["readings_per_second"].as_f64().unwrap();
    assert!((100.0..=260.0).contains(&rate), "{rate}");
}

#[test]
fn an_overview_of_a_line_that_does_not_answer() {
    let line = Memory { failure: Some(LineApiError::Unavailable("locked".into())), ..Memory::default() };
    problem(&get(&line, "/api/v1/overview"), 503);
    problem(&get(&filled(), "/api/v1/overview?since=1"), 400);
}
