//! The cases on the components for wasmCloud, in a host that offers what wasmCloud offers and nothing more: events by HTTP
//! through the API, what the stages tell each other and ticks by messages, a fresh instance for each.
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
    /// The whole first, which takes the ticks.
    listeners: Vec<Loaded>,
}

fn told(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

impl WasmCloud {
    fn new(components: &'static [&'static str]) -> Self {
        Self { components, postgres: Postgres::start().unwrap(), databases: 0, running: None }
    }

    fn running(&self) -> anyhow::Result<&Running> {
        self.running.as_ref().ok_or_else(|| anyhow::anyhow!("the world is not open"))
    }
}

impl Running {
    /// Until nobody has anything to tell.
    fn settle(&self) -> anyhow::Result<()> {
        let mut heard: VecDeque<Message> = self.world.published().into();
        while let Some(message) = heard.pop_front() {
            let stage = match message.subject.split('.').next() {
                Some("raw-sensor-data") => 1,
                Some("processed-data") => 2,
                Some("anomaly-events") => 3,
                Some("alert-events") => 4,
                // Dead letters: nobody works on them.
                _ => continue,
            };
            let listener = self.listeners.get(stage).or(self.listeners.first());
            let listener = listener.ok_or_else(|| anyhow::anyhow!("nobody listens"))?;
            self.world.message(listener, &message, None).map_err(told)?;
            heard.extend(self.world.published());
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
            // Compiled once.
            Some(Running { world, http, listeners }) => {
                Running { world: world.beside(settings).map_err(told)?, http, listeners }
            }
            None => {
                let world = WasmCloudWorld::open(settings).map_err(told)?;
                let load = |name: &str| world.load(&composed("wasmcloud", name)).map_err(told);
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
        let answer = running.world.http(&running.http, request.body(event.payload.clone())?, None).map_err(told)?;
        let receipt = http::receipt(answer.status().as_u16(), answer.body())?;
        running.settle()?;
        Ok(Some(receipt))
    }

    fn tick(&mut self, now: i64) -> anyhow::Result<()> {
        let running = self.running()?;
        let whole = running.listeners.first().ok_or_else(|| anyhow::anyhow!("nobody listens"))?;
        let tick = Message { subject: "tick".to_owned(), body: now.to_string().into_bytes() };
        running.world.message(whole, &tick, None).map_err(told)
    }

    fn found(&mut self) -> anyhow::Result<Found> {
        let running = self.running()?;
        let mut rows = |sql: &str| common::postgres::cells(&running.world.rows(sql, &[]).map_err(told)?);
        platform::found(&mut rows)
    }
}
