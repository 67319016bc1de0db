//! An application in a folder of its own.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod servers;

use std::{collections::BTreeMap, path::PathBuf};

use rusqlite::{Connection, types::Value};
use wheeltapper_spin_world::{Loaded, Settings, SpinWorld};

/// A composed component.
pub fn composed(name: &str) -> PathBuf {
    let folder = std::env::var_os("WHEELTAPPER_COMPOSED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/composed")), PathBuf::from);
    folder.join("spin").join(format!("{name}.wasm"))
}

/// The application.
pub struct App {
    _folder: tempfile::TempDir,
    pub world: SpinWorld,
}

/// Short windows, a short warm-up, and one technician.
pub const PLANT: &str = r#"{
    "featurize": {"size_seconds": 10, "slide_seconds": 5, "lateness_seconds": 10},
    "detect": {"warmup_windows": 30, "model": "zscore"},
    "schedule": {"technicians": [{"name": "ada", "skills": ["mechanic", "electrician", "vibration-analyst", "instrumentation"], "hourly_cost": 60, "shifts": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "16:00"}]}]},
    "poison_after_seconds": 1
}"#;

impl App {
    pub fn new(variables: &[(&str, &str)]) -> Self {
        Self::reaching(variables, &[])
    }

    pub fn reaching(variables: &[(&str, &str)], outbound: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            variables: pairs(variables),
            outbound: outbound.iter().map(|&each| each.to_owned()).collect(),
            ..Settings::default()
        };
        let world = SpinWorld::open(folder.path(), settings).unwrap();
        Self { _folder: folder, world }
    }

    pub fn load(&self, name: &str, variables: &[(&str, &str)]) -> Loaded {
        let mut loaded = self.world.load(&composed(name)).unwrap();
        loaded.variables = pairs(variables);
        loaded
    }

    /// Rows of the application's database.
    pub fn rows(&self, statement: &str) -> Vec<Vec<Value>> {
        let connection = Connection::open(self.world.database()).unwrap();
        let mut statement = connection.prepare(statement).unwrap();
        let width = statement.column_count();
        let rows = statement.query_map([], |row| (0..width).map(|at| row.get(at)).collect()).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    pub fn count(&self, from: &str) -> i64 {
        let connection = Connection::open(self.world.database()).unwrap();
        connection.query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get(0)).unwrap()
    }
}

fn pairs(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A Monday in January 2026, in seconds since 1970.
pub const START: i64 = 1_767_571_200;

/// Each second's readings of two machines with two sensors each, as an event; one of the machines runs hot from `hot` on.
pub fn events(seconds: i64, hot: i64) -> Vec<Vec<u8>> {
    let mut noise = 88_172_645_463_325_252_u64;
    let mut normal = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        (noise >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    (0..seconds)
        .map(|second| {
            let mut lines = String::new();
            for machine in ["north/pump-1", "south/fan-2"] {
                let rise = if machine == "north/pump-1" && second >= hot { (second - hot) as f64 * 0.5 } else { 0.0 };
                let (a, b) = (50.0 + normal() + rise, 2.0 + 0.1 * normal());
                let time = START + second;
                lines.push_str(&format!(
                    "{{\"sensor_id\": \"{machine}/temperature\", \"timestamp\": {time}, \"value\": {a}}}\n"
                ));
                lines.push_str(&format!(
                    "{{\"sensor_id\": \"{machine}/vibration\", \"timestamp\": {time}, \"value\": {b}}}\n"
                ));
            }
            lines.into_bytes()
        })
        .collect()
}
