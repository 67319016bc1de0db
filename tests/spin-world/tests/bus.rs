//! The composed components between real servers: a Redis server joins the stages, an MQTT broker brings readings.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{
    App,
    servers::{Redis, Server, Subscription, free_port, publish},
};
use wheeltapper_spin_world::{Event, Loaded};
use wheeltapper_worlds::plant::{PLANT, START, events};

const SECONDS: i64 = 280;
const HOT: i64 = 210;
/// The channels of spin.toml that join the stages.
const STAGES: [&str; 4] = ["raw-sensor-data", "processed-data", "anomaly-events", "alert-events"];
/// When nothing came for so long, nothing is on its way: all that sends is in this thread.
const QUIET: Duration = Duration::from_millis(200);

/// Tables as people see them; `seq` counts arrivals.
const SEEN: [&str; 5] = [
    "SELECT * FROM readings ORDER BY sensor, start_time, event",
    "SELECT * FROM windows ORDER BY sensor, start_time, features",
    "SELECT * FROM anomalies ORDER BY id",
    "SELECT id, asset, severity, state, opened, updated, anomalies, peak_score, title FROM alerts ORDER BY id",
    "SELECT id, alert, asset, type, priority, status, scheduled_time, technician FROM work_orders ORDER BY id",
];

/// Spin's Redis trigger: one message after the other, each to the components of its channel. Gives how many of each channel
/// were delivered.
fn deliver(app: &App, subscription: &mut Redis, readings: &Loaded, stages: &Loaded) -> [usize; 5] {
    let mut count = [0; 5];
    while let Some((channel, payload)) = subscription.message(QUIET) {
        let stage = STAGES.iter().position(|stage| *stage == channel);
        let component = if stage.is_some() { stages } else { readings };
        app.world.event(component, &Event::Redis(payload), None).unwrap();
        count[stage.map_or(0, |at| at + 1)] += 1;
    }
    count
}

fn seen(app: &App) -> Vec<Vec<Vec<rusqlite::types::Value>>> {
    SEEN.iter().map(|table| app.rows(table)).collect()
}

#[test]
fn redis_joins_the_stages() {
    let server = Server::redis();
    let address = server.address("redis");
    let app = App::reaching(&[("plant", PLANT), ("bus", &address)], &[&address]);
    let readings = app.load("redis", &[("role", "readings"), ("channel", "readings")]);
    let stages = app.load("redis", &[("role", "events")]);
    let cron = app.load("cron", &[]);

    let mut subscription = Redis::subscribed(&server, &[&["readings"], &STAGES[..]].concat());
    let mut device = Redis::connect(&server);
    for event in events(SECONDS, HOT) {
        device.publish("readings", &event);
    }
    let delivered = deliver(&app, &mut subscription, &readings, &stages);
    assert_eq!(delivered[0], SECONDS as usize);
    assert!(delivered.iter().all(|&count| count > 0), "a channel was silent: {delivered:?}");
    // The tick is told on the bus as well, and once more for what follows from it.
    for after in [60, 61] {
        app.world.event(&cron, &Event::Cron((START + SECONDS + after) as u64), None).unwrap();
        deliver(&app, &mut subscription, &readings, &stages);
    }
    assert_eq!(app.count("alerts WHERE asset = 'north/pump-1'"), 1);
    assert_eq!(app.count("work_orders WHERE asset = 'north/pump-1' AND technician = 'ada'"), 1);
    assert_eq!(app.count("dead_letters"), 0);

    // As one instance makes it of the same, without a bus.
    let inline = App::new(&[("plant", PLANT)]);
    let readings = inline.load("redis", &[("role", "readings"), ("channel", "readings")]);
    for event in events(SECONDS, HOT) {
        inline.world.event(&readings, &Event::Redis(event), None).unwrap();
    }
    let cron = inline.load("cron", &[]);
    for after in [60, 61] {
        inline.world.event(&cron, &Event::Cron((START + SECONDS + after) as u64), None).unwrap();
    }
    for ((table, wanted), got) in SEEN.iter().zip(seen(&inline)).zip(seen(&app)) {
        assert!(!wanted.is_empty(), "{table} gives nothing");
        assert_eq!(got, wanted, "{table}");
    }
}

#[test]
fn a_bus_that_is_away_costs_time_not_readings() {
    let port = free_port();
    let address = format!("redis://127.0.0.1:{port}");
    let app = App::reaching(&[("plant", PLANT), ("bus", &address)], &[&address]);
    let readings = app.load("redis", &[("role", "readings"), ("channel", "readings")]);
    for event in events(60, 99) {
        app.world.event(&readings, &Event::Redis(event), None).unwrap();
    }
    assert_eq!(app.count("events WHERE topic = 'raw-sensor-data'"), 2 * 60, "an event for each machine");
    assert_eq!(app.count("windows"), 0);

    let server = Server::redis_at(port, &[]);
    let mut subscription = Redis::subscribed(&server, &STAGES);
    let (stages, cron) = (app.load("redis", &[("role", "events")]), app.load("cron", &[]));
    app.world.event(&cron, &Event::Cron((START + 61) as u64), None).unwrap();
    deliver(&app, &mut subscription, &readings, &stages);
    assert!(app.count("windows") >= 4 * 9, "{}", app.count("windows"));
    assert_eq!(app.rows("SELECT sum(count) FROM readings"), [[rusqlite::types::Value::Integer(240)]]);
}

#[test]
fn a_host_that_is_not_allowed_is_not_reached() {
    let server = Server::redis();
    let address = server.address("redis");
    let app = App::reaching(&[("plant", PLANT), ("bus", &address)], &["redis://127.0.0.1:1"]);
    let readings = app.load("redis", &[("role", "readings"), ("channel", "readings")]);
    let mut subscription = Redis::subscribed(&server, &STAGES);
    app.world.event(&readings, &Event::Redis(events(1, 9).remove(0)), None).unwrap();
    assert!(subscription.message(QUIET).is_none());
    assert_eq!(app.count("events WHERE topic = 'raw-sensor-data'"), 2);
}

#[test]
fn a_password_goes_with_the_bus_and_not_with_the_allowed_host() {
    let server = Server::redis_at(free_port(), &["--requirepass", "hammer"]);
    let (allowed, bus) = (server.address("redis"), format!("redis://:hammer@127.0.0.1:{}", server.port()));
    let app = App::reaching(&[("plant", PLANT), ("bus", &bus)], &[&allowed]);
    let readings = app.load("redis", &[("role", "readings"), ("channel", "readings")]);
    let mut subscription = Redis::connect(&server);
    subscription.login("hammer");
    let mut subscription = subscription.subscribe(&STAGES);
    app.world.event(&readings, &Event::Redis(events(1, 9).remove(0)), None).unwrap();
    assert!(subscription.message(QUIET).is_some_and(|(channel, _)| channel == "raw-sensor-data"));
}

#[test]
fn a_message_without_a_role_is_told_so() {
    let app = App::new(&[("plant", PLANT)]);
    for role in ["", "reader"] {
        let component = app.load("redis", &[("role", role)]);
        app.world.event(&component, &Event::Redis(b"{}".to_vec()), None).unwrap_err();
    }
    let stages = app.load("redis", &[("role", "events")]);
    for stranger in [b"".as_slice(), b"{}", b"{\"topic\": \"lunch\", \"key\": \"noon\"}", b"\xff\xfe"] {
        app.world.event(&stages, &Event::Redis(stranger.to_vec()), None).unwrap_err();
    }
}

#[test]
fn an_mqtt_broker_brings_readings_and_joins_the_stages() {
    let server = Server::mosquitto();
    let address = server.address("mqtt");
    let bus = format!("{address}?client_id=wheeltapper-test");
    let app = App::reaching(&[("plant", PLANT), ("bus", &bus)], &[&address]);
    let (readings, stages) = (app.load("mqtt", &[]), app.load("mqtt", &[("role", "events")]));

    let mut devices = Subscription::open(&server, "readings/#", "probe/devices");
    let mut raw = Subscription::open(&server, "raw-sensor-data/#", "probe/raw");
    for event in events(20, 99) {
        publish(&server, "readings/north/gateway", &event);
        let (topic, payload) = devices.message();
        assert_eq!((topic.as_str(), &payload), ("readings/north/gateway", &event));
        app.world.event(&readings, &Event::Mqtt { topic, payload }, None).unwrap();
        for _ in ["north/pump-1", "south/fan-2"] {
            let (topic, payload) = raw.message();
            assert!(topic.starts_with("raw-sensor-data/"), "{topic}");
            app.world.event(&stages, &Event::Mqtt { topic, payload }, None).unwrap();
        }
    }
    assert_eq!(app.rows("SELECT sum(count) FROM readings"), [[rusqlite::types::Value::Integer(80)]]);
    assert!(app.count("events WHERE topic = 'processed-data'") > 0);
}
