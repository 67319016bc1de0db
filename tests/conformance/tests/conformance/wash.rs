//! The cases on wasmCloud: `cargo xtask conformance --host wash`.
//!
//! Runs `wash dev` with a NATS server as its bus and a PostgreSQL server. Events are sent over HTTP and ticks as
//! messages. The stages pass events over NATS, so after each event the test waits until all queues in the store are
//! processed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::common::{self, postgres::to_sql_values, server::Api};
use anyhow::{Context as _, ensure};
use wheeltapper_conformance::{CanonicalTables, Case, Event, Host, Receipt, SqlValue, platform_store};
use wheeltapper_test_hosts::composed;
use wheeltapper_wasmcloud_test_host::wash::{Layout, WashProcess};

/// The timeout for processing one event.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The line is idle if this many successive results of [`PROGRESS_SQL`] are equal.
const IDLE_CHECKS: u32 = 3;
/// Returns the number of queues with pending events, as the line determines it, and the total number of events and
/// dead letters.
const PROGRESS_SQL: &str = "SELECT count(*) FILTER (WHERE positions.position IS NULL OR positions.position < last.seq),
        coalesce(sum(last.seq), 0)::bigint, (SELECT count(*) FROM dead_letters)
    FROM (SELECT topic, key, max(seq) AS seq FROM events WHERE topic <> 'dlq-sensor-data' GROUP BY topic, key) AS last
    LEFT JOIN positions ON positions.topic = last.topic AND positions.key = last.key";

#[test]
#[ignore = "needs wash, nats-server and PostgreSQL: cargo xtask conformance --host wash"]
fn the_line_in_one_component_conforms_on_wash() {
    common::run_all_cases(&mut Wash { layout: Layout::SingleComponent, running: None });
}

#[test]
#[ignore = "needs wash, nats-server and PostgreSQL: cargo xtask conformance --host wash"]
fn the_line_in_one_component_per_stage_conforms_on_wash() {
    common::run_all_cases(&mut Wash { layout: Layout::ComponentPerStage, running: None });
}

struct Wash {
    layout: Layout,
    running: Option<(WashProcess, Api)>,
}

impl Wash {
    fn running(&self) -> anyhow::Result<&(WashProcess, Api)> {
        self.running.as_ref().context("wash is not started")
    }

    /// Waits until all queues are processed.
    fn wait_until_idle(&self) -> anyhow::Result<()> {
        let (wash, _) = self.running()?;
        let started = Instant::now();
        let (mut last, mut idle_checks) = (Vec::new(), 0);
        while idle_checks < IDLE_CHECKS {
            ensure!(
                started.elapsed() < TIMEOUT,
                "the queues are not processed within {TIMEOUT:?}: {last:?}; log of wash: {}",
                wash.log()
            );
            thread::sleep(Duration::from_millis(100));
            let current = to_sql_values(&wash.rows(PROGRESS_SQL)?)?.pop().context("no row")?;
            let is_idle = current.first() == Some(&SqlValue::Integer(0));
            idle_checks = if is_idle && current == last { idle_checks + 1 } else { 0 };
            last = current;
        }
        Ok(())
    }
}

impl Host for Wash {
    fn start(&mut self, case: &Case) -> anyhow::Result<()> {
        self.running = None;
        let program = WashProcess::find().context("wash is neither in WHEELTAPPER_WASH nor on the path")?;
        let http = composed("wasmcloud", "http");
        let composed = http.parent().context("no folder")?;
        let wash = WashProcess::start(&program, composed, &case.plant, self.layout)?;
        let api = Api::new(wash.port());
        self.running = Some((wash, api));
        Ok(())
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<Option<Receipt>> {
        let (_, api) = self.running()?;
        let receipt = api.event(event)?;
        self.wait_until_idle()?;
        Ok(Some(receipt))
    }

    fn tick(&mut self, now: i64) -> anyhow::Result<()> {
        let (wash, _) = self.running()?;
        wash.publish("tick", [now.to_string().as_bytes()])?;
        // The planner's event is the last that a tick appends to a queue.
        wash.wait_for_number(&format!("SELECT count(*) FROM events WHERE topic = 'alert-events' AND time = {now}"), 1)?;
        self.wait_until_idle()
    }

    fn tables(&mut self) -> anyhow::Result<CanonicalTables> {
        let (wash, _) = self.running()?;
        let mut rows = |sql: &str| to_sql_values(&wash.rows(sql)?);
        platform_store::read_tables(&mut rows)
    }
}
