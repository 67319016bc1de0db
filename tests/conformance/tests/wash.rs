//! The cases on wasmCloud itself: `cargo xtask conformance --host wash`.
//!
//! `wash dev` with a NATS server as its bus and a PostgreSQL of its own. Events come by HTTP and ticks by message; what the
//! stages hand to each other goes over NATS, so after each event this waits until all queues in the store are worked off.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use common::{postgres::cells, server::Api};
use wheeltapper_conformance::{Case, Cell, Event, Found, Host, Receipt, platform};
use wheeltapper_wasmcloud_world::real::{RealWash, Shape};
use wheeltapper_worlds::composed;

/// How long the line may take for one event.
const PATIENCE: Duration = Duration::from_secs(60);
/// The line is idle when the store says the same so many times.
const QUIET: u32 = 3;
/// Queues in which something waits, as the line asks for them, and how much there is of anything.
const IDLE: &str = "SELECT count(*) FILTER (WHERE positions.position IS NULL OR positions.position < last.seq),
        coalesce(sum(last.seq), 0)::bigint, (SELECT count(*) FROM dead_letters)
    FROM (SELECT topic, key, max(seq) AS seq FROM events WHERE topic <> 'dlq-sensor-data' GROUP BY topic, key) AS last
    LEFT JOIN positions ON positions.topic = last.topic AND positions.key = last.key";

#[test]
#[ignore = "needs wash, nats-server and PostgreSQL: cargo xtask conformance --host wash"]
fn the_line_in_one_component_conforms_on_wash() {
    common::all_cases(&mut Wash { shape: Shape::Whole, running: None });
}

#[test]
#[ignore = "needs wash, nats-server and PostgreSQL: cargo xtask conformance --host wash"]
fn the_line_in_a_component_a_stage_conforms_on_wash() {
    common::all_cases(&mut Wash { shape: Shape::Staged, running: None });
}

struct Wash {
    shape: Shape,
    running: Option<(RealWash, Api)>,
}

impl Wash {
    fn running(&self) -> anyhow::Result<&(RealWash, Api)> {
        self.running.as_ref().context("wash is not started")
    }

    /// Waits until nothing moves any more.
    fn settle(&self) -> anyhow::Result<()> {
        let (wash, _) = self.running()?;
        let began = Instant::now();
        let (mut last, mut quiet) = (Vec::new(), 0);
        while quiet < QUIET {
            ensure!(
                began.elapsed() < PATIENCE,
                "the line did not get through within {PATIENCE:?}: {last:?}; wash said: {}",
                wash.log()
            );
            thread::sleep(Duration::from_millis(100));
            let now = cells(&wash.rows(IDLE)?)?.pop().context("no row")?;
            let idle = now.first() == Some(&Cell::Integer(0));
            quiet = if idle && now == last { quiet + 1 } else { 0 };
            last = now;
        }
        Ok(())
    }
}

impl Host for Wash {
    fn start(&mut self, case: &Case) -> anyhow::Result<()> {
        self.running = None;
        let program = RealWash::find().context("wash is neither in WHEELTAPPER_WASH nor on the path")?;
        let http = composed("wasmcloud", "http");
        let composed = http.parent().context("no folder")?;
        let wash = RealWash::start(&program, composed, &case.plant, self.shape)?;
        let api = Api::on(wash.port());
        self.running = Some((wash, api));
        Ok(())
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<Option<Receipt>> {
        let (_, api) = self.running()?;
        let receipt = api.event(event)?;
        self.settle()?;
        Ok(Some(receipt))
    }

    fn tick(&mut self, now: i64) -> anyhow::Result<()> {
        let (wash, _) = self.running()?;
        wash.publish("tick", [now.to_string().as_bytes()])?;
        // The plan's turn is the last thing that a tick puts in a queue.
        wash.until(&format!("SELECT count(*) FROM events WHERE topic = 'alert-events' AND time = {now}"), 1)?;
        self.settle()
    }

    fn found(&mut self) -> anyhow::Result<Found> {
        let (wash, _) = self.running()?;
        let mut rows = |sql: &str| cells(&wash.rows(sql)?);
        platform::found(&mut rows)
    }
}
