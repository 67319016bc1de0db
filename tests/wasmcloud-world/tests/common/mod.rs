//! A workload with a database of its own.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, path::PathBuf};

use wheeltapper_wasmcloud_world::{Loaded, Message, Postgres, Settings, WasmCloudWorld};
use wheeltapper_worlds::plant::{START, TABLES};

/// The components, and the first word of the subjects that each listens to.
pub const STAGES: [(&str, &str); 5] = [
    ("ingest", "readings"),
    ("featurize", "raw-sensor-data"),
    ("detect", "processed-data"),
    ("alert", "anomaly-events"),
    ("schedule", "alert-events"),
];

/// A composed component.
pub fn composed(name: &str) -> PathBuf {
    let path = wheeltapper_worlds::composed("wasmcloud", name);
    assert!(path.is_file(), "{} is missing; make it with `cargo xtask compose wasmcloud`", path.display());
    path
}

/// The workload.
pub struct App {
    pub world: WasmCloudWorld,
    _postgres: Postgres,
}

impl App {
    pub fn new(config: &[(&str, &str)]) -> Self {
        let postgres = Postgres::start().unwrap();
        let settings = Settings { config: pairs(config), postgres: postgres.url() };
        let world = WasmCloudWorld::open(settings).unwrap();
        Self { world, _postgres: postgres }
    }

    pub fn load(&self, name: &str) -> Loaded {
        self.world.load(&composed(name)).unwrap()
    }

    pub fn send(&self, to: &Loaded, subject: &str, body: &[u8]) {
        let message = Message { subject: subject.to_owned(), body: body.to_vec() };
        self.world.message(to, &message, None).unwrap();
    }

    pub fn count(&self, from: &str) -> i64 {
        self.world.rows(&format!("SELECT count(*) FROM {from}"), &[]).unwrap()[0].get(0)
    }

    /// Each table's rows, as text.
    pub fn tables(&self) -> Vec<Vec<String>> {
        let rows = |table: &&str| self.world.rows(&format!("SELECT row_to_json(t)::text FROM ({table}) AS t"), &[]);
        TABLES.iter().map(|table| rows(table).unwrap().iter().map(|row| row.get(0)).collect()).collect()
    }
}

/// Two workloads have come to the same.
pub fn assert_same(wanted: &[Vec<String>], got: &[Vec<String>]) {
    for ((table, wanted), got) in TABLES.iter().zip(wanted).zip(got) {
        let differs = wanted.iter().zip(got).find(|(wanted, got)| wanted != got);
        assert!(wanted == got, "{table}: {} rows, wanted {}; {differs:?}", got.len(), wanted.len());
    }
}

fn pairs(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A time so many seconds after the start, as a tick says it.
pub fn tick(after: i64) -> String {
    ((START + after) * 1_000_000_000).to_string()
}
