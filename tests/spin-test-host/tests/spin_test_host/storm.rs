//! A storm of redeliveries: each event is delivered up to five times and out of order, to four instances at once, some
//! of which are killed while they run. The resulting tables must be those of one instance that processes each event
//! once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use crate::common::App;
use rusqlite::types::Value;
use wheeltapper_spin_test_host::TriggerEvent;
use wheeltapper_test_hosts::plant::{PLANT, START, TABLE_QUERIES, plant_events};

const SECONDS: i64 = 280;
const FAULT_START: i64 = 210;
const INSTANCES: usize = 4;
/// The times of the last ticks, in seconds after the last event. The first ticks close the windows of silent sensors,
/// the later ones the windows that waited for those.
const TICKS: [i64; 4] = [600, 1200, 1800, 2400];
/// How far an event's first delivery may be from its position in the sequence.
const DISORDER: usize = 20;
/// The event of a killed instance is redelivered when the others are seconds ahead, at worst by SQLite's timeout for
/// each of its statements. On any host a reading beyond the lateness is late, so the lateness has to be as long as
/// the transport needs.
const LATENESS: &str = "\"lateness_seconds\": 200";

fn tables(app: &App) -> Vec<Vec<Vec<Value>>> {
    TABLE_QUERIES.iter().map(|table| app.rows(table)).collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Returns the deliveries: the first of each event near its position, and up to four more at any later time.
fn deliveries(events: &[Vec<u8>], random: &mut Random) -> VecDeque<usize> {
    let mut order: Vec<(usize, usize)> = Vec::new();
    for event in 0..events.len() {
        let first = event + random.below(DISORDER);
        order.push((first * 1000 + random.below(1000), event));
        for _ in 0..random.below(5) {
            order.push((first * 1000 + 1000 + random.below(events.len() * 1000), event));
        }
    }
    order.sort_unstable();
    order.into_iter().map(|(_, event)| event).collect()
}

#[test]
fn redelivered_and_killed_events_write_the_rows_of_a_clean_run() {
    let events = plant_events(SECONDS, FAULT_START);
    // A short poison timeout, so that an event would be quarantined soon if it were to be.
    let plant = PLANT
        .replace("\"lateness_seconds\": 10", LATENESS)
        .replace("\"detect\"", "\"poison_after_seconds\": 1, \"detect\"");
    assert_ne!(plant, PLANT);
    let clean = App::new(&[("plant", &plant)]);
    let readings = clean.load("redis", &[("role", "readings")]);
    for event in &events {
        clean.host.event(&readings, &TriggerEvent::Redis(event.clone()), None).unwrap();
    }
    let ticks: Vec<TriggerEvent> =
        TICKS.iter().map(|after| TriggerEvent::Cron((START + SECONDS + after) as u64)).collect();
    let cron = clean.load("cron", &[]);
    for tick in &ticks {
        clean.host.event(&cron, tick, None).unwrap();
    }
    let expected = tables(&clean);
    for (table, rows) in TABLE_QUERIES.iter().zip(&expected).take(6) {
        assert!(!rows.is_empty(), "the clean run has no rows for {table}");
    }

    for round in 1..=2_u64 {
        let app = App::new(&[("plant", &plant)]);
        let readings = app.load("redis", &[("role", "readings")]);
        let cron = app.load("cron", &[]);
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ round);
        let queue = Mutex::new(deliveries(&events, &mut random));
        let delivered = queue.lock().unwrap().len();
        let killed = AtomicU32::new(0);
        thread::scope(|scope| {
            for instance in 0..INSTANCES {
                let (queue, killed, app, readings, cron, events, ticks) =
                    (&queue, &killed, &app, &readings, &cron, &events, &ticks);
                scope.spawn(move || {
                    let mut random = Random(round * 1_000_003 + instance as u64);
                    loop {
                        let Some(event) = queue.lock().unwrap().pop_front() else { break };
                        let kill_after = (random.below(5) == 0).then(|| random.below(60) as u32);
                        let message = TriggerEvent::Redis(events[event].clone());
                        if app.host.event(readings, &message, kill_after).is_err() {
                            // The event was not acknowledged, so it is delivered again.
                            assert!(kill_after.is_some(), "an instance failed that was not killed");
                            killed.fetch_add(1, Ordering::Relaxed);
                            queue.lock().unwrap().push_front(event);
                        }
                    }
                    // Every instance passes the same tick.
                    app.host.event(cron, &ticks[0], None).unwrap();
                });
            }
        });
        assert!(delivered > events.len() * 2, "{delivered}");
        assert!(killed.load(Ordering::Relaxed) > 20, "{killed:?}");
        for tick in &ticks[1..] {
            app.host.event(&cron, tick, None).unwrap();
        }
        let dead_letters = app.rows("SELECT reason, sensor, message FROM dead_letters ORDER BY time");
        assert!(dead_letters.is_empty(), "{dead_letters:?}");
        for ((table, expected), actual) in TABLE_QUERIES.iter().zip(&expected).zip(tables(&app)) {
            let differs = expected.iter().zip(&actual).find(|(expected, actual)| expected != actual);
            assert!(*expected == actual, "{table}: {} rows, expected {}; {differs:?}", actual.len(), expected.len());
        }
    }
}
