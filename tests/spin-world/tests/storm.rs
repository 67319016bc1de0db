//! A storm of redeliveries: each event comes up to five times and out of order, to four instances at once, some of which
//! are killed in the middle. What stands in the tables at the end is what one instance makes of each event once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use common::App;
use rusqlite::types::Value;
use wheeltapper_spin_world::Event;
use wheeltapper_worlds::plant::{PLANT, START, TABLES, events};

const SECONDS: i64 = 280;
const HOT: i64 = 210;
const INSTANCES: usize = 4;
/// Time passes at the end, in seconds after it: first the windows of silent sensors close, then those that waited for them.
const TICKS: [i64; 4] = [600, 1200, 1800, 2400];
/// How far an event's first delivery may be from its place.
const DISORDER: usize = 20;
/// A killed instance's event comes again when the others are further on by seconds, at worst by SQLite's patience with
/// each of its statements. Beyond the lateness a reading is late on any host; so it is as long as the transport needs.
const LATENESS: &str = "\"lateness_seconds\": 200";

fn tables(app: &App) -> Vec<Vec<Vec<Value>>> {
    TABLES.iter().map(|table| app.rows(table)).collect()
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// The deliveries: of each event a first one near its place, and up to four more at any time after.
fn deliveries(events: &[Vec<u8>], dice: &mut Dice) -> VecDeque<usize> {
    let mut order: Vec<(usize, usize)> = Vec::new();
    for event in 0..events.len() {
        let first = event + dice.below(DISORDER);
        order.push((first * 1000 + dice.below(1000), event));
        for _ in 0..dice.below(5) {
            order.push((first * 1000 + 1000 + dice.below(events.len() * 1000), event));
        }
    }
    order.sort_unstable();
    order.into_iter().map(|(_, event)| event).collect()
}

#[test]
fn ends_as_a_clean_run_does() {
    let events = events(SECONDS, HOT);
    // And an event is given up soon, where one is to be.
    let plant = PLANT
        .replace("\"lateness_seconds\": 10", LATENESS)
        .replace("\"detect\"", "\"poison_after_seconds\": 1, \"detect\"");
    assert_ne!(plant, PLANT);
    let clean = App::new(&[("plant", &plant)]);
    let readings = clean.load("redis", &[("role", "readings")]);
    for event in &events {
        clean.world.event(&readings, &Event::Redis(event.clone()), None).unwrap();
    }
    let ticks: Vec<Event> = TICKS.iter().map(|after| Event::Cron((START + SECONDS + after) as u64)).collect();
    let cron = clean.load("cron", &[]);
    for tick in &ticks {
        clean.world.event(&cron, tick, None).unwrap();
    }
    let wanted = tables(&clean);
    for (table, rows) in TABLES.iter().zip(&wanted).take(6) {
        assert!(!rows.is_empty(), "the clean run gives nothing for {table}");
    }

    for round in 1..=2_u64 {
        let app = App::new(&[("plant", &plant)]);
        let readings = app.load("redis", &[("role", "readings")]);
        let cron = app.load("cron", &[]);
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ round);
        let queue = Mutex::new(deliveries(&events, &mut dice));
        let delivered = queue.lock().unwrap().len();
        let killed = AtomicU32::new(0);
        thread::scope(|scope| {
            for instance in 0..INSTANCES {
                let (queue, killed, app, readings, cron, events, ticks) =
                    (&queue, &killed, &app, &readings, &cron, &events, &ticks);
                scope.spawn(move || {
                    let mut dice = Dice(round * 1_000_003 + instance as u64);
                    loop {
                        let Some(event) = queue.lock().unwrap().pop_front() else { break };
                        let kill = (dice.below(5) == 0).then(|| dice.below(60) as u32);
                        let message = Event::Redis(events[event].clone());
                        if app.world.event(readings, &message, kill).is_err() {
                            // It was not acknowledged: it comes again.
                            assert!(kill.is_some(), "an instance failed that was not killed");
                            killed.fetch_add(1, Ordering::Relaxed);
                            queue.lock().unwrap().push_front(event);
                        }
                    }
                    // The same tick from each.
                    app.world.event(cron, &ticks[0], None).unwrap();
                });
            }
        });
        assert!(delivered > events.len() * 2, "{delivered}");
        assert!(killed.load(Ordering::Relaxed) > 20, "{killed:?}");
        for tick in &ticks[1..] {
            app.world.event(&cron, tick, None).unwrap();
        }
        let letters = app.rows("SELECT reason, sensor, message FROM dead_letters ORDER BY time");
        assert!(letters.is_empty(), "{letters:?}");
        for ((table, wanted), got) in TABLES.iter().zip(&wanted).zip(tables(&app)) {
            let differs = wanted.iter().zip(&got).find(|(wanted, got)| wanted != got);
            assert!(*wanted == got, "{table}: {} rows, wanted {}; {differs:?}", got.len(), wanted.len());
        }
    }
}
