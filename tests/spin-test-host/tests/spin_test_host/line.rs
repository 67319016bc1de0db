//! Readings through the composed components, from each trigger to the tables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::App;
use wheeltapper_spin_test_host::TriggerEvent;
use wheeltapper_test_hosts::plant::{PLANT, START, plant_events};

#[test]
fn a_failing_machine_becomes_a_work_order_without_a_bus() {
    let app = App::new(&[("plant", PLANT)]);
    let readings = app.load("redis", &[("role", "readings"), ("channel", "readings")]);
    for event in plant_events(280, 210) {
        app.host.event(&readings, &TriggerEvent::Redis(event), None).unwrap();
    }
    let cron = app.load("cron", &[]);
    app.host.event(&cron, &TriggerEvent::Cron((START + 340) as u64), None).unwrap();
    assert_eq!(app.count("sensors"), 4);
    assert_eq!(app.rows("SELECT sum(count) FROM readings"), [[rusqlite::types::Value::Integer(1120)]]);
    assert_eq!(app.count("dead_letters"), 0);
    assert!(app.count("windows") >= 4 * 40, "{}", app.count("windows"));
    assert!(app.count("anomalies") > 0);
    assert_eq!(app.count("alerts WHERE asset = 'north/pump-1'"), 1);
    assert_eq!(app.count("work_orders WHERE asset = 'north/pump-1' AND technician = 'ada'"), 1);
    assert_eq!(app.count("alerts WHERE asset = 'south/fan-2'"), 0);
}

#[test]
fn the_source_of_an_mqtt_message_is_its_topic() {
    let app = App::new(&[("plant", PLANT)]);
    let mqtt = app.load("mqtt", &[]);
    let event = TriggerEvent::Mqtt { topic: "north/pump-1".into(), payload: b"nonsense".to_vec() };
    app.host.event(&mqtt, &event, None).unwrap();
    assert_eq!(app.count("dead_letters WHERE source = 'north/pump-1' AND reason = 'malformed'"), 1);
    let payload = plant_events(1, 9).remove(0);
    app.host.event(&mqtt, &TriggerEvent::Mqtt { topic: "any".into(), payload }, None).unwrap();
    assert_eq!(app.rows("SELECT sum(count) FROM readings"), [[rusqlite::types::Value::Integer(4)]]);
}
