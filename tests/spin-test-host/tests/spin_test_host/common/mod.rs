//! An application in a folder of its own.
#![allow(dead_code, reason = "each test uses a part of this module")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod servers;

use std::{collections::BTreeMap, path::PathBuf};

use rusqlite::{Connection, types::Value};
use wheeltapper_spin_test_host::{LoadedComponent, Settings, SpinTestHost};

/// Returns the path of a composed component.
pub fn composed(name: &str) -> PathBuf {
    wheeltapper_test_hosts::composed("spin", name)
}

/// The application.
pub struct App {
    _folder: tempfile::TempDir,
    pub host: SpinTestHost,
}

impl App {
    pub fn new(variables: &[(&str, &str)]) -> Self {
        Self::with_outbound(variables, &[])
    }

    pub fn with_outbound(variables: &[(&str, &str)], outbound: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            variables: to_map(variables),
            allowed_outbound_hosts: outbound.iter().map(|&each| each.to_owned()).collect(),
            ..Settings::default()
        };
        let host = SpinTestHost::open(folder.path(), settings).unwrap();
        Self { _folder: folder, host }
    }

    pub fn load(&self, name: &str, variables: &[(&str, &str)]) -> LoadedComponent {
        let mut loaded = self.host.load(&composed(name)).unwrap();
        loaded.variables = to_map(variables);
        loaded
    }

    /// Returns rows of the application's database.
    pub fn rows(&self, statement: &str) -> Vec<Vec<Value>> {
        let connection = Connection::open(self.host.database()).unwrap();
        let mut statement = connection.prepare(statement).unwrap();
        let width = statement.column_count();
        let rows = statement.query_map([], |row| (0..width).map(|index| row.get(index)).collect()).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    pub fn count(&self, from: &str) -> i64 {
        let connection = Connection::open(self.host.database()).unwrap();
        connection.query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get(0)).unwrap()
    }
}

fn to_map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}
