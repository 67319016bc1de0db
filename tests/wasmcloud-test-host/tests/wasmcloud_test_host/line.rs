//! Readings through the composed components, from a message to the tables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;

use crate::common::{App, STAGES, assert_same, tick};
use wheeltapper_test_hosts::plant::{PLANT, plant_events};
use wheeltapper_wasmcloud_test_host::{LoadedComponent, Message};

const SECONDS: i64 = 280;
const FAULT_START: i64 = 210;

/// Runs all stages in one component and returns its tables, which other layouts have to produce too.
fn tables_of_one_component() -> Vec<Vec<String>> {
    let app = App::new(&[("plant", PLANT)]);
    let all_stages = app.load("all-stages");
    for event in plant_events(SECONDS, FAULT_START) {
        app.send(&all_stages, "readings.plant", &event);
    }
    app.send(&all_stages, "tick", tick(340).as_bytes());
    assert_eq!(app.count("sensors"), 4);
    assert_eq!(app.host.rows("SELECT sum(count)::bigint FROM readings", &[]).unwrap()[0].get::<_, i64>(0), 1120);
    assert_eq!(app.count("dead_letters"), 0);
    assert!(app.count("windows") >= 4 * 40, "{}", app.count("windows"));
    assert!(app.count("anomalies") > 0);
    assert_eq!(app.count("alerts WHERE asset = 'north/pump-1'"), 1);
    assert_eq!(app.count("work_orders WHERE asset = 'north/pump-1' AND technician = 'ada'"), 1);
    assert_eq!(app.count("alerts WHERE asset = 'south/fan-2'"), 0);
    assert_eq!(app.host.take_published(), []);
    app.tables()
}

/// The five stages, each in a component of its own.
struct StagedLine {
    app: App,
    stages: Vec<(&'static str, LoadedComponent)>,
    pending: VecDeque<Message>,
}

impl StagedLine {
    fn new(config: &[(&str, &str)]) -> Self {
        let app = App::new(config);
        let stages = STAGES.iter().map(|&(name, topic)| (topic, app.load(name))).collect();
        Self { app, stages, pending: VecDeque::new() }
    }

    fn deliver(&mut self, message: &Message, kill_after: Option<u32>) -> bool {
        let topic = message.subject.split('.').next().unwrap();
        let (_, stage) = self.stages.iter().find(|(input, _)| *input == topic).unwrap();
        let is_accepted = self.app.host.deliver(stage, message, kill_after).is_ok();
        assert!(is_accepted || kill_after.is_some(), "{}", message.subject);
        self.pending.extend(self.app.host.take_published());
        is_accepted
    }

    /// Delivers messages until none is pending.
    fn deliver_pending(&mut self) {
        while let Some(message) = self.pending.pop_front() {
            self.deliver(&message, None);
        }
    }
}

fn readings_message(body: Vec<u8>) -> Message {
    Message { subject: "readings.plant".to_owned(), body }
}

#[test]
fn one_component_and_five_write_the_same_rows() {
    let expected = tables_of_one_component();

    // The stages run one after the other, notified over the bus.
    let mut staged = StagedLine::new(&[("plant", PLANT)]);
    for event in plant_events(SECONDS, FAULT_START) {
        staged.deliver(&readings_message(event), None);
        staged.deliver_pending();
    }
    let all_stages = staged.app.load("all-stages");
    staged.app.send(&all_stages, "tick", tick(340).as_bytes());
    assert_same(&expected, &staged.app.tables());
}

#[test]
fn lost_repeated_and_reordered_messages_do_not_change_the_rows() {
    let expected = tables_of_one_component();
    for state in ["keyvalue", "postgres"] {
        let mut staged = StagedLine::new(&[("plant", PLANT), ("state", state)]);
        let mut kills = 0;
        for (number, event) in plant_events(SECONDS, FAULT_START).into_iter().enumerate() {
            // Every seventh event also kills an instance, after a different number of calls; the device sends the
            // event again.
            let event = readings_message(event);
            if number % 7 == 0 && !staged.deliver(&event, Some((number / 7) as u32)) {
                kills += 1;
            }
            staged.deliver(&event, None);
            let mut messages = std::mem::take(&mut staged.pending);
            match number % 4 {
                0 => messages.clear(),
                1 => messages.extend(messages.clone()),
                2 => messages = messages.into_iter().rev().collect(),
                _ => {
                    if let Some(message) = messages.pop_front() {
                        staged.deliver(&message, Some((number % 40) as u32));
                    }
                }
            }
            for message in messages {
                staged.deliver(&message, None);
            }
            if number % 5 == 0 {
                staged.deliver_pending();
            }
        }
        assert!(kills > 5, "{kills}");
        let all_stages = staged.app.load("all-stages");
        staged.app.send(&all_stages, "tick", tick(340).as_bytes());
        assert_same(&expected, &staged.app.tables());
    }
}

#[test]
fn a_rejected_reading_is_kept_as_a_dead_letter() {
    let app = App::new(&[("plant", PLANT)]);
    let all_stages = app.load("all-stages");
    app.send(&all_stages, "readings.north.pump-1", b"nonsense\0");
    assert_eq!(app.count("dead_letters WHERE source = 'readings.north.pump-1' AND reason = 'malformed'"), 1);
    assert_eq!(app.count("dead_letters WHERE payload = '\\x6e6f6e73656e736500'"), 1);
}

#[test]
fn invalid_messages_and_settings_are_errors() {
    let app = App::new(&[("plant", PLANT)]);
    let detect = app.load("detect");
    let error = app.host.deliver(&detect, &readings_message(b"{}".to_vec()), None).unwrap_err();
    assert!(format!("{error:#}").contains("subscriptions"), "{error:#}");
    let all_stages = app.load("all-stages");
    let noon = Message { subject: "tick".to_owned(), body: b"noon".to_vec() };
    let error = app.host.deliver(&all_stages, &noon, None).unwrap_err();
    assert!(format!("{error:#}").contains("nanoseconds"), "{error:#}");
    let plant = App::new(&[("plant", "{\"lunch\": true}")]);
    let all_stages = plant.load("all-stages");
    let error = plant.host.deliver(&all_stages, &readings_message(b"{}".to_vec()), None).unwrap_err();
    assert!(format!("{error:#}").contains("config plant"), "{error:#}");
}
