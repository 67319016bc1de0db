//! The cases on Spin: `cargo xtask conformance --host spin`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, process::Command};

use crate::common::server::{Api, Program};
use tempfile::TempDir;
use wheeltapper_conformance::{CanonicalTables, Case, Event, Host, Receipt, Sqlite, http::TICK_TOKEN, platform_store};
use wheeltapper_test_hosts::{composed, free_port};

use crate::common;

#[test]
#[ignore = "needs spin on the path: cargo xtask conformance --host spin"]
fn spin_conforms() {
    common::run_all_cases(&mut Spin::default());
}

#[derive(Default)]
struct Spin(Option<Running>);

struct Running {
    // Fields are dropped in this order: the program ends before its folder is deleted.
    _spin: Program,
    api: Api,
    folder: TempDir,
}

/// Returns a manifest with one component that runs all stages, on Spin's own SQLite and key-value store.
fn manifest(case: &Case) -> anyhow::Result<String> {
    let component = composed("spin", "http");
    let text = |text: &str| toml::Value::from(text).to_string();
    Ok(format!(
        "spin_manifest_version = 2\n\n\
         [application]\nname = \"conformance\"\nversion = \"0.1.0\"\n\n\
         [variables]\nplant = {{ default = {} }}\n\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"line\"\n\n\
         [component.line]\nsource = {}\nsqlite_databases = [\"default\"]\nkey_value_stores = [\"default\"]\n\
         environment = {{ WHEELTAPPER_TICK_TOKEN = {} }}\n\n\
         [component.line.variables]\nplant = \"{{{{ plant }}}}\"\n",
        text(&case.plant),
        text(&fs::canonicalize(component)?.to_string_lossy()),
        text(TICK_TOKEN),
    ))
}

impl Spin {
    fn running(&self) -> anyhow::Result<&Running> {
        self.0.as_ref().ok_or_else(|| anyhow::anyhow!("spin is not started"))
    }
}

impl Host for Spin {
    fn start(&mut self, case: &Case) -> anyhow::Result<()> {
        self.0 = None;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("spin.toml");
        fs::write(&file, manifest(case)?)?;
        let port = free_port()?;
        let mut command = Command::new("spin");
        command.current_dir(folder.path()).args(["up", "--quiet", "--from"]).arg(&file);
        let mut spin = Program::start(command.args(["--listen", &format!("127.0.0.1:{port}")]))?;
        spin.wait_for_port(port)?;
        self.0 = Some(Running { _spin: spin, api: Api::new(port), folder });
        Ok(())
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<Option<Receipt>> {
        // Without a bus all stages have run when the response comes.
        self.running()?.api.event(event).map(Some)
    }

    fn tick(&mut self, now: i64) -> anyhow::Result<()> {
        self.running()?.api.tick(now)
    }

    fn tables(&mut self) -> anyhow::Result<CanonicalTables> {
        platform_store::read_tables(&mut Sqlite::open(&self.running()?.folder.path().join(".spin/sqlite_db.db"))?)
    }
}

#[test]
fn the_manifest_is_toml_and_contains_the_plant() {
    let case = Case::all().unwrap().remove(0);
    let component = composed("spin", "http");
    if !component.is_file() {
        // `cargo xtask compose` has not run.
        return;
    }
    let manifest: toml::Table = manifest(&case).unwrap().parse().unwrap();
    assert_eq!(manifest["variables"]["plant"]["default"].as_str(), Some(case.plant.as_str()));
}
