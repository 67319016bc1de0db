//! The cases on the components for wasmCloud, in the test host: events over HTTP through the API, notifications and
//! ticks as messages, and a new instance for each.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;

use wheeltapper_conformance::{CanonicalTables, Case, Event, Host, Receipt, http, platform_store};
use wheeltapper_test_hosts::composed;
use wheeltapper_wasmcloud_test_host::{LoadedComponent, Message, PostgresServer, Settings, WasmCloudTestHost};

use crate::common;

#[test]
fn the_line_in_one_component_conforms() {
    common::run_all_cases(&mut WasmCloud::new(&["all-stages"]));
}

#[test]
fn the_line_in_one_component_per_stage_conforms() {
    common::run_all_cases(&mut WasmCloud::new(&["all-stages", "featurize", "detect", "alert", "schedule"]));
}

struct WasmCloud {
    components: &'static [&'static str],
    postgres: PostgresServer,
    databases: usize,
    running: Option<Running>,
}

struct Running {
    host: WasmCloudTestHost,
    http: LoadedComponent,
    /// The component with all stages is the first. It receives the ticks.
    listeners: Vec<LoadedComponent>,
}

fn to_error(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

impl WasmCloud {
    fn new(components: &'static [&'static str]) -> Self {
        Self { components, postgres: PostgresServer::start().unwrap(), databases: 0, running: None }
    }

    fn running(&self) -> anyhow::Result<&Running> {
        self.running.as_ref().ok_or_else(|| anyhow::anyhow!("the host is not started"))
    }
}

impl Running {
    /// Delivers messages until none is pending.
    fn deliver_pending(&self) -> anyhow::Result<()> {
        let mut messages: VecDeque<Message> = self.host.take_published().into();
        while let Some(message) = messages.pop_front() {
            let stage = match message.subject.split('.').next() {
                Some("raw-sensor-data") => 1,
                Some("processed-data") => 2,
                Some("anomaly-events") => 3,
                Some("alert-events") => 4,
                // No stage reads the dead letters.
                _ => continue,
            };
            let listener = self.listeners.get(stage).or(self.listeners.first());
            let listener = listener.ok_or_else(|| anyhow::anyhow!("there is no component for the message"))?;
            self.host.deliver(listener, &message, None).map_err(to_error)?;
            messages.extend(self.host.take_published());
        }
        Ok(())
    }
}

impl Host for WasmCloud {
    fn start(&mut self, case: &Case) -> anyhow::Result<()> {
        self.databases += 1;
        let postgres = self.postgres.create_database(&format!("case{}", self.databases))?;
        let settings = Settings { config: [("plant".to_owned(), case.plant.clone())].into(), postgres };
        self.running = Some(match self.running.take() {
            // The components are compiled once.
            Some(Running { host, http, listeners }) => {
                Running { host: host.open_another(settings).map_err(to_error)?, http, listeners }
            }
            None => {
                let host = WasmCloudTestHost::open(settings).map_err(to_error)?;
                let load = |name: &str| host.load(&composed("wasmcloud", name)).map_err(to_error);
                let http = load("http")?;
                let listeners = self.components.iter().map(|name| load(name)).collect::<Result<_, _>>()?;
                Running { host, http, listeners }
            }
        });
        Ok(())
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<Option<Receipt>> {
        let running = self.running()?;
        let mut request = ::http::Request::post(format!("http://localhost{}", http::ingest_path(event)));
        if let Some(format) = &event.format {
            request = request.header("content-type", format);
        }
        let response =
            running.host.http(&running.http, request.body(event.payload.clone())?, None).map_err(to_error)?;
        let receipt = http::parse_receipt(response.status().as_u16(), response.body())?;
        running.deliver_pending()?;
        Ok(Some(receipt))
    }

    fn tick(&mut self, now: i64) -> anyhow::Result<()> {
        let running = self.running()?;
        let all_stages =
            running.listeners.first().ok_or_else(|| anyhow::anyhow!("there is no component for the message"))?;
        let tick = Message { subject: "tick".to_owned(), body: now.to_string().into_bytes() };
        running.host.deliver(all_stages, &tick, None).map_err(to_error)
    }

    fn tables(&mut self) -> anyhow::Result<CanonicalTables> {
        let running = self.running()?;
        let mut rows = |sql: &str| common::postgres::to_sql_values(&running.host.rows(sql, &[]).map_err(to_error)?);
        platform_store::read_tables(&mut rows)
    }
}
