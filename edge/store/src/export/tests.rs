#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde::Serialize;

use super::columns::{Table, export_columns};
use crate::{
    AlertRow, AnomalyRow, Commit, DeadLetter, Filter, SensorReadings, Store, WindowBlock, WindowRow, WorkOrderRow,
};

fn work_order() -> WorkOrderRow {
    WorkOrderRow {
        id: "=cmd|' /C calc'!A0".into(),
        alert: "@SUM(1)".into(),
        asset: "\tm".into(),
        kind: "-1".into(),
        priority: 2,
        status: "planned".into(),
        scheduled: Some(-5),
        duration_minutes: 60,
        technician: Some("+49".into()),
        skills: vec!["=x".into()],
        after: Vec::new(),
        cost: -1.5,
        notes: "\rnote".into(),
        pinned: true,
    }
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("s.db")).unwrap();
    store.register_sensors(&[("a", "m", "", ""), ("b", "m", "", "")]).unwrap();
    (folder, store)
}

fn csv(store: &Store, table: Table, filter: &Filter) -> Vec<Vec<String>> {
    let mut bytes = Vec::new();
    let rows = store.export_csv(&mut bytes, table, filter).unwrap();
    let read: Vec<Vec<String>> = csv::Reader::from_reader(bytes.as_slice())
        .records()
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(read.len() as u64, rows);
    read
}

#[test]
fn exported_text_is_never_a_formula_and_numbers_stay_numbers() {
    let (_folder, store) = store();
    store.commit(&Commit { work_orders: &[work_order()], ..Commit::default() }).unwrap();
    let rows = csv(&store, Table::WorkOrders, &Filter::default());
    let expected = ["'=cmd|' /C calc'!A0", "'@SUM(1)", "'\tm", "'-1", "2", "planned", "-5", "60", "'+49", "[\"=x\"]"];
    assert_eq!(rows[0][..10], expected);
    assert_eq!(rows[0][10..], ["[]", "-1.5", "'\rnote", "true"]);
}

#[test]
fn every_field_of_a_row_is_exported() {
    fn fields(row: impl Serialize) -> Vec<String> {
        let mut names: Vec<String> = serde_json::to_value(row).unwrap().as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    }
    fn exported(table: Table) -> Vec<String> {
        let mut names: Vec<String> = export_columns(table).iter().map(|(name, _)| (*name).to_owned()).collect();
        names.sort();
        names
    }
    let text = String::new;
    let anomaly = AnomalyRow {
        id: text(),
        detection_time: 0,
        sensor: text(),
        asset: text(),
        start_time: 0,
        end_time: 0,
        score: 0.0,
        model: text(),
        severity: text(),
        handled: false,
        threshold: 0.0,
        confidence: 0.0,
        fault_mode: None,
        message: text(),
        metadata: text(),
    };
    let alert = AlertRow {
        id: text(),
        asset: text(),
        sensor: text(),
        severity: text(),
        state: text(),
        opened: 0,
        updated: 0,
        resolved: None,
        anomalies: 0,
        peak_score: 0.0,
        anomaly: text(),
        fault_mode: None,
        title: text(),
        message: text(),
        recommendation: text(),
    };
    let dead_letter = DeadLetter {
        id: text(),
        time: 0,
        source: text(),
        reason: text(),
        message: text(),
        payload: Vec::new(),
        readings: 0,
        sensor: None,
        format: None,
    };
    assert_eq!(fields(anomaly), exported(Table::Anomalies));
    assert_eq!(fields(alert), exported(Table::Alerts));
    assert_eq!(fields(work_order()), exported(Table::WorkOrders));
    assert_eq!(fields(dead_letter), exported(Table::DeadLetters));
}

#[test]
fn a_limit_holds_for_all_tables_and_takes_the_newest() {
    let (_folder, store) = store();
    let readings = [0_u32, 1].map(|sensor| SensorReadings {
        sensor,
        times: (0..100).map(|at| at * 10 + i64::from(sensor)).collect(),
        values: vec![1.0; 100],
    });
    let row = |start: i64| WindowRow { sensor: 1, start, end: start + 30, count: 3 };
    let windows = [WindowBlock {
        asset: "m".into(),
        features: vec!["mean".into(), "rms".into()],
        rows: (0..50).map(row).collect(),
        values: (0..100).map(f64::from).collect(),
    }];
    store.commit(&Commit { readings: &readings, windows: &windows, ..Commit::default() }).unwrap();
    let limit = |limit| Filter { limit: Some(limit), ..Filter::default() };
    let rows = csv(&store, Table::Readings, &limit(3));
    assert_eq!(rows, [["990", "a", "1.0"], ["981", "b", "1.0"], ["991", "b", "1.0"]]);
    let rows = csv(&store, Table::Windows, &limit(3));
    let expected = [
        ["m", "b", "49", "79", "3", "mean", "98.0"],
        ["m", "b", "49", "79", "3", "rms", "99.0"],
        ["m", "b", "48", "78", "3", "mean", "96.0"],
    ];
    assert_eq!(rows, expected);
    assert_eq!(csv(&store, Table::Windows, &Filter::default()).len(), 100);
    let other = Filter { sensor: Some("a".into()), ..limit(3) };
    assert!(csv(&store, Table::Windows, &other).is_empty());
    let early = Filter { from: Some(45), to: Some(48), ..limit(100) };
    assert_eq!(csv(&store, Table::Windows, &early).len(), 6);
}
