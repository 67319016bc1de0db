//! The cases on the components for Spin, in the test host: events over HTTP through the API, ticks from cron, and a new
//! instance for each.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tempfile::TempDir;
use wheeltapper_conformance::{CanonicalTables, Case, Event, Host, Receipt, Sqlite, http, platform_store};
use wheeltapper_spin_test_host::{LoadedComponent, Settings, SpinTestHost, TriggerEvent};
use wheeltapper_test_hosts::composed;

use crate::common;

#[test]
fn the_components_for_spin_conform() {
    common::run_all_cases(&mut Spin::default());
}

#[derive(Default)]
struct Spin(Option<Running>);

struct Running {
    folder: TempDir,
    host: SpinTestHost,
    http: LoadedComponent,
    cron: LoadedComponent,
}

fn to_error(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

impl Spin {
    fn running(&self) -> anyhow::Result<&Running> {
        self.0.as_ref().ok_or_else(|| anyhow::anyhow!("the host is not started"))
    }
}

impl Host for Spin {
    fn start(&mut self, case: &Case) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let settings = Settings { variables: [("plant".to_owned(), case.plant.clone())].into(), ..Settings::default() };
        self.0 = Some(match self.0.take() {
            // The components are compiled once.
            Some(Running { host, http, cron, .. }) => {
                let host = host.open_another(folder.path(), settings).map_err(to_error)?;
                Running { folder, host, http, cron }
            }
            None => {
                let host = SpinTestHost::open(folder.path(), settings).map_err(to_error)?;
                let http = host.load(&composed("spin", "http")).map_err(to_error)?;
                let cron = host.load(&composed("spin", "cron")).map_err(to_error)?;
                Running { folder, host, http, cron }
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
        let response = running.host.http(&running.http, request.body(event.payload.clone())?).map_err(to_error)?;
        http::parse_receipt(response.status().as_u16(), response.body()).map(Some)
    }

    fn tick(&mut self, now: i64) -> anyhow::Result<()> {
        let running = self.running()?;
        let seconds = u64::try_from(now / 1_000_000_000)?;
        running.host.event(&running.cron, &TriggerEvent::Cron(seconds), None).map_err(to_error)
    }

    fn tables(&mut self) -> anyhow::Result<CanonicalTables> {
        let running = self.running()?;
        anyhow::ensure!(running.folder.path().is_dir(), "the application's folder was deleted");
        platform_store::read_tables(&mut Sqlite::open(running.host.database())?)
    }
}
