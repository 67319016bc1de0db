//! Readings through the composed components: from a message to the tables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::VecDeque;

use common::{App, STAGES, assert_same, tick};
use wheeltapper_wasmcloud_world::{Loaded, Message};
use wheeltapper_worlds::plant::{PLANT, events};

const SECONDS: i64 = 280;
const HOT: i64 = 210;

/// The whole line in one component: what all others have to come to.
fn whole() -> Vec<Vec<String>> {
    let app = App::new(&[("plant", PLANT)]);
    let whole = app.load("whole");
    for event in events(SECONDS, HOT) {
        app.send(&whole, "readings.plant", &event);
    }
    app.send(&whole, "tick", tick(340).as_bytes());
    assert_eq!(app.count("sensors"), 4);
    assert_eq!(app.world.rows("SELECT sum(count)::bigint FROM readings", &[]).unwrap()[0].get::<_, i64>(0), 1120);
    assert_eq!(app.count("dead_letters"), 0);
    assert!(app.count("windows") >= 4 * 40, "{}", app.count("windows"));
    assert!(app.count("anomalies") > 0);
    assert_eq!(app.count("alerts WHERE asset = 'north/pump-1'"), 1);
    assert_eq!(app.count("work_orders WHERE asset = 'north/pump-1' AND technician = 'ada'"), 1);
    assert_eq!(app.count("alerts WHERE asset = 'south/fan-2'"), 0);
    assert_eq!(app.world.published(), []);
    app.tables()
}

/// The five stages, each in a component of its own.
struct Staged {
    app: App,
    stages: Vec<(&'static str, Loaded)>,
    waiting: VecDeque<Message>,
}

impl Staged {
    fn new(config: &[(&str, &str)]) -> Self {
        let app = App::new(config);
        let stages = STAGES.iter().map(|&(name, word)| (word, app.load(name))).collect();
        Self { app, stages, waiting: VecDeque::new() }
    }

    fn deliver(&mut self, message: &Message, kill_after: Option<u32>) -> bool {
        let word = message.subject.split('.').next().unwrap();
        let (_, stage) = self.stages.iter().find(|(of, _)| *of == word).unwrap();
        let taken = self.app.world.message(stage, message, kill_after).is_ok();
        assert!(taken || kill_after.is_some(), "{}", message.subject);
        self.waiting.extend(self.app.world.published());
        taken
    }

    /// Until nobody has anything to tell.
    fn settle(&mut self) {
        while let Some(message) = self.waiting.pop_front() {
            self.deliver(&message, None);
        }
    }
}

fn readings(body: Vec<u8>) -> Message {
    Message { subject: "readings.plant".to_owned(), body }
}

#[test]
fn a_failing_machine_becomes_a_work_order_whichever_way_the_stages_are_run() {
    let wanted = whole();

    // One after the other, told on the bus.
    let mut staged = Staged::new(&[("plant", PLANT)]);
    for event in events(SECONDS, HOT) {
        staged.deliver(&readings(event), None);
        staged.settle();
    }
    let whole = staged.app.load("whole");
    staged.app.send(&whole, "tick", tick(340).as_bytes());
    assert_same(&wanted, &staged.app.tables());
}

#[test]
fn a_bus_that_loses_repeats_and_reorders_changes_nothing() {
    let wanted = whole();
    for state in ["keyvalue", "postgres"] {
        let mut staged = Staged::new(&[("plant", PLANT), ("state", state)]);
        let mut kills = 0;
        for (number, event) in events(SECONDS, HOT).into_iter().enumerate() {
            // Now and then the instance is lost in the middle, at another place each time; the device sends again.
            let event = readings(event);
            if number % 7 == 0 && !staged.deliver(&event, Some((number / 7) as u32)) {
                kills += 1;
            }
            staged.deliver(&event, None);
            let mut heard = std::mem::take(&mut staged.waiting);
            match number % 4 {
                0 => heard.clear(),
                1 => heard.extend(heard.clone()),
                2 => heard = heard.into_iter().rev().collect(),
                _ => {
                    if let Some(message) = heard.pop_front() {
                        staged.deliver(&message, Some((number % 40) as u32));
                    }
                }
            }
            for message in heard {
                staged.deliver(&message, None);
            }
            if number % 5 == 0 {
                staged.settle();
            }
        }
        assert!(kills > 5, "{kills}");
        let whole = staged.app.load("whole");
        staged.app.send(&whole, "tick", tick(340).as_bytes());
        assert_same(&wanted, &staged.app.tables());
    }
}

#[test]
fn what_is_no_reading_is_kept_with_its_reason() {
    let app = App::new(&[("plant", PLANT)]);
    let whole = app.load("whole");
    app.send(&whole, "readings.north.pump-1", b"nonsense\0");
    assert_eq!(app.count("dead_letters WHERE source = 'readings.north.pump-1' AND reason = 'malformed'"), 1);
    assert_eq!(app.count("dead_letters WHERE payload = '\\x6e6f6e73656e736500'"), 1);
}

#[test]
fn a_component_says_what_it_was_not_made_for() {
    let app = App::new(&[("plant", PLANT)]);
    let detect = app.load("detect");
    let refused = app.world.message(&detect, &readings(b"{}".to_vec()), None).unwrap_err();
    assert!(format!("{refused:#}").contains("subscriptions"), "{refused:#}");
    let whole = app.load("whole");
    let noon = Message { subject: "tick".to_owned(), body: b"noon".to_vec() };
    let refused = app.world.message(&whole, &noon, None).unwrap_err();
    assert!(format!("{refused:#}").contains("nanoseconds"), "{refused:#}");
    let plant = App::new(&[("plant", "{\"lunch\": true}")]);
    let whole = plant.load("whole");
    let refused = plant.world.message(&whole, &readings(b"{}".to_vec()), None).unwrap_err();
    assert!(format!("{refused:#}").contains("config plant"), "{refused:#}");
}
