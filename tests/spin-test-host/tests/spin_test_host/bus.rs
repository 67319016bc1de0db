//! The composed components with real servers: Redis connects the stages, and an MQTT broker delivers readings.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use crate::common::{
    App,
    servers::{Redis, Server, Subscription, free_port, publish},
};
use wheeltapper_spin_test_host::{LoadedComponent, TriggerEvent};
use wheeltapper_test_hosts::plant::{PLANT, START, plant_events};

const SECONDS: i64 = 280;
const FAULT_START: i64 = 210;
/// The channels of spin.toml that connect the stages.
const STAGES: [&str; 4] = ["raw-sensor-data", "processed-data", "anomaly-events", "alert-events"];
/// If no message arrives within this time, none is pending, because this thread is the only sender.
const IDLE_TIMEOUT: Duration = Duration::from_millis(200);

/// Selects the tables as users see them; `seq`, which counts arrivals, is left out.
const TABLES: [&str; 5] = [
    "SELECT * FROM readings ORDER BY sensor, start_time, event",
    "SELECT * FROM windows ORDER BY sensor, start_time, features",
    "SELECT * FROM anomalies ORDER BY id",
    "SELECT id, asset, severity, state, opened, updated, anomalies, peak_score, title FROM alerts ORDER BY id",
    "SELECT id, alert, asset, type, priority, status, scheduled_time, technician FROM work_orders ORDER BY id",
];

/// Acts as Spin's Redis trigger: passes one message after the other to the components of its channel. Returns the
/// number of messages of each channel.
fn deliver_messages(
    app: &App,
    subscription: &mut Redis,
    readings: &LoadedComponent,
    stages: &LoadedComponent,
) -> [usize; 5] {
    let mut count = [0; 5];
    while let Some((channel, payload)) = subscription.next_message(IDLE_TIMEOUT) {
        let stage = STAGES.iter().position(|stage| *stage == channel);
        let component = if stage.is_some() { stages } else { readings };
        app.host.event(component, &TriggerEvent::Redis(payload), None).unwrap();
        count[stage.map_or(0, |at| at + 1)] += 1;
    }
    count
}

fn tables(app: &App) -> Vec<Vec<Vec<rusqlite::types::Value>>> {
    TABLES.iter().map(|table| app.rows(table)).collect()
}

#[test]
fn redis_connects_the_stages() {
    let server = Server::redis();
    let address = server.address("redis");
    let app = App::with_outbound(&[("plant", PLANT), ("bus", &address)], &[&address]);
    let readings = app.load("redis", &[("role", "readings"), ("channel", "readings")]);
    let stages = app.load("redis", &[("role", "events")]);
    let cron = app.load("cron", &[]);

    let mut subscription = Redis::subscribed(&server, &[&["readings"], &STAGES[..]].concat());
    let mut device = Redis::connect(&server);
    for event in plant_events(SECONDS, FAULT_START) {
        device.publish("readings", &event);
    }
    let delivered = deliver_messages(&app, &mut subscription, &readings, &stages);
    assert_eq!(delivered[0], SECONDS as usize);
    assert!(delivered.iter().all(|&count| count > 0), "a channel has no messages: {delivered:?}");
    // The tick is published on the bus as well, and the second tick processes what follows from the first.
    for after in [60, 61] {
        app.host.event(&cron, &TriggerEvent::Cron((START + SECONDS + after) as u64), None).unwrap();
        deliver_messages(&app, &mut subscription, &readings, &stages);
    }
    assert_eq!(app.count("alerts WHERE asset = 'north/pump-1'"), 1);
    assert_eq!(app.count("work_orders WHERE asset = 'north/pump-1' AND technician = 'ada'"), 1);
    assert_eq!(app.count("dead_letters"), 0);

    // The same events in one instance, without a bus, give the expected rows.
    let inline = App::new(&[("plant", PLANT)]);
    let readings = inline.load("redis", &[("role", "readings"), ("channel", "readings")]);
    for event in plant_events(SECONDS, FAULT_START) {
        inline.host.event(&readings, &TriggerEvent::Redis(event), None).unwrap();
    }
    let cron = inline.load("cron", &[]);
    for after in [60, 61] {
        inline.host.event(&cron, &TriggerEvent::Cron((START + SECONDS + after) as u64), None).unwrap();
    }
    for ((table, expected), actual) in TABLES.iter().zip(tables(&inline)).zip(tables(&app)) {
        assert!(!expected.is_empty(), "{table} returns no rows");
        assert_eq!(actual, expected, "{table}");
    }
}

#[test]
fn no_reading_is_lost_while_the_bus_is_down() {
    let port = free_port();
    let address = format!("redis://127.0.0.1:{port}");
    let app = App::with_outbound(&[("plant", PLANT), ("bus", &address)], &[&address]);
    let readings = app.load("redis", &[("role", "readings"), ("channel", "readings")]);
    for event in plant_events(60, 99) {
        app.host.event(&readings, &TriggerEvent::Redis(event), None).unwrap();
    }
    assert_eq!(app.count("events WHERE topic = 'raw-sensor-data'"), 2 * 60, "an event for each machine");
    assert_eq!(app.count("windows"), 0);

    let server = Server::redis_at(port, &[]);
    let mut subscription = Redis::subscribed(&server, &STAGES);
    let (stages, cron) = (app.load("redis", &[("role", "events")]), app.load("cron", &[]));
    app.host.event(&cron, &TriggerEvent::Cron((START + 61) as u64), None).unwrap();
    deliver_messages(&app, &mut subscription, &readings, &stages);
    assert!(app.count("windows") >= 4 * 9, "{}", app.count("windows"));
    assert_eq!(app.rows("SELECT sum(count) FROM readings"), [[rusqlite::types::Value::Integer(240)]]);
}

#[test]
fn a_host_that_is_not_allowed_gets_no_message() {
    let server = Server::redis();
    let address = server.address("redis");
    let app = App::with_outbound(&[("plant", PLANT), ("bus", &address)], &["redis://127.0.0.1:1"]);
    let readings = app.load("redis", &[("role", "readings"), ("channel", "readings")]);
    let mut subscription = Redis::subscribed(&server, &STAGES);
    app.host.event(&readings, &TriggerEvent::Redis(plant_events(1, 9).remove(0)), None).unwrap();
    assert!(subscription.next_message(IDLE_TIMEOUT).is_none());
    assert_eq!(app.count("events WHERE topic = 'raw-sensor-data'"), 2);
}

#[test]
fn the_allowed_host_does_not_contain_the_password() {
    let server = Server::redis_at(free_port(), &["--requirepass", "hammer"]);
    let (allowed, bus) = (server.address("redis"), format!("redis://:hammer@127.0.0.1:{}", server.port()));
    let app = App::with_outbound(&[("plant", PLANT), ("bus", &bus)], &[&allowed]);
    let readings = app.load("redis", &[("role", "readings"), ("channel", "readings")]);
    let mut subscription = Redis::connect(&server);
    subscription.authenticate("hammer");
    let mut subscription = subscription.subscribe(&STAGES);
    app.host.event(&readings, &TriggerEvent::Redis(plant_events(1, 9).remove(0)), None).unwrap();
    assert!(subscription.next_message(IDLE_TIMEOUT).is_some_and(|(channel, _)| channel == "raw-sensor-data"));
}

#[test]
fn a_message_without_a_valid_role_is_an_error() {
    let app = App::new(&[("plant", PLANT)]);
    for role in ["", "reader"] {
        let component = app.load("redis", &[("role", role)]);
        app.host.event(&component, &TriggerEvent::Redis(b"{}".to_vec()), None).unwrap_err();
    }
    let stages = app.load("redis", &[("role", "events")]);
    for payload in [b"".as_slice(), b"{}", b"{\"topic\": \"lunch\", \"key\": \"noon\"}", b"\xff\xfe"] {
        app.host.event(&stages, &TriggerEvent::Redis(payload.to_vec()), None).unwrap_err();
    }
}

#[test]
fn an_mqtt_broker_delivers_readings_and_connects_the_stages() {
    let server = Server::mosquitto();
    let address = server.address("mqtt");
    let bus = format!("{address}?client_id=wheeltapper-test");
    let app = App::with_outbound(&[("plant", PLANT), ("bus", &bus)], &[&address]);
    let (readings, stages) = (app.load("mqtt", &[]), app.load("mqtt", &[("role", "events")]));

    let mut devices = Subscription::open(&server, "readings/#", "probe/devices");
    let mut raw = Subscription::open(&server, "raw-sensor-data/#", "probe/raw");
    for event in plant_events(20, 99) {
        publish(&server, "readings/north/gateway", &event);
        let (topic, payload) = devices.next_message();
        assert_eq!((topic.as_str(), &payload), ("readings/north/gateway", &event));
        app.host.event(&readings, &TriggerEvent::Mqtt { topic, payload }, None).unwrap();
        for _ in ["north/pump-1", "south/fan-2"] {
            let (topic, payload) = raw.next_message();
            assert!(topic.starts_with("raw-sensor-data/"), "{topic}");
            app.host.event(&stages, &TriggerEvent::Mqtt { topic, payload }, None).unwrap();
        }
    }
    assert_eq!(app.rows("SELECT sum(count) FROM readings"), [[rusqlite::types::Value::Integer(80)]]);
    assert!(app.count("events WHERE topic = 'processed-data'") > 0);
}
