//! A workload with a database of its own.
#![allow(dead_code, reason = "each test uses a part of this module")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, path::PathBuf};

use wheeltapper_test_hosts::plant::{START, TABLE_QUERIES};
use wheeltapper_wasmcloud_test_host::{LoadedComponent, Message, PostgresServer, Settings, WasmCloudTestHost};

/// The components, and the first token of the subjects that each subscribes to.
pub const STAGES: [(&str, &str); 5] = [
    ("ingest", "readings"),
    ("featurize", "raw-sensor-data"),
    ("detect", "processed-data"),
    ("alert", "anomaly-events"),
    ("schedule", "alert-events"),
];

/// Returns the path of a composed component.
pub fn composed(name: &str) -> PathBuf {
    let path = wheeltapper_test_hosts::composed("wasmcloud", name);
    assert!(path.is_file(), "{} is missing; create it with `cargo xtask compose wasmcloud`", path.display());
    path
}

/// The workload.
pub struct App {
    pub host: WasmCloudTestHost,
    _postgres: PostgresServer,
}

impl App {
    pub fn new(config: &[(&str, &str)]) -> Self {
        let postgres = PostgresServer::start().unwrap();
        let settings = Settings { config: to_map(config), postgres: postgres.database_url() };
        let host = WasmCloudTestHost::open(settings).unwrap();
        Self { host, _postgres: postgres }
    }

    pub fn load(&self, name: &str) -> LoadedComponent {
        self.host.load(&composed(name)).unwrap()
    }

    pub fn send(&self, component: &LoadedComponent, subject: &str, body: &[u8]) {
        let message = Message { subject: subject.to_owned(), body: body.to_vec() };
        self.host.deliver(component, &message, None).unwrap();
    }

    pub fn count(&self, from: &str) -> i64 {
        self.host.rows(&format!("SELECT count(*) FROM {from}"), &[]).unwrap()[0].get(0)
    }

    /// Returns the rows of each table as JSON.
    pub fn tables(&self) -> Vec<Vec<String>> {
        let rows = |table: &&str| self.host.rows(&format!("SELECT row_to_json(t)::text FROM ({table}) AS t"), &[]);
        TABLE_QUERIES.iter().map(|table| rows(table).unwrap().iter().map(|row| row.get(0)).collect()).collect()
    }
}

/// Asserts that two workloads have the same rows.
pub fn assert_same(expected: &[Vec<String>], actual: &[Vec<String>]) {
    for ((table, expected), actual) in TABLE_QUERIES.iter().zip(expected).zip(actual) {
        let differs = expected.iter().zip(actual).find(|(expected, actual)| expected != actual);
        assert!(expected == actual, "{table}: {} rows, expected {}; {differs:?}", actual.len(), expected.len());
    }
}

fn to_map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Returns the body of a tick, the time `after` seconds after the start.
pub fn tick(after: i64) -> String {
    ((START + after) * 1_000_000_000).to_string()
}
