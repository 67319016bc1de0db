//! Tests of the queries: the machine table, and the restriction to sites.

use std::time::Instant;

use serde_json::{Value as Json, json};

use super::{MemoryPlatform, line, run};
use crate::{Dispatch, Filter, Ports, Table, query, schema, store};

fn rows(platform: &MemoryPlatform, table: Table, filter: Filter) -> Vec<Json> {
    let filter = Filter { limit: if filter.limit == 0 { 1_000 } else { filter.limit }, ..filter };
    serde_json::from_str(&run(line(platform, Dispatch::Inline).query(table, &filter)).unwrap()).unwrap()
}

/// Selects rows of these sites only, as a host does for a caller who is restricted to them.
fn rows_of_sites(platform: &MemoryPlatform, table: Table, filter: Filter, sites: &[&str]) -> Vec<Json> {
    let sites: Vec<String> = sites.iter().map(|&site| site.to_owned()).collect();
    let filter = Filter { limit: 1_000, ..filter };
    let (statement, parameters) = query::select_statement(table, &filter, Some(&sites));
    let rows = run(store::execute(platform, &statement, &parameters)).unwrap();
    serde_json::from_str(&query::rows_to_json(table, rows)).unwrap()
}

fn column(rows: &[Json], key: &str) -> Vec<Json> {
    rows.iter().map(|row| row[key].clone()).collect()
}

/// Returns a store with its tables.
fn platform() -> MemoryPlatform {
    let platform = MemoryPlatform::new();
    for statement in schema::statements(platform.dialect()) {
        platform.rows(&statement);
    }
    platform
}

fn sensor(platform: &MemoryPlatform, name: &str) {
    let asset = name.rsplit_once('/').unwrap().0;
    platform.rows(&format!("INSERT INTO sensors VALUES ('{name}', '{asset}', '', '')"));
}

fn alert(platform: &MemoryPlatform, id: &str, asset: &str, severity: &str, state: &str, updated: i64) {
    platform.rows(&format!(
        "INSERT INTO alerts VALUES ('{id}', '{asset}', 's', '{severity}', '{state}', 1, {updated}, NULL, 1, 0.9, 'a', 'imbalance',
            'title of {id}', '', '', 1)"
    ));
}

#[test]
fn machines_are_ordered_by_severity() {
    let platform = platform();
    for name in ["n/a/x", "n/b/x", "n/b/y", "n/c/x", "n/d/x", "n/e/x"] {
        sensor(&platform, name);
    }
    alert(&platform, "1", "n/b", "low", "open", 5);
    alert(&platform, "2", "n/b", "high", "open", 3);
    alert(&platform, "3", "n/c", "critical", "open", 1);
    alert(&platform, "4", "n/d", "critical", "resolved", 9);
    for (asset, time, hours) in [("n/a", 1, "90.0"), ("n/a", 2, "NULL"), ("n/d", 7, "40.0"), ("n/e", 8, "30.0")] {
        platform
            .rows(&format!("INSERT INTO prognoses VALUES ('{asset}', {time}, 0.5, 1.0, {hours}, 3.0, 'degradation')"));
    }
    for (id, time) in [("p", 4), ("q", 6)] {
        platform.rows(&format!(
            "INSERT INTO anomalies VALUES ('{id}', {time}, 's', 'n/b', 1, {time}, 0.9, 'm', 'high', 0, 0.9, 0.9, NULL, '', '{{}}')"
        ));
    }
    for (id, status, time) in
        [("o", "planned", "8"), ("u", "unscheduled", "NULL"), ("r", "done", "2"), ("v", "planned", "9")]
    {
        platform.rows(&format!(
            "INSERT INTO work_orders (id, alert, asset, type, priority, status, scheduled_time, estimated_duration_minutes, skills,
                after, cost, notes, seq) VALUES ('{id}', '2', 'n/b', 't', 1, '{status}', {time}, 60, '[]', '[]', 1.0, '', 1)"
        ));
    }
    let all = rows(&platform, Table::Machines, Filter::default());
    assert_eq!(column(&all, "asset"), ["n/c", "n/b", "n/e", "n/d", "n/a"]);
    assert_eq!(
        all[1],
        json!({
            "asset": "n/b", "sensors": 2, "open_alerts": 2, "severity": "high", "title": "title of 2", "fault_mode": "imbalance",
            "last_anomaly": 6, "health": null, "p10_hours": null, "p50_hours": null, "p90_hours": null,
            "prognosis_time": null, "next_order": 8,
        })
    );
    assert_eq!(
        (&all[4]["prognosis_time"], &all[4]["p50_hours"], &all[4]["severity"]),
        (&json!(2), &Json::Null, &Json::Null)
    );
    let of = |filter| column(&rows(&platform, Table::Machines, filter), "asset");
    assert_eq!(of(Filter { asset: Some("n/d".into()), ..Filter::default() }), ["n/d"]);
    assert_eq!(of(Filter { kind: Some("critical".into()), ..Filter::default() }), ["n/c"]);
    assert_eq!(of(Filter { limit: 2, offset: 1, ..Filter::default() }), ["n/b", "n/e"]);
}

#[test]
fn a_caller_restricted_to_sites_sees_no_others() {
    let platform = platform();
    for name in ["north/a/x", "north-2/b/x", "north0/c/x", "north/x", "south/d/x"] {
        sensor(&platform, name);
        let asset = name.rsplit_once('/').unwrap().0;
        platform.rows(&format!("INSERT INTO waveforms VALUES ('{name}', 1, 1.0, 0, x'')"));
        platform
            .rows(&format!("INSERT INTO dead_letters VALUES ('{name}', 1, 's', 'late', '', x'', 1, '{name}', NULL)"));
        platform.rows(&format!("INSERT INTO drifts VALUES ('{name}', '{asset}', 1, 'drifted', '[]', 0.1, '')"));
    }
    platform.rows("INSERT INTO dead_letters VALUES ('nobody', 1, 's', 'malformed', '', x'', 1, NULL, NULL)");
    let task = |id: &str, request: &str| {
        platform.rows(&format!("INSERT INTO tasks VALUES ('{id}', 1, 'done', '{request}', '{{\"cost\":1}}', 1)"));
    };
    task("plant", r#"{"sensor_ids":[],"horizon_hours":24}"#);
    task("none", r#"{"sensor_ids":[],"assets":[]}"#);
    task("own", r#"{"sensor_ids":["north/a/x"],"assets":["north/a","north"]}"#);
    task("both", r#"{"sensor_ids":["north/a/x"],"assets":["north/a","south/d"]}"#);
    task("near", r#"{"assets":["north-2/b"]}"#);
    let north = |table| rows_of_sites(&platform, table, Filter::default(), &["north"]);
    assert_eq!(column(&north(Table::Sensors), "name"), ["north/a/x", "north/x"]);
    assert_eq!(north(Table::Machines).len(), 2);
    for (table, total) in [(Table::Waveforms, 5), (Table::Drifts, 5), (Table::DeadLetters, 6), (Table::Tasks, 5)] {
        assert_eq!(rows(&platform, table, Filter::default()).len(), total, "{table:?}");
        let restricted = north(table).len();
        assert_eq!(restricted, if table == Table::Tasks { 1 } else { 2 }, "{table:?}");
        assert_eq!(rows_of_sites(&platform, table, Filter::default(), &[]).len(), 0);
    }
    // A plan is visible only to callers who may see all its machines, even if they know its id.
    let by_id = |id: &str, sites: &[&str]| {
        let filter = Filter { id: Some(id.into()), ..Filter::default() };
        column(&rows_of_sites(&platform, Table::Tasks, filter, sites), "id")
    };
    assert_eq!(by_id("own", &["north"]), ["own"]);
    assert_eq!(by_id("both", &["south", "north/a"]), ["both"]);
    for (id, sites) in
        [("own", ["south"]), ("own", ["north/a"]), ("both", ["north"]), ("plant", ["north"]), ("none", ["north"])]
    {
        assert!(by_id(id, &sites).is_empty(), "{id} {sites:?}");
    }
    let one = rows(&platform, Table::Tasks, Filter { id: Some("near".into()), ..Filter::default() });
    let request = r#"{"assets":["north-2/b"]}"#;
    assert_eq!(
        one,
        [
            json!({ "id": "near", "created": 1, "status": "done", "request": request, "plan": "{\"cost\":1}", "finished": 1 })
        ]
    );
}

#[test]
fn missing_tables_and_columns_are_added_to_an_older_database() {
    let platform = MemoryPlatform::new();
    // The tables of the version before.
    for statement in schema::statements(platform.dialect()).iter().take(14) {
        platform.rows(statement);
    }
    platform.rows(
        "INSERT INTO work_orders VALUES ('o', 'a', 'n/b', 't', 1, 'planned', 1, 60, 'Ada', '[]', '[]', 1.0, '', 1)",
    );
    assert_eq!(column(&rows(&platform, Table::WorkOrders, Filter::default()), "pinned"), [json!(false)]);
    assert!(rows(&platform, Table::Actions, Filter::default()).is_empty());
}

#[test]
fn the_machine_table_of_a_large_plant_is_fast() {
    let platform = platform();
    let many = |count: u32, what: &str| {
        platform.rows(&format!(
            "INSERT INTO {what} FROM (WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count} - 1)
                SELECT i FROM n)"
        ));
    };
    many(10_000, "sensors SELECT 'p/m' || (i % 2000) || '/s' || i, 'p/m' || (i % 2000), '', ''");
    many(
        100_000,
        "anomalies SELECT i, i, 's', 'p/m' || (i % 2000), 0, i, 0.9, 'm', 'high', 0, 0.9, 0.9, NULL, '', '{}'",
    );
    many(500_000, "prognoses SELECT 'p/m' || (i % 2000), i, 0.5, 1.0, 2.0, 3.0, 'd'");
    many(
        20_000,
        "alerts SELECT i, 'p/m' || (i % 2000), 's', 'high', CASE WHEN i < 500 THEN 'open' ELSE 'resolved' END, 1, i, NULL, 1, 0.9,
            'a', NULL, '', '', '', 1",
    );
    let started = Instant::now();
    let first = rows(&platform, Table::Machines, Filter { limit: 200, ..Filter::default() });
    let elapsed = started.elapsed();
    println!("2,000 machines in {elapsed:?}");
    assert_eq!((first.len(), &first[0]["severity"]), (200, &json!("high")));
    // It usually takes a twentieth of this; the rest allows for a loaded computer.
    assert!(elapsed.as_secs_f64() < 1.0, "{elapsed:?}");
}
