//! The cases on the components for wasmCloud, in the test host: events over HTTP through the API, notifications and
//! ticks as messages, and a new instance for each.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::VecDeque;

use wheeltapper_conformance::{Case, Event, Found, Host, Receipt, http, platform};
use wheeltapper_wasmcloud_world::{Loaded, Message, Postgres, Settings, WasmCloudWorld};
use wheeltapper_worlds::composed;

#[test]
fn the_line_in_one_component_conforms() {
    common::all_cases(&mut WasmCloud::new(&["whole"]));
}

#[test]
fn the_line_in_a_component_a_stage_conforms() {
    common::all_cases(&mut WasmCloud::new(&["whole", "featurize", "detect", "alert", "schedule"]));
}

struct WasmCloud {
    components: &'static [&'static str],
    postgres: Postgres,
    databases: usize,
    running: Option<Running>,
}

struct Running {
    world: WasmCloudWorld,
    http: Loaded,
    /// The component with all stages is the first. It takes the ticks.
    listeners: Vec<Loaded>,
}

fn to_error(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

impl WasmCloud {
    fn new(components: &'static [&'static str]) -> Self {
        Self { components, postgres: Postgres::start().unwrap(), databases: 0, running: None }
    }

    fn running(&self) -> anyhow::Result<&Running> {
        self.running.as_ref().ok_or_else(|| anyhow::anyhow!("the host is not started"))
    }
}

impl Running {
    /// Delivers messages until none is pending.
    fn settle(&self) -> anyhow::Result<()> {
        let mut messages: VecDeque<Message> = self.world.published().into();
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
            self.world.message(listener, &message, None).map_err(to_error)?;
            messages.extend(self.world.published());
        }
        Ok(())
    }
}

impl Host for WasmCloud {
    fn start(&mut self, case: &Case) -> anyhow::Result<()> {
        self.databases += 1;
        let postgres = self.postgres.database(&format!("case{}", self.databases))?;
        let settings = Settings { config: [("plant".to_owned(), case.plant.clone())].into(), postgres };
        self.running = Some(match self.running.take() {
            // The components are compiled once.
            Some(Running { world, http, listeners }) => {
                Running { world: world.beside(settings).map_err(to_error)?, http, listeners }
            }
            None => {
                let world = WasmCloudWorld::open(settings).map_err(to_error)?;
                let load = |name: &str| world.load(&composed("wasmcloud", name)).map_err(to_error);
                let http = load("http")?;
                let listeners = self.components.iter().map(|name| load(name)).collect::<Result<_, _>>()?;
                Running { world, http, listeners }
            }
        });
        Ok(())
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<Option<Receipt>> {
        let running = self.running()?;
        let mut request = ::http::Request::post(format!("http://localhost{}", http::ingest(event)));
        if let Some(format) = &event.format {
            request = request.header("content-type", format);
        }
        let response =
            running.world.http(&running.http, request.body(event.payload.clone())?, None).map_err(to_error)?;
        let receipt = http::receipt(response.status().as_u16(), response.body())?;
        running.settle()?;
        Ok(Some(receipt))
    }

    fn tick(&mut self, now: i64) -> anyhow::Result<()> {
        let running = self.running()?;
        let whole =
            running.listeners.first().ok_or_else(|| anyhow::anyhow!("there is no component for the message"))?;
        let tick = Message { subject: "tick".to_owned(), body: now.to_string().into_bytes() };
        running.world.message(whole, &tick, None).map_err(to_error)
    }

    fn found(&mut self) -> anyhow::Result<Found> {
        let running = self.running()?;
        let mut rows = |sql: &str| common::postgres::cells(&running.world.rows(sql, &[]).map_err(to_error)?);
        platform::found(&mut rows)
    }
}
